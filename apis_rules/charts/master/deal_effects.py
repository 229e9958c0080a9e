"""The effects of ``statecharts/deal.yaml``: what each step writes into a deal and commands (specification 4.5, 7.4).

The planner of the Grid Master prepares a ``DealContext``; nothing here looks at anything else. Commands are ``Order``,
``Ask``, ``Append`` and ``Report``; writes are ``Remove``. The planner numbers, addresses and performs them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from apis_rules.charts.machine import Draft, Effects
from apis_rules.charts.master.output import Order
from apis_rules.charts.master.sides import (
    Surroundings,
    confirm,
    plan_down,
    plan_up,
    reference_of,
    side_of,
    with_side,
)
from apis_rules.ports.types import CommandName, CommandParams, Deal, DealRecord, Note

if TYPE_CHECKING:
    from collections.abc import Mapping

LEFT_OUT: Final = "--"
"""What a record shows for a step that an abort or a scram left out."""

LARGEST_CORRECTION: Final = 0.1
"""A compensation moves a side by at most this part of the deal's current, or twice the sensors' allowance."""


@dataclass(frozen=True, slots=True)
class DealContext:
    """What the effects need beside the deal.

    Attributes:
        time, utc: unit clock of the reference side, ``yyyy/MM/dd-HH:mm:ss``, and UTC with milliseconds.
        reason: why the deal is aborted or everything stops, from whoever says so.
        reference_unit_id: which unit is the reference side, should it be chosen now.
        around: the rest of the grid.
        holder_a: current of the voltage reference, fresh; None where not known.
        expected_a: what the set-points make of it, this deal left out.
        deviation_a: as the guards see it.
        adjusts: the unit that is moved by the compensation.
        allowance_a: sensor allowance of that unit.
        measured_a: unit → what each party's meter shows, this deal's share, signed.
        energy_unit_id: the unit at which the deal's amount is counted.
        unconfirmed: whether a party is excluded, so that its converter was never confirmed in WAIT.
    """

    time: str = LEFT_OUT
    utc: str = ""
    reason: str = ""
    reference_unit_id: str = ""
    around: Surroundings = field(default_factory=Surroundings)
    holder_a: float | None = None
    expected_a: float = 0.0
    deviation_a: float = 0.0
    adjusts: str = ""
    allowance_a: float = 0.125
    measured_a: Mapping[str, float] = field(default_factory=dict)
    energy_unit_id: str = ""
    unconfirmed: bool = False


@dataclass(frozen=True, slots=True)
class Ask:
    """An event for the grid chart, on behalf of a deal."""

    what: str

    def __str__(self) -> str:
        return f"ask for {self.what}"


@dataclass(frozen=True, slots=True)
class Report:
    """A problem, by the chart's word for it."""

    what: str

    def __str__(self) -> str:
        return f"report {self.what}"


@dataclass(frozen=True, slots=True)
class Append:
    """Publish the final record."""

    record: DealRecord

    def __str__(self) -> str:
        return f"publish the record of {self.record.deal_id}"


@dataclass(frozen=True, slots=True)
class Remove:
    """Delete a deal, its part of both locks and its stop requests."""

    deal_id: str

    def __str__(self) -> str:
        return f"remove {self.deal_id} and its locks"


EFFECTS: Final[Effects[Deal]] = Effects()

_REASONS: Final = {
    "compensation_failed": "the current could not be compensated",
    "discharge_limit": "the discharging unit has reached dischargeUnitLowerLimitRsoc",
    "charge_limit": "the charging unit has reached chargeUnitUpperLimitRsoc",
    "party_waits": "a party is in WAIT",
    "hand_over_failed": "the voltage could not be handed over to this deal",
}


def _record(draft: Draft[Deal], **changes: object) -> None:
    record = draft.record.record.model_copy(update=changes)
    draft.record = draft.record.model_copy(update={"record": record})


def _detail(draft: Draft[Deal], **changes: object) -> None:
    detail = draft.record.detail.model_copy(update=changes)
    draft.record = draft.record.model_copy(update={"detail": detail})


