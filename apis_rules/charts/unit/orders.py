"""Which commands a unit obeys: the last line against masters whose term is over.

Invariants, whatever arrives in whatever order, over restarts too:

- No command is obeyed whose epoch is below the highest seen, or has its number with another term's id.
- Within an epoch the numbers (seq) of the commands obeyed only grow; none is obeyed twice.
- A command that may bring energy is obeyed only for the present boot, only when its master's last sign of life when it
  was sent is the unit's last or last but one, and only when nothing else is open. Stopping asks for none of these.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

from apis_rules.charts.unit.record import Order
from apis_rules.ports.types import EpochRelation

if TYPE_CHECKING:
    from apis_rules.charts.unit.record import UnitRecord
    from apis_rules.ports.types import Command, Epoch, Outcome


class Verdict(enum.Enum):
    """What is done with a command."""

    OBEY = "obey"
    REFUSE = "refuse"
    REPEAT = "repeat"
    """It was obeyed before and ended: its outcome is told again."""
    IGNORE = "ignore"
    """It was obeyed before and is still open: its outcome will come."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict, with the reason of a refusal or the outcome to tell again."""

    verdict: Verdict
    reason: str = ""
    outcome: Outcome | None = None


def judge_epoch(epoch: Epoch, highest: Epoch | None) -> str | None:
    """Return why nothing is taken from a master of *epoch*, None where it is the highest seen or a newer one."""
    match epoch.relation_to(highest):
        case EpochRelation.OLDER:
            return "old epoch"
        case EpochRelation.FOREIGN:
            return "foreign epoch"
        case _:
            return None


def judge_order(command: Command, unit: UnitRecord) -> Judgement:
    """Decide about *command*; the module's docstring says by which rules. Nothing is changed by asking."""
    memory = unit.memory
    if command.epoch == memory.epoch:
        if outcome := memory.outcome_of(command.epoch, command.seq):
            return Judgement(Verdict.REPEAT, outcome=outcome)
        if Order(epoch=command.epoch, seq=command.seq) in memory.open:
            return Judgement(Verdict.IGNORE)
    reason = judge_epoch(command.epoch, memory.epoch) or _judge_number(command, unit)
    return Judgement(Verdict.OBEY) if reason is None else Judgement(Verdict.REFUSE, reason)


def _judge_number(command: Command, unit: UnitRecord) -> str | None:
    known = command.epoch == unit.memory.epoch
    if known and command.seq <= unit.memory.seq:
        return "old seq"
    if command.name.stops:
        return None
    if command.boot != unit.boot:
        return "other boot"
    if known and unit.refresh is not None and command.refresh <= unit.refresh - 2:
        return "too old"
    if unit.command_open or unit.acknowledging is not None or not unit.at_rest:
        return "busy"
    return None
