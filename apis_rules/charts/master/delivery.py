"""What became of an open command: carried out, failed, or to be sent again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from apis_rules.charts.master.output import Order
from apis_rules.charts.master.round import GRID

if TYPE_CHECKING:
    from apis_rules.charts.master.memory import Sent
    from apis_rules.charts.master.picture import Heard
    from apis_rules.charts.master.round import Round
    from apis_rules.ports.types import Command, Deal, GridRecord

OVERTAKEN: Final = "overtaken by another command"
"""Reason of a command that a stop of the same unit came after."""

LATER: Final = frozenset({"busy", "too old", "not persisted"})
"""Refusals that leave the number unused: the same command is sent again."""

FOREIGN: Final = frozenset({"old epoch", "foreign epoch"})
"""The unit knows another term; whether ours is over is the lease's business."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of one command; *reason* says why it failed."""

    seq: int
    ok: bool
    reason: str = ""


def outcome_of(round_: Round, owner: str, record: Deal | GridRecord) -> Outcome | None:
    """Return the end of the record's open command; None where there is none, or it goes on. Repeats what got lost."""
    command, unit_id = record.open_command, record.open_unit_id
    if command is None or unit_id is None:
        return None
    if command.epoch != round_.picture.epoch:
        return _outcome_of_earlier_term(round_, unit_id, command)
    sent = round_.sent.get(unit_id)
    if sent is None or sent.seq < command.seq:
        # Stored in this term, but its fate was unknown then: whether it was sent is not known either.
        round_.repeat(unit_id, command)
        return None
    if sent.seq > command.seq:
        return Outcome(command.seq, ok=False, reason=OVERTAKEN)
    return _heard(round_, owner, unit_id, command, sent)


def _outcome_of_earlier_term(round_: Round, unit_id: str, command: Command) -> Outcome | None:
    """What an earlier master ordered and the unit reports as done with its acknowledgement need not be repeated."""
    unit = round_.unit(unit_id)
    if unit is None or not unit.acknowledged:
        return None
    for heard in unit.outcomes:
        outcome = heard.outcome
        if outcome.ok and outcome.epoch == command.epoch and outcome.seq == command.seq:
            return Outcome(command.seq, ok=True)
    return None


def _heard(round_: Round, owner: str, unit_id: str, command: Command, sent: Sent) -> Outcome | None:
    reason = ""
    for heard in reversed(_outcomes_of(round_, unit_id, command.seq)):
        outcome = heard.outcome
        if outcome.ok:
            return _ended(round_, unit_id, Outcome(command.seq, ok=True), heard.at_s)
        reason = outcome.failed or ""
        if reason in FOREIGN:
            round_.report("foreign_epoch", unit_id)
        elif reason not in LATER and reason != "other boot":
            return _ended(round_, unit_id, Outcome(command.seq, ok=False, reason=f"{unit_id}: {reason}"), heard.at_s)
        break
    if round_.now_s - sent.first_s >= round_.settings.command_limit_s:
        why = reason or "no answer"
        return _ended(round_, unit_id, Outcome(command.seq, ok=False, reason=f"{unit_id}: {why}"), round_.now_s)
    _send_again(round_, owner, unit_id, command)
    return None


def end_orphans(round_: Round) -> None:
    """Forget commands that no record waits for any more, as soon as they have ended or must have."""
    grid = round_.grid
    opened = [(grid.open_unit_id, grid.open_command)]
    opened += [(d.open_unit_id, d.open_command) for d in round_.deals.values()]
    waited = {(u, c.seq) for u, c in opened if c is not None and c.epoch == round_.picture.epoch}
    for unit_id, sent in list(round_.sent.items()):
        if (unit_id, sent.seq) in waited:
            continue
        ends = [h.at_s for h in _outcomes_of(round_, unit_id, sent.seq) if h.outcome.failed not in (*LATER, *FOREIGN)]
        if ends or round_.now_s - sent.first_s >= round_.settings.command_limit_s:
            _ended(round_, unit_id, Outcome(sent.seq, ok=bool(ends)), max(ends, default=round_.now_s))
        else:
            round_.due(sent.first_s + round_.settings.command_limit_s)
    for unit_id, stop in list(round_.repeated_stops.items()):
        heard = [h.at_s for h in _outcomes_of(round_, unit_id, stop.seq) if h.outcome.ok]
        if heard:
            del round_.repeated_stops[unit_id]
            round_.ended[unit_id] = max(*heard, round_.ended.get(unit_id, heard[0]))


def _outcomes_of(round_: Round, unit_id: str, seq: int) -> list[Heard]:
    unit = round_.unit(unit_id)
    heard = unit.outcomes if unit else ()
    return [h for h in heard if h.outcome.epoch == round_.picture.epoch and h.outcome.seq == seq]


def _ended(round_: Round, unit_id: str, outcome: Outcome, at_s: float) -> Outcome:
    del round_.sent[unit_id]
    round_.ended[unit_id] = max(at_s, round_.ended.get(unit_id, at_s))
    return outcome


def _send_again(round_: Round, owner: str, unit_id: str, command: Command) -> None:
    sent, unit = round_.sent[unit_id], round_.unit(unit_id)
    if unit is not None and unit.boot is not None and unit.boot != command.boot:
        # The unit was started again: it refuses what was meant for its earlier life.
        renewed = round_.issue(Order(unit_id, command.name, command.params), command.deal_id)
        round_.sent[unit_id] = replace(round_.sent[unit_id], first_s=sent.first_s)
        if owner == GRID:
            round_.grid = round_.grid.model_copy(update={"open_command": renewed})
        else:
            round_.change_deal(owner, round_.deals[owner].model_copy(update={"open_command": renewed}))
        return
    if round_.now_s >= sent.again_s:
        round_.repeat(unit_id, command)
    else:
        round_.due(sent.again_s)
    round_.due(sent.first_s + round_.settings.command_limit_s)
