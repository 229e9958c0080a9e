"""An ideal converter behind a driver, in memory: it does what it is told, at once, on a bus that follows its reference.

It is the smallest thing that keeps the device port's contract. A modelled battery, losses, ramps, lines and two
converters on one bus are the business of ``apis_rules.grid``.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from apis_rules.errors import Outage, Refused, Unknown
from apis_rules.ports.device import Reading
from apis_rules.ports.memory.faults import FaultKind
from apis_rules.ports.types import ConverterMode

if TYPE_CHECKING:
    from apis_rules.ports.device import Guard
    from apis_rules.ports.memory.faults import Line


class MemoryDevice:
    """``Device`` that answers after its wire's latency.

    Faults of the wire: ``read`` and ``write`` of *line*, and its cut.

    Attributes:
        requests: every request that left, in order: its name.
    """

    def __init__(self, line: Line) -> None:
        self.requests: list[str] = []
        self._line = line
        self._row = asyncio.Lock()
        self._mode = ConverterMode.WAIT
        self._voltage_v = 0.0
        self._current_a = 0.0
        self._droop = 0.0

    async def check(self) -> None:
        """Any version will do."""

    async def read(self) -> Reading:
        """Read battery and converter."""
        async with self._row:
            return await self._read("read", whole=True)

    async def read_status(self) -> Reading:
        """Read the converter only."""
        async with self._row:
            return await self._read("read_status", whole=False)

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
        if grid_current_a < 0:
            raise Refused("a current set-point is an absolute value")

        def apply() -> None:
            self._mode, self._voltage_v = mode, grid_voltage_v
            self._current_a, self._droop = grid_current_a, droop_ratio

        async with self._row:
            return await self._set("set_mode", apply, guard)

    async def set_voltage(self, grid_voltage_v: float, droop_ratio: float, *, guard: Guard | None = None) -> Reading:
        """Move the voltage set-point and droop."""

        def apply() -> None:
            self._voltage_v, self._droop = grid_voltage_v, droop_ratio

        async with self._row:
            return await self._set("set_voltage", apply, guard)

    async def set_current(self, grid_current_a: float, *, guard: Guard | None = None) -> Reading:
        """Move the current set-point."""

        def apply() -> None:
            self._current_a = grid_current_a

        async with self._row:
            return await self._set("set_current", apply, guard)

    async def stop(self, grid_voltage_v: float) -> Reading:
        """Set WAIT at once, past everything that is under way."""

        def apply() -> None:
            self._mode, self._voltage_v = ConverterMode.WAIT, grid_voltage_v
            self._current_a = self._droop = 0.0

        return await self._set("stop", apply, None)

    async def close(self) -> None:
        """Nothing is held open."""

    async def _read(self, name: str, *, whole: bool) -> Reading:
        sent_at_s = asyncio.get_running_loop().time()
        self.requests.append(name)
        fault = self._line.fault_for("read")
        await self._answer_time()
        if fault is not None and fault.kind is FaultKind.LOST:
            await asyncio.sleep(self._line.limit_s)
            raise Outage("the driver does not answer")
        return self._reading(sent_at_s, whole=whole)

    async def _set(self, name: str, apply: Any, guard: Guard | None) -> Reading:
        await self._line.awake()
        if guard is not None:
            guard()
        sent_at_s = asyncio.get_running_loop().time()
        self.requests.append(name)
        fault = self._line.fault_for("write")
        await self._answer_time()
        if fault is None or fault.kind is not FaultKind.LOST:
            apply()
        if fault is not None and fault.kind in (FaultKind.LOST, FaultKind.ACK_LOST):
            await asyncio.sleep(self._line.limit_s)
            raise Unknown("the driver did not answer")
        return self._reading(sent_at_s, whole=False)

    async def _answer_time(self) -> None:
        await self._line.awake()
        if not self._line.reachable:
            raise Outage("the driver is not reached")
        await asyncio.sleep(self._line.latency_s)
        await self._line.awake()

    def _reading(self, sent_at_s: float, *, whole: bool) -> Reading:
        sign = {ConverterMode.CHARGE: 1.0, ConverterMode.DISCHARGE: -1.0}.get(self._mode, 0.0)
        dcdc = {
            "status": {
                "status": self._mode.code,
                "alarm": "No alarm",
                "alarmState": "No alarm",
                "operationMode": self._mode.operation_mode,
            },
            "meter": {
                "vg": self._voltage_v,
                "ig": sign * self._current_a,
                "tmp": 25.0,
                "wg": 0,
                "wb": 0,
                "vb": 52.0,
                "ib": 0,
            },
            "vdis": {"dvg": self._voltage_v, "drg": self._droop},
            "param": {"dig": self._current_a},
        }
        battery = {"battery": {"rsoc": 50.0, "battery_operation_status": 3}} if whole else {}
        return Reading({"dcdc": dcdc, **battery}, None, sent_at_s, asyncio.get_running_loop().time())
