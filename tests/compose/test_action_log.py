"""The action log: its lines, levels and outputs, and what becomes of it where an output fails."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
import queue
import re
import resource
import socket
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from apis_rules.compose.action_log import OURS, UNIT, ActionLog, _Entrance, open_action_log
from apis_rules.compose.log_outputs import LineFormatter, MulticastHandler, WholeLineFiles, resolve_pattern
from apis_rules.documents.community import load_site
from apis_rules.documents.logs import FileLog
from apis_rules.errors import InputError
from apis_rules.grid.configs import write_configs
from apis_rules.grid.server import Addresses
from apis_rules.log_levels import TRACE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from apis_rules.documents.community import Site

# What existing log tools take apart: program, unit, thread, time, level, logger, message.
LINE = re.compile(r"\[\[\[([^\]:]+)(?::([^\]]+))?\]\]\] \[([^\]]+)\] (\d{4}-\d\d-\d\dT\S+) (\w+) \[([^\]]+)\]  (.*)")
UNITS = ("E001", "E002")
log = logging.getLogger("apis_rules.somewhere")


def sites(folder: Path, logs: dict[str, Any] | None = None, units: tuple[str, ...] = UNITS, **more: Any) -> list[Site]:
    """The sites of some units whose configs say *logs* of their log."""
    write_configs(folder, UNITS, Addresses(("127.0.0.1", 4390), {}, {}), "dcdc_emulator")
    found = []
    for unit in units:
        file = folder / f"config.{unit}.json"
        written = json.loads(file.read_text())
        file.write_text(json.dumps({**written, **more} if logs is None else {**written, **more, "logging": logs}))
        found.append(load_site(file))
    return found


def written(folder: Path, nodes: list[Site], work: Callable[[ActionLog], Any]) -> ActionLog:
    """Do *work* while the log is open, in the name of E001."""

    async def main() -> ActionLog:
        with open_action_log(nodes, folder / "state") as opened:
            UNIT.set("E001")
            work(opened)
            return opened

    return asyncio.run(main())


def log_each_level(_: ActionLog) -> None:
    for level in (logging.CRITICAL, logging.ERROR, logging.WARNING, logging.INFO, logging.DEBUG, TRACE):
        log.log(level, "level %d", level)


def lines(file: Path) -> list[tuple[str, ...]]:
    found = [LINE.fullmatch(line) for line in file.read_text().splitlines()]
    assert all(found)
    return [f.groups() for f in found if f]


def test_lines_are_in_the_form_that_log_tools_read(tmp_path: Path) -> None:
    """A line has program, unit, thread, time, level, logger, message; FATAL and ERROR are SEVERE, TRACE is FINEST."""
    written(tmp_path, sites(tmp_path, {"file": {"level": "ALL", "pattern": "%%a.log"}}), log_each_level)
    found = lines(tmp_path / "%a.log.0")
    assert [(f[0], f[1], f[5]) for f in found] == [("apis-rules", "E001", "apis_rules.somewhere")] * 6
    assert [f[4] for f in found] == ["SEVERE", "SEVERE", "WARNING", "INFO", "FINE", "FINEST"]
    assert found[0][6] == "level 50"


@pytest.mark.parametrize(
    ("level", "count"),
    [("OFF", 0), ("SEVERE", 2), ("WARNING", 3), ("INFO", 4), ("CONFIG", 4), ("FINE", 5), ("FINER", 5), ("FINEST", 6)],
)
def test_each_output_has_its_own_level(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], level: str, count: int
) -> None:
    """Console, file and error file each take what their level lets through, and nothing else."""
    settings = {
        "console": {"level": level},
        "file": {"level": "FINEST", "pattern": "a.%g.log"},
        "errorFile": {"level": "SEVERE", "pattern": "a.%g.err"},
    }
    opened = written(tmp_path, sites(tmp_path, settings), log_each_level)
    assert opened.on_console is (count > 0)
    assert len(capfd.readouterr().err.splitlines()) == count
    assert len(lines(tmp_path / "a.0.log")) == 6
    assert len(lines(tmp_path / "a.0.err")) == 2


def test_without_a_word_there_is_a_file_in_the_state_folder(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """As shipped INFO and above go to a file; nothing goes to the console, and nothing out of the machine."""
    opened = written(tmp_path, sites(tmp_path), log_each_level)
    assert [type(h).__name__ for h in opened.handlers] == ["WholeLineFiles"]
    assert len(lines(tmp_path / "state" / "log" / "apis-rules.0.0.log")) == 4
    assert capfd.readouterr().err == ""


def test_files_take_turns(tmp_path: Path) -> None:
    """A full file becomes the next generation; there are never more than `count`, none longer than the limit."""
    settings = {"file": {"pattern": "a.%g.log", "limitBytes": 1000, "count": 3}}
    written(tmp_path, sites(tmp_path, settings), lambda _: [log.info("line %03d", i) for i in range(100)])
    found = {f.name: f for f in tmp_path.glob("a.*.log")}
    assert sorted(found) == ["a.0.log", "a.1.log", "a.2.log"]
    assert all(f.stat().st_size <= 1000 for f in found.values())
    messages = [line[6] for name in ("a.2.log", "a.1.log", "a.0.log") for line in lines(found[name])]
    assert messages == [f"line {i:03d}" for i in range(100 - len(messages), 100)]


def test_one_file_begins_anew(tmp_path: Path) -> None:
    """With a count of one the file is emptied when it is full; without `append` a start begins a new generation."""
    settings = {"file": {"pattern": "a.log", "limitBytes": 1000, "count": 1}}
    written(tmp_path, sites(tmp_path, settings), lambda _: [log.info("line %03d", i) for i in range(100)])
    assert lines(tmp_path / "a.log")[-1][6] == "line 099"
    assert (tmp_path / "a.log").stat().st_size <= 1000
    again = {"file": {"pattern": "b.%g.log", "append": False}}
    for number in range(2):
        written(tmp_path, sites(tmp_path, again), lambda _, number=number: log.info("run %d", number))
    assert [lines(tmp_path / f"b.{g}.log")[0][6] for g in (0, 1)] == ["run 1", "run 0"]


def test_processes_by_the_same_pattern_write_beside_each_other(tmp_path: Path) -> None:
    """The number of the process keeps their files apart; a pattern without it gets one all the same."""
    settings = FileLog(pattern="x", count=1)
    with (
        closing(WholeLineFiles(settings, resolve_pattern("a%u.log", tmp_path), print)) as first,
        closing(WholeLineFiles(settings, resolve_pattern("a%u.log", tmp_path), print)) as second,
        closing(WholeLineFiles(settings, resolve_pattern("b.log", tmp_path), print)) as third,
        closing(WholeLineFiles(settings, resolve_pattern("b.log", tmp_path), print)) as fourth,
    ):
        names = [os.path.basename(h.baseFilename) for h in (first, second, third, fourth)]  # noqa: PTH119
    assert names == ["a0.log", "a1.log", "b.log", "b.log.1"]


def test_each_node_has_its_own_file(tmp_path: Path) -> None:
    """Nodes of one process that name different files: each has its own lines, and those that concern no unit."""
    nodes = [
        *sites(tmp_path, {"file": {"pattern": "one.log"}}, ("E001",)),
        *sites(tmp_path, {"file": {"pattern": "two.log"}}, ("E002",)),
    ]

    def work(_: ActionLog) -> None:
        log.info("of one")
        UNIT.set("E002")
        log.info("of two")
        UNIT.set("")
        log.info("of nobody")

    written(tmp_path, nodes, work)
    assert [line[6] for line in lines(tmp_path / "one.log.0")] == ["of one", "of nobody"]
    assert [line[6] for line in lines(tmp_path / "two.log.0")] == ["of two", "of nobody"]


def test_datagrams_to_a_multicast_group(tmp_path: Path) -> None:
    """Each line is one datagram with a newline at its end, also one with a traceback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("224.2.2.4", 0))
        receiver.settimeout(5)
        member = socket.inet_aton("224.2.2.4") + socket.inet_aton("127.0.0.1")
        receiver.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
        udp = {"level": "INFO", "port": receiver.getsockname()[1], "interfaceAddress": "127.0.0.1"}

        def work(_: ActionLog) -> None:
            log.info("hello")
            log.error("failed", exc_info=ValueError("wrong"))

        written(tmp_path, sites(tmp_path, {"file": None, "udp": udp}), work)
        first, second = receiver.recv(65536).decode(), receiver.recv(65536).decode()
    found = LINE.fullmatch(first.removesuffix("\n"))
    assert found is not None
    assert (found[1], found[2], found[7]) == ("apis-rules", "E001", "hello")
    assert second.count("\n") == 1
    assert second.endswith("ValueError: wrong\n")


