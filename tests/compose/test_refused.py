"""Starts that cannot be: one clear sentence with a code, exit 2, and no converter left active."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from apis_rules.cli import main
from apis_rules.file_lock import file_lock
from apis_rules.grid.configs import write_configs
from apis_rules.ports.types import ConverterMode
from tests.compose.houses import UNITS, Houses, Program, ask
from tests.nats_servers import Server, free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.timeout(150)


@pytest.fixture(scope="module")
def houses() -> Iterator[Houses]:
    with Houses() as opened:
        yield opened


@pytest.fixture
def folder(houses: Houses, tmp_path: Path) -> Path:
    """A complete working set of files for the four units."""
    write_configs(tmp_path, UNITS, houses.addresses, "dcdc_emulator")
    return tmp_path


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    opened = Server(tmp_path_factory.mktemp("nats")).start()
    yield opened
    opened.stop()


def refused(folder: Path, unit_id: str, *more: object) -> str:
    """Start a unit that cannot be started; return what was said, which is never a traceback."""
    config, state = folder / f"config.{unit_id}.json", folder / "state"
    said = ask("run", "--no-supervisor", config, "--state-dir", state, "--start-timeout", "1", *more, expect=2)
    assert "Traceback" not in said
    assert "AR" in said
    return said


def changed(file: Path, **keys: Any) -> None:
    document = json.loads(file.read_text())
    file.write_text(json.dumps({k: v for k, v in (document | keys).items() if v is not None}))


WAYS: dict[str, Callable[[Path], object]] = {
    "missing": lambda file: file.unlink(),
    "empty": lambda file: file.write_text(""),
    "half": lambda file: file.write_text(file.read_text()[: len(file.read_text()) // 2]),
    "not text": lambda file: file.write_bytes(b"\xff\xfe\x00\x80"),
    "a list": lambda file: file.write_text("[1, 2]"),
    "a number": lambda file: file.write_text("42"),
    "an empty object": lambda file: file.write_text("{}"),
    "not a number": lambda file: file.write_text('{"x": NaN}'),
    "values of other kinds": lambda file: file.write_text(
        json.dumps({key: [None] for key in json.loads(file.read_text()) if not key.startswith("#")})
    ),
    "a folder": lambda file: (file.unlink(), file.mkdir()),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ["config.E001.json", "hwConfig.json", "policy.json", "scenario.json"])
def test_a_broken_file_is_refused(houses: Houses, folder: Path, name: str, way: str) -> None:
    """Each of the four files, broken in each of ten ways: a diagnostic, exit 2, the converter stays in WAIT."""
    WAYS[way](folder / name)
    said = refused(folder, "E001", "--nats", "nats://127.0.0.1:1")
    assert name in said
    assert houses.all_wait()


@pytest.mark.parametrize("mode", [ConverterMode.CHARGE, ConverterMode.DISCHARGE, ConverterMode.VOLTAGE_REFERENCE])
@pytest.mark.parametrize("name", ["config.E002.json", "scenario.json"])
def test_a_converter_found_active_is_brought_to_wait(
    houses: Houses, folder: Path, name: str, mode: ConverterMode
) -> None:
    """Where unit and driver can be read, a refused start leaves no converter active, and says that it was."""
    houses.set_mode("E002", mode)
    changed(folder / name, hwConfigFile=17, refreshingPeriodMsec="soon")
    said = refused(folder, "E002", "--nats", "nats://127.0.0.1:1")
    assert f"E002: the converter was found in {mode.name.lower().replace('_', ' ')}; it is in WAIT now" in said
    assert houses.all_wait()


@pytest.mark.parametrize("state", ["config.E001.json", "/proc"])
def test_a_state_folder_that_cannot_be_is_refused(houses: Houses, folder: Path, state: str) -> None:
    """A file in its place, or one that nobody can write in, is named, and an active converter is brought to WAIT."""
    houses.set_mode("E001", ConverterMode.CHARGE)
    said = ask("run", "--no-supervisor", folder / "config.E001.json", "--state-dir", folder / state, expect=2)
    assert "AR104 error: cannot keep what nodes store" in said
    assert "Traceback" not in said
    assert houses.all_wait()


def test_a_lost_store_is_made_anew_only_when_told_to(houses: Houses, folder: Path) -> None:
    """Nodes refuse to start over a store that is gone, and start where ``--new-store`` says that it is lost."""
    start = ("run", "--no-supervisor", folder, "--state-dir", folder / "state")
    ask(*start, "--for", "1ms")
    shutil.rmtree(folder / "state" / "store")
    assert "--new-store" in ask(*start, "--for", "1ms", expect=2)
    ask(*start, "--for", "1ms", "--new-store")
    assert houses.all_wait()


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("--accelerate=nan", "no number from 0.001 to 86400"),
        ("--accelerate=0", "no number from 0.001 to 86400"),
        ("--until-deals=-1", "no whole number from 1"),
        ("--start-timeout=-3", "no number from 0.1"),
    ],
)
def test_an_argument_out_of_range_is_refused(argument: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each ends at once with exit code 2 and what would be right."""
    with pytest.raises(SystemExit) as ended:
        main(["run", argument])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_a_unit_that_runs_elsewhere_is_left_alone(houses: Houses, folder: Path) -> None:
    """A start that finds the unit's lock taken stops nothing: the converter is the other process's business."""
    houses.set_mode("E003", ConverterMode.CHARGE)
    with file_lock(folder / "state" / "example" / "example" / "E003" / "unit.lock"):
        assert "AR702" in refused(folder, "E003", "--nats", "nats://127.0.0.1:1")
        (folder / "policy.json").write_text("{}")
        refused(folder, "E003", "--nats", "nats://127.0.0.1:1")
        assert houses.active() == ["E003"]
    houses.set_mode("E003", ConverterMode.WAIT)


