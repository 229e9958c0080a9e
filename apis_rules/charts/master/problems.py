"""What the Grid Master reports, by the word that the charts have for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from apis_rules.ports.types import Category, Extent, Level

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class ProblemKind:
    """How bad a problem is, and its sentence."""

    category: Category
    extent: Extent
    level: Level
    message: str


_HARDWARE_ERROR = (Category.HARDWARE, Extent.GLOBAL, Level.ERROR)
_HARDWARE_WARN = (Category.HARDWARE, Extent.GLOBAL, Level.WARN)

PROBLEMS: Final[Mapping[str, ProblemKind]] = {
    "grid_already_live": ProblemKind(*_HARDWARE_ERROR, "the grid is live before the first deal: a foreign source"),
    "masked_bus": ProblemKind(*_HARDWARE_ERROR, "the grid stays near the voltage at which a converter cannot start"),
    "ramp_timeout": ProblemKind(*_HARDWARE_ERROR, "the grid voltage did not rise in time"),
    "bus_not_dead": ProblemKind(*_HARDWARE_ERROR, "the grid is not dead in time; this unit held the voltage last"),
    "authorization_failed": ProblemKind(*_HARDWARE_WARN, "the voltage reference was not followed, or a current flowed"),
    "hand_over_failed": ProblemKind(*_HARDWARE_WARN, "the voltage could not be handed over"),
    "reference_lost": ProblemKind(*_HARDWARE_WARN, "the voltage reference does not hold any more"),
    "optimisation_failed": ProblemKind(*_HARDWARE_WARN, "the grid voltage could not be moved"),
    "compensation_failed": ProblemKind(*_HARDWARE_WARN, "the current could not be compensated"),
    "stop_failed": ProblemKind(*_HARDWARE_WARN, "a unit did not stop for a deal; it is told again"),
    "silent": ProblemKind(*_HARDWARE_WARN, "a unit that may be active is unaccounted for"),
    "two_references": ProblemKind(*_HARDWARE_WARN, "a unit is active that was not asked to be; it is sent to WAIT"),
    "clock_set": ProblemKind(Category.LOGIC, Extent.GLOBAL, Level.WARN, "the clock of a unit was set while it runs"),
    "foreign_epoch": ProblemKind(Category.LOGIC, Extent.GLOBAL, Level.WARN, "a unit knows a newer or another term"),
}
