"""Checks and reactions in a running community, in virtual time: no false alarm, and what each finds is answered."""

from __future__ import annotations

import asyncio

import pytest

from apis_rules.documents.reading import load_policy
from apis_rules.grid.faults import Fault, FaultKind
from apis_rules.ports.types import ErrorEvent, Level, OperationMode
from apis_rules.ports.virtual_time import run_virtual
from tests.node.world import RULES, SCRAM_DELAY_S, SMALL_DEALS, World, world

ACCELERATION = 20.0
RSOC = [80, 30, 75, 25]
SAFETY = load_policy(RULES / "policy.json").model.safety.to_document()
TOLD_S = 15.0
"""Two collections of data, the debounce and a second strike."""


def told(w: World) -> list[str]:
    """Return every error event so far: rule, kind and unit, in order."""
    events = (ErrorEvent.from_json(m.body) for m in w.store.logs["ERRLOG"]._messages)
    return [f"{e.rule} {e.kind} {e.unit_id}" for e in events]


async def trading(w: World) -> tuple[str, str]:
    """Wait for a deal; return its current-controlled unit, and the unit that holds the voltage."""
    await w.until(lambda: w.deals_in("started"), 60, "no deal")
    holder = w.records.grid()[0].holder
    assert holder is not None
    deal_id = w.deals_in("started")[0]
    units = w.records.deals()[deal_id][0].record.units
    return next(u for u in units if u != holder), holder


def add(w: World, fault: Fault) -> None:
    w.plant.grid_now().faults.add(fault)


def test_healthy_converters_raise_nothing() -> None:
    """With noisy sensors and several deals, hand-overs among them, no check finds anything."""

    async def scene() -> None:
        async with world(4, acceleration=ACCELERATION, seed=5, policy=SMALL_DEALS, rsoc=RSOC) as w:
            await w.until(lambda: len(w.final_records) >= 6, 150, "six deals")
            assert [line for line in told(w) if line[0] in "LGH"] == []

    run_virtual(scene())


@pytest.mark.parametrize(
    ("kind", "value", "rule"),
    [(FaultKind.HEAVY_ALARM, None, "L01"), (FaultKind.OVER_TEMPERATURE, 60.0, "L10")],
)
def test_a_hard_limit_stops_its_unit_and_no_other(kind: FaultKind, value: float | None, rule: str) -> None:
    """A faulty current-controlled converter is in WAIT within a second and a half, its error names it alone."""

    async def scene() -> None:
        async with world(4, acceleration=ACCELERATION, seed=5, policy=SMALL_DEALS, rsoc=RSOC) as w:
            unit_id, _ = await trading(w)
            add(w, Fault(kind=kind, unit=unit_id, value=value))
            await w.until(lambda: w.mode(unit_id) == "WAIT", 1.5 + 1.0, "still active")
            await w.until(lambda: w.events(rule), TOLD_S, "not told")
            assert {e.unit_id for e in w.events(rule)} == {unit_id}
            assert w.events(rule)[0].level is Level.ERROR

    run_virtual(scene())


def test_a_current_that_gets_lost_stops_the_community() -> None:
    """G04: the holder's current is off by half an ampere: a warning, then the error; the mode is stop, all in WAIT."""

    async def scene() -> None:
        async with world(2, acceleration=5.0, seed=5, policy=SMALL_DEALS, rsoc=RSOC[:2]) as w:
            _, holder = await trading(w)
            # As long as a waiting converter shows half an ampere, it is not confirmed.
            add(w, Fault(kind=FaultKind.SENSOR_DRIFT, unit=holder, meter="ig", value=0.5, for_s=30.0 * w.acceleration))
            await w.until(lambda: [e for e in w.events("G04") if e.level is Level.ERROR], TOLD_S, "not told")
            assert w.events("G04")[0].level is Level.WARN
            await w.until(lambda: {w.mode(u) for u in w.unit_ids} == {"WAIT"}, SCRAM_DELAY_S + 1.0, "not in WAIT")
            await w.until(lambda: w.records.mode() is not None, 2, "no mode set")
            mode = w.records.mode()
            assert mode is not None
            assert mode.mode is OperationMode.STOP
            assert "add up to" in (mode.reason or "")
            await w.until(lambda: w.records.grid()[0].state == "dead" and not w.records.deals(), 60, "not at rest")
            w.check_still()
            w.check_books()
            assert len([e for e in w.events("G04") if e.level is Level.ERROR]) == 1, "told again while it is answered"

    run_virtual(scene())


def test_a_member_that_stays_away_is_told_once() -> None:
    """G03: the warning names the member whose node has died, and is not told again at each collection."""

    async def scene() -> None:
        async with world(3, acceleration=1.0, seed=5, rsoc=[50, 50, 50]) as w:
            await w.until(lambda: w.master, 20, "no master")
            away = next(u for u in w.unit_ids if u != w.master)
            await w.kill(away)
            await w.until(lambda: w.events("G03"), 30, "not told")
            loop = asyncio.get_running_loop()
            end_s = loop.time() + 20
            await w.until(lambda: loop.time() > end_s, 30)
            assert [e.message for e in w.events("G03")] == [f"there are no data of {away}"]

    run_virtual(scene())


def test_a_driver_that_gives_no_answer() -> None:
    """L33: told at twice the acquisition period though nothing comes that could be asked about; its deals end.

    Once the driver answers again its converter is set to WAIT.
    """

    async def scene() -> None:
        async with world(2, acceleration=ACCELERATION, seed=5, policy=SMALL_DEALS, rsoc=RSOC[:2]) as w:
            unit_id, _ = await trading(w)
            add(w, Fault(kind=FaultKind.SILENT, unit=unit_id, for_s=40.0 * w.acceleration))
            await w.until(lambda: [e for e in w.events("L33") if e.level is Level.ERROR], 13.0, "not told")
            assert {e.unit_id for e in w.events("L33")} == {unit_id}
            assert w.mode(unit_id) != "WAIT", "nobody can reach it"
            await w.until(lambda: w.mode(unit_id) == "WAIT", 35.0, "not set at first contact")
            await w.at_rest(30)
            w.check_books()

    run_virtual(scene())


def test_noise_on_a_full_line_stops_nobody() -> None:
    """G07: a deal that fills a line to its capacity goes on although noisy meters show more from time to time."""
    topology = {
        "enabled": True,
        "branchIds": ["line"],
        "branchAssociation": {"line": {"forwardUnitIds": ["E001"], "backwardUnitIds": ["E002"]}},
        "branchCurrentCapacityA": {"line": 2.0},
    }

    async def scene() -> None:
        policy = {**SMALL_DEALS, "safety": {**SAFETY, "gridTopologyBasedEvaluation": topology}}
        async with world(2, acceleration=5.0, seed=5, policy=policy, rsoc=RSOC[:2]) as w:
            await trading(w)
            await w.until(lambda: w.final_records, 90, "the deal's end")
            assert w.peak.units_a["E001"] >= 1.98
            assert not [line for line in told(w) if line.startswith("G07 HARDWARE:GLOBAL:ERROR")]

    run_virtual(scene())
