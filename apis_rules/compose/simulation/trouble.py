"""Performs a script of faults on a virtual community, each at its time of the units' clock."""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from apis_rules.compose.simulation.supervisor import stand_by
from apis_rules.grid.fault_script import CommunityFault, CommunityFaultKind
from apis_rules.ports.memory import Fault as WireFault
from apis_rules.ports.memory import FaultKind as WireFaultKind
from apis_rules.ports.types import OperationMode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apis_rules.compose.simulation.community import VirtualCommunity
    from apis_rules.grid.faults import Fault

SNAPSHOT_S: Final = 5.0
"""The store's past is kept in steps of so many seconds, for a rewind."""

READ_AGAIN_S: Final = 2.0
"""Of the nodes' time: within this what a reading shows is acted on."""

LOST_CALLS: Final = ("read", "write", "append", "ask", "report", "command")


@dataclass(frozen=True, slots=True)
class Happened:
    """What became of one fault: at seconds of the units' clock, a sentence."""

    at_s: float
    what: str


class Trouble:
    """A script under way.

    Attributes:
        happened: in order.
    """

    def __init__(self, community: VirtualCommunity, faults: Sequence[CommunityFault | Fault]) -> None:
        self._community = community
        self._faults = faults
        self._busy: set[str] = set()
        self._ill_until_s: dict[str, float] = {}
        self.happened: list[Happened] = []

    async def run(self) -> None:
        """Perform all of it; returns when the last one is over."""
        rewinds = any(f.kind is CommunityFaultKind.STORE_REWOUND for f in self._faults)
        async with asyncio.TaskGroup() as tasks:
            past = tasks.create_task(self._keep_past()) if rewinds else None
            under_way = []
            for fault in self._faults:
                await self._until(fault.after_s)
                if isinstance(fault, CommunityFault):
                    under_way.append(tasks.create_task(self._perform(fault)))
                else:
                    self._community.plant.add_fault(fault.model_copy(update={"after_s": 0.0}))
                    for_s = math.inf if fault.for_s is None else fault.for_s / self._community.plant.acceleration
                    for unit_id in [fault.unit] if fault.unit else self._community.unit_ids:
                        self._ill(unit_id, for_s + READ_AGAIN_S)
                    self._note(f"{fault.kind} {fault.unit or fault.line or ''}")
            await asyncio.gather(*under_way)
            if past is not None:
                past.cancel()

    async def _until(self, unit_time_s: float) -> None:
        plant = self._community.plant
        await asyncio.sleep(max(0.0, unit_time_s - plant.unit_time_s()) / plant.acceleration)

    async def _last(self, fault: CommunityFault) -> None:
        """Return when *fault* is over; never, where it lasts."""
        if fault.for_s is None:
            await asyncio.Future()
        else:
            await asyncio.sleep(fault.for_s / self._community.plant.acceleration)

    def out_of_order(self, who: str) -> bool:
        """Tell whether something is wrong with a unit or the store, or was so lately that it may not be settled yet.

        A process or a store that was away is settled when units that heard nothing have stopped by themselves; a
        converter or its driver with the next reading.
        """
        return who in self._busy or asyncio.get_running_loop().time() <= self._ill_until_s.get(who, -math.inf)

    def _ill(self, who: str, for_s: float) -> None:
        until_s = asyncio.get_running_loop().time() + for_s
        self._ill_until_s[who] = max(until_s, self._ill_until_s.get(who, -math.inf))

    def _note(self, what: str) -> None:
        self.happened.append(Happened(round(self._community.plant.unit_time_s(), 1), what.strip()))

    async def _perform(self, fault: CommunityFault) -> None:
        where = fault.unit or "store"
        if where in self._busy:
            self._note(f"{fault.kind} {where}: passed over, it is in trouble already")
            return
        self._busy.add(where)
        self._note(f"{fault.kind} {where}")
        try:
            await self._do(fault)
        finally:
            self._busy.discard(where)
            self._ill(where, self._community.times.dead_man_s + READ_AGAIN_S)

    async def _do(self, fault: CommunityFault) -> None:
        if fault.unit is None:
            await self._to_all(fault)
        else:
            await self._to_node(fault, fault.unit)

    async def _to_node(self, fault: CommunityFault, unit_id: str) -> None:
        house, line = self._community.houses[unit_id], self._community.store.lines[unit_id]
        match fault.kind:
            case CommunityFaultKind.KILL:
                await self._kill(fault, unit_id)
            case CommunityFaultKind.FREEZE:
                self._community.freeze(unit_id)
                await self._last(fault)
                self._community.thaw(unit_id)
            case CommunityFaultKind.CUT:
                line.cut()
                await self._last(fault)
                line.restore()
            case CommunityFaultKind.LOST_MESSAGES:
                await self._lose_messages(fault, unit_id)
            case CommunityFaultKind.DISK_FULL:
                house.store.full = True
                await self._last(fault)
                house.store.full = False

    async def _to_all(self, fault: CommunityFault) -> None:
        community = self._community
        match fault.kind:
            case CommunityFaultKind.STORE_DOWN:
                community.store.stop()
                await self._last(fault)
                community.store.start()
            case CommunityFaultKind.STORE_LOST:
                community.lose_store()
                await self._trade_again(fault)
            case CommunityFaultKind.STORE_REWOUND:
                community.rewind_store((fault.value or 0.0) / community.plant.acceleration)
                await self._trade_again(fault)
            case CommunityFaultKind.CLOCK_STEP:
                community.store.clock.step_utc(fault.value or 0.0)
            case CommunityFaultKind.MODE:
                community.set_mode(fault.mode or OperationMode.AUTONOMOUS)
                await self._trade_again(fault)

    async def _kill(self, fault: CommunityFault, unit_id: str) -> None:
        community = self._community
        await community.kill(unit_id)
        for_s = math.inf if fault.for_s is None else fault.for_s / community.plant.acceleration
        if fault.supervised:
            await stand_by(community, unit_id, asyncio.get_running_loop().time() + for_s)
        else:
            await self._last(fault)
        community.start(unit_id)
        self._note(f"{unit_id} starts anew")

    async def _lose_messages(self, fault: CommunityFault, unit_id: str) -> None:
        line = self._community.store.lines[unit_id]
        source = random.Random(f"{self._community.seed} {unit_id} {fault.after_s}")  # noqa: S311 - a model's chance
        lost = {(call, WireFault(WireFaultKind.LOST)): fault.value or 0.0 for call in LOST_CALLS}
        line.fail_randomly(lost, source)
        await self._last(fault)
        line.fail_randomly({}, source)

    async def _trade_again(self, fault: CommunityFault) -> None:
        if fault.for_s is not None:
            await self._last(fault)
            self._community.set_mode(OperationMode.AUTONOMOUS)
            self._note("an operator lets trading go on")

    async def _keep_past(self) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            while True:
                self._community.remember_store()
                await asyncio.sleep(SNAPSHOT_S)
