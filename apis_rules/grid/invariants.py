"""Observers of a grid that measure what must never happen; a test or a simulation reads them at its end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from apis_rules.ports.types import ConverterMode

if TYPE_CHECKING:
    from apis_rules.grid.model import Grid


@dataclass(slots=True)
class UnheldCurrent:
    """How long, in seconds of unit time, a current-controlled converter was active on a line out of its range.

    Attributes:
        low_v, high_v: the operating range of the line's voltage.
        longest_s: longest time in one piece, by unit.
    """

    low_v: float = 290.0
    high_v: float = 380.0
    longest_s: dict[str, float] = field(default_factory=dict)
    _running_s: dict[str, float] = field(default_factory=dict)

    def __call__(self, grid: Grid, dt_s: float) -> None:
        """Look at one step."""
        for unit_id, mode, voltage_v in zip(grid.unit_ids, grid.modes(), grid.unit_voltage_v, strict=True):
            if mode.current_controlled and not self.low_v <= voltage_v <= self.high_v:
                self._running_s[unit_id] = self._running_s.get(unit_id, 0.0) + dt_s
                self.longest_s[unit_id] = max(self.longest_s.get(unit_id, 0.0), self._running_s[unit_id])
            else:
                self._running_s.pop(unit_id, None)


@dataclass(slots=True)
class HoldersAtOnce:
    """How long, in seconds of unit time, more than one unit held the voltage.

    Attributes:
        longest_s: longest time in one piece; ``without_droop_s`` the same where one of them had no droop.
    """

    longest_s: float = 0.0
    without_droop_s: float = 0.0
    _running_s: float = 0.0
    _running_without_s: float = 0.0

    def __call__(self, grid: Grid, dt_s: float) -> None:
        """Look at one step."""
        holders = [
            grid.unit(unit_id)
            for unit_id, mode in zip(grid.unit_ids, grid.modes(), strict=True)
            if mode is ConverterMode.VOLTAGE_REFERENCE
        ]
        several = len(holders) > 1
        self._running_s = self._running_s + dt_s if several else 0.0
        stiff = several and any(holder.droop_ratio == 0 for holder in holders)
        self._running_without_s = self._running_without_s + dt_s if stiff else 0.0
        self.longest_s = max(self.longest_s, self._running_s)
        self.without_droop_s = max(self.without_droop_s, self._running_without_s)


@dataclass(slots=True)
class PeakCurrent:
    """The largest currents seen, in A without sign: ``units_a`` by unit, ``lines_a`` by line."""

    units_a: dict[str, float] = field(default_factory=dict)
    lines_a: dict[str, float] = field(default_factory=dict)

    def __call__(self, grid: Grid, dt_s: float) -> None:  # noqa: ARG002  the form of an observer
        """Look at one step."""
        for unit_id, current_a in zip(grid.unit_ids, grid.unit_current_a, strict=True):
            self.units_a[unit_id] = max(self.units_a.get(unit_id, 0.0), abs(float(current_a)))
        for line in grid.lines():
            self.lines_a[line.name] = max(self.lines_a.get(line.name, 0.0), abs(line.current_a))