def test_a_broker_that_is_not_there_is_refused(houses: Houses, folder: Path) -> None:
    """After the start's time limit: which server does not answer; an active converter is in WAIT then."""
    houses.set_mode("E002", ConverterMode.DISCHARGE)
    said = refused(folder, "E002", "--nats", f"nats://127.0.0.1:{free_port()}")
    assert "AR512" in said
    assert houses.all_wait()


def test_a_driver_that_is_not_there_is_refused(folder: Path, server: Server) -> None:
    """After the start's time limit: the driver does not answer."""
    changed(folder / "config.E004.json", connection={"emulator": {"host": "127.0.0.1", "port": free_port()}})
    said = refused(folder, "E004", "--nats", server.url)
    assert "AR703" in said
    assert "the driver does not answer" in said


def test_what_a_running_community_does_not_admit(houses: Houses, folder: Path, server: Server) -> None:
    """A second instance of a unit, and a policy that differs by a key, are refused; the first goes on."""
    state = folder / "state"
    with Program("run", folder / "config.E001.json", "--nats", server.url, "--state-dir", state) as first:
        first.wait_line("Grid Master E001", 60)
        assert "AR702" in refused(folder, "E001", "--nats", server.url)
        other = folder / "other"
        config = folder / "config.E001.json"
        start = ("run", "--no-supervisor", config, "--nats", server.url)
        said = ask(*start, "--state-dir", other, "--start-timeout", "1", expect=2)
        assert "AR518" in said
        policy = json.loads((folder / "policy.json").read_text())
        policy["mediator"]["negotiationTimeoutMsec"] += 1
        (folder / "policy.json").write_text(json.dumps(policy))
        houses.set_mode("E002", ConverterMode.CHARGE)
        said = refused(folder, "E002", "--nats", server.url, "--start-timeout", "20")
        assert "AR703" in said
        assert "mediator.negotiationTimeoutMsec" in said
        assert houses.all_wait()
        assert first.running
