"""One event at work on one unit: what every part of the brain needs to change the record and to ask for actions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from apis_rules.charts.unit.calls import ReadAll, ReadStatus
from apis_rules.charts.unit.effects import Moment
from apis_rules.charts.unit.events import Acknowledge, Remember, Request, Tell
from apis_rules.charts.unit.facts import gather_facts
from apis_rules.charts.unit.record import UnderWay
from apis_rules.charts.unit.times import dead_man_at_s, read_all_at_s, read_at_s

if TYPE_CHECKING:
    from apis_rules.charts.machine import Machine
    from apis_rules.charts.unit.events import Action
    from apis_rules.charts.unit.record import UnitRecord
    from apis_rules.charts.unit.settings import UnitSettings
    from apis_rules.ports.types import DcdcData


class Turn:
    """Lives for one call of the brain; ``unit`` and ``actions`` are what becomes of it."""

    def __init__(self, settings: UnitSettings, machine: Machine[UnitRecord], unit: UnitRecord, now_s: float) -> None:
        self.settings = settings
        self.now_s = now_s
        self.unit = unit
        self.actions: list[Action] = []
        self._machine = machine

    def change(self, **changes: Any) -> None:
        """Replace fields of the unit's record."""
        self.unit = self.unit.changed(**changes)

    def fire(self, trigger: str, answer: DcdcData | None = None, problem: str = "") -> bool:
        """Give the chart the event *trigger*; return whether it answered.

        *answer* is what the driver's answer itself showed, where the event is one; *problem* what it said of a failure.
        """
        facts = gather_facts(self.unit, self.settings, answer)
        moment = Moment(self.settings, self.now_s, read=answer is not None, problem=problem)
        plan = self._machine.advance(self.unit, trigger, facts, moment)
        self.actions += plan.commands
        self.unit = plan.record.changed(timers=self._machine.move_timers(self.unit.timers, plan, self.now_s))
        if self.unit.state != "looking":
            self.change(just_started=False)
        return plan.taken is not None

    def remember(self, *, durable: bool, **changes: Any) -> int:
        """Change the memory and ask for it to be written; return its number."""
        number = self.unit.next_number
        memory = self.unit.memory.model_copy(update=changes)
        self.change(memory=memory, next_number=number + 1)
        self.actions.append(Remember(number, memory, durable))
        return number

    @property
    def passed(self) -> bool:
        """Whether a newer epoch or a stop has passed the open command."""
        return self.unit.job is not None and self.unit.job.order.rank < self.unit.mark

    def acknowledge(self, *, read: bool) -> None:
        """Answer the announcement that waits, if one does."""
        unit = self.unit
        if unit.acknowledging is not None:
            outcome = unit.memory.outcomes[-1] if unit.memory.outcomes else None
            self.actions.append(Acknowledge(unit.acknowledging, outcome, unit.dcdc if read else None))
            self.change(acknowledging=None, acknowledge_from_s=None)

    def settle(self) -> None:
        """Do everything that is due. Each part looks at record and time alone, whatever the event was."""
        until_s = self.unit.unsettled_until_s
        if until_s is not None and until_s <= self.now_s:
            self.change(unsettled_until_s=None)
        while (deadline := self._machine.next_deadline(self.unit.timers)) and deadline.at_s <= self.now_s:
            self.fire(deadline.event)
        dead_man_s = dead_man_at_s(self.unit, self.settings)
        if dead_man_s is not None and dead_man_s <= self.now_s:
            self.actions.append(Tell("deserted"))
            self.fire("stop_local")
        if self.passed and self.unit.step is None:
            self.fire("abort")
        if self.unit.state == "retrying" and not self.unit.write_pending and not self.unit.stop_settled:
            self.fire("settled")
        self._prepare_acknowledgement()
        self._plan_reading()

    def due_s(self) -> float:
        """Return when ``settle`` has something to do next, if nothing happens before."""
        unit = self.unit
        deadline = self._machine.next_deadline(unit.timers)
        moments = [deadline.at_s if deadline else None, dead_man_at_s(unit, self.settings), unit.unsettled_until_s]
        if not unit.watch and not unit.step:
            moments.append(read_at_s(unit, self.settings))
        return min((m for m in moments if m is not None), default=self.now_s + self.settings.read_period_s)

    def _prepare_acknowledgement(self) -> None:
        unit = self.unit
        stored = unit.acknowledging is not None and unit.acknowledgement_number is None
        if stored and unit.acknowledge_from_s is None and unit.at_rest and not unit.command_open:
            self.change(acknowledge_from_s=self.now_s, read_wanted=True, read_all_wanted=True)

    def _plan_reading(self) -> None:
        unit = self.unit
        if unit.watch or unit.step or read_at_s(unit, self.settings) > self.now_s:
            return
        full = unit.read_all_wanted or read_all_at_s(unit, self.settings) <= self.now_s
        number = unit.next_number
        watch = UnderWay(number, ReadAll() if full else ReadStatus())
        self.change(
            watch=watch,
            next_number=number + 1,
            read_at_s=self.now_s,
            read_all_at_s=self.now_s if full else unit.read_all_at_s,
            read_wanted=False,
            read_all_wanted=unit.read_all_wanted and not full,
            struck_at_s=None if full else unit.struck_at_s,
        )
        self.actions.append(Request(number, watch.call))
