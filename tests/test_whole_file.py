"""Files that are written whole, and who writes them so."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from typing import TYPE_CHECKING

import pytest

from apis_rules.compose.options import LAST_RUN_FILE, RUN_FILE, Running, load_running
from apis_rules.whole_file import write_whole
from apis_transport.presence import HOME_FILE, home_of

if TYPE_CHECKING:
    from pathlib import Path

RUN = Running(("nats://127.0.0.1:4222",), "community", "cluster", ("E001",), "autonomous", os.getpid())


@pytest.mark.parametrize("durable", [False, True])
def test_a_reader_has_the_old_content_or_the_new_one(tmp_path: Path, durable: bool) -> None:
    """What was opened before the write reads on in the old file to its end; nothing is left beside the new one."""
    file = tmp_path / "note"
    write_whole(file, b"old", durable=durable)
    with file.open("rb") as reader:
        write_whole(file, b"newer", durable=durable)
        assert reader.read() == b"old"
    assert file.read_bytes() == b"newer"
    assert list(tmp_path.iterdir()) == [file]


def test_a_write_without_room_leaves_the_old_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error is told, the old content stays, and what was begun beside it is taken away."""
    file = tmp_path / "note"
    write_whole(file, b"old", durable=True)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(file, b"new", durable=True)
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]


def test_where_nothing_can_be_written_beside_the_old_content_stays(tmp_path: Path) -> None:
    """What is told is what stood in the way."""
    file = tmp_path / ("n" * 255)  # as long as names can be
    file.write_bytes(b"old")
    with pytest.raises(OSError, match="name too long"):
        write_whole(file, b"new", durable=True)
    assert file.read_bytes() == b"old"


def test_writers_of_one_file_do_not_meet(tmp_path: Path) -> None:
    """Several that write the same file at once all succeed, and it is whole at every moment."""
    file, content = tmp_path / "policy.json", b"policy" * 10_000
    write_whole(file, content, durable=False)
    with ThreadPoolExecutor(4) as writers:
        writing = [writers.submit(write_whole, file, content, durable=False) for _ in range(200)]
        while not all(w.done() for w in writing):
            assert file.read_bytes() == content
    assert [w.exception() for w in writing] == [None] * len(writing)
    assert list(tmp_path.iterdir()) == [file]


def test_processes_that_write_one_file_do_not_meet(tmp_path: Path) -> None:
    """Several runs that begin at once in one state folder all write its run file."""
    RUN.save(tmp_path)
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as writers:
        for written in [writers.submit(RUN.save, tmp_path) for _ in range(200)]:
            written.result(30)
    assert load_running(tmp_path).members == RUN.members
    assert sorted(file.name for file in tmp_path.iterdir()) == [LAST_RUN_FILE, RUN_FILE]


@pytest.mark.parametrize("name", [RUN_FILE, LAST_RUN_FILE])
def test_the_run_file_is_written_whole(tmp_path: Path, name: str) -> None:
    """A verb that reads while a run writes its members anew finds all of the old file or of the new one."""
    RUN.save(tmp_path)
    old = (tmp_path / name).read_bytes()
    with (tmp_path / name).open("rb") as reader:
        replace(RUN, members=("E001", "E002")).save(tmp_path)
        assert reader.read() == old
    assert load_running(tmp_path, name).members == ("E001", "E002")


def test_the_identity_of_a_state_folder_is_written_whole(tmp_path: Path) -> None:
    """It stays the same; where a loss of power once left its file empty, the folder gets one of its own."""
    home = home_of(tmp_path / "new")
    assert home
    assert home_of(tmp_path / "new") == home
    file = tmp_path / "new" / HOME_FILE
    file.write_text("")
    with file.open() as reader:
        made = home_of(tmp_path / "new")
        assert reader.read() == ""
    assert made not in ("", home)
    assert home_of(tmp_path / "new") == made
