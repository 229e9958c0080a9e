"""Output that is not read, or not possible."""

from __future__ import annotations

import io
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from apis_rules.compose.outlet import LIMIT, Outlet

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO


@contextmanager
def pipe() -> Iterator[tuple[int, TextIO]]:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w", encoding="utf-8") as out:
        try:
            yield reading, out
        finally:
            os.close(reading)


def read_until(descriptor: int, end: str) -> str:
    text = ""
    while not text.endswith(end):
        text += os.read(descriptor, 65536).decode()
    return text


def test_everything_is_out_in_order_when_it_is_drained() -> None:
    """What others wrote before comes first; text in memory takes it as well."""
    with pipe() as (reading, out):
        out.write("first\n")
        outlet = Outlet(out)
        for number in range(100):
            outlet.write(f"{number} ü\n")
        outlet.drain(5)
        assert outlet.idle
        assert os.read(reading, 65536).decode() == "first\n" + "".join(f"{n} ü\n" for n in range(100))
    memory = io.StringIO()
    outlet = Outlet(memory)
    outlet.write("text\n")
    outlet.drain(5)
    assert memory.getvalue() == "text\n"


def test_an_output_that_is_not_read_holds_up_nobody() -> None:
    """Texts are taken without waiting, up to a limit; once they are read, what was left out is said at its place."""
    with pipe() as (reading, out):
        outlet = Outlet(out)
        text = "x" * 999 + "\n"
        for _ in range(LIMIT + 500):
            outlet.write(text)
        outlet.drain(0.01)
        assert not outlet.idle
        told = read_until(reading, "not read)\n").splitlines()
        outlet.write("after\n")
        assert read_until(reading, "after\n") == "after\n"
        written = told[:-1]
        assert set(written) == {text[:-1]}
        assert LIMIT <= len(written) < LIMIT + 500
        assert told[-1] == f"({LIMIT + 500 - len(written)} left out here: the output was not read)"


def test_an_output_that_is_gone_is_told_to_the_next_who_writes() -> None:
    """A reader that went away is an error of the following calls, none of which waits."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as out:
        outlet = Outlet(out)
        os.close(reading)
        outlet.write("lost\n")
        with pytest.raises(BrokenPipeError):
            outlet.drain(5)
        with pytest.raises(BrokenPipeError):
            outlet.write("more\n")
        with pytest.raises(BrokenPipeError):
            outlet.flush()
