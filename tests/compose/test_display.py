"""What a run shows, where its output cannot take it."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from apis_rules.compose.display import Display
from apis_rules.ports.virtual_time import run_virtual
from tests.node.world import operator, pair, world

if TYPE_CHECKING:
    from collections.abc import Callable

FULL = Path("/dev/full")


@pytest.mark.skipif(not FULL.exists(), reason="no device that is always full")
def test_a_full_disk_under_the_output_ends_no_node(tmp_path: Path) -> None:
    """The nodes go on unseen for as long as was asked for; it is said once, and at the end, exit 2."""
    command = ["run", "--for", "3s", "--state-dir", str(tmp_path)]
    with FULL.open("w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "apis_rules", *command],
            check=False,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=100,
        )
    assert ended.returncode == 2, ended.stderr
    assert ended.stderr == "apis-rules run: the output cannot be written: No space left on device\n"
    logs = "".join(f.read_text() for f in (tmp_path / "log").glob("*.log"))
    assert logs.count("what happens is not shown any more: No space left on device") == 1


def fill(descriptor: int) -> None:
    """Write until the next write would wait."""
    os.set_blocking(descriptor, False)
    with suppress(BlockingIOError):
        while os.write(descriptor, b"." * 512 + b"\n"):
            pass
    os.set_blocking(descriptor, True)


def read_to(descriptor: int, end: str) -> str:
    read = b""
    while end.encode() not in read:
        read += os.read(descriptor, 65536)
    return read.decode()


async def show_unread(reading: int) -> str:
    """Show a community, of which nobody reads until the run ends; return what is read then."""
    async with world(2) as w, operator(w) as looker:
        display = Display(looker, "text")
        showing = asyncio.create_task(display.run(lambda: ()))
        await w.until(lambda: w.master, 20, "a master, while the output is full")
        await asyncio.sleep(10)
        assert not showing.done()
        showing.cancel()
        await asyncio.wait([showing])
        read: list[str] = []
        reader = threading.Thread(target=lambda: read.append(read_to(reading, "the last word")), daemon=True)
        reader.start()
        display.end("the last word")
        reader.join(5)
        return read[0]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("opened", [os.pipe, os.openpty])
def test_an_output_that_is_not_read_holds_up_no_node(
    opened: Callable[[], tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A community goes on under a full pipe or a paused terminal; what was shown is out before the run ends."""
    reading, writing = opened()
    fill(writing)
    with os.fdopen(writing, "w") as out:
        monkeypatch.setattr(sys, "stdout", out)
        told = run_virtual(show_unread(reading))
        monkeypatch.undo()
        os.close(reading)
    assert "autonomous" in told
    assert "the last word" in told


async def show_absent() -> None:
    """Show two units of which nothing is heard; the first one's node has ended."""
    async with world(2, started=False) as w, operator(w) as looker:
        display = Display(looker, "text")
        showing = asyncio.create_task(display.run(lambda: (), lambda: ["E001"]))
        await asyncio.sleep(2)
        showing.cancel()
        await asyncio.wait([showing])
        display.end("the last word")


@pytest.mark.timeout(60)
@pytest.mark.parametrize(("term", "drawn"), [("xterm", True), ("dumb", False)])
def test_a_terminal_is_drawn_on_where_it_can_be(term: str, drawn: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture tells units that have ended from those not heard of; a terminal without a cursor to move gets lines."""
    monkeypatch.setenv("TERM", term)
    reading, writing = os.openpty()
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(read_to(reading, "the last word")), daemon=True)
    reader.start()
    with os.fdopen(writing, "w") as out:
        monkeypatch.setattr(sys, "stdout", out)
        run_virtual(show_absent())
        monkeypatch.undo()
        reader.join(5)
    os.close(reading)
    (told,) = read
    assert ("\x1b[" in told) is drawn
    assert bool(re.search(r"E001\W[^\n]*has ended", told)) is drawn
    assert bool(re.search(r"E002\W[^\n]*not heard of", told)) is drawn
    assert ("bus dead\r\n" in told) is not drawn


async def show_deals(told: int) -> int:
    async with pair(20.0) as w, operator(w) as looker:
        await w.until(lambda: len(w.final_records) >= 2, 120, "two deals that are over")
        display = Display(looker, "text")
        display.told = told
        showing = asyncio.create_task(display.run(lambda: ()))
        await asyncio.sleep(2)  # in virtual time: it shows before the first record is read
        following = asyncio.create_task(looker.follow_deals(1))
        await w.until(lambda: looker.finished_count >= 3, 120, "a third one")
        await asyncio.sleep(1)
        for task in (showing, following):
            task.cancel()
        await asyncio.wait([showing, following])
        display.end("the last word")
        return display.told


@pytest.mark.parametrize(("told", "lines"), [(0, 3), (2, 1)])
def test_deals_that_an_earlier_process_has_told_are_not_told_again(
    told: int, lines: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """After a restart of the nodes the lines go on with the deals that have ended since; how many is handed on."""
    assert run_virtual(show_deals(told)) == 3
    assert capsys.readouterr().out.count(" done: ") == lines


@pytest.mark.skipif(not FULL.exists(), reason="no device that is always full")
def test_a_full_disk_under_the_output_ends_no_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """An observer goes on; where the reader of a pipe is gone it ends."""

    async def look() -> list[bool]:
        async with world(2) as w, operator(w) as looker:
            showing = asyncio.create_task(Display(looker, "text").run(lambda: ()))
            await w.until(showing.done, 30, "it is noticed")
            return [showing.result()]

    with FULL.open("w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert run_virtual(look()) == [True]
        monkeypatch.undo()
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as gone:
        monkeypatch.setattr(sys, "stdout", gone)
        assert run_virtual(look()) == [False]
        monkeypatch.undo()
