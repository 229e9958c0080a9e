"""What the planner remembers within one term and may lose: times, and the energy booked since it was last stored."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from apis_rules.charts.machine import Timers
    from apis_rules.ports.types import Deal


@dataclass(frozen=True, slots=True)
class Sent:
    """A command of this term that is on its way. Runtime clock.

    Attributes:
        first_s, last_s: when it was sent first and last.
        again_s: when it is sent again.
        stops: whether it only takes energy away; a unit that does so may be asked and read all the same.
    """

    seq: int
    first_s: float
    last_s: float
    again_s: float
    stops: bool = False


@dataclass(frozen=True, slots=True)
class UnitClock:
    """How a unit's clock runs against the runtime clock.

    Attributes:
        anchor_s, anchor_unit_s: both clocks at the reading from which the rate is measured.
        read_s, unit_s: both clocks at the newest reading; the unit's never goes back here.
        rate: unit seconds in a second.
        set_by_s: what is to be added to the unit's own clock, which was set meanwhile.
    """

    anchor_s: float
    anchor_unit_s: float
    read_s: float
    unit_s: float
    rate: float = 1.0
    set_by_s: float = 0.0

    def at(self, now_s: float) -> float:
        """Return the unit clock at *now_s*."""
        return self.unit_s + max(0.0, now_s - self.read_s) * self.rate

    def shown_at(self, now_s: float) -> float:
        """Return what the unit's own clock shows at *now_s*."""
        return self.at(now_s) - self.set_by_s


@dataclass(frozen=True, slots=True)
class Booked:
    """A deal with the energy booked since it was last stored.

    Attributes:
        stored: as stored, where nothing but that energy has changed since; None where a change of it was put.
    """

    deal: Deal
    stored: Deal | None


@dataclass(frozen=True, slots=True)
class Memory:
    """Empty at the start of a term: whatever matters for longer stands in a record.

    Attributes:
        last_seq: the highest number given to a command in this term.
        sent: unit → its open command that waits for an outcome.
        stops: unit → the stop that no record waits for: a scram, or a converter that nobody asked for.
        ended: unit → when its last command ended; older readings say nothing about its mode.
        absent: unit → seconds since it was last accounted for, while renewals were acknowledged.
        low_since_s: since when every fresh reading of the voltage is low and none rises.
        voltages: unit → the voltage of the reading before, to see a rise.
        level_since_s: since when both sides of a hand-over are level.
        timers: record → its chart's running timeouts.
        retry_s: record → when its step may be commanded again.
        booked: deal → as it is with the energy that is not stored yet.
        stored_s: deal → when its energy was last stored.
        clocks: unit → how its clock runs.
        reported: problem → when it was last reported.
        wanted: unit → since when a reading is wanted.
        sampling: deal → since when its present step waits for readings.
    """

    last_seq: int = 0
    planned_s: float | None = None
    sent: Mapping[str, Sent] = field(default_factory=dict)
    stops: Mapping[str, Sent] = field(default_factory=dict)
    ended: Mapping[str, float] = field(default_factory=dict)
    absent: Mapping[str, float] = field(default_factory=dict)
    low_since_s: float | None = None
    voltages: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    level_since_s: float | None = None
    timers: Mapping[str, Timers] = field(default_factory=dict)
    retry_s: Mapping[str, float] = field(default_factory=dict)
    booked: Mapping[str, Booked] = field(default_factory=dict)
    stored_s: Mapping[str, float] = field(default_factory=dict)
    clocks: Mapping[str, UnitClock] = field(default_factory=dict)
    reported: Mapping[str, float] = field(default_factory=dict)
    wanted: Mapping[str, float] = field(default_factory=dict)
    sampling: Mapping[str, float] = field(default_factory=dict)
