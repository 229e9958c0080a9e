"""What the unit asks its driver: the calls of ``ports.device`` as values. ``str`` of one is its line in walks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from apis_rules.ports.types import ConverterMode


@dataclass(frozen=True, slots=True)
class ReadAll:
    """Read battery and converter."""

    def __str__(self) -> str:
        return "read all"


@dataclass(frozen=True, slots=True)
class ReadStatus:
    """Read the converter only."""

    def __str__(self) -> str:
        return "read status"


@dataclass(frozen=True, slots=True)
class SetMode:
    """Write the mode and all set-points; the current is an absolute value."""

    mode: ConverterMode
    grid_voltage_v: float
    grid_current_a: float
    droop_ratio: float

    def __str__(self) -> str:
        return f"set {self.mode.name} {self.grid_voltage_v:g} V {self.grid_current_a:g} A droop {self.droop_ratio:g}"


@dataclass(frozen=True, slots=True)
class SetVoltage:
    """Write the voltage and the droop of the held voltage."""

    grid_voltage_v: float
    droop_ratio: float

    def __str__(self) -> str:
        return f"set {self.grid_voltage_v:g} V droop {self.droop_ratio:g}"


@dataclass(frozen=True, slots=True)
class SetCurrent:
    """Write the current, an absolute value."""

    grid_current_a: float

    def __str__(self) -> str:
        return f"set {self.grid_current_a:g} A"


@dataclass(frozen=True, slots=True)
class Stop:
    """Write WAIT, current 0, droop 0; overtakes every other call."""

    grid_voltage_v: float

    def __str__(self) -> str:
        return "set WAIT"


Write: TypeAlias = SetMode | SetVoltage | SetCurrent
"""A call that may bring energy; checked directly before it leaves. ``Stop`` never is."""

Call: TypeAlias = ReadAll | ReadStatus | Write | Stop