def test_a_logging_properties_beside_the_config_counts_alone(tmp_path: Path) -> None:
    """It is read instead of the section logging, and that is said; what is wrong in it refuses the start."""
    nodes = sites(tmp_path, {"file": {"pattern": "section.log"}})
    file = tmp_path / "logging.properties"
    file.write_text("handlers=java.util.logging.FileHandler\njava.util.logging.FileHandler.pattern=./%u.%g.log\n")
    opened = written(tmp_path, nodes, lambda _: log.info("here"))
    assert [(d.code, d.location.line) for d in opened.doubts] == [("AR242", 1), ("AR242", 1)]
    assert [line[6] for line in lines(tmp_path / "0.0.log")] == ["here"]
    assert not (tmp_path / "section.log").exists()
    file.write_text("handlers=java.util.logging.FileHandler\njava.util.logging.FileHandler.limit=much\n")
    with pytest.raises(InputError, match=r"logging.properties:2:37: AR202"):
        written(tmp_path, nodes, log_each_level)


def test_a_place_that_cannot_be_written_refuses_the_start(tmp_path: Path) -> None:
    """It is one sentence with a code, and logging is as it was before."""
    (tmp_path / "file").write_text("")
    nodes = sites(tmp_path, {"file": {"pattern": "file/a.log"}})
    handlers = list(logging.getLogger().handlers)
    with pytest.raises(InputError, match=r"AR722.*the action log cannot be written"):
        written(tmp_path, nodes, log_each_level)
    assert logging.getLogger().handlers == handlers
    assert [logging.getLogger(name).level for name in OURS] == [logging.NOTSET] * 2


