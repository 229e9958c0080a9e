"""Things that go wrong, at declared times of the units' clock: one form for code, for the HTTP API and for scripts.

Faults of the device change the physics or what is measured; faults of the driver change how it answers. They begin
``after_s`` from when they are added and end after ``for_s``, or when they are cleared.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from pydantic import ConfigDict, Field, model_validator

from apis_rules.ports.types.model import WireModel

if TYPE_CHECKING:
    from collections.abc import Iterator


class FaultKind(enum.StrEnum):
    """What can go wrong."""

    HEAVY_ALARM = "heavy_alarm"  # reported; the converter goes on
    LIGHT_ALARM = "light_alarm"
    TRIP = "trip"  # the converter falls to WAIT with a heavy alarm, until that is cleared
    OVER_TEMPERATURE = "over_temperature"  # its thermometer shows *value* °C at least
    SENSOR_DRIFT = "sensor_drift"  # *meter* is off by *value* and by *per_s* more each second
    STUCK_MODE = "stuck_mode"  # mode commands are answered, the mode stays
    DEAD_BATTERY = "dead_battery"  # takes and gives nothing, shows 20 V
    PERMISSION_WITHDRAWN = "permission_withdrawn"  # battery_operation_status 0
    LINE_CAPACITY = "line_capacity"  # *line* may carry *value* A only
    LINE_OPEN = "line_open"  # *line* is cut
    FOREIGN_SOURCE = "foreign_source"  # something else holds *value* V at the node of *unit*
    REFUSED = "refused"  # the driver answers sets with an error
    DRIVER_ERROR = "driver_error"  # the driver answers everything about the converter with the error *text*
    SLOW = "slow"  # the driver takes *value* s (of real time) longer
    SILENT = "silent"  # the driver does nothing and gives no answer
    ANSWER_LOST = "answer_lost"  # the driver does what it is told and gives no answer
    BATTERY_UNREACHABLE = "battery_unreachable"  # the driver cannot read the battery
    RESTART = "restart"  # everything as at the start, clock included


_NEEDS_LINE: Final = {FaultKind.LINE_CAPACITY, FaultKind.LINE_OPEN}
_NEEDS_VALUE: Final = {
    FaultKind.OVER_TEMPERATURE,
    FaultKind.LINE_CAPACITY,
    FaultKind.FOREIGN_SOURCE,
    FaultKind.SLOW,
}
# Far beyond what any converter stands, and far from where numbers lose their meaning.
_MOST: Final = {
    FaultKind.OVER_TEMPERATURE: 300.0,
    FaultKind.LINE_CAPACITY: 1000.0,
    FaultKind.FOREIGN_SOURCE: 1000.0,
    FaultKind.SLOW: 86_400.0,
    FaultKind.SENSOR_DRIFT: 1000.0,
}
_OF_DRIVERS: Final = {
    FaultKind.REFUSED,
    FaultKind.DRIVER_ERROR,
    FaultKind.SLOW,
    FaultKind.SILENT,
    FaultKind.ANSWER_LOST,
    FaultKind.BATTERY_UNREACHABLE,
}


class Fault(WireModel):
    """One thing that goes wrong.

    Attributes:
        unit, line: where; a line is named as in the topology, ``A-B``.
        meter: of a sensor's drift.
        value: see the kind.
        text: of a driver's error; "read timeout" without it.
        per_s: growth of a sensor's drift per second of the units' clock.
        after_s, for_s: seconds of the units' clock until it begins, and until it ends after that; None lasts.
    """

    model_config = ConfigDict(extra="forbid")

    kind: FaultKind
    unit: str | None = None
    line: str | None = None
    meter: Literal["vg", "ig", "vb", "ib", "tmp"] | None = None
    value: float | None = None
    text: str | None = None
    per_s: float = Field(default=0.0, ge=-1000.0, le=1000.0)
    after_s: float = Field(default=0.0, ge=0.0)
    for_s: float | None = Field(default=None, gt=0.0)

    @model_validator(mode="after")
    def _complete(self) -> Fault:
        needed = {
            "line": self.kind in _NEEDS_LINE,
            "unit": self.kind not in _NEEDS_LINE and self.kind is not FaultKind.RESTART,
            "meter": self.kind is FaultKind.SENSOR_DRIFT,
            "value": self.kind in _NEEDS_VALUE,
        }
        missing = [name for name, wanted in needed.items() if wanted and getattr(self, name) is None]
        if self.kind is FaultKind.SENSOR_DRIFT and not (self.value or self.per_s):
            missing.append("value or perS")
        if missing:
            raise ValueError(f"a fault of kind {self.kind} needs {' and '.join(missing)}")
        if self.value is not None and self.kind in _MOST:
            most = _MOST[self.kind]
            least = 0.0 if self.kind in _NEEDS_VALUE else -most
            if not least <= self.value <= most:
                raise ValueError(f"a fault of kind {self.kind} takes a value from {least:g} to {most:g}")
        return self


@dataclass(frozen=True, slots=True)
class Planned:
    """A fault with the units' time at which it begins and ends."""

    number: int
    fault: Fault
    from_s: float
    until_s: float


