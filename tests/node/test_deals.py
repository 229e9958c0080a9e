"""Several deals in a row and in parallel, in virtual time: their logs, their energy, and what the grid saw."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from apis_rules.ports.virtual_time import run_virtual
from tests.node.world import SMALL_DEALS, World, world

if TYPE_CHECKING:
    from apis_rules.grid.model import Grid
    from apis_rules.ports.types import DealRecord

ACCELERATION = 20.0


class Meter:
    """The battery-side energy of each unit while deals of it flow, by the grid's own ledger, in Wh."""

    def __init__(self, w: World) -> None:
        self._world = w
        self._revision = -1
        self._flowing: set[str] = set()
        self._last: dict[str, tuple[float, float]] = {}
        self.wh: dict[str, float] = dict.fromkeys(w.unit_ids, 0.0)

    def __call__(self, grid: Grid, dt_s: float) -> None:
        """Add one step."""
        _ = dt_s
        if self._world.store.ctl.revision != self._revision:
            self._revision = self._world.store.ctl.revision
            deals = self._world.records.deals().values()
            self._flowing = {u for d, _ in deals if d.detail.flowing for u in d.record.units}
        for unit_id in self._world.unit_ids:
            energies = grid.energies(unit_id)
            now = (energies.battery_side_in_wh, energies.battery_side_out_wh)
            before = self._last.get(unit_id, now)
            if unit_id in self._flowing:
                self.wh[unit_id] += now[0] - before[0] - (now[1] - before[1])
            self._last[unit_id] = now


def booked_wh(records: list[DealRecord], unit_id: str) -> float:
    charged = sum(r.charge_unit_amount_wh or 0.0 for r in records if r.charge_unit_id == unit_id)
    return charged - sum(r.discharge_unit_amount_wh or 0.0 for r in records if r.discharge_unit_id == unit_id)


async def check_trade(units: int, deals: int, seed: int, rsoc: list[float]) -> None:
    async with world(units, acceleration=ACCELERATION, seed=seed, policy=SMALL_DEALS, rsoc=rsoc, ideal=True) as w:
        meter = Meter(w)
        w.plant.grid_now().observers.append(meter)
        at_once = 0

        def enough() -> bool:
            nonlocal at_once
            at_once = max(at_once, len(w.deals_in("started")))
            return len(w.final_records) >= deals

        await w.until(enough, 300, f"{deals} deals")
        await w.operator_sets("stop")
        await w.until(lambda: not w.records.deals() and w.records.grid()[0].state == "dead", 60, "stop")
        w.check_still()
        w.check_grid()
        w.check_books()
        for record in w.final_records:
            if record.abort_reason is None:
                assert record.cumulate_amount_wh == pytest.approx(record.deal_amount_wh, rel=0.02)
            assert (record.discharge_unit_amount_wh or 0) >= (record.charge_unit_amount_wh or 0)
        assert len([r for r in w.final_records if r.abort_reason is None]) >= deals
        for unit_id in w.unit_ids:
            assert booked_wh(w.final_records, unit_id) == pytest.approx(meter.wh[unit_id], rel=0.01, abs=0.05)
        if units > 2:
            assert at_once >= 2


def test_two_units_trade_again_and_again() -> None:
    """Deals in a row: each in order, its logs equal, its energy what the grid's own ledger says."""
    run_virtual(check_trade(2, 2, 1, [92.0, 27.0]))


def test_four_units_trade_at_once() -> None:
    """Deals side by side on one voltage: the same for each of them, and the voltage is held by one at a time."""
    run_virtual(check_trade(4, 4, 2, [92.0, 27.0, 91.0, 26.0]))
