"""Starts that cannot be: one clear sentence with a code, exit 2, and no converter left active."""

from __future__ import annotations

import asyncio
import json
import shutil
from typing import TYPE_CHECKING

import pytest

from apis_rules.cli import main
from apis_rules.documents.diagnostics import Findings, Location
from apis_rules.errors import InputError
from apis_rules.node.reference import KEY
from apis_rules.ports.state import Write
from apis_rules.ports.types import ConverterMode
from apis_rules.ports.types.model import FORMAT
from apis_transport.community import open_community
from tests.compose.houses import Houses, Program, ask, changed, refused
from tests.nats_servers import Server, free_port

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.timeout(150)


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


def test_a_refusal_after_the_begin_leaves_no_converter_active(
    houses: Houses, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a node finds wrong among others that run comes in a group, and is answered like any other refusal."""
    findings = Findings()
    findings.error(Location("scenario.json"), "AR301", "found while the services were built")

    async def refuse(*_: object) -> int:
        raise ExceptionGroup("of a run", [InputError(findings.sorted())])

    monkeypatch.setattr("apis_rules.compose.run._run", refuse)
    houses.set_mode("E001", ConverterMode.CHARGE)
    said = refused(folder, "E001", "--nats", "nats://127.0.0.1:1")
    assert "E001: the converter was found in charge; it is in WAIT now" in said
    assert "found while the services were built" in said
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


def test_a_driver_that_is_not_there_is_refused(folder: Path, server: Server) -> None:
    """After the start's time limit: the driver does not answer."""
    changed(folder / "config.E004.json", connection={"emulator": {"host": "127.0.0.1", "port": free_port()}})
    said = refused(folder, "E004", "--nats", server.url)
    assert "AR703" in said
    assert "the driver does not answer" in said
    told = ask("history", "--unit", "E004", "--state-dir", folder / "state", expect=2)
    assert "nothing is kept of a unit E004" in told, "what it was started with was never in force"


def test_a_policy_that_differs_is_refused(houses: Houses, folder: Path, server: Server) -> None:
    """A node whose policy differs from the running community's by a key is told by which; the community goes on."""
    state = folder / "state"
    with Program("run", folder / "config.E001.json", "--nats", server.url, "--state-dir", state) as first:
        first.wait_line("Grid Master E001", 60)
        policy = json.loads((folder / "policy.json").read_text())
        policy["mediator"]["negotiationTimeoutMsec"] += 1
        (folder / "policy.json").write_text(json.dumps(policy))
        houses.set_mode("E002", ConverterMode.CHARGE)
        said = refused(folder, "E002", "--nats", server.url, "--start-timeout", "20")
        assert "AR703" in said
        assert "mediator.negotiationTimeoutMsec" in said
        file = (folder / "policy.json").resolve()
        assert f"'apis-rules policy diff {file}' shows how, 'policy show > {file}' takes what the community" in said
        assert houses.all_wait()
        assert first.running


def test_one_unit_in_two_configs_is_refused(houses: Houses, folder: Path) -> None:
    """Two nodes of a folder with one id: both files are named, and no node is started."""
    changed(folder / "config.E002.json", unitId="E001")
    said = ask("run", "--no-supervisor", folder, "--state-dir", folder / "state", expect=2)
    assert "AR233 error: the unit E001 stands in two configs" in said
    assert "config.E001.json" in said
    assert "config.E002.json" in said
    assert houses.all_wait()


def test_a_taken_port_is_refused(houses: Houses) -> None:
    """An emulator whose port another program has is one sentence with the port, and exit 2."""
    assert houses.addresses.emulator is not None
    port = houses.addresses.emulator[1]
    said = ask("emulate", "--port", port, expect=2)
    assert f"cannot listen on 127.0.0.1:{port}" in said
    assert "Traceback" not in said
    assert houses.serving


@pytest.mark.parametrize(("other", "word"), [(FORMAT - 1, "too new"), (FORMAT + 1, "too old")])
def test_a_community_of_another_format_is_refused(
    houses: Houses, folder: Path, server: Server, other: int, word: str
) -> None:
    """What nodes share on a real server is of an older or a newer program: one sentence, exit 2, converters in WAIT."""
    config = json.loads((folder / "config.E001.json").read_text()) | {"clusterId": f"of-format-{other}"}
    (folder / "config.E001.json").write_text(json.dumps(config))

    async def another_program_was_there() -> None:
        place = (server.url,), config["communityId"], config["clusterId"], "E002", folder / "other"
        async with open_community(*place) as community:
            await community.ports.policy.write(Write(KEY, json.dumps({"format": other}).encode()))

    asyncio.run(another_program_was_there())
    said = refused(folder, "E001", "--nats", server.url)
    assert "AR704" in said
    assert word in said
    assert houses.all_wait()


@pytest.mark.parametrize(("other", "word"), [(FORMAT - 1, "too new"), (FORMAT + 1, "too old")])
def test_a_presence_and_a_state_folder_of_another_format_are_refused(
    folder: Path, server: Server, other: int, word: str
) -> None:
    """A unit id that another program's record names, and what another program has kept, are left alone."""
    config = json.loads((folder / "config.E001.json").read_text()) | {"clusterId": f"presence-{other}"}
    (folder / "config.E001.json").write_text(json.dumps(config))

    async def another_program_runs() -> None:
        place = (server.url,), config["communityId"], config["clusterId"], "E002", folder / "other"
        async with open_community(*place) as community:
            await community.ports.unit.write(Write("presence.E001", json.dumps({"format": other}).encode()))

    asyncio.run(another_program_runs())
    said = refused(folder, "E001", "--nats", server.url)
    assert "AR526" in said
    assert word in said
    unit = folder / "state" / config["communityId"] / config["clusterId"] / "E001"
    (unit / "format").write_text(f"{other}\n")
    said = refused(folder, "E001", "--nats", server.url)
    assert "AR706" in said
    assert word in said