@dataclass(slots=True)
class FaultBoard:
    """All faults of a grid. Times are seconds of unit time since the grid was made.

    Attributes:
        version: grows with each change of the list.
    """

    version: int = 0
    now_s: float = 0.0
    _planned: dict[int, Planned] = field(default_factory=dict)
    _begun: set[int] = field(default_factory=set)
    _next: int = 1

    def add(self, fault: Fault) -> int:
        """Plan *fault* from now on and return its number."""
        begin = self.now_s + fault.after_s
        end = math.inf if fault.for_s is None else begin + fault.for_s
        number, self._next = self._next, self._next + 1
        self._planned[number] = Planned(number, fault, begin, end)
        self.version += 1
        return number

    def clear(self, number: int | None = None) -> bool:
        """End one fault, or all; tell whether there was any to end."""
        gone = list(self._planned) if number is None else [n for n in (number,) if n in self._planned]
        for n in gone:
            del self._planned[n]
        self.version += bool(gone)
        return bool(gone)

    def planned(self) -> tuple[Planned, ...]:
        """Return every fault that has not ended, in order of their numbers."""
        return tuple(p for p in self._planned.values() if p.until_s > self.now_s)

    def active(self) -> Iterator[Fault]:
        """Yield the faults that hold now."""
        return (p.fault for p in self._planned.values() if p.from_s <= self.now_s < p.until_s)

    def on(self, unit: str, kind: FaultKind) -> Fault | None:
        """Return the fault of *kind* that *unit* has now, if any."""
        if not self._planned:
            return None
        return next((f for f in self.active() if f.kind is kind and f.unit == unit), None)

    def disturbs(self, unit: str) -> bool:
        """Tell whether the driver of *unit* has any fault now."""
        return bool(self._planned) and any(f.unit == unit and f.kind in _OF_DRIVERS for f in self.active())

    def next_change_s(self) -> float:
        """Return the next time at which a fault begins or ends; infinity without any."""
        if not self._planned:
            return math.inf
        times = (t for p in self._planned.values() for t in (p.from_s, p.until_s) if t > self.now_s)
        return min(times, default=math.inf)

    def move_to(self, now_s: float) -> None:
        """Let time pass; ``version`` grows where a fault begins or ends by that."""
        if self.next_change_s() <= now_s:
            self.version += 1
        self.now_s = now_s
        if self._planned:
            self._planned = {n: p for n, p in self._planned.items() if p.until_s > now_s}

    def newly_begun(self) -> list[Fault]:
        """Return the active faults that no earlier call returned."""
        fresh = [p for p in self._planned.values() if p.from_s <= self.now_s and p.number not in self._begun]
        self._begun.update(p.number for p in fresh)
        return [p.fault for p in fresh]
