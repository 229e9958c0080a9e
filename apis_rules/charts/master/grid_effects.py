"""The effects of ``statecharts/grid.yaml``: what each step writes into the grid record and commands (specification 7).

The planner of the Grid Master prepares a ``GridContext``. Commands are ``Order``, ``Tell`` and ``Report``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from apis_rules.charts.machine import Draft, Effects
from apis_rules.charts.master.deal_effects import Report
from apis_rules.charts.master.output import Order
from apis_rules.ports.types import CommandName, CommandParams, ConverterMode, GridRecord


@dataclass(frozen=True, slots=True)
class GridContext:
    """What the effects need beside the record.

    Attributes:
        reason: why everything stops.
        unit_id, deal_id: the unit that is to hold the voltage, and the deal for whose sake.
        target_v: the voltage it is to hold.
        old_mode, old_current_a: what the present holder becomes when it has handed over; None: WAIT.
        optimum_v: the best voltage for the deals that run, and their ids.
        voltages_v: the drawn voltages of an authorization.
        active: units whose converter may be active, the holder and the one that takes over left out.
    """

    reason: str = ""
    unit_id: str = ""
    deal_id: str | None = None
    target_v: float | None = None
    old_mode: ConverterMode | None = None
    old_current_a: float | None = None
    optimum_v: float = 0.0
    optimised_deals: tuple[str, ...] = ()
    voltages_v: tuple[float, ...] = ()
    active: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Tell:
    """An event for the deal for which the voltage is raised."""

    event: str

    def __str__(self) -> str:
        return f"tell the deal: {self.event}"


EFFECTS: Final[Effects[GridRecord]] = Effects()


def _change(draft: Draft[GridRecord], **changes: object) -> None:
    draft.record = draft.record.model_copy(update=changes)


@EFFECTS.define
def command(draft: Draft[GridRecord], unit: str, name: str) -> None:
    """Command the holder or the unit that takes over; the set-points are the record's."""
    record = draft.record
    unit_id = record.holder if unit == "holder" else record.next_holder
    if unit_id is None:
        return
    params = CommandParams()
    match CommandName[_NAMES[name]]:
        case CommandName.VOLTAGE_REFERENCE | CommandName.VOLTAGE | CommandName.WILL_TAKE_OVER:
            params = CommandParams(grid_voltage_v=record.target_voltage_v)
        case CommandName.AUTHORIZE:
            params = CommandParams(voltages_v=record.voltages_v)
        case CommandName.DID_HAND_OVER if record.old_mode is not None:
            params = CommandParams(mode=record.old_mode, grid_current_a=record.old_current_a)
    draft.commands.append(Order(unit_id, CommandName[_NAMES[name]], params))


_NAMES: Final = {
    name: name.upper()
    for name in (
        "wait",
        "voltage_reference",
        "authorize",
        "voltage",
        "will_hand_over",
        "will_take_over",
        "did_hand_over",
        "did_take_over",
    )
}


@EFFECTS.define
def stop_one_holder(draft: Draft[GridRecord]) -> None:
    """WAIT to the unit that was to take over, while there is one; else to the holder."""
    unit_id = draft.record.next_holder or draft.record.holder
    if unit_id is not None:
        draft.commands.append(Order(unit_id, CommandName.WAIT))


@EFFECTS.define
def stop_parties(draft: Draft[GridRecord]) -> None:
    """SCRAM to those that need a voltage; each unit tells for itself whether it holds one."""
    params = CommandParams(exclude_voltage_reference=True)
    draft.commands.extend(Order(unit_id, CommandName.SCRAM, params) for unit_id in draft.context.active)


@EFFECTS.define
def stop_all(draft: Draft[GridRecord]) -> None:
    """SCRAM to everybody."""
    holders = (u for u in (draft.record.holder, draft.record.next_holder) if u is not None)
    for unit_id in (*draft.context.active, *holders):
        draft.commands.append(Order(unit_id, CommandName.SCRAM))


@EFFECTS.define
def take_voltage(draft: Draft[GridRecord]) -> None:
    """Write who is about to hold the voltage, for which deal, at which set-point."""
    c = draft.context
    _change(draft, holder=c.unit_id, deal_id=c.deal_id, target_voltage_v=c.target_v, next_holder=None, reason=None)


@EFFECTS.define
def draw_voltages(draft: Draft[GridRecord]) -> None:
    """Fix the voltages, so that a new master repeats the same."""
    _change(draft, voltages_v=draft.context.voltages_v)


@EFFECTS.define
def name_next(draft: Draft[GridRecord]) -> None:
    """Write who takes over, for which deal, and what becomes of the old holder."""
    c = draft.context
    target_v = draft.record.target_voltage_v if c.target_v is None else c.target_v
    _change(
        draft,
        next_holder=c.unit_id,
        deal_id=c.deal_id,
        target_voltage_v=target_v,
        old_mode=c.old_mode,
        old_current_a=c.old_current_a,
    )


@EFFECTS.define
def take_over(draft: Draft[GridRecord]) -> None:
    """The unit that took over is the holder."""
    _change(draft, holder=draft.record.next_holder, next_holder=None, old_mode=None, old_current_a=None)


@EFFECTS.define
def forget_next(draft: Draft[GridRecord]) -> None:
    """Nobody takes over any more."""
    _change(draft, next_holder=None, old_mode=None, old_current_a=None)


@EFFECTS.define
def forget_holder(draft: Draft[GridRecord]) -> None:
    """The record of a dead grid."""
    draft.record = GridRecord(state=draft.record.state)


@EFFECTS.define
def set_optimum(draft: Draft[GridRecord]) -> None:
    """The new voltage becomes the target, and is not looked for again while the same deals run."""
    _change(draft, target_voltage_v=draft.context.optimum_v, optimised_deals=draft.context.optimised_deals)


@EFFECTS.define
def note_reason(draft: Draft[GridRecord]) -> None:
    """Write why everything stops."""
    _change(draft, reason=draft.record.reason or draft.context.reason)


@EFFECTS.define
def tell_deal(draft: Draft[GridRecord], event: str) -> None:
    """Tell the deal for which the voltage is raised."""
    draft.commands.append(Tell(event))


@EFFECTS.define
def report(draft: Draft[GridRecord], what: str) -> None:
    """Report a problem."""
    draft.commands.append(Report(what))
