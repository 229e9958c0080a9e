"""Deals side by side in virtual time: capacities, hand-overs, large units, the best voltage, who is Grid Master."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from apis_rules.compose.steer import set_mode
from apis_rules.documents.reading import load_policy
from apis_rules.ports.types import Direction, OperationMode
from apis_rules.ports.virtual_time import run_virtual
from tests.node.test_deals import Meter, booked_wh
from tests.node.world import RULES, SMALL_DEALS, World, operator, world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from apis_rules.compose.onlooker import Onlooker

THREE_AND_THREE = [91.0, 93.0, 92.0, 27.0, 26.0, 28.0]
TWO_AND_TWO = [92.0, 27.0, 91.0, 26.0]


def deals_of_1_a(**changes: Any) -> dict[str, Any]:
    """Of the policy: two deals fit into a unit of 2.3 A. No unit is large unless *changes* name some."""
    deal = SMALL_DEALS["mediator"]["deal"] | {"gridCurrentA": 1}
    return {"mediator": SMALL_DEALS["mediator"] | {"deal": deal}, "largeCapacityUnitIds": [], **changes}


def grid_master(**changes: Any) -> dict[str, Any]:
    """Of the policy: the bundled ``gridMaster`` with *changes*."""
    return {"gridMaster": load_policy(RULES / "policy.json").model.to_document()["gridMaster"] | changes}


class Watch:
    """What was seen of a community while it traded; what must hold of its deals is checked at each look."""

    def __init__(self, w: World) -> None:
        self._world = w
        self.at_once = 0
        self.most_in_a_unit = 0
        self.holders: list[str] = []

    def look(self) -> None:
        """Look once."""
        w = self._world
        deals = [d.record for d, _ in w.records.deals().values() if d.state == "started"]
        self.at_once = max(self.at_once, len(deals))
        for unit_id in w.unit_ids:
            own = [r for r in deals if unit_id in r.units]
            self.most_in_a_unit = max(self.most_in_a_unit, len(own))
            assert sum(r.deal_grid_current_a for r in own) <= w.hardware.grid_current_capacity_a
            assert len({r.unit_of(Direction.CHARGE) == unit_id for r in own}) <= 1, "deals of opposite directions"
        grid, _ = w.records.grid()
        if grid.state == "held" and grid.holder is not None and grid.holder not in self.holders[-1:]:
            self.holders.append(grid.holder)

    async def until(self, condition: Any, within_s: float, what: str) -> None:
        """Wait in virtual time, looking all the while."""

        def looked() -> bool:
            self.look()
            return bool(condition())

        await self._world.until(looked, within_s, what)


@asynccontextmanager
async def trading(
    rsoc: list[float], acceleration: float, **changes: Any
) -> AsyncIterator[tuple[World, Watch, Onlooker]]:
    """Open a community; when the test is through with it, it is stopped, and its grid and its books are checked."""
    policy = deals_of_1_a(**changes)
    async with world(len(rsoc), acceleration=acceleration, seed=3, policy=policy, rsoc=rsoc, ideal=True) as w:
        async with operator(w) as op:
            yield w, Watch(w), op
        await w.operator_sets("stop")
        await w.at_rest(30)
        await w.until(lambda: not w.unwritten(), 5, "deal logs")
        w.check_still()
        w.check_grid()
        w.check_books()


async def three_give_to_three() -> None:
    async with trading(THREE_AND_THREE, 20.0) as (w, watch, op):
        meter = Meter(w)
        w.plant.grid_now().observers.append(meter)
        await watch.until(lambda: len(w.deals_in("started")) >= 5, 60, "five deals at once")
        first = watch.holders[0]
        await set_mode(op, OperationMode.HETERONOMOUS, first)
        await watch.until(lambda: len(watch.holders) >= 2, 60, "the voltage is handed over when its deals end")
        await set_mode(op, None, first)
        await watch.until(lambda: len(w.final_records) >= 6, 60, "six deals")
        await w.operator_sets("heteronomous")
        await watch.until(lambda: not w.records.deals(), 60, "all deals over")
        assert watch.most_in_a_unit == 2
        assert not w.events("hand_over_failed")
        assert not w.events("compensation_failed")
        for record in w.final_records:
            assert record.abort_reason is None
            assert None not in (record.activate_date_time, record.start_date_time, record.deactivate_date_time)
            assert record.cumulate_amount_wh == pytest.approx(record.deal_amount_wh, rel=0.02)
        for unit_id in w.unit_ids:
            assert booked_wh(w.final_records, unit_id) == pytest.approx(meter.wh[unit_id], rel=0.01)


def test_three_give_to_three_at_once() -> None:
    """Deals side by side up to each unit's capacity, the voltage handed over, records complete, energy within 1 %."""
    run_virtual(three_give_to_three())


