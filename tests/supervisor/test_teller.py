"""What people are told, where nobody reads it."""

from __future__ import annotations

import os
from contextlib import suppress

from apis_rules.supervisor.teller import KEPT, Teller
from tests.compose.houses import until


def test_a_reader_that_pauses_keeps_nobody_waiting() -> None:
    """Writing returns at once, also when the pipe and the queue are full; what was lost is said to who reads again."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writing, b"." * 4096)
    os.set_blocking(writing, True)
    teller = Teller()
    for number in range(KEPT + 10):
        teller.write(writing, f"{number}\n")
    os.set_blocking(reading, False)
    read = bytearray()

    def has_read(text: bytes) -> bool:
        with suppress(BlockingIOError):
            read.extend(os.read(reading, 65_536))
        return text in read

    until(lambda: has_read(b"messages were not read in time"), 5, "the loss is said")
    until(lambda: has_read(f"\n{KEPT - 1}\n".encode()), 5, "what was kept is said")
    assert f"\n{KEPT + 5}\n".encode() not in read
    teller.end()
    os.close(reading)
    os.close(writing)


def test_a_reader_that_is_gone_does_no_harm() -> None:
    """Nor is the end of it waited for."""
    reading, writing = os.pipe()
    os.close(reading)
    teller = Teller()
    teller.write(writing, "x")
    teller.end()
    os.close(writing)
