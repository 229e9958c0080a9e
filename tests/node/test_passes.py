"""How often a Grid Master plans, in virtual time: when something has changed or a moment is due, and else not."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

from apis_rules.charts.master.planner import Planner
from apis_rules.node.grid_master import LONGEST_PAUSE_S, GridMaster
from apis_rules.ports.virtual_time import run_virtual
from tests.node.world import SMALL_DEALS, world

if TYPE_CHECKING:
    import pytest

    from apis_rules.charts.master import MasterPlan, Picture

UNITS, DEALS = 4, 2
WATCHED_S = 6.0

READINGS_PER_S = 2.0
"""A unit in play is read so often, in a round with all others; each round is one reason to plan."""

PLANS_PER_DEAL = 15
AT_REST_PER_S = 2.0


class Counted:
    """How often the master planned and the others looked, since the last ``begin``, and for how long."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.times: Counter[str] = Counter()
        self._began_s = 0.0
        plan, advance = Planner.plan, GridMaster._advance

        def counting_plan(planner: Planner, picture: Picture, now_s: float) -> MasterPlan:
            self.times["plan"] += 1
            return plan(planner, picture, now_s)

        async def counting_advance(node: GridMaster, event: str, *at: object) -> None:
            self.times[event] += 1
            await advance(node, event, *at)  # type: ignore[arg-type]  # handed on as it came

        monkeypatch.setattr(Planner, "plan", counting_plan)
        monkeypatch.setattr(GridMaster, "_advance", counting_advance)

    def begin(self) -> None:
        """Count from now."""
        self.times.clear()
        self._began_s = asyncio.get_running_loop().time()

    def end(self) -> tuple[Counter[str], float]:
        """Return the counts, and the seconds they were counted in."""
        return self.times.copy(), asyncio.get_running_loop().time() - self._began_s


async def trade_and_rest(counted: Counted) -> list[tuple[Counter[str], float]]:
    async with world(UNITS, acceleration=20.0, seed=1, policy=SMALL_DEALS, rsoc=[92.0, 88.0, 30.0, 27.0]) as w:
        await w.one_deal()
        counted.begin()
        await w.until(lambda: len(w.final_records) >= DEALS, 300, "deals")
        busy = counted.end()
        await w.operator_sets("stop")
        await w.at_rest(60)
        await w.until(lambda: not w.records.deals(), 60, "no deal")
        counted.begin()
        await asyncio.sleep(WATCHED_S)
        return [busy, counted.end()]


def test_a_master_plans_for_what_has_changed_and_the_others_only_look_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """So often as units are read and a few times per deal; who is not the master is not woken by deals at all."""
    (busy, busy_s), (rest, rest_s) = run_virtual(trade_and_rest(Counted(monkeypatch)))
    assert DEALS < busy["plan"] <= READINGS_PER_S * busy_s + PLANS_PER_DEAL * DEALS
    assert 0 < rest["plan"] <= AT_REST_PER_S * rest_s
    for times, seconds in ((busy, busy_s), (rest, rest_s)):
        assert 0 < times["look"] <= (UNITS - 1) * (seconds / LONGEST_PAUSE_S + 1)
