"""Whether a deal may be activated: directions, currents of units and lines, resets, exclusions (specification 11.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apis_rules.charts.master.accounts import live_deals
from apis_rules.charts.master.sides import SMALL_A, direction_of, side_of
from apis_rules.ports.types import Direction

if TYPE_CHECKING:
    from apis_rules.charts.master.round import Round
    from apis_rules.charts.master.settings import Branch
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
    branches = round_.settings.branches
    if branches is None:
        total_a = sum(d.record.deal_grid_current_a for d in deals) + sum(round_.excluded_a.values())
        limit_a = round_.settings.sum_max_a
        if limit_a is not None and total_a > limit_a + SMALL_A:
            return f"all deals together would be {total_a:g} A, sumOfDealGridCurrentMaxA is {limit_a:g} A"
    else:
        for branch in branches:
            load_a = branch_load_a(round_, branch, deals)
            if load_a > branch.capacity_a + SMALL_A:
                return f"line {branch.name} would carry {load_a:g} A, its capacity is {branch.capacity_a:g} A"
    return _why_no_reserve(round_, deals) if round_.settings.holder_reserve else None


def branch_load_a(round_: Round, branch: Branch, deals: list[Deal]) -> float:
    """Return the worst of the four views of a line: what one side of it gives or takes, nothing netted, in A."""
    views = []
    for units in (branch.forward, branch.backward):
        cut_off_a = sum(a for unit_id, a in round_.excluded_a.items() if unit_id in units)
        for direction in Direction:
            own = (d for d in deals if d.record.unit_of(direction) in units)
            views.append(cut_off_a + sum(d.record.deal_grid_current_a for d in own))
    return max(views)


def _why_no_reserve(round_: Round, deals: list[Deal]) -> str | None:
    holder = round_.grid.holder
    unit = round_.unit(holder) if holder else None
    if holder is None or unit is None:
        return None
    shares: dict[str, float] = {}
    for deal in deals:
        for unit_id in deal.record.units:
            sign = 1.0 if direction_of(deal, unit_id) is Direction.CHARGE else -1.0
            shares[unit_id] = shares.get(unit_id, 0.0) + sign * deal.record.deal_grid_current_a
    own_a = -sum(a for unit_id, a in shares.items() if unit_id != holder)
    for unit_id, share_a in shares.items():
        if unit_id != holder and abs(own_a + share_a) > unit.limits.capacity_a + SMALL_A:
            return f"{holder} would carry {own_a + share_a:g} A should {unit_id} drop out (holderReserve)"
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