@EFFECTS.define
def choose_sides(draft: Draft[Deal]) -> None:
    """Fix the reference side."""
    _detail(draft, reference_unit_id=draft.context.reference_unit_id)


@EFFECTS.define
def ask(draft: Draft[Deal], what: str) -> None:
    """Ask the grid chart; raising or moving the voltage switches a converter for this deal."""
    if what in ("energise", "move"):
        draft.record = draft.record.model_copy(update={"switched": True})
    draft.commands.append(Ask(what))


@EFFECTS.define
def step_up(draft: Draft[Deal]) -> None:
    """Command the next side up; none where the holder's limit or another command forbids it now."""
    joining = draft.state == "joining"
    draft.record, order = plan_up(draft.record, draft.context.around, reference_only=joining)
    if order is not None:
        draft.commands.append(order)


@EFFECTS.define
def step_down(draft: Draft[Deal]) -> None:
    """Command the next side down; none where the holder's limit forbids it now."""
    last = draft.state == "deactivating"
    draft.record, order = plan_down(draft.record, draft.context.around, reference_too=last)
    if order is not None:
        draft.commands.append(order)


@EFFECTS.define
def confirm_step(draft: Draft[Deal]) -> None:
    """Take the open command as carried out."""
    draft.record = confirm(draft.record)


@EFFECTS.define
def carry(draft: Draft[Deal]) -> None:
    """The reference side holds the voltage: it carries the deal's current as soon as the partner does."""
    deal, unit_id = draft.record, reference_of(draft.record)
    current_a = deal.record.deal_grid_current_a
    side = side_of(deal, unit_id).model_copy(update={"on": True, "set_a": current_a, "to_a": current_a})
    draft.record = with_side(deal, unit_id, side)


@EFFECTS.define
def adjust(draft: Draft[Deal]) -> None:
    """Move the adjustable side by the deviation, in all at most a tenth of the current or twice the allowance."""
    deal, context = draft.record, draft.context
    unit_id, wanted_a = context.adjusts, deal.record.deal_grid_current_a
    side = side_of(deal, unit_id)
    charges = unit_id == deal.record.charge_unit_id
    bound_a = max(2 * context.allowance_a, LARGEST_CORRECTION * wanted_a)
    room_a = max(0.0, context.around.capacity_of(unit_id) - context.around.other_a(unit_id))
    # More current into the adjustable side is less current into the voltage reference, and the other way round.
    moved_a = side.set_a + (context.deviation_a if charges else -context.deviation_a)
    target_a = max(0.0, wanted_a - bound_a, min(moved_a, wanted_a + bound_a, room_a))
    draft.record = with_side(deal, unit_id, side.model_copy(update={"to_a": target_a}))
    _detail(draft, trials=deal.detail.trials + 1)
    total_a = context.around.other_a(unit_id) + target_a
    draft.commands.append(Order(unit_id, CommandName.CURRENT, CommandParams(grid_current_a=total_a)))


@EFFECTS.define
def note_target(draft: Draft[Deal]) -> None:
    """Write what the voltage reference should show afterwards, and how far its meter and the set-points differ now."""
    context, deal = draft.context, draft.record
    holding = context.around.holding
    current_a = deal.record.deal_grid_current_a
    drift_a = 0.0 if not holding or context.holder_a is None else context.holder_a - context.expected_a
    target_a = context.expected_a + drift_a
    reference = context.reference_unit_id or reference_of(deal)
    if not holding or reference in holding:
        target_a += current_a if reference == deal.record.charge_unit_id else -current_a
    _detail(draft, drift_a=round(drift_a, 6), trials=0)
    _record(draft, compensation_target_voltage_reference_grid_current_a=round(target_a, 6))


@EFFECTS.define
def note_time(draft: Draft[Deal], step: str) -> None:
    """Write a step's time once; the first of them stands."""
    key = f"{step}_date_time"
    if getattr(draft.record.record, key) is None:
        _record(draft, **{key: draft.context.time, f"{key}_utc": draft.context.utc})


