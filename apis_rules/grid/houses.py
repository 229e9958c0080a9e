"""Houses: what they use, what their PV gives, and the uninterruptible supply between them and a battery.

Both are tables of full hours, linear between them, from one of two sources:

*Generator.* With ``h`` the hour of the day and a bell ``B(h, at, width) = exp(-((h - at) / width)^2)``

    load_w = (base + peak * (B(h, 19.5, 2.2) + 0.6 * B(h, 7.5, 1.3))) * (1 + 0.15 * n)
    pv_w   = pv_peak * max(0, sin(pi * (h - 6) / 12))^1.2 * (1 - cloud)

``n`` is a normal draw per house and hour, cut at ±2; ``cloud`` is one draw per day for all houses (they share the sky),
mostly small: ``0.7 * u^2`` with ``u`` uniform. Draws depend on the seed and the day alone.

*Tables* in the existing emulator's files: PV as 365 lines of 24 columns in W, without a header, the same for every
house; load with a header, household number in column 1, kW at each full hour in columns 6, 8, …, 52, 365 lines per
household.

The supply (specification of the existing emulator, measured): with load ``L`` the DC side loses 17.5 W, and
``129 + 0.14 L`` more while the house runs from the battery; the AC side loses 57 W, which the mains give. At 30 % state
of charge it goes to bypass (until 35 %): the mains carry ``L`` and its losses ``124 + 0.06 L``. At 20 % it charges the
battery with 150 W from 160 W of the mains (until 25 %).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from apis_rules.grid.network import Floats

HOUR_S: Final = 3600.0
BYPASS_ON, BYPASS_OFF = 30.0, 35.0
CHARGING_ON, CHARGING_OFF = 20.0, 25.0


@dataclass(frozen=True, slots=True)
class HouseSettings:
    """A house behind a battery: its generator reads these; with tables from files they count for nothing."""

    pv_peak_w: float = 0.0
    load_base_w: float = 120.0
    load_peak_w: float = 350.0


class HouseSource(Protocol):
    """Where load and PV come from."""

    def hours(self, day: date, houses: Sequence[HouseSettings]) -> tuple[Floats, Floats]:
        """Return PV and load in W, each of shape (24, houses): the values at the full hours of *day*."""


@dataclass(frozen=True, slots=True)
class GeneratedHouses:
    """The generator of the module's docstring."""

    seed: int = 0

    def hours(self, day: date, houses: Sequence[HouseSettings]) -> tuple[Floats, Floats]:
        """Return PV and load in W, each of shape (24, houses)."""
        draw = np.random.default_rng([self.seed, day.toordinal()])
        hour = np.arange(24.0)[:, None]
        cloud = 0.7 * draw.uniform() ** 2
        noise = np.clip(draw.standard_normal((24, len(houses))), -2.0, 2.0)
        base = np.array([h.load_base_w for h in houses])
        peak = np.array([h.load_peak_w for h in houses])
        bells = _bell(hour, 19.5, 2.2) + 0.6 * _bell(hour, 7.5, 1.3)
        sun = np.maximum(0.0, np.sin(np.pi * (hour - 6.0) / 12.0)) ** 1.2
        pv = np.array([h.pv_peak_w for h in houses]) * sun * (1.0 - cloud)
        return pv, (base + peak * bells) * (1.0 + 0.15 * noise)


@dataclass(frozen=True, slots=True)
class TableHouses:
    """Load and PV read from files.

    Attributes:
        pv_w: shape (365, 24).
        load_w: shape (households, 365, 24); houses beyond the last household take the first again.
    """

    pv_w: Floats
    load_w: Floats

    def hours(self, day: date, houses: Sequence[HouseSettings]) -> tuple[Floats, Floats]:
        """Return PV and load in W, each of shape (24, houses)."""
        row = (day.timetuple().tm_yday - 1) % self.pv_w.shape[0]
        households = [k % self.load_w.shape[0] for k in range(len(houses))]
        pv = np.repeat(self.pv_w[row][:, None], len(houses), axis=1)
        return pv, self.load_w[households, row % self.load_w.shape[1]].T


@dataclass(slots=True)
class HouseTable:
    """The values of one source at any time: keeps the two days at hand that the moment lies between."""

    source: HouseSource
    houses: Sequence[HouseSettings]
    _day: date | None = None
    _hours: Floats = field(default_factory=lambda: np.zeros(0))

    def pv_and_load_w(self, day: date, next_day: date, second_of_day: float) -> tuple[Floats, Floats]:
        """Return PV and load of each house, linear between full hours."""
        if day != self._day:
            today = np.stack(self.source.hours(day, self.houses), axis=1)
            tomorrow = np.stack(self.source.hours(next_day, self.houses), axis=1)
            self._hours = np.concatenate([today, tomorrow[:1]])
            self._day = day
        hour, part = divmod(second_of_day / HOUR_S, 1.0)
        low, high = self._hours[int(hour)], self._hours[int(hour) + 1]
        both = low + part * (high - low)
        return both[0], both[1]


@dataclass(slots=True)
class Supplies:
    """State of the uninterruptible supplies: which run on the mains, which charge their battery from them."""

    bypass: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]
    charging: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]

    def follow(self, rsoc_percent: Floats) -> None:
        """Switch over where the state of charge has passed a threshold."""
        self.bypass = (rsoc_percent <= BYPASS_ON) | (self.bypass & (rsoc_percent < BYPASS_OFF))
        self.charging = (rsoc_percent <= CHARGING_ON) | (self.charging & (rsoc_percent < CHARGING_OFF))

    def mains_and_loss_w(self, load_w: Floats) -> tuple[Floats, Floats]:
        """Return what the mains give and what the supply loses, beside the load itself."""
        ac_loss = np.where(self.bypass, 124.0 + 0.06 * load_w, 57.0) + np.where(self.charging, 10.0, 0.0)
        dc_loss = np.where(self.bypass, 17.5, 146.5 + 0.14 * load_w)
        mains = np.where(self.bypass, load_w, 0.0) + ac_loss + np.where(self.charging, 150.0, 0.0)
        return mains, ac_loss + dc_loss


def _bell(hour: Floats, at: float, width: float) -> Floats:
    result: Floats = np.exp(-(((hour - at) / width) ** 2))
    return result
