"""A unit that is gone with its converter left active, a frozen node, a cut line."""

from __future__ import annotations

import asyncio

import pytest

from apis_rules.ports.types import ConverterMode
from apis_rules.ports.virtual_time import run_virtual
from tests.node.world import SCRAM_DELAY_S, World, world

ACCELERATION = 20.0
DEALS = {
    "mediator": {
        "deal": {"gridCurrentA": 1, "amountMinWh": 50, "amountMaxWh": 50, "amountUnitWh": 50},
        "negotiationTimeoutMsec": 500,
    }
}
"""Of 1 A: the current of an excluded unit counts, and must leave the others room."""

LOW_V = 300.0

TWO_DEALS = [92.0, 27.0, 91.0, 26.0]


async def a_charging_party(w: World) -> str:
    """Wait until two deals run; return a unit that charges for one of them and is neither holder nor master."""

    def found() -> str | None:
        active, holder = w.records.active()[0].units, w.records.grid()[0].holder
        for deal_id in w.deals_in("started"):
            unit_id = w.records.deals()[deal_id][0].record.charge_unit_id
            if unit_id not in (holder, w.master) and active[unit_id].current_a == 1.0:
                return unit_id
        return None

    await w.until(lambda: len(w.deals_in("started")) >= 2 and found(), 100, "two deals")
    unit_id = found()
    assert unit_id is not None
    return unit_id


def deals_of(w: World, unit_id: str) -> set[str]:
    return set(w.records.deals_of(unit_id))


async def check_dead_party(back: bool) -> None:
    async with world(4, acceleration=ACCELERATION, seed=2, policy=DEALS, rsoc=TWO_DEALS) as w:
        dead = await a_charging_party(w)
        own = set(w.deals_in("started")) & deals_of(w, dead)
        others = set(w.deals_in("started")) - own
        await w.kill(dead)
        assert w.plant.grid_now().unit(dead).mode is ConverterMode.CHARGE
        await asyncio.sleep(w.times.absence_s - 2)
        assert set(w.deals_in("started")) >= others, w.tell()
        assert own <= set(w.records.deals()), "closed while its converter draws"
        await w.until(lambda: not own <= set(w.records.deals()), 30, "the dead unit's deal is closed")
        assert w.records.grid()[0].state == "dead", "closed before the bus was dead"
        assert all(w.plant.grid_now().unit(u).grid_voltage_v < LOW_V for u in w.unit_ids)
        w.check_grid(dead=[dead])
        assert {r.deal_id for r in w.final_records} >= own | others
        await asyncio.sleep(20)
        assert w.records.grid()[0].state == "dead", "energised beside a unit that nobody knows of"
        assert any(dead in reason for reason in w.waiting), w.waiting
        assert [e for e in w.events("silent") if e.unit_id == dead]
        if back:
            w.start(dead)
            await w.until(lambda: w.mode(dead) == "WAIT", 10, "its converter waits")
        else:
            w.exclude(dead)
            w.plant.grid_now().set_mode(dead, ConverterMode.WAIT, 350.0, 0.0, 0.0)  # pulled off the bus by hand
        before = len(w.final_records)
        await w.until(lambda: w.deals_in("started"), 60, "trading goes on")
        assert len(w.final_records) >= before
        w.check_books()
        w.check_grid(dead=[dead])


@pytest.mark.parametrize("back", [False, True])
def test_a_charging_party_that_is_killed(back: bool) -> None:
    """Others' deals go on for the absence time, then the bus is drained and stays dead until the unit is settled."""
    run_virtual(check_dead_party(back))


async def check_dead_holder() -> None:
    async with world(4, acceleration=ACCELERATION, seed=2, policy=DEALS, rsoc=TWO_DEALS) as w:
        await a_charging_party(w)
        deals = set(w.deals_in("started"))
        dead = w.records.grid()[0].holder
        assert dead is not None
        assert dead == w.master
        living = set(w.unit_ids) - {dead}
        await w.kill(dead)
        await w.until(lambda: w.master in living, 10, "another master")
        await w.until(
            lambda: {w.mode(u) for u in living} == {"WAIT"}, w.times.absence_s + w.times.drain_s + 5, "drained"
        )
        assert w.mode(dead) == "VOLTAGE_REFERENCE", "nobody can reach it"
        await w.until(
            lambda: w.events("bus_not_dead"), w.times.holder_dead_man_s(SCRAM_DELAY_S) + w.times.drain_s, "told"
        )
        assert {e.unit_id for e in w.events("bus_not_dead")} == {dead}
        await asyncio.sleep(20)
        assert any(dead in reason for reason in w.waiting), w.waiting
        assert {w.mode(u) for u in living} == {"WAIT"}, "energised beside a holder that nobody knows of"
        w.exclude(dead)
        w.plant.grid_now().set_mode(dead, ConverterMode.WAIT, 350.0, 0.0, 0.0)  # pulled off the bus by hand
        await w.until(lambda: w.records.grid()[0].state == "dead", 30, "the bus is dead")
        await w.operator_sets("autonomous")  # a bus that would not die has stopped the community
        await w.until(lambda: deals <= {r.deal_id for r in w.final_records}, 10, "final records")
        await w.until(lambda: w.deals_in("started"), 60, "the others trade")
        assert dead not in {u for i in w.deals_in("started") for u in w.records.deals()[i][0].record.units}
        w.check_books()
        w.check_grid()


def test_a_holder_that_is_gone_for_good() -> None:
    """The others wait, the community says which unit holds, and nothing is energised until that one is excluded.

    It was the master as well; each deal gets its one final record.
    """
    run_virtual(check_dead_holder())
