"""The true energies of a grid, summed at every inner step: what a bookkeeping elsewhere is measured against.

Two balances hold at every moment (and are tested):

- a unit: pv + mains + grid in - grid out = load + supply loss + converter loss + battery loss + growth of stored energy
- the lines: sum of grid out - sum of grid in + foreign = line loss + leak + what the capacitances took
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apis_rules.grid.network import Floats

_WH_PER_J: Final = 1.0 / 3600.0


@dataclass(frozen=True, slots=True)
class UnitEnergies:
    """Wh of one unit since the grid was made; take differences for a period.

    Attributes:
        grid_in_wh, grid_out_wh: through the converter's grid side, charging and discharging apart.
        battery_side_in_wh, battery_side_out_wh: the same on its battery side (``wb``): less, and more, by its loss.
        pv_wh: used; ``curtailed_wh`` is what PV could not deliver because the battery took no more.
        stored_wh: growth of the battery's energy; negative where it lost some.
    """

    grid_in_wh: float
    grid_out_wh: float
    battery_side_in_wh: float
    battery_side_out_wh: float
    converter_loss_wh: float
    pv_wh: float
    curtailed_wh: float
    load_wh: float
    mains_wh: float
    supply_loss_wh: float
    battery_loss_wh: float
    stored_wh: float


@dataclass(frozen=True, slots=True)
class LineEnergies:
    """Wh of the lines since the grid was made; ``foreign_wh`` came from sources that are none of the units'."""

    line_loss_wh: float
    leak_wh: float
    capacitance_wh: float
    foreign_wh: float


_NAMES: Final = [entry.name for entry in fields(UnitEnergies)]
_BATTERY_SIDE: Final = [_NAMES.index("battery_side_in_wh"), _NAMES.index("battery_side_out_wh")]


class Ledger:
    """Sums of powers over time."""

    def __init__(self, units: int) -> None:
        self._units = np.zeros((len(fields(UnitEnergies)), units))
        self._rates = np.zeros_like(self._units)
        self._lines = np.zeros(len(fields(LineEnergies)))

    def add(self, dt_s: float, unit_powers_w: Sequence[Floats], line_powers_w: Floats) -> None:
        """Add powers, in the order of the fields of ``UnitEnergies`` and ``LineEnergies``, over *dt_s*."""
        for row, power_w in enumerate(unit_powers_w):
            self._rates[row] = power_w
        self._units += self._rates * (dt_s * _WH_PER_J)
        self._lines += np.asarray(line_powers_w) * (dt_s * _WH_PER_J)

    def of_unit(self, unit: int) -> UnitEnergies:
        """Return the sums of one unit."""
        return UnitEnergies(*(float(x) for x in self._units[:, unit]))

    def battery_side_wh(self) -> Floats:
        """Return what each unit's converter has taken from its battery and given to it, added up."""
        result: Floats = self._units[_BATTERY_SIDE].sum(axis=0)
        return result

    def of_lines(self) -> LineEnergies:
        """Return the sums of the lines."""
        return LineEnergies(*(float(x) for x in self._lines))

    def resized(self, units: int) -> Ledger:
        """Return the same with *units* units, new ones at zero."""
        other = Ledger(units)
        kept = min(units, self._units.shape[1])
        other._units[:, :kept] = self._units[:, :kept]
        other._lines[:] = self._lines
        return other