@pytest.mark.parametrize("strategy", ["voltageReferenceUnit", "fixed", "anywhere"])
def test_the_grid_master_is_where_the_policy_wants_it(strategy: str) -> None:
    """At the unit that holds the voltage, also after a hand-over; at the fixed unit; or wherever it is, and stays."""

    async def main() -> None:
        selection = {"strategy": strategy, "candidateUnitIds": ["E003"]}
        if strategy == "fixed":
            selection["fixedUnitId"] = "E002"
        async with trading(TWO_AND_TWO, 40.0, **grid_master(gridMasterSelection=selection)) as (w, watch, op):
            await watch.until(lambda: len(w.deals_in("started")) >= 3, 60, "three deals")
            first = watch.holders[0]
            masters = {w.master}
            if strategy == "fixed":
                await watch.until(lambda: w.master == "E002", 20, "the fixed unit is master")
            if strategy == "voltageReferenceUnit":
                await watch.until(lambda: w.master == first, 20, "the holder is master")
            await set_mode(op, OperationMode.HETERONOMOUS, first)
            await watch.until(lambda: len(watch.holders) >= 2, 60, "a hand-over")
            if strategy == "voltageReferenceUnit":
                await watch.until(lambda: w.master == watch.holders[-1], 20, "the new holder is master")
            elif strategy == "fixed":
                assert w.master == "E002"
            else:
                assert {w.master} == masters

    run_virtual(main())


async def large_unit() -> None:
    async with trading(TWO_AND_TWO, 40.0, largeCapacityUnitIds=["E003"]) as (w, watch, op):
        # It comes late, so that the voltage is held elsewhere before.
        await set_mode(op, OperationMode.HETERONOMOUS, "E003")
        await watch.until(lambda: w.deals_in("started"), 60, "a deal")
        assert watch.holders
        assert "E003" not in watch.holders
        await set_mode(op, None, "E003")
        await watch.until(lambda: watch.holders[-1] == "E003", 60, "the voltage moves to the large unit")
        await watch.until(lambda: w.mode(watch.holders[0]) != "VOLTAGE_REFERENCE", 10, "the other gives way")
        await watch.until(lambda: len(w.deals_in("started")) >= 3, 60, "three deals")
        assert watch.holders[-1] == "E003"
        assert not w.events("hand_over_failed")


def test_the_voltage_moves_to_a_large_unit() -> None:
    """As soon as a deal of a large unit is activated, the voltage is handed over to it, and stays there."""
    run_virtual(large_unit())


async def optimised() -> None:
    async with trading([92.0, 27.0], 20.0, **grid_master(gridVoltageOptimization={"enabled": True})) as (w, watch, _):
        await watch.until(lambda: len(w.deals_in("started")) == 2, 60, "two deals")
        await watch.until(lambda: w.records.grid()[0].optimised_deals, 20, "the voltage is looked at")
        await watch.until(lambda: w.records.grid()[0].state == "held", 10, "it is held")
        ratio = w.hardware.efficient_battery_grid_voltage_ratio or 0
        best_v = sum(w.plant.grid_now().meter(u).vb for u in w.unit_ids) / len(w.unit_ids) * ratio
        target_v = w.records.grid()[0].target_voltage_v
        assert target_v == pytest.approx(min(360.0, max(330.0, best_v)), abs=1.0)
        assert target_v != 350.0
        holder = w.plant.grid_now().unit(watch.holders[-1])
        assert holder.grid_voltage_v == pytest.approx(target_v, abs=4.0)


def test_the_voltage_follows_what_is_most_efficient() -> None:
    """The mean of battery voltage x efficient ratio, within the range from the keys (specification 7.6)."""
    run_virtual(optimised())
