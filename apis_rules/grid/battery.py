"""Batteries of all units at once: open-circuit voltage, resistance, what charging loses.

The state of charge is the stored *energy* as a share of the nominal capacity, so that ``rsoc * capacity`` is the
remaining Wh that rules compare (specification 6.3). Power at the terminals and current follow from

    p = (u + r * i) * i        with u the open-circuit voltage

Charging stores ``u * i * charge_efficiency``; discharging takes ``u * i`` out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apis_rules.grid.network import Floats
    from apis_rules.grid.settings import BatterySettings

# State of charge in percent and volts of sixteen lithium iron phosphate cells in a row.
OPEN_CIRCUIT_VOLTAGE: Final = (
    (0.0, 5.0, 20.0, 50.0, 80.0, 95.0, 100.0),
    (46.4, 49.9, 51.2, 52.2, 52.8, 53.4, 54.6),
)
_PERCENT, _VOLTS = np.array(OPEN_CIRCUIT_VOLTAGE[0]), np.array(OPEN_CIRCUIT_VOLTAGE[1])


@dataclass(frozen=True, slots=True)
class Batteries:
    """The fixed figures of all batteries, one entry per unit."""

    capacity_wh: Floats
    resistance_ohm: Floats
    charge_limit_a: Floats
    discharge_limit_a: Floats
    charge_efficiency: Floats

    @classmethod
    def of(cls, settings: Sequence[BatterySettings]) -> Batteries:
        """Collect the figures of *settings*."""
        return cls(
            *(
                np.array([getattr(s, name) for s in settings], dtype=np.float64)
                for name in (
                    "capacity_wh",
                    "resistance_ohm",
                    "charge_limit_a",
                    "discharge_limit_a",
                    "charge_efficiency",
                )
            )
        )

    def open_circuit_v(self, stored_wh: Floats) -> Floats:
        """Return the voltage without current."""
        result: Floats = np.interp(100.0 * stored_wh / self.capacity_wh, _PERCENT, _VOLTS)
        return result

    def current_a(self, open_v: Floats, power_w: Floats) -> Floats:
        """Return the current that makes *power_w* at the terminals; at most the power that a battery can give."""
        root = np.sqrt(np.maximum(open_v * open_v + 4.0 * self.resistance_ohm * power_w, 0.0))
        result: Floats = 2.0 * power_w / (open_v + root)
        return result

    def stored_w(self, open_v: Floats, current_a: Floats) -> Floats:
        """Return the rate at which stored energy changes; negative while discharging."""
        inner = open_v * current_a
        result: Floats = np.where(inner > 0.0, inner * self.charge_efficiency, inner)
        return result
