"""What a Grid Master has heard of each unit in its term: readings with their age, acknowledgements, outcomes."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from apis_rules.charts.master import Heard, UnitLimits, UnitPicture
from apis_rules.node.unit_clock import UnitClock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from apis_rules.node import messages
    from apis_rules.ports.types import DcdcData, Epoch, Outcome, UnitData

KEPT_OUTCOMES: Final = 8


@dataclass(slots=True)
class Neighbour:
    """One unit, as heard."""

    unit_id: str
    limits: UnitLimits
    boot: str | None = None
    data: UnitData | None = None
    read_at_s: float = float("-inf")
    unit_time_s: float | None = None
    clock: UnitClock = field(default_factory=UnitClock)
    acknowledged: bool = False
    epoch: Epoch | None = None
    outcomes: deque[Heard] = field(default_factory=lambda: deque(maxlen=KEPT_OUTCOMES))

    def picture(self) -> UnitPicture:
        """Return it as the planner takes it."""
        return UnitPicture(
            unit_id=self.unit_id,
            limits=self.limits,
            boot=self.boot,
            data=self.data,
            read_at_s=self.read_at_s,
            unit_time_s=self.unit_time_s,
            acknowledged=self.acknowledged,
            outcomes=tuple(self.outcomes),
        )


class Neighbours:
    """Every unit that was heard of, the own one included. Readings outlive a term, acknowledgements do not.

    Attributes:
        heard: grows with everything that was heard and may have changed what is known.
    """

    def __init__(self, otherwise: UnitLimits) -> None:
        self._otherwise = otherwise
        self._units: dict[str, Neighbour] = {}
        self.heard = 0

    def __iter__(self) -> Iterator[Neighbour]:
        return iter(self._units.values())

    def of(self, unit_id: str) -> Neighbour:
        """Return what is known of a unit, nothing where it was never heard."""
        return self._units.setdefault(unit_id, Neighbour(unit_id, self._otherwise))

    def begin_term(self) -> None:
        """Forget what counts within one term only."""
        self.heard += 1
        for unit in self._units.values():
            unit.acknowledged = False
            unit.outcomes.clear()

    def take_report(self, report: messages.UnitReport, read_at_s: float) -> None:
        """Take a unit's data; an older reading than the known one changes nothing of it.

        *read_at_s*: runtime clock of the earliest moment at which the device can have been read.
        """
        self.heard += 1
        unit = self.of(report.unit_id)
        unit.boot = report.boot
        unit.epoch = report.epoch
        hardware = report.hardware
        unit.limits = UnitLimits(hardware.capacity_a, hardware.allowance_a, hardware.efficient_ratio)
        if read_at_s >= unit.read_at_s:
            unit.data, unit.read_at_s, unit.unit_time_s = report.data, read_at_s, report.unit_time_s
            unit.clock.note(read_at_s, report.unit_time_s)

    def take_acknowledgement(self, answer: messages.AnnouncementAnswer, now_s: float) -> None:
        """Take the answer to an announcement of the present term."""
        self.heard += 1
        unit = self.of(answer.unit_id)
        unit.boot = answer.boot
        if answer.report is not None:
            self.take_report(answer.report, now_s - answer.report.age_s)
        if answer.declined is not None:
            unit.epoch = answer.highest or unit.epoch
            return
        unit.acknowledged = True
        if answer.outcome is not None:
            unit.outcomes.append(Heard(answer.outcome, now_s))
        if answer.status is not None:
            self._merge_status(unit, answer.status, now_s)

    def take_outcome(self, outcome: Outcome, now_s: float) -> None:
        """Take what became of a command; its status is a reading of the converter.

        A unit that is sent a command again tells its outcome again, with what the converter showed then: that is no
        reading of now, and nothing new.
        """
        unit = self.of(outcome.unit_id)
        if any(heard.outcome == outcome for heard in unit.outcomes):
            return
        self.heard += 1
        unit.outcomes.append(Heard(outcome, now_s))
        if outcome.status is not None:
            self._merge_status(unit, outcome.status, now_s)

    def _merge_status(self, unit: Neighbour, status: DcdcData, now_s: float) -> None:
        if unit.data is None:
            return
        unit.data = unit.data.model_copy(update={"dcdc": status})
        unit.unit_time_s = unit.clock.between(now_s)
        unit.read_at_s = max(unit.read_at_s, now_s)
