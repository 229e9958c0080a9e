"""The device port over the model, without a network: for simulation and for tests in virtual time.

It behaves like a driver behind HTTP: it takes time, may be slow, silent or refuse (``faults``), and what was once sent
may still be done after the caller has given up. A read or a stop without an answer is sent again; a set is not, since a
late copy of an old set-point could land after what has been decided next.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from apis_rules.errors import Outage, Unknown
from apis_rules.grid.answers import emulator_dcdc, filtered, time_text
from apis_rules.grid.driver import through_driver
from apis_rules.ports.device import Reading
from apis_rules.ports.types import ConverterMode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from apis_rules.grid.model import Grid
    from apis_rules.grid.plant import Plant
    from apis_rules.ports.device import Guard

_PERMITTED, _NOT_PERMITTED = 3, 0


class ModelDevice:
    """One unit of a ``Plant`` as a ``ports.device.Device``; the contract stands there.

    Args:
        latency_s: what the driver takes for each request.
        timeout_s: after this an attempt counts as unanswered.
        attempts: how often a read or a stop is sent at most.
        runtime_s: the clock of readings; the running loop's without it.
    """

    def __init__(
        self,
        plant: Plant,
        unit_id: str,
        *,
        latency_s: float = 0.02,
        timeout_s: float = 5.0,
        attempts: int = 3,
        runtime_s: Callable[[], float] | None = None,
    ) -> None:
        self._plant = plant
        self._unit_id = unit_id
        self._latency_s = latency_s
        self._timeout_s = timeout_s
        self._attempts = attempts
        self._runtime_s = runtime_s or (lambda: asyncio.get_running_loop().time())
        self._row = asyncio.Lock()
        self._under_way: set[asyncio.Task[Mapping[str, Any]]] = set()

    async def check(self) -> None:
        """A model is of every version; only that the unit is there is looked at."""
        await self.read_status()

    async def read(self) -> Reading:
        """Read battery and converter."""

        def act(grid: Grid) -> Mapping[str, Any]:
            unit = grid.unit(self._unit_id)
            status = _PERMITTED if unit.permitted else _NOT_PERMITTED
            return {
                "dcdc": emulator_dcdc(grid, self._unit_id),
                "battery": {"rsoc": unit.rsoc_percent, "battery_operation_status": status},
            }

        async with self._row:
            return await self._ask(act, switches=False, battery=True)

    async def read_status(self) -> Reading:
        """Read the converter only."""
        async with self._row:
            return await self._ask(self._parts("status", "meter"), switches=False)

    async def set_mode(
        self,
        mode: ConverterMode,
        grid_voltage_v: float,
        grid_current_a: float,
        droop_ratio: float,
        *,
        guard: Guard | None = None,
    ) -> Reading:
        """Set mode and all set-points at once."""

        def act(grid: Grid) -> Mapping[str, Any]:
            grid.set_mode(self._unit_id, mode, grid_voltage_v, grid_current_a, droop_ratio)
            return self._parts("status", "meter", "vdis", "param")(grid)

        async with self._row:
            return await self._ask(act, switches=True, guard=guard)

    async def set_voltage(self, grid_voltage_v: float, droop_ratio: float, *, guard: Guard | None = None) -> Reading:
        """Move the voltage reference's set-point and droop."""

        def act(grid: Grid) -> Mapping[str, Any]:
            grid.set_voltage(self._unit_id, grid_voltage_v, droop_ratio)
            return self._parts("meter", "vdis")(grid)

        async with self._row:
            return await self._ask(act, switches=True, guard=guard)

    async def set_current(self, grid_current_a: float, *, guard: Guard | None = None) -> Reading:
        """Move the current set-point."""

        def act(grid: Grid) -> Mapping[str, Any]:
            grid.set_current(self._unit_id, grid_current_a)
            return self._parts("meter", "param")(grid)

        async with self._row:
            return await self._ask(act, switches=True, guard=guard)

    async def stop(self, grid_voltage_v: float) -> Reading:
        """Set WAIT, current 0, droop 0, without waiting for any other call."""

        def act(grid: Grid) -> Mapping[str, Any]:
            grid.set_mode(self._unit_id, ConverterMode.WAIT, grid_voltage_v, 0.0, 0.0)
            return self._parts("status", "meter", "vdis", "param")(grid)

        return await self._ask(act, switches=True, again=True)

    async def close(self) -> None:
        """Forget what is under way."""
        tasks = tuple(self._under_way)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _parts(self, *parts: str) -> Callable[[Grid], Mapping[str, Any]]:
        return lambda grid: {"dcdc": filtered(emulator_dcdc(grid, self._unit_id), *parts)}

    async def _ask(
        self,
        act: Callable[[Grid], Mapping[str, Any]],
        *,
        switches: bool,
        again: bool = False,
        battery: bool = False,
        guard: Guard | None = None,
    ) -> Reading:
        attempts = self._attempts if again or not switches else 1
        for _ in range(attempts):
            if guard is not None:
                guard()
            sent_at_s = self._runtime_s()
            request = asyncio.ensure_future(
                through_driver(
                    self._plant,
                    self._unit_id,
                    act,
                    switches=switches,
                    battery=battery,
                    latency_s=self._latency_s,
                )
            )
            self._under_way.add(request)
            request.add_done_callback(self._ended)
            # Not awaited directly: a request that was sent goes on when its caller gives up.
            await asyncio.wait({request}, timeout=self._timeout_s)
            if request.done():
                document = request.result()
                return Reading(document, time_text(self._plant.clock()), sent_at_s, self._runtime_s())
        if switches:
            raise Unknown(f"{self._unit_id}: no answer to a set within {self._timeout_s} s, sent {attempts} times")
        raise Outage(f"{self._unit_id}: no answer within {self._timeout_s} s, asked {attempts} times")

    def _ended(self, request: asyncio.Task[Mapping[str, Any]]) -> None:
        self._under_way.discard(request)
        if not request.cancelled():
            # Looked at, so that asyncio does not complain about one that nobody waits for any more.
            request.exception()
