"""Whether a deal may be activated: directions, currents of units and lines, resets, exclusions (specification 11.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apis_rules.charts.branches import Share, line_views, reserve_need_a
from apis_rules.charts.master.accounts import live_deals
from apis_rules.charts.master.sides import SMALL_A, direction_of, side_of

if TYPE_CHECKING:
    from apis_rules.charts.master.round import Round
    from apis_rules.ports.types import Deal


def why_never(round_: Round, deal: Deal) -> str | None:
    """Return why *deal* can never be activated, None where it can."""
    record = deal.record
    resets = len(record.reset or ())
    if resets and resets >= round_.settings.reset_limit:
        return f"reset {resets} times, resetLimit is {round_.settings.reset_limit}"
    for unit_id in record.units:
        if unit_id not in round_.settings.members:
            return f"{unit_id} is no member"
        if unit_id in round_.exclusions:
            return f"{unit_id} is excluded: {round_.exclusions[unit_id].exclusion}"
    others = [d for d in live_deals(round_) if d is not deal]
    for other in others:
        for unit_id in set(record.units) & set(other.record.units):
            if direction_of(other, unit_id) is not direction_of(deal, unit_id):
                return f"{unit_id} takes part in a deal of the opposite direction"
    return _why_too_much(round_, [*others, deal], deal)


def _why_too_much(round_: Round, deals: list[Deal], new: Deal) -> str | None:
    for unit_id in new.record.units:
        unit = round_.unit(unit_id)
        wanted_a = sum(d.record.deal_grid_current_a for d in deals if unit_id in d.record.units)
        if unit is not None and wanted_a > unit.limits.capacity_a + SMALL_A:
            return f"{unit_id} would carry {wanted_a:g} A, gridCurrentCapacityA is {unit.limits.capacity_a:g} A"
    shares = [Share(d.record.discharge_unit_id, d.record.charge_unit_id, d.record.deal_grid_current_a) for d in deals]
    branches = round_.settings.branches
    if branches is None:
        total_a = sum(share.current_a for share in shares) + sum(round_.excluded_a.values())
        limit_a = round_.settings.sum_max_a
        if limit_a is not None and total_a > limit_a + SMALL_A:
            return f"all deals together would be {total_a:g} A, sumOfDealGridCurrentMaxA is {limit_a:g} A"
    else:
        for branch in branches:
            load_a = line_views(branch.forward, branch.backward, shares, round_.excluded_a).worst_a
            if load_a > branch.capacity_a + SMALL_A:
                return f"line {branch.name} would carry {load_a:g} A, its capacity is {branch.capacity_a:g} A"
    return _why_no_reserve(round_, new, shares) if round_.settings.holder_reserve else None


def _why_no_reserve(round_: Round, new: Deal, shares: list[Share]) -> str | None:
    """Return why the unit that holds the voltage, and the one that will for *new*, would have no reserve."""
    holders = dict.fromkeys([] if round_.grid.holder is None else [round_.grid.holder])
    if not holders or wants_move(round_, new):
        holders[reference_side(round_, new)] = None
    for holder in holders:
        unit = round_.unit(holder)
        worst_a, dropped = reserve_need_a(holder, shares, round_.excluded_a)
        if unit is not None and worst_a > unit.limits.capacity_a + SMALL_A:
            case = f"should {dropped} drop out" if dropped else "with all others on"
            return f"{holder} would carry {worst_a:g} A {case} (holderReserve)"
    return None


def wants_move(round_: Round, deal: Deal) -> bool:
    """Whether the voltage belongs at a large unit of *deal*, rather than where it is."""
    large = round_.settings.large_units
    holder = round_.grid.holder
    return bool(large) and holder not in large and any(u in large for u in deal.record.units)


def reference_side(round_: Round, deal: Deal) -> str:
    """Return which unit of *deal* is its reference side: the holder, a large unit, else the side that policy names."""
    record, holder = deal.record, round_.grid.holder
    if round_.grid.state == "held" and holder in record.units:
        return holder
    direction = round_.settings.reference_side
    if round_.grid.state == "held" and holder is not None:
        direction = next(
            (direction_of(d, holder) for d in live_deals(round_) if holder in d.record.units and side_of(d, holder).on),
            direction,
        )
    unit_id, other = record.unit_of(direction), record.unit_of(direction.opposite)
    large = round_.settings.large_units
    first_or_move = round_.grid.state != "held" or wants_move(round_, deal)
    return other if first_or_move and unit_id not in large and other in large else unit_id
