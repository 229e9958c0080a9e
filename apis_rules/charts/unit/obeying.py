"""What comes from the Grid Master: commands, announcements of a term, refreshes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apis_rules.charts.unit.events import Decline, Report, Tell
from apis_rules.charts.unit.jobs import TRIGGERS, ParametersError, plan_job
from apis_rules.charts.unit.orders import Verdict, judge_epoch, judge_order
from apis_rules.charts.unit.record import Order
from apis_rules.charts.unit.reports import make_outcome, report_ended
from apis_rules.ports.types import CommandName

if TYPE_CHECKING:
    from apis_rules.charts.unit.turn import Turn
    from apis_rules.ports.types import Command, Epoch


def take_order(turn: Turn, command: Command) -> None:
    """Obey *command*, refuse it, or tell again what became of it."""
    judgement = judge_order(command, turn.unit)
    order = Order(epoch=command.epoch, seq=command.seq)
    known = judge_epoch(command.epoch, turn.unit.memory.epoch) is not None or not _see(turn, command.epoch)
    match judgement.verdict:
        case Verdict.REPEAT if judgement.outcome:
            turn.actions.append(Report(judgement.outcome))
        case Verdict.REFUSE:
            _refuse(turn, order, judgement.reason)
            if not known:
                turn.remember(durable=True)
        case Verdict.OBEY if command.name.stops:
            _obey_stop(turn, command, order)
        case Verdict.OBEY:
            _hear(turn, command.refresh)
            number = turn.remember(durable=True, seq=command.seq, open=(order,))
            turn.change(awaiting_command=(number, command))
        case _:
            pass  # open already: its outcome will come


def take_announcement(turn: Turn, epoch: Epoch) -> None:
    """Recognise a master; its acknowledgement follows once the epoch is on the disk and no older command is open."""
    if reason := judge_epoch(epoch, turn.unit.memory.epoch):
        turn.actions.append(Decline(epoch, turn.unit.memory.epoch, reason))
        return
    _see(turn, epoch)
    number = turn.remember(durable=True)
    turn.change(acknowledging=epoch, acknowledgement_number=number, acknowledge_from_s=None)


def take_refresh(turn: Turn, epoch: Epoch, number: int, deal_ids: tuple[str, ...]) -> None:
    """Restart the dead-man time, if the master is the newest that was seen and the refresh is not an older one."""
    if reason := judge_epoch(epoch, turn.unit.memory.epoch):
        turn.actions.append(Decline(epoch, turn.unit.memory.epoch, reason))
        return
    newer = _see(turn, epoch)
    if turn.unit.refresh is not None and number < turn.unit.refresh:
        return
    turn.change(deal_ids=deal_ids)
    _hear(turn, number)
    if newer or not turn.unit.confirmed_wait:
        turn.remember(durable=newer)


def take_remembered(turn: Turn, number: int, *, ok: bool) -> None:
    """Go on with what waited for the disk."""
    unit = turn.unit
    if unit.awaiting_command and unit.awaiting_command[0] == number:
        turn.change(awaiting_command=None)
        if ok:
            _begin(turn, unit.awaiting_command[1])
        else:
            _forget(turn, unit.awaiting_command[1])
    elif unit.acknowledging and unit.acknowledgement_number == number:
        turn.change(acknowledgement_number=None)
        if not ok:
            turn.actions.append(Decline(unit.acknowledging, unit.memory.epoch, "not persisted"))
            turn.change(acknowledging=None)
    elif not ok:
        turn.actions.append(Tell("not_persisted"))


def _see(turn: Turn, epoch: Epoch) -> bool:
    """Take over *epoch* if it is newer; return whether it was. Every older command ends at its next write."""
    unit = turn.unit
    if epoch == unit.memory.epoch:
        return False
    if unit.acknowledging is not None:
        turn.actions.append(Decline(unit.acknowledging, epoch, "old epoch"))
    memory = unit.memory.model_copy(update={"epoch": epoch, "seq": -1})
    turn.change(memory=memory, mark=(epoch.number, -1), refresh=None, deal_ids=(), acknowledging=None)
    return True


def _hear(turn: Turn, refresh: int) -> None:
    """Take a sign of life of the newest master; what it says last counts."""
    last = turn.unit.refresh
    memory = turn.unit.memory.model_copy(update={"refreshed_at_s": turn.now_s})
    turn.change(refresh=refresh if last is None else max(last, refresh), memory=memory)


def _refuse(turn: Turn, order: Order, reason: str) -> None:
    """Tell why, and keep nothing: the number was not used."""
    turn.actions.append(Report(make_outcome(turn.unit, order, reason, read=False)))


def _obey_stop(turn: Turn, command: Command, order: Order) -> None:
    unit = turn.unit
    memory = unit.memory.model_copy(update={"seq": command.seq, "open": (*unit.memory.open, order)})
    turn.change(mark=max(unit.mark, order.rank), stops=(*unit.stops, order), memory=memory)
    _hear(turn, command.refresh)
    if command.name is CommandName.WAIT:
        turn.fire("wait")
    elif command.params.exclude_voltage_reference:
        turn.fire("scram_first")
    else:
        turn.fire("stop")
    # Behind the write to the converter: a disk that hangs or is full delays no stop.
    turn.remember(durable=True)


def _forget(turn: Turn, command: Command) -> None:
    """Refuse what could not be remembered; the same number may come again."""
    order = Order(epoch=command.epoch, seq=command.seq)
    memory = turn.unit.memory
    still_open = tuple(o for o in memory.open if o != order)
    seq = command.seq - 1 if memory.epoch == command.epoch and memory.seq == command.seq else memory.seq
    turn.change(memory=memory.model_copy(update={"seq": seq, "open": still_open}))
    _refuse(turn, order, "not persisted")


def _begin(turn: Turn, command: Command) -> None:
    order = Order(epoch=command.epoch, seq=command.seq)
    before = turn.unit
    if order.rank < before.mark or not before.at_rest:
        _end(turn, order, "aborted")
        return
    try:
        job = plan_job(command, before, turn.settings)
    except ParametersError as error:
        _end(turn, order, f"parameters: {error}")
        return
    turn.change(job=job, suppressed_until_s=_suppressed_until_s(turn, command.name))
    if not turn.fire(TRIGGERS[command.name]):
        turn.unit = before
        _end(turn, order, f"not allowed: {before.state}")


def _end(turn: Turn, order: Order, failed: str) -> None:
    """End an order of which nothing was written."""
    turn.unit, reports = report_ended(turn.unit.changed(ended=(*turn.unit.ended, (order, failed))), read=False)
    turn.actions += reports


def _suppressed_until_s(turn: Turn, name: CommandName) -> float | None:
    match name:
        case CommandName.VOLTAGE_REFERENCE:
            return turn.now_s + turn.settings.ramp_up_s
        case CommandName.WILL_HAND_OVER | CommandName.WILL_TAKE_OVER:
            return turn.now_s + turn.settings.hand_over_s
        case _:
            return turn.unit.suppressed_until_s
