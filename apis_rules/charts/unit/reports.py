"""Outcomes: told to the community once they are due, and kept, because a master that missed one asks again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apis_rules.charts.unit.events import Remember, Report
from apis_rules.charts.unit.record import KEPT_OUTCOMES, UnitRecord
from apis_rules.ports.types import Outcome

if TYPE_CHECKING:
    from apis_rules.charts.unit.events import Action
    from apis_rules.charts.unit.record import Order


def make_outcome(unit: UnitRecord, order: Order, failed: str | None, *, read: bool) -> Outcome:
    """Return the outcome of *order*; with the converter as last read where that reading is fresh (*read*)."""
    return Outcome(
        unit_id=unit.unit_id,
        epoch=order.epoch,
        seq=order.seq,
        boot=unit.boot,
        failed=failed,
        status=unit.dcdc if read else None,
        date_time=unit.time,
    )


def report_ended(unit: UnitRecord, *, read: bool) -> tuple[UnitRecord, tuple[Action, ...]]:
    """Return *unit* with nothing left to report, and the reports, told before they are written to the disk.

    An outcome that a loss of power takes away becomes ``interrupted``: the order stays open in the memory until then.
    """
    if not unit.ended:
        return unit, ()
    outcomes = tuple(make_outcome(unit, order, failed, read=read) for order, failed in unit.ended)
    ended = {order.rank for order, _ in unit.ended}
    still_open = tuple(order for order in unit.memory.open if order.rank not in ended)
    kept = (unit.memory.outcomes + outcomes)[-KEPT_OUTCOMES:]
    memory = unit.memory.model_copy(update={"outcomes": kept, "open": still_open})
    number = unit.next_number
    after = unit.changed(ended=(), memory=memory, next_number=number + 1)
    return after, (*(Report(outcome) for outcome in outcomes), Remember(number, memory, durable=True))