def test_an_interface_that_is_not_there_refuses_the_start(tmp_path: Path) -> None:
    """Likewise; a node that keeps to its own machine sends through its loopback interface, whatever is asked for."""
    udp = {"level": "INFO", "interfaceAddress": "192.0.2.9"}
    with pytest.raises(InputError, match=r"AR722.*cannot be sent through 192.0.2.9"):
        written(tmp_path, sites(tmp_path, {"udp": udp}), log_each_level)
    local = sites(
        tmp_path, {"file": None, "udp": udp}, security={"enabled": True, "pemKeyFile": "k", "pemCertFile": "c"}
    )
    (handler,) = written(tmp_path, local, log_each_level).handlers
    assert isinstance(handler, MulticastHandler)


def test_a_line_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    """Where a disk takes half a line, none of it is left; it is told once, and the next line that fits is whole."""
    told: list[str] = []
    handler = WholeLineFiles(
        FileLog(count=1, limit_bytes=0), resolve_pattern("a.log", tmp_path), lambda _, text: told.append(text)
    )
    handler.setFormatter(LineFormatter("p"))
    file = tmp_path / "a.log"

    def emit(text: str) -> None:
        handler.handle(logging.LogRecord("n", logging.INFO, "", 0, text, None, None))

    with closing(handler):
        emit("first")
        size = file.stat().st_size
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20, hard))
        try:
            emit("second")
            emit("third")
            left = file.stat().st_size
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        emit("fourth")
    assert left == size
    assert len(told) == 1
    assert told[0].startswith(f"{file}: ")
    assert [line[6] for line in lines(file)] == ["first", "fourth"]


def test_a_file_that_fails_is_told_to_the_nodes_whose_it_is(tmp_path: Path) -> None:
    """The failure names the file and its units; console and datagrams that fail stop nobody."""
    nodes = sites(tmp_path, {"file": {"pattern": "logs/a.log"}})

    async def main() -> None:
        with open_action_log(nodes, tmp_path / "state") as opened:
            (tmp_path / "logs" / "a.log.0").unlink()
            (tmp_path / "logs" / "a.log.0").mkdir()
            log.info("x")
            failure = await asyncio.wait_for(opened.failures.get(), 5)
            assert failure.units == {"E001", "E002"}
            assert failure.reason.endswith(f"a.log.0: {os.strerror(errno.EISDIR)}")

    asyncio.run(main())


def test_a_writer_that_hangs_holds_nobody_up() -> None:
    """Lines beyond the queue's length are given up at once and counted; the count is told when there is room again."""
    rows: queue.Queue[Any] = queue.Queue(10)
    entrance = _Entrance(rows)
    own = logging.getLogger("tests.hanging")
    own.setLevel(logging.INFO)
    own.addHandler(entrance)
    for number in range(25):
        own.info("line %d", number)
    kept = [rows.get_nowait().getMessage() for _ in range(10)]
    assert kept == [f"line {i}" for i in range(10)]
    own.info("again")
    assert [rows.get_nowait().getMessage() for _ in range(2)] == ["15 lines found no room", "again"]
    own.removeHandler(entrance)
