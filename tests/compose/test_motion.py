"""A running community whose files and policy are changed: what its operator does, and what each command answers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from apis_rules.documents.versions import FOLDER
from tests.compose.conftest import Running
from tests.compose.houses import UNITS, Houses, Program, ask, until, write_community

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.timeout(240)

PERIOD_S = 1.0
BUILD_S = 25.0
"""Four nodes of one process build and try their rules one after the other, on a machine that does other things too."""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Four nodes of one folder that read their files again each second; the last test stops them."""
    folder = tmp_path_factory.mktemp("community")
    with Houses(accelerate=20) as houses:
        write_community(folder, houses.addresses)
        for name in ("hwConfig", "scenario", "policy"):
            file = folder / f"{name}.json"
            file.write_text(file.read_text().replace('"refreshingPeriodMsec": 5000', '"refreshingPeriodMsec": 1000'))
        with Program("run", folder, "--state-dir", folder / "state") as program:
            yield Running(houses, folder, program)


def versions(running: Running, unit_id: str) -> list[dict[str, str]]:
    """Return what `history` shows, the latest first; nothing before the unit has taken part."""
    if not any((running.folder / "state").glob(f"*/*/{unit_id}/{FOLDER}")):
        return []
    rows = ask("history", "--unit", unit_id, *running.place, "--format", "jsonl")
    return [json.loads(row) for row in rows.splitlines()]


def test_a_scenario_is_changed_and_rolled_back(running: Running) -> None:
    """The new one is in force after its period, `history` shows it at each unit, `rollback` takes it back."""
    running.program.wait_line("deal", 60)
    until(lambda: all(len(versions(running, u)) == 1 for u in UNITS), BUILD_S, "what each was started with")
    file: Path = running.folder / "scenario.json"
    before = file.read_text()
    after = before.replace('"pointPerWh": 10', '"pointPerWh": 11')
    assert after != before
    file.write_text(after)
    until(lambda: all(len(versions(running, u)) == 2 for u in UNITS), PERIOD_S + BUILD_S, "a version at each unit")
    assert versions(running, "E003")[0]["changed"] == str(file)
    ask("rollback", "--unit", "E003", *running.place)
    assert file.read_text() == before
    until(lambda: all(len(versions(running, u)) == 3 for u in UNITS), PERIOD_S + BUILD_S, "in force again")


def test_a_file_that_is_broken_is_told_with_its_place(running: Running) -> None:
    """A typing error changes nothing: the run says file, line, column and code, and says when it is mended."""
    file: Path = running.folder / "hwConfig.json"
    before = file.read_text()
    file.write_text(before.replace('"droopRatio"', '"droopratio"'))
    running.program.wait_line(f"{file}:", 4 * PERIOD_S + BUILD_S)
    assert f"{file}:" in running.program.output
    assert "AR200" in running.program.output
    file.write_text(before)
    running.program.wait_line("right again", 2 * PERIOD_S + BUILD_S)
    assert all(len(versions(running, u)) == 3 for u in UNITS)


def test_a_policy_is_published(running: Running) -> None:
    """An edited policy is told, not put in force; `policy diff` shows the key, `policy publish` changes it for all."""
    file: Path = running.folder / "policy.json"
    edited = json.loads(file.read_text())
    edited["mediator"]["negotiationTimeoutMsec"] += 100
    shown = ask("policy", "show", *running.place)
    assert json.loads(shown) == json.loads(file.read_text())
    assert ask("policy", "diff", file, *running.place) == "the file says what the community goes by"
    file.write_text(json.dumps(edited))
    running.program.wait_line("mediator.negotiationTimeoutMsec", 2 * PERIOD_S + BUILD_S)
    rows = ask("policy", "diff", file, *running.place, "--format", "jsonl")
    assert [json.loads(row)["key"] for row in rows.splitlines()] == ["mediator.negotiationTimeoutMsec"]
    told = ask("policy", "publish", file, *running.place, "--timeout", "60")
    assert told == "\n".join(
        [
            "published, with 1 key changed: mediator.negotiationTimeoutMsec",
            f"in force at {', '.join(UNITS)}",
        ]
    )
    assert ask("policy", "publish", file, *running.place) == (
        "the file says what the community goes by; nothing is published"
    )


def test_a_unit_is_taken_out(running: Running) -> None:
    """Published without a member, that unit's node ends in order and says why; the run and the others go on."""
    file: Path = running.folder / "policy.json"
    policy = json.loads(file.read_text())
    policy["memberUnitIds"] = [u for u in UNITS if u != "E004"]
    without = running.folder / "without.json"
    without.write_text(json.dumps(policy))
    told = ask("policy", "publish", without, *running.place, "--timeout", "60")
    assert "memberUnitIds" in told
    assert "E004 will end its deals and leave" in told
    assert told.endswith("in force at E001, E002, E003")
    running.program.wait_line("E004 is no member of the community any more", 30)
    assert json.loads(file.read_text())["memberUnitIds"] == policy["memberUnitIds"]
    until(lambda: "there is no unit E004" in ask_refused(running, "mode", "set", "stop", "--unit", "E004"), 10, "it")
    assert running.program.running
    assert "stopped" in ask("stop", *running.place)
    assert running.program.end(30) == 2
    assert "AR703" in running.program.told
    assert running.houses.all_wait()


def ask_refused(running: Running, *arguments: str) -> str:
    return ask(*arguments, *running.place, expect=2)
