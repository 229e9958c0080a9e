"""Scripts of faults: what may stand in one, what is said of a wrong one, and how chance is drawn."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apis_rules.documents.diagnostics import Findings
from apis_rules.documents.load import load_document, parse_document
from apis_rules.grid.fault_script import (
    CommunityFault,
    CommunityFaultKind,
    FaultScript,
    check_document,
    draw_faults,
    read_fault_script,
)
from apis_rules.grid.faults import Fault, FaultKind
from apis_rules.resources import data_dir


def read(text: str) -> tuple[FaultScript | None, list[str]]:
    findings = Findings()
    script = read_fault_script(parse_document(text, "script.yaml", findings), findings)
    return script, [f"{d.location.line} {d.message}" for d in findings.sorted()]


def test_the_sample_has_both_families() -> None:
    """The script that comes with the program is read: faults of processes and the store, and of the grid."""
    findings = Findings()
    script = read_fault_script(load_document(data_dir("rules") / "samples" / "faults.yaml", findings), findings)
    assert not findings.sorted()
    assert script is not None
    assert {type(fault) for fault in script.faults} == {CommunityFault, Fault}
    assert script.random


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ("{kind: freeze, unit: E001}", "needs forS"),
        ("{kind: kill, afterS: 5}", "needs unit"),
        ("{kind: lost_messages, unit: E001, forS: 5, value: 2}", "from 0 to 1"),
        ("{kind: mode}", "needs mode"),
        ("{kind: kill, unit: E001, meter: vg}", "is no key of this"),
        ("{kind: over_temperature, unit: E001}", "needs value"),
        ("{kind: kill, unit: E001, forS: soon}", "valid number"),
    ],
)
def test_what_a_fault_lacks(entry: str, told: str) -> None:
    """One sentence at the fault's line says what is wrong with it, for either family."""
    script, said = read(f"faults:\n  - {entry}\n")
    assert script is None
    assert len(said) == 1
    assert said[0].startswith("2 ")
    assert told in said[0]


def test_a_random_fault_is_looked_at_before_it_is_drawn() -> None:
    """What would be wrong only when it happens is said when the script is read."""
    _, said = read("random:\n  - {kind: freeze, everyS: 60}\n  - {kind: slow, everyS: 60, forS: [1, 2]}\n")
    assert [line.split(" ", 1)[0] for line in said] == ["2", "3"]
    assert "needs forS" in said[0]
    assert "needs value" in said[1]


SCRIPT, _ = read(
    "faults:\n  - {kind: store_lost, afterS: 100}\n  - {kind: trip, unit: E001, afterS: 99999}\n"
    "random:\n  - {kind: kill, everyS: 50, forS: [5, 10], units: [E001, E002]}\n"
    "  - {kind: sensor_drift, everyS: 70, meter: vg, value: [1, 2], forS: 30}\n"
)


@given(st.integers(0, 2**32), st.floats(101, 5000))
def test_what_is_drawn(seed: int, until_s: float) -> None:
    """In order, before the end, within the ranges, at units that may be meant; the same again from the same seed."""
    assert SCRIPT is not None
    units = ["E001", "E002", "E003"]
    drawn = draw_faults(SCRIPT, units, until_s, random.Random(seed))
    assert drawn == draw_faults(SCRIPT, units, until_s, random.Random(seed))
    times = [fault.after_s for fault in drawn]
    assert times == sorted(times)
    assert max(times) <= until_s
    for fault in drawn:
        match fault.kind:
            case CommunityFaultKind.KILL:
                assert fault.unit in ("E001", "E002")
                assert fault.for_s is not None
                assert 5 <= fault.for_s <= 10
            case FaultKind.SENSOR_DRIFT:
                assert fault.unit in units
                assert fault.value is not None
                assert 1 <= fault.value <= 2
            case _:
                assert fault.kind is CommunityFaultKind.STORE_LOST
    assert sum(fault.kind is CommunityFaultKind.STORE_LOST for fault in drawn) == 1


def test_how_often_chance_strikes() -> None:
    """``everyS`` is the mean time from one to the next in the whole community."""
    assert SCRIPT is not None
    drawn = draw_faults(SCRIPT, ["E001", "E002"], 100_000.0, random.Random(1))
    kills = [fault for fault in drawn if fault.kind is CommunityFaultKind.KILL]
    assert len(kills) == pytest.approx(2000, rel=0.1)


BAD = Path(__file__).parents[1] / "files" / "bad" / "faults"


def test_each_mistake_is_told_once_with_what_was_meant(pytestconfig: pytest.Config) -> None:
    """A script with ten mistakes: each has its place, one sentence, and what was meant or what there is."""
    findings = Findings()
    check_document(load_document(BAD / "script.yaml", findings), findings)
    told = "".join(f"{d}\n".replace(f"{BAD}/", "") for d in findings.sorted())
    golden = BAD / "told.txt"
    if pytestconfig.getoption("--rewrite"):
        golden.write_text(told)
    assert told == golden.read_text()
