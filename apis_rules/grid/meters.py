"""What the meters of a converter show: truth plus offset and noise; and the fixed-point steps of a real one.

Noise is a function of seed, unit and tenth of a second, not of how often someone looks: two runs with the same commands
at the same times read the same values.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from apis_rules.grid.settings import METERS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apis_rules.grid.network import Floats
    from apis_rules.grid.settings import SensorSettings

# Full scale and fraction bits of the converter's registers: a value is word * full scale / 2^bits.
_FULL_SCALE: Final = {
    "vg": (380.0, 14),
    "ig": (7.8125, 13),
    "vb": (48.0, 14),
    "ib": (52.08, 13),
    "wg": (2500.0, 11),
    "wb": (2500.0, 11),
    "tmp": (1.0, 7),
    "dvg": (380.0, 14),
    "dig": (7.8125, 13),
    "drg": (1.0, 13),
}


def quantised(name: str, value: float) -> float:
    """Return *value* as the register called *name* would hold it."""
    full_scale, bits = _FULL_SCALE[name]
    return int(value / full_scale * (1 << bits)) * full_scale / (1 << bits)


def fits(name: str, value: float) -> bool:
    """Tell whether a set-point fits into the 16 bits of its register."""
    full_scale, bits = _FULL_SCALE[name]
    return 0 <= int(value / full_scale * (1 << bits)) <= 0xFFFF and value >= 0


@dataclass(frozen=True, slots=True)
class Meter:
    """One look at all meters of one converter (``dcdc.meter``), in V, A, W and °C."""

    vg: float
    ig: float
    wg: float
    vb: float
    ib: float
    wb: float
    tmp: float


@dataclass(slots=True)
class Sensors:
    """The meters of all converters: offsets and noise, shape (units, meters) in the order of ``METERS``."""

    settings: Sequence[SensorSettings]
    seed: int
    offset: Floats = field(init=False)
    _scale: Floats = field(init=False)
    _noise: Floats = field(init=False)
    _tick: int = -1

    def __post_init__(self) -> None:
        self.offset = np.array([s.offset for s in self.settings], dtype=np.float64)
        self._scale = np.array([s.noise for s in self.settings], dtype=np.float64)
        self._noise = np.zeros_like(self._scale)

    def noise(self, tick: int) -> Floats:
        """Return the noise of this tenth of a second, shape (units, meters)."""
        if tick != self._tick and self._scale.any():
            draw = np.random.Generator(np.random.Philox(key=self.seed, counter=[0, tick, 0, 0]))
            self._noise = draw.standard_normal(self._scale.shape) * self._scale
        self._tick = tick
        return self._noise


def column(name: str) -> int:
    """Return the number of the meter called *name*."""
    return METERS.index(name)
