"""A node whose driver or store is away: it says so, to those who look on as well, keeps trying, and stops in time."""

from __future__ import annotations

import asyncio

from apis_rules.grid.faults import Fault, FaultKind
from apis_rules.ports.virtual_time import run_virtual
from tests.node.world import SCRAM_DELAY_S, SMALL_DEALS, World, operator, pair, world

ACCELERATION = 20.0
AWAY_S = 40.0


def states(w: World) -> set[str]:
    return {house.node.state for house in w.houses.values() if house.node is not None}


async def check_silent_driver() -> None:
    async with (
        world(2, acceleration=ACCELERATION, policy=SMALL_DEALS, rsoc=[92.0, 27.0]) as w,
        operator(w) as looker,
    ):
        await w.one_deal()
        (unit_id,) = set(w.unit_ids) - {w.master}
        fault = Fault(kind=FaultKind.SILENT, unit=unit_id, for_s=AWAY_S * ACCELERATION)
        w.plant.grid_now().faults.add(fault)

        def line_of_unit() -> str:
            return next(u.trouble for u in looker.overview().units if u.unit_id == unit_id)

        await w.until(lambda: line_of_unit().startswith("the driver does not answer ("), 20, "status says it")
        assert any(s.startswith(f"{unit_id} is degraded: the driver does not") for s in looker.overview().quiet)
        await asyncio.sleep(AWAY_S / 2)
        assert line_of_unit(), "its data expired although the node runs"
        await w.until(lambda: not line_of_unit(), AWAY_S, "the driver is back")
        assert not any("degraded" in s for s in looker.overview().quiet)
        await w.until(lambda: w.deals_in("started"), 60, "trading goes on")
        w.check_books()


def test_a_driver_that_does_not_answer_is_seen_from_outside() -> None:
    """``status`` names the unit and what its driver last failed with, as long as it is so, and no longer."""
    run_virtual(check_silent_driver())


async def check_store_away() -> None:
    async with pair(ACCELERATION) as w:
        await w.one_deal()
        w.store.stop()
        await w.until(lambda: states(w) == {"degraded"}, 5, "degraded")
        for house in w.houses.values():
            assert house.node is not None
            assert house.node.trouble == "the community's shared state is not reached"
        holder = w.records.grid()[0].holder
        others = set(w.unit_ids) - {holder}
        await w.until(lambda: {w.mode(u) for u in others} == {"WAIT"}, w.times.dead_man_s + 1, "in WAIT in time")
        await w.until(
            lambda: w.mode(holder or "") == "WAIT", w.times.holder_dead_man_s(SCRAM_DELAY_S) + 1, "the holder as well"
        )
        await asyncio.sleep(30)
        assert states(w) == {"degraded"}
        w.store.start()
        await w.until(lambda: states(w) == {"autonomous"}, 10, "back by itself")
        assert not any(house.node and house.node.trouble for house in w.houses.values())
        await w.until(lambda: w.deals_in("started"), 60, "trading goes on")
        w.check_grid()
        w.check_books()


def test_a_store_that_is_not_reached() -> None:
    """Every node says so, its converter waits after the dead-man's time, and it takes part again when it can."""
    run_virtual(check_store_away())
