"""Converters of all units at once: modes, set-points, and the clipped sources that the network sees (``network``).

How a mode behaves (specification 2, 7):

- WAIT: no current. Its capacitance and leak stay on the line.
- CHARGE takes its current set-point from the line as long as the voltage is up; from 10 V below the undervoltage
  threshold it folds back, 20 V below it takes nothing.
- DISCHARGE feeds its current set-point as long as the voltage is below its voltage set-point; within the last volt it
  folds back.
- VOLTAGE_REFERENCE holds its voltage set-point in either direction: ``v = set-point - droop_ohm * current fed``, up to
  its overload limit. From a dead line it starts softly; an established one follows a new set-point quickly.

No converter carries more than its battery side may, or what a full, empty or dead battery cannot take or give.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from apis_rules.ports.types import ConverterMode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apis_rules.grid.network import Floats
    from apis_rules.grid.settings import ConverterSettings

Bools: TypeAlias = NDArray[np.bool_]
MODES: Final = (ConverterMode.WAIT, ConverterMode.CHARGE, ConverterMode.DISCHARGE, ConverterMode.VOLTAGE_REFERENCE)
WAIT, CHARGE, DISCHARGE, REFERENCE = range(4)

_FOLD_BACK_FROM_V: Final = 10.0  # below the undervoltage threshold
_FOLD_BACK_V: Final = 10.0
_VOLTAGE_LIMIT_FOLD_V: Final = 1.0
_RAMP_FROM_SHARE: Final = 0.8  # a line at this share of the set-point or more needs no soft start
_RAMP_TO_V: Final = 350.0


@dataclass(slots=True)
class ConverterState:
    """What changes: set-points as commanded, and where the controls inside have got to.

    Attributes:
        mode: index into ``MODES``.
        voltage_set_v, current_set_a, droop_ratio: as commanded.
        voltage_now_v, current_now_a: as the control follows them; the current without sign.
        soft_start: still ramping up from a dead line.
        tripped: in WAIT with a heavy alarm until it is cleared.
        temperature_c: of the converter.
    """

    mode: NDArray[np.int8]
    voltage_set_v: Floats
    current_set_a: Floats
    droop_ratio: Floats
    voltage_now_v: Floats
    current_now_a: Floats
    soft_start: Bools
    tripped: Bools
    temperature_c: Floats

    @classmethod
    def at_rest(cls, units: int, ambient_c: float) -> ConverterState:
        """Return *units* converters as a driver finds them after power-up."""
        zero = np.zeros(units)
        return cls(
            np.zeros(units, dtype=np.int8),
            zero + 359.98,
            zero + 2.0,
            zero.copy(),
            zero.copy(),
            zero.copy(),
            np.zeros(units, dtype=np.bool_),
            np.zeros(units, dtype=np.bool_),
            zero + ambient_c,
        )


@dataclass(slots=True)
class Converters:
    """The fixed figures of all converters; methods move or read a ``ConverterState``."""

    settings: Sequence[ConverterSettings]
    rated_ohm: Floats = field(init=False)
    output_ohm: Floats = field(init=False)
    overload_ratio: Floats = field(init=False)
    ramp_v_per_s: Floats = field(init=False)
    voltage_slew: Floats = field(init=False)
    current_slew: Floats = field(init=False)
    loss_by_mode_w: Floats = field(init=False)
    undervoltage_v: Floats = field(init=False)
    overvoltage_v: Floats = field(init=False)
    battery_limit_a: Floats = field(init=False)
    trip_temperature_c: Floats = field(init=False)

    def __post_init__(self) -> None:
        def column(name: str) -> Floats:
            return np.array([getattr(s, name) for s in self.settings], dtype=np.float64)

        self.rated_ohm = column("rated_voltage_v") / column("rated_current_a")
        self.output_ohm = column("output_resistance_ohm")
        self.overload_ratio = column("overload_ratio")
        self.ramp_v_per_s = _RAMP_TO_V / column("ramp_s")
        self.voltage_slew = column("voltage_slew_v_per_s")
        self.current_slew = column("current_slew_a_per_s")
        self.loss_by_mode_w = column("loss_w")
        self.undervoltage_v = column("grid_undervoltage_v")
        self.overvoltage_v = column("grid_overvoltage_v")
        self.battery_limit_a = column("battery_current_limit_a")
        self.trip_temperature_c = column("trip_temperature_c")

    def command_mode(self, state: ConverterState, unit: int, mode: int, line_v: float, current_a: float) -> None:
        """Put one converter into *mode*; *line_v* and *current_a* are what it sees and carries at this moment.

        A current-controlled mode starts from the current that already flows in its direction, a voltage reference from
        the voltage that already stands on the line.
        """
        before, state.mode[unit] = state.mode[unit], mode
        if mode in (CHARGE, DISCHARGE) and before != mode:
            state.current_now_a[unit] = max(0.0, current_a if mode == CHARGE else -current_a)
        if mode == REFERENCE and before != REFERENCE:
            state.voltage_now_v[unit] = line_v
            state.soft_start[unit] = line_v < _RAMP_FROM_SHARE * state.voltage_set_v[unit]

    def follow(self, state: ConverterState, dt_s: float) -> bool:
        """Move the controls towards the set-points for *dt_s*; tell whether any is still on its way."""
        current_controlled = (state.mode == CHARGE) | (state.mode == DISCHARGE)
        reference = state.mode == REFERENCE
        missing_a = np.where(current_controlled, state.current_set_a - state.current_now_a, 0.0)
        missing_v = np.where(reference, state.voltage_set_v - state.voltage_now_v, 0.0)
        if not (missing_a.any() or missing_v.any()):
            return False
        most_a = self.current_slew * dt_s
        most_v = np.where(state.soft_start, self.ramp_v_per_s, self.voltage_slew) * dt_s
        state.current_now_a = state.current_now_a + np.clip(missing_a, -most_a, most_a)
        state.voltage_now_v = state.voltage_now_v + np.clip(missing_v, -most_v, most_v)
        arrived = reference & (np.abs(missing_v) <= most_v)
        # Set exactly, not summed: else rounding would keep the control on its way for ever.
        state.voltage_now_v[arrived] = state.voltage_set_v[arrived]
        reached = current_controlled & (np.abs(missing_a) <= most_a)
        state.current_now_a[reached] = state.current_set_a[reached]
        state.soft_start = state.soft_start & reference & ~arrived
        return True

    def sources(
        self, state: ConverterState, offset_v: Floats, offset_a: Floats
    ) -> tuple[Floats, Floats, Floats, Floats]:
        """Return conductance, v0, lowest and highest current of each converter, before its battery's limits.

        *offset_v* and *offset_a* are the errors of its own meters, which it controls by.
        """
        charging, discharging = state.mode == CHARGE, state.mode == DISCHARGE
        reference = state.mode == REFERENCE
        take = np.where(charging, np.maximum(state.current_now_a - offset_a, 0.0), 0.0)
        feed = np.where(discharging, np.maximum(state.current_now_a + offset_a, 0.0), 0.0)
        overload = np.where(reference, self.overload_ratio * state.current_set_a, 0.0)
        conductance = take / _FOLD_BACK_V + feed / _VOLTAGE_LIMIT_FOLD_V
        conductance[reference] = (1.0 / (self.output_ohm + self.droop_ohm(state)))[reference]
        v0 = np.where(charging, self.undervoltage_v - _FOLD_BACK_FROM_V - _FOLD_BACK_V, state.voltage_set_v - offset_v)
        v0 = np.where(reference, state.voltage_now_v - offset_v, v0)
        return conductance, v0, -feed - overload, take + overload

    def droop_ohm(self, state: ConverterState) -> Floats:
        """Return how far the voltage of each reference gives way per ampere that it feeds."""
        return state.droop_ratio * self.rated_ohm

    def losses_w(self, state: ConverterState) -> Floats:
        """Return what each converter turns into heat; its battery pays for it."""
        result: Floats = self.loss_by_mode_w[np.arange(len(state.mode)), state.mode]
        return result
