"""What a simulation leaves: rows in the order of time, and what they add up to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from apis_rules.compose.simulation.invariants import Violation
    from apis_rules.compose.simulation.setup import Setup
    from apis_rules.compose.simulation.trouble import Happened
    from apis_rules.grid.ledger import UnitEnergies
    from apis_rules.ports.types import DealRecord, ErrorEvent

TIME_FORMAT: Final = "%Y/%m/%d-%H:%M:%S"


@dataclass(frozen=True, slots=True)
class UnitSample:
    """One unit at one moment, as it truly was; V, A, W, %."""

    time: datetime
    unit_id: str
    node: str
    mode: str
    rsoc_percent: float
    grid_voltage_v: float
    grid_current_a: float
    pv_w: float
    load_w: float
    mains_w: float
    deals: int
    alarm: str


@dataclass(frozen=True, slots=True)
class GridSample:
    """The community at one moment. *voltage_v*: the highest that any unit has."""

    time: datetime
    state: str
    holder: str
    master: str
    mode: str
    voltage_v: float
    deals: int
    exchanged_wh: float


@dataclass(frozen=True, slots=True)
class UnitBalance:
    """One unit over the whole time, with sharing and, the same house by itself, without."""

    unit_id: str
    shared: UnitEnergies
    alone: UnitEnergies
    rsoc_percent: float
    rsoc_alone_percent: float
    deals: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """Everything that a simulation leaves."""

    setup: Setup
    units: tuple[UnitSample, ...]
    grid: tuple[GridSample, ...]
    deals: tuple[DealRecord, ...]
    errors: tuple[ErrorEvent, ...]
    happened: tuple[Happened, ...]
    violations: tuple[Violation, ...]
    balances: tuple[UnitBalance, ...]
    left: str
    rested: bool

    @property
    def by_unit(self) -> Mapping[str, list[UnitSample]]:
        """The samples of each unit."""
        found: dict[str, list[UnitSample]] = {b.unit_id: [] for b in self.balances}
        for sample in self.units:
            found[sample.unit_id].append(sample)
        return found


def self_sufficiency(energies: UnitEnergies) -> float:
    """Return which share of what a house used did not come from the mains; below 0 where they also filled its battery.

    What it used is its load and what the supply between mains, house and battery lost.
    """
    used_wh = energies.load_wh + energies.supply_loss_wh
    return 1.0 - energies.mains_wh / used_wh if used_wh else 1.0