@EFFECTS.define
def note_currents(draft: Draft[Deal]) -> None:
    """Write each party's current for this deal, as its meter shows it."""
    record = draft.record.record
    measured = draft.context.measured_a
    _record(
        draft,
        charge_unit_compensated_grid_current_a=measured.get(record.charge_unit_id),
        discharge_unit_compensated_grid_current_a=measured.get(record.discharge_unit_id),
    )


@EFFECTS.define
def note_abort(draft: Draft[Deal], why: str) -> None:
    """Write an abort; the first reason stands beside the list."""
    record, context = draft.record.record, draft.context
    reason = _REASONS.get(why) or context.reason
    notes = (*(record.abort or ()), Note(date_time=context.time, reason=reason))
    first = {} if record.abort_date_time else {"abort_date_time": context.time, "abort_reason": reason}
    _record(draft, abort=notes, **first)
    _detail(draft, outcome=draft.record.detail.outcome or reason)


@EFFECTS.define
def note_reset(draft: Draft[Deal]) -> None:
    """Write a reset and begin again: only that converters were switched is remembered."""
    record, context = draft.record.record, draft.context
    notes = (*(record.reset or ()), Note(date_time=context.time, reason=context.reason))
    steps = ("activate", "ramp_up", "warm_up", "start", "stop", "deactivate")
    gone = {f"{step}_date_time{twin}": None for step in steps for twin in ("", "_utc")}
    _record(draft, reset=notes, is_master=None, compensation_target_voltage_reference_grid_current_a=None, **gone)
    fresh = type(draft.record.detail)()
    draft.record = draft.record.model_copy(update={"detail": fresh})


@EFFECTS.define
def note_scram(draft: Draft[Deal]) -> None:
    """Write when and why everything stopped, in the existing form: a text that holds a JSON list of texts."""
    context = draft.context
    _record(draft, scram_date_time=context.time, scram_reason=json.dumps([context.reason]))
    _detail(draft, outcome=draft.record.detail.outcome or context.reason)


@EFFECTS.define
def begin_energy(draft: Draft[Deal]) -> None:
    """Book energy from here on."""
    _detail(draft, flowing=True)


@EFFECTS.define
def end_energy(draft: Draft[Deal]) -> None:
    """Book no more."""
    _detail(draft, flowing=False)


@EFFECTS.define
def complete(draft: Draft[Deal]) -> None:
    """Fill in what an ended deal leaves empty; what it booked goes into the record."""
    record, context, detail = draft.record.record, draft.context, draft.record.detail
    changes: dict[str, Any] = {"is_master": None}
    begun = (("activate", ("activate", "deactivate")), ("start", ("start", "stop")))
    for begin, steps in begun:
        never = getattr(record, f"{begin}_date_time") in (None, LEFT_OUT)
        for step in steps:
            if getattr(record, f"{step}_date_time") is None:
                changes[f"{step}_date_time"] = LEFT_OUT if never else context.time
                changes[f"{step}_date_time_utc"] = None if never else context.utc
    if detail.charge.amount_wh or detail.discharge.amount_wh or record.start_date_time:
        changes["charge_unit_amount_wh"] = round(detail.charge.amount_wh, 6)
        changes["discharge_unit_amount_wh"] = round(detail.discharge.amount_wh, 6)
        counted = side_of(draft.record, context.energy_unit_id or record.charge_unit_id)
        changes["cumulate_amount_wh"] = round(counted.amount_wh, 6)
        changes["cumulate_date_time"] = record.stop_date_time or context.time
        changes["cumulate_date_time_utc"] = record.stop_date_time_utc or context.utc
    if context.unconfirmed:
        changes["unconfirmed"] = True
    _record(draft, **changes)


@EFFECTS.define
def append(draft: Draft[Deal]) -> None:
    """Publish what the record has become."""
    draft.commands.append(Append(draft.record.record))


@EFFECTS.define
def remove(draft: Draft[Deal]) -> None:
    """Delete the deal and its locks."""
    draft.writes.append(Remove(draft.record.record.deal_id))


@EFFECTS.define
def report(draft: Draft[Deal], what: str) -> None:
    """Report a problem."""
    draft.commands.append(Report(what))
