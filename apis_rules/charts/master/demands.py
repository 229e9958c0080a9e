"""What the community demands of grid and deals: modes, error reactions, silence, wishes of the parties."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from apis_rules.charts.master import accounts
from apis_rules.charts.master.on_purpose import event_on_purpose
from apis_rules.charts.master.picture import ReactionKind
from apis_rules.charts.master.round import AGAIN_S
from apis_rules.charts.master.sides import side_of
from apis_rules.ports.types import OperationMode

if TYPE_CHECKING:
    from apis_rules.charts.master.round import Round
    from apis_rules.ports.types import Deal

ENDING_GRID: Final = frozenset(
    {"draining", "releasing", "falling", "stopping_parties", "stopping_voltage", "dead", "held_by_hand"}
)
SCRAMMING: Final = frozenset({"stopping_parties", "stopping_voltage", "falling"})
RAISED_GRID: Final = frozenset({"clearing", "ramping", "authorizing", "returning", "held", "optimising"})
RAISING: Final = frozenset({"energising", "ramping", "ramped"})
ON: Final = frozenset({"moving", "joining", "activated", "warming_up", "compensating", "adjusting", "started"})
"""States of a deal from which a drain takes it back."""


@dataclass(frozen=True, slots=True)
class Demand:
    """An event for a chart, with its reason."""

    event: str
    reason: str


def grid_demand(round_: Round) -> Demand | None:
    """Return what the grid is to do now, whatever its deals want."""
    reaction = round_.picture.reaction
    if reaction is not None and reaction.kind is ReactionKind.SCRAM:
        return Demand("scram", reaction.reason) if _is_anything_on(round_) else None
    if round_.grid.state == "held_by_hand":
        reason = _why_unsafe(round_) if round_.picture.mode is OperationMode.MANUAL else "manual mode has ended"
        return None if reason is None else Demand("release", reason)
    if round_.grid.state in ENDING_GRID:
        return None
    reason = why_drain(round_)
    return None if reason is None else Demand("drain", reason)


def _is_anything_on(round_: Round) -> bool:
    if round_.grid.state in SCRAMMING:
        return False
    return round_.grid.state != "dead" or any(not accounts.is_silent(round_, u) for u in round_.active)


def why_drain(round_: Round) -> str | None:
    """Return why the bus is to be drained, None where it is not."""
    mode = round_.picture.mode
    unsafe = _why_unsafe(round_)
    if unsafe is None and mode in (OperationMode.STOP, OperationMode.MANUAL):
        return f"the operation mode is {mode}"
    return unsafe


def _why_unsafe(round_: Round) -> str | None:
    picture = round_.picture
    if picture.reaction is not None:
        return picture.reaction.reason
    if picture.amnesia:
        return "the store was lost or went back"
    for unit_id in accounts.holders(round_):
        if unit_id in round_.exclusions:
            return f"{unit_id}, which may hold the voltage, is excluded: {round_.exclusions[unit_id].exclusion}"
    for unit_id, absent_s in sorted(round_.absent.items()):
        if unit_id not in round_.active and unit_id not in accounts.holders(round_):
            continue
        if accounts.is_absent(round_, unit_id):
            round_.report("silent", unit_id)
            return f"{unit_id} is unaccounted for since {absent_s:.0f} s"
        round_.due(round_.now_s + max(AGAIN_S, round_.settings.absence_s - absent_s))
    return None


def deal_demand(round_: Round, deal_id: str) -> Demand | None:
    """Return the event that ends *deal_id* before its amount, None where it goes on."""
    deal = round_.deals[deal_id]
    if deal.state in accounts.ENDED_DEAL:
        return None
    on_purpose = event_on_purpose(deal) if round_.settings.test_features else None
    if on_purpose is not None:
        return Demand(*on_purpose)
    if round_.grid.state in ("stopping_parties", "stopping_voltage"):
        return Demand("scram", round_.grid.reason or "everything stops")
    if deal.state == "created":
        reason = _why_cancel(round_, deal)
    elif deal.state in ON:
        reason = _why_stop(round_, deal)
    elif deal.state in RAISING:
        reason = _wish(round_, deal) or _excluded(round_, deal) or _why_not_raised(round_)
    else:
        return None
    return None if reason is None else Demand("abort", reason)


def _why_cancel(round_: Round, deal: Deal) -> str | None:
    """A deal that was not switched is cancelled by a wish, by the mode, or where a party is silent too long."""
    silent = [u for u in deal.record.units if accounts.is_absent(round_, u)]
    if round_.picture.amnesia and not _is_past(round_, deal):
        return None
    reaction = round_.picture.reaction
    if reaction is not None:
        return reaction.reason
    if round_.picture.mode in (OperationMode.STOP, OperationMode.MANUAL):
        return f"the operation mode is {round_.picture.mode}"
    return _wish(round_, deal) or next((f"{u} does not answer" for u in silent), None)


def _is_past(round_: Round, deal: Deal) -> bool:
    """After a loss of the store: nothing of *deal* flows any more, and its units have told what they know of it."""
    units = deal.record.units
    if all(u in round_.exclusions or (_has_told(round_, u) and accounts.is_confirmed(round_, u)) for u in units):
        return True
    return accounts.is_bus_dead(round_) and all(_has_told(round_, u) or accounts.is_absent(round_, u) for u in units)


def _has_told(round_: Round, unit_id: str) -> bool:
    unit = round_.unit(unit_id)
    return unit is not None and unit.acknowledged


def _why_stop(round_: Round, deal: Deal) -> str | None:
    reason = _wish(round_, deal) or _excluded(round_, deal)
    if reason is not None:
        return reason
    if round_.grid.state in ("draining", "releasing", "falling", "dead") and _is_its_turn(round_, deal):
        return round_.grid.reason or "the voltage goes"
    return None


def _why_not_raised(round_: Round) -> str | None:
    if round_.grid.state in RAISED_GRID:
        return None
    return round_.grid.reason or "the voltage goes"


def _wish(round_: Round, deal: Deal) -> str | None:
    wishes = round_.picture.stop_requests.get(deal.record.deal_id)
    if not wishes:
        return None
    mode = round_.picture.mode
    if mode in (OperationMode.STOP, OperationMode.MANUAL):
        return f"the operation mode is {mode}"  # in which all parties wish it, some sooner than others
    return "; ".join(f"{unit_id}: {stored.value}" for unit_id, stored in sorted(wishes.items()))


def _excluded(round_: Round, deal: Deal) -> str | None:
    for unit_id in deal.record.units:
        lock = round_.exclusions.get(unit_id)
        if lock is not None:
            return f"{unit_id} is excluded: {lock.exclusion}"
    return None


def _is_its_turn(round_: Round, deal: Deal) -> bool:
    """In a drain the holder's own deals stop first, and a deal with a silent unit last."""
    if round_.grid.state != "draining":
        return True
    mine = _drain_rank(round_, deal)
    return all(
        _drain_rank(round_, other) >= mine
        for other in round_.deals.values()
        if other is not deal and (other.state in ON or (other.state == "stopping" and _is_on(round_, other)))
    )


def _is_on(round_: Round, deal: Deal) -> bool:
    return any(side_of(deal, u).on and not accounts.is_silent(round_, u) for u in deal.record.units)


def _drain_rank(round_: Round, deal: Deal) -> int:
    if any(accounts.is_silent(round_, u) for u in deal.record.units):
        return 2
    return 0 if round_.grid.holder in deal.record.units else 1
