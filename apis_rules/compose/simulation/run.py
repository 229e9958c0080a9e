"""Lets a community live: nodes, grid and trouble together in virtual time, looked at in regular steps."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
from collections import Counter
from typing import TYPE_CHECKING, Final

from apis_rules.compose.simulation.community import VirtualCommunity
from apis_rules.compose.simulation.invariants import Watch
from apis_rules.compose.simulation.outcome import GridSample, Outcome, UnitBalance, UnitSample
from apis_rules.compose.simulation.trouble import Trouble
from apis_rules.grid.model import Grid
from apis_rules.grid.plant import Plant
from apis_rules.ports.types import OperationMode
from apis_rules.ports.virtual_time import run_virtual

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from apis_rules.compose.simulation.setup import Setup

REST_S: Final = 120.0
"""How long, in the nodes' time, a community may take to come to rest at the end."""

LOOK_S: Final = 0.5
SETTLED_S: Final = 3.0
"""After the last converter waits: for the last deal log to be written."""

_COLLECT_EVERY: Final = (50_000, 20, 100)

ALONE_PACE: Final = 600.0
"""A house by itself needs no fine steps."""


def simulate(setup: Setup, progress: Callable[[float], None] = lambda _: None) -> Outcome:
    """Run *setup* from its beginning to its end; two runs of one setup are alike to the last digit.

    Args:
        setup: what begins.
        progress: told the seconds of the units' clock, at each sample.
    """
    with _quiet(), _seldom_collected():
        return run_virtual(_Run(setup, progress).live(), seed=setup.seed)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Write no log lines meanwhile: what happens in a simulation is told by its tables, not by its nodes."""
    log = logging.getLogger("apis_rules")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(level)


@contextlib.contextmanager
def _seldom_collected() -> Iterator[None]:
    """Look for cycles of unused objects less often: a community is many objects that live long, and few cycles."""
    thresholds = gc.get_threshold()
    gc.set_threshold(*_COLLECT_EVERY)
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        gc.set_threshold(*thresholds)


class _Run:
    """One simulation."""

    def __init__(self, setup: Setup, progress: Callable[[float], None]) -> None:
        self._setup = setup
        self._progress = progress
        self._units: list[UnitSample] = []
        self._grid: list[GridSample] = []

    async def live(self) -> Outcome:
        """Begin, go on to the end, come to rest."""
        setup = self._setup
        plant = Plant(Grid(setup.settings), asyncio.get_running_loop().time, setup.acceleration)
        community = VirtualCommunity(plant, setup.documents, setup.times, setup.seed)
        trouble = Trouble(community, setup.faults)
        watch = Watch(community, trouble.out_of_order, true_meters=setup.ideal_sensors)
        for unit_id in community.unit_ids:
            community.start(unit_id)
        troubling = asyncio.get_running_loop().create_task(trouble.run())
        try:
            await self._sample(community)
            energies = {u: plant.grid_now().energies(u) for u in community.unit_ids}
            charge = {u: plant.grid_now().unit(u).rsoc_percent for u in community.unit_ids}
            left = tell(community)
            troubling.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await troubling
            rested = await self._rest(community)
            watch.close()
        finally:
            troubling.cancel()
            await community.close()
        alone = Grid(setup.settings)
        alone.pace(ALONE_PACE)
        alone.advance(setup.until_s, exact=True)
        parties = Counter(unit_id for record in community.final_records for unit_id in record.units)
        return Outcome(
            setup,
            tuple(self._units),
            tuple(self._grid),
            tuple(community.final_records),
            tuple(community.error_events()),
            tuple(trouble.happened),
            tuple(watch.violations),
            tuple(
                UnitBalance(u, energies[u], alone.energies(u), charge[u], alone.unit(u).rsoc_percent, parties[u])
                for u in community.unit_ids
            ),
            left,
            rested,
        )

    async def _sample(self, community: VirtualCommunity) -> None:
        plant, setup = community.plant, self._setup
        step = 0
        while True:
            at_s = min(step * setup.sample_s, setup.until_s)
            await asyncio.sleep(max(0.0, (at_s - plant.unit_time_s()) / setup.acceleration))
            self._look(community)
            self._progress(at_s)
            if at_s >= setup.until_s:
                return
            step += 1

    def _look(self, community: VirtualCommunity) -> None:
        grid, records = community.plant.grid_now(), community.records
        time = community.plant.clock().replace(microsecond=0)
        parties = Counter(u for deal, _ in records.deals().values() for u in deal.record.units)
        units = [grid.unit(u) for u in community.unit_ids]
        for unit in units:
            self._units.append(
                UnitSample(
                    time,
                    unit.unit_id,
                    node=_node_state(community, unit.unit_id),
                    mode=unit.mode.name,
                    rsoc_percent=unit.rsoc_percent,
                    grid_voltage_v=unit.grid_voltage_v,
                    grid_current_a=unit.grid_current_a,
                    pv_w=unit.pv_w,
                    load_w=unit.load_w,
                    mains_w=unit.mains_w,
                    deals=parties[unit.unit_id],
                    alarm=unit.alarm,
                )
            )
        record, _ = records.grid()
        mode = records.mode()
        self._grid.append(
            GridSample(
                time,
                state=record.state,
                holder=record.holder or "",
                master=community.master or "",
                mode=str(mode.mode if mode else OperationMode(community.policy.operation_mode)),
                voltage_v=max(u.grid_voltage_v for u in units),
                deals=len(records.deals()),
                exchanged_wh=sum(grid.energies(u).grid_in_wh for u in community.unit_ids),
            )
        )

    async def _rest(self, community: VirtualCommunity) -> bool:
        """Let everybody end what is under way; return whether all came to rest."""
        loop = asyncio.get_running_loop()
        community.mend()
        community.set_mode(OperationMode.STOP)
        end_s = loop.time() + REST_S
        while not community.resting and loop.time() < end_s:  # noqa: ASYNC110 - looked at from outside
            await asyncio.sleep(LOOK_S)
        await asyncio.sleep(SETTLED_S)
        return community.resting


def _node_state(community: VirtualCommunity, unit_id: str) -> str:
    node = community.houses[unit_id].node
    return node.state if node is not None else "dead"


def tell(community: VirtualCommunity) -> str:
    """Describe a moment, for whoever looks for the cause of something."""
    records, grid = community.records, community.plant.grid_now()
    record, _ = records.grid()
    lines = [
        f"{community.plant.clock():%Y/%m/%d-%H:%M:%S}, second {asyncio.get_running_loop().time():.2f} of the nodes",
        f"grid {record.state} holder={record.holder} next={record.next_holder} reason={record.reason}",
        f"active {dict(records.active()[0].units)}",
    ]
    for deal_id, (deal, _) in records.deals().items():
        done = deal.record.cumulate_amount_wh
        lines.append(f"deal {deal_id} {deal.state} {' to '.join(deal.record.units)} {done} Wh")
    for unit_id in community.unit_ids:
        unit, node = grid.unit(unit_id), community.houses[unit_id].node
        services = node.services if node is not None else None
        lines.append(
            f"{unit_id} {_node_state(community, unit_id)} {unit.mode.name} {unit.grid_voltage_v:.1f} V "
            f"{unit.grid_current_a:.2f} A {unit.rsoc_percent:.1f} %"
            f"{' MASTER' if node is not None and node.is_master else ''} {services.board.trading if services else ''}"
        )
        if node is not None and node.is_master and community.waiting:
            lines.append(f"    waits: {'; '.join(community.waiting)}")
    return "\n".join(line.rstrip() for line in lines)
