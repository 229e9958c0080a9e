"""A folder of the existing system, as it stands: config.json, config2.json …, and a logging.properties."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from apis_rules.ports.types import DealRecord
from tests.compose.houses import Program, ask, ask_json, until
from tests.compose.test_action_log import LINE
from tests.nats_servers import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

EXISTING = Path(__file__).parents[1] / "files" / "existing"
HANDLERS = """handlers = java.util.logging.ConsoleHandler,java.util.logging.FileHandler,\\
    jp.co.sony.csl.dcoes.apis.common.util.AnotherFileHandler,jp.co.sony.csl.dcoes.apis.common.util.MulticastHandler
java.util.logging.ConsoleHandler.level = WARNING
java.util.logging.FileHandler.level = INFO
java.util.logging.FileHandler.pattern = ./%u.%g.log
java.util.logging.FileHandler.limit = 5242880
java.util.logging.FileHandler.count = 10
jp.co.sony.csl.dcoes.apis.common.util.AnotherFileHandler.level = SEVERE
jp.co.sony.csl.dcoes.apis.common.util.AnotherFileHandler.pattern = ./%u.%g.err
jp.co.sony.csl.dcoes.apis.common.util.MulticastHandler.level = ALL
jp.co.sony.csl.dcoes.apis.common.util.MulticastHandler.groupAddress = 224.2.2.4
jp.co.sony.csl.dcoes.apis.common.util.MulticastHandler.port = 8888
jp.co.sony.csl.dcoes.level = ALL
"""


def existing_folder(place: Path, port: int) -> Path:
    """The existing files; nothing is changed but the port, so that tests may run side by side."""
    shutil.copytree(EXISTING, place, ignore=shutil.ignore_patterns("annotated"))
    for file in place.glob("config*.json"):
        file.write_text(re.sub(r'("port"\s*:\s*)4390', rf"\g<1>{port}", file.read_text()))
    return place


@pytest.fixture
def port() -> Iterator[int]:
    """The port of a device emulator in a process of its own."""
    chosen = free_port()
    others = ("--v2-port", free_port(), "--v1-port", free_port())
    with Program(
        "emulate", "--units", "4", "--accelerate", "120", "--rsoc", "80,27,55,40", "--port", chosen, *others
    ) as emulator:
        emulator.wait_line("ends with Ctrl-C", 20)
        yield chosen


@pytest.mark.timeout(150)
@pytest.mark.parametrize("whole", [False, pytest.param(True, marks=pytest.mark.campaign)])
def test_the_files_run_as_they_are(port: int, tmp_path: Path, whole: bool) -> None:
    """Two warnings, no deal before the mode is set; then deals, logged at both parties and in the action log.

    Everyday they are ended as soon as one has started, as a campaign when one has reached its amount.
    """
    folder = existing_folder(tmp_path / "exe", port)
    (folder / "logging.properties").write_text(HANDLERS)
    place = ("--state-dir", tmp_path / "state")
    (tmp_path / "tmp").mkdir()
    with Program("run", folder, *place, environment={"TMPDIR": str(tmp_path / "tmp")}) as program:

        def runs() -> bool:
            return (tmp_path / "state" / "run.json").exists()

        until(lambda: runs() or not program.running, 40, "the nodes run")
        assert program.running, program.told
        until(lambda: ask_json("status", "--format", "json", *place)["units_present"] == 4, 20, "all units")
        shown = ask_json("status", "--format", "json", *place)
        assert "'apis-rules mode set autonomous'" in " ".join(shown["quiet"])
        assert shown["deals"] == []
        ask("mode", "set", "autonomous", *place)

        def deals(*more: str) -> list[dict[str, Any]]:
            shown = ask_json("deals", *more, "--format", "json", *place)
            found: list[dict[str, Any]] = shown["deals"] if more else shown
            return found

        if whole:
            until(lambda: deals("--since", "1h"), 60, "a deal is over")
            ask("mode", "set", "heteronomous", *place)
        else:
            until(lambda: any(d["state"] == "started" for d in deals()), 40, "a deal has started")
            ask("mode", "set", "stop", *place)
        until(lambda: deals() == [], 60, "all deals over")
        deal = deals("--since", "1h")[0]
        ask("stop", *place)
        assert program.end(30) == 0, program.told
    said = Counter(re.findall(r"AR\d{3} warning: [^\n]*", "\n".join(program.errors)))
    assert {text.split(": ")[1]: times for text, times in said.items()} == {
        "encryption between nodes does not take effect yet": 1,
        "the Service Center does not take effect yet": 1,
    }
    assert (deal["ended"] == "in order") is whole
    logs = list((tmp_path / "tmp" / "apis").glob(f"dealLog*/*/*/*/{deal['deal_id']}"))
    assert len(logs) == 2
    assert logs[0].read_bytes() == logs[1].read_bytes()
    assert DealRecord.from_json(logs[0].read_bytes()).deal_amount_wh == deal["deal_amount_wh"]
    lines = [LINE.fullmatch(line) for line in (folder / "0.0.log").read_text().splitlines()]
    assert all(lines)
    for unit_id in (deal["discharge_unit_id"], deal["charge_unit_id"]):
        told = "\n".join(m[7] for m in lines if m and m[2] == unit_id)
        for text in ("mode stop", "mode autonomous", f"{deal['deal_id']} ", ": started", "command ", ": done", "epoch"):
            assert text in told, (unit_id, text)
    assert {m[1] for m in lines if m} == {"apis-main"}
    assert (folder / "0.0.err").read_text() == ""
    # The console has the log instead of the view.
    assert "bus dead" not in program.output


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"connection": {"emulator": {"host": "192.0.2.1", "port": 4390}}}, "emulator is at 192.0.2.1"),
        ({"nats": {"urls": ["nats://192.0.2.7:4222"]}}, "the shared state is at 192.0.2.7"),
    ],
)
@pytest.mark.parametrize("by", ["security", "controlCenter"])
def test_what_is_not_protected_yet_stays_on_the_machine(
    change: dict[str, Any], why: str, by: str, tmp_path: Path
) -> None:
    """With security or a Service Center switched on, another machine is refused before anything is sent to it."""
    folder = existing_folder(tmp_path / "exe", 4390)
    config = json.loads((folder / "config.json").read_text()) | change
    other = {"security": "controlCenter", "controlCenter": "security"}[by]
    config[other]["enabled"] = False
    (folder / "config.json").write_text(json.dumps(config))
    for file in folder.glob("config[234].json"):
        file.unlink()
    said = ask("run", "--no-supervisor", folder, "--state-dir", tmp_path / "state", expect=2)
    assert f"{why}, but {by}.enabled is true but does not take effect yet" in said
    assert "AR721 error" in said
