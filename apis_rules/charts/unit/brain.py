"""The unit's brain: one event in, the new record and the actions out. The chart says what follows; here stands when.

Invariants, whatever the events and their times:

- At most one write of a command is under way. Nothing more of a command leaves once it is passed by a newer epoch or a
  stop: ``check_write`` says so directly before each write, retries included.
- A stop is asked of the driver in the very step that orders it, whatever is under way, whether or not the disk works.
- WAIT counts as confirmed only when it was written after every other write was answered, or could no longer land.
- Without a refresh for its dead-man time, an active converter is on its way to WAIT.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from apis_rules.charts.bindings import bundled_machine
from apis_rules.charts.unit.answers import WRITES, take_answer, take_failure
from apis_rules.charts.unit.calls import ReadAll
from apis_rules.charts.unit.events import (
    Announced,
    Answered,
    Due,
    Faulted,
    Lost,
    ManualChanged,
    NotDone,
    Ordered,
    ReadWanted,
    Refreshed,
    Remembered,
    Request,
    StopLocal,
    Struck,
    VoltageGoing,
)
from apis_rules.charts.unit.obeying import take_announcement, take_order, take_refresh, take_remembered
from apis_rules.charts.unit.record import UnderWay, UnitMemory, UnitRecord
from apis_rules.charts.unit.turn import Turn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from apis_rules.charts.machine import Machine
    from apis_rules.charts.unit.calls import Write
    from apis_rules.charts.unit.events import Action, Event
    from apis_rules.charts.unit.settings import UnitSettings


@dataclass(frozen=True, slots=True)
class UnitStep:
    """What one event made of the unit.

    Attributes:
        actions: to be performed in this order.
        due_s: runtime clock at which ``Due`` must come at the latest.
    """

    unit: UnitRecord
    actions: tuple[Action, ...]
    due_s: float


class UnitBrain:
    """Decides for one unit. Long-lived, holds no state of the unit; exchanged when the settings change.

    Args:
        limits: says which hard limit a write would break, given the last reading; None where it breaks none.
    """

    def __init__(self, settings: UnitSettings, limits: Callable[[Mapping[str, Any], Write], str | None]) -> None:
        self._settings = settings
        self._limits = limits
        self._machine: Machine[UnitRecord] = bundled_machine("converter", settings.chart_values)

    def start(
        self, unit_id: str, boot: str, memory: UnitMemory | None, clock_id: str, now_s: float, *, manual: bool = False
    ) -> UnitStep:
        """Begin: look at the converter, which may be active.

        *boot* is the identity of this start of the program, *memory* what was on the disk. *clock_id* is the identity
        of the runtime clock that *now_s* is of: where it has changed, the time of the last refresh means nothing.
        """
        memory = memory or UnitMemory()
        refreshed_at_s = memory.refreshed_at_s if memory.clock_id == clock_id else None
        first_look = UnderWay(1, ReadAll())
        unit = UnitRecord(
            state="looking",
            unit_id=unit_id,
            boot=boot,
            memory=memory.model_copy(update={"clock_id": clock_id, "refreshed_at_s": refreshed_at_s}),
            timers=self._machine.start_timers("looking", now_s),
            ended=tuple((order, "interrupted") for order in memory.open),
            # What the process before this one wrote last may not have landed yet.
            unsettled_until_s=now_s + self._settings.request_timeout_s if memory.open else None,
            step=first_look,
            read_at_s=now_s,
            read_all_at_s=now_s,
            manual=manual,
            next_number=2,
        )
        turn = Turn(self._settings, self._machine, unit, now_s)
        turn.actions.append(Request(first_look.request_id, first_look.call))
        return UnitStep(turn.unit, tuple(turn.actions), turn.due_s())

    def decide(self, unit: UnitRecord, event: Event, now_s: float) -> UnitStep:
        """Return what *event* at *now_s* (runtime clock, never going back) makes of *unit*."""
        turn = Turn(self._settings, self._machine, unit, now_s)
        _take(turn, event)
        turn.settle()
        return UnitStep(turn.unit, tuple(turn.actions), turn.due_s())

    def check_write(self, unit: UnitRecord, request_id: int) -> str | None:
        """Return why the write of this request must not leave now, None where it may. *unit* is the present record."""
        if unit.step is None or unit.step.request_id != request_id:
            return "aborted"
        call = unit.step.call
        if unit.job is None or not isinstance(call, WRITES):
            return None  # what eases a stop only takes energy away
        if unit.job.order.rank < unit.mark:
            return "aborted"
        broken = self._limits(unit.document, call)
        return f"hard limit: {broken}" if broken else None

    def checks_suppressed(self, unit: UnitRecord, now_s: float) -> bool:
        """Whether the dynamic local checks are left out: a command is at work, or one has asked for it in time."""
        if unit.job is not None or unit.stopping:
            return True
        return unit.suppressed_until_s is not None and now_s < unit.suppressed_until_s


def _take(turn: Turn, event: Event) -> None:
    match event:
        case Ordered(command):
            take_order(turn, command)
        case Announced(epoch):
            take_announcement(turn, epoch)
        case Refreshed(epoch, number, deal_ids):
            take_refresh(turn, epoch, number, deal_ids)
        case Remembered(number, ok):
            take_remembered(turn, number, ok=ok)
        case Answered():
            take_answer(turn, event)
        case NotDone(request_id, reason):
            take_failure(turn, request_id, reason, lost=False)
        case Lost(request_id, reason):
            take_failure(turn, request_id, reason, lost=True)
        case Due():
            pass  # everything that is due is looked for after every event
        case _:
            _take_news(turn, event)


def _take_news(turn: Turn, event: VoltageGoing | Faulted | StopLocal | Struck | ReadWanted | ManualChanged) -> None:
    unit = turn.unit
    match event:
        case VoltageGoing(unit_id):
            if unit_id != unit.unit_id:
                turn.fire("retreat")
        case Faulted(_, hard):
            if not unit.confirmed_wait and not unit.stopping:
                turn.fire("stop_local" if hard and unit.may_hold else "retreat")
        case StopLocal():
            turn.fire("stop_local")
        case Struck(read_at_s):
            earliest_s = read_at_s if unit.struck_at_s is None else min(unit.struck_at_s, read_at_s)
            turn.change(struck_at_s=earliest_s)
        case ReadWanted(full):
            turn.change(read_wanted=True, read_all_wanted=full or unit.read_all_wanted)
        case ManualChanged(manual):
            turn.change(manual=manual)
