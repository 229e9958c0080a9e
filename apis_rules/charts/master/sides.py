"""The two sides of a deal, and what one step of switching may change.

A deal's current is set at both sides, but one command reaches one unit. Between two commands the unit that holds the
voltage carries the difference. ``permitted_a`` says how far a side may go at once; where that is not far enough, both
sides are stepped in alternation (``plan_up``, ``plan_down``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from apis_rules.charts.master.output import Order
from apis_rules.ports.types import CommandName, CommandParams, Deal, DealSide, Direction

if TYPE_CHECKING:
    from collections.abc import Mapping

SMALL_A: Final = 1e-6
"""Currents that differ by less are the same."""

SMALLEST_STEP_A: Final = 0.05
"""A side does not move by less than this while the other can move instead."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the rest of the grid means for one deal.

    Attributes:
        holding: the units that hold the voltage, two inside a hand-over; their current is nobody's set-point.
        others_a: unit → what the unit's other deals make it carry, an absolute value.
        busy: units that have other deals, switched on.
        low_a, high_a: what those carry without this deal's sides at other units; charging positive. Two numbers,
            since a command without an outcome may or may not have been carried out.
        limit_a: the holder's capacity.
        capacity_a: unit → its capacity.
        silent: units that cannot be reached.
        excluded: units declared cut off; what they may carry is counted in *low_a* and *high_a*.
    """

    holding: frozenset[str] = frozenset()
    others_a: Mapping[str, float] | None = None
    busy: frozenset[str] = frozenset()
    low_a: float = 0.0
    high_a: float = 0.0
    limit_a: float = float("inf")
    capacity_a: Mapping[str, float] | None = None
    silent: frozenset[str] = frozenset()
    excluded: frozenset[str] = frozenset()

    def other_a(self, unit_id: str) -> float:
        """Return what *unit_id* carries for its other deals."""
        return (self.others_a or {}).get(unit_id, 0.0)

    def capacity_of(self, unit_id: str) -> float:
        """Return the capacity of *unit_id*."""
        return (self.capacity_a or {}).get(unit_id, float("inf"))


def direction_of(deal: Deal, unit_id: str) -> Direction:
    """Return whether *unit_id* charges or discharges in *deal*."""
    return Direction.CHARGE if deal.record.charge_unit_id == unit_id else Direction.DISCHARGE


def side_of(deal: Deal, unit_id: str) -> DealSide:
    """Return the side of *unit_id*."""
    return deal.detail.charge if deal.record.charge_unit_id == unit_id else deal.detail.discharge


def with_side(deal: Deal, unit_id: str, side: DealSide) -> Deal:
    """Return *deal* with another side at *unit_id*."""
    detail = deal.detail.model_copy(update={direction_of(deal, unit_id).value: side})
    return deal.model_copy(update={"detail": detail})


def reference_of(deal: Deal) -> str:
    """Return the unit of the reference side; before it is chosen, the charging one."""
    return deal.detail.reference_unit_id or deal.record.charge_unit_id


def partner_of(deal: Deal) -> str:
    """Return the unit of the other side."""
    discharge, charge = deal.record.units
    return discharge if reference_of(deal) == charge else charge


def signed_span_a(deal: Deal, unit_id: str) -> tuple[float, float]:
    """Return the least and the most that *unit_id* may carry for *deal*, charging positive."""
    side = side_of(deal, unit_id)
    low, high = min(side.set_a, side.to_a), max(side.set_a, side.to_a)
    return (low, high) if direction_of(deal, unit_id) is Direction.CHARGE else (-high, -low)


def is_level(deal: Deal) -> bool:
    """Whether both sides were commanded to the deal's current."""
    wanted_a = deal.record.deal_grid_current_a
    sides = (deal.detail.charge, deal.detail.discharge)
    return all(s.on and s.to_a >= wanted_a - SMALL_A for s in sides)


OFF: Final = {"on": False, "leaving": False, "set_a": 0.0, "to_a": 0.0}
"""What a side becomes when it is confirmed off; its energy stays."""


def confirm(deal: Deal) -> Deal:
    """Return *deal* with its open command carried out."""
    unit_id = deal.open_unit_id
    if unit_id is None or unit_id not in deal.record.units:
        return deal
    side = side_of(deal, unit_id)
    return with_side(deal, unit_id, side.model_copy(update=OFF if side.leaving else {"set_a": side.to_a}))


def switch_off(deal: Deal, unit_id: str) -> Deal:
    """Return *deal* with the side of *unit_id* known to be off."""
    return with_side(deal, unit_id, side_of(deal, unit_id).model_copy(update=OFF))


def permitted_a(deal: Deal, unit_id: str, wanted_a: float, around: Surroundings) -> float:
    """Return how far the side of *unit_id* may go towards *wanted_a* at once, in A, without overloading the holder."""
    side = side_of(deal, unit_id)
    if not around.holding or unit_id in around.holding:
        return wanted_a
    partner = next(u for u in deal.record.units if u != unit_id)
    low_a, high_a = around.low_a, around.high_a
    if partner not in around.holding | around.excluded:
        least_a, most_a = signed_span_a(deal, partner)
        low_a, high_a = low_a - most_a, high_a - least_a
    sign = 1.0 if direction_of(deal, unit_id) is Direction.CHARGE else -1.0
    now_a, then_a = sign * side.to_a, sign * wanted_a
    # The holder carries the opposite of what this side adds: its current ends at low - then .. high - then.
    if then_a > now_a:
        allowed_a = min(then_a, max(now_a, low_a + around.limit_a))
    else:
        allowed_a = max(then_a, min(now_a, high_a - around.limit_a))
    # A rest that is no current would be stepped for ever and never be off.
    return wanted_a if abs(abs(allowed_a) - wanted_a) < 2 * SMALL_A else round(abs(allowed_a), 6)


def plan_up(deal: Deal, around: Surroundings, *, reference_only: bool) -> tuple[Deal, Order | None]:
    """Return the next step towards the deal's current, the partner's first; None where no step is possible now."""
    wanted_a = deal.record.deal_grid_current_a
    order = (reference_of(deal),) if reference_only else (partner_of(deal), reference_of(deal))
    for unit_id in order:
        side = side_of(deal, unit_id)
        if unit_id in around.holding or (side.on and side.to_a >= wanted_a - SMALL_A and side.set_a == side.to_a):
            continue
        target_a = max(side.to_a, permitted_a(deal, unit_id, wanted_a, around))
        step_a = target_a - side.to_a
        if side.on and side.set_a == side.to_a and step_a < min(SMALLEST_STEP_A, wanted_a - side.to_a) - SMALL_A:
            continue
        return _raised(deal, unit_id, target_a, around)
    return deal, None


def _raised(deal: Deal, unit_id: str, target_a: float, around: Surroundings) -> tuple[Deal, Order]:
    side = side_of(deal, unit_id).model_copy(update={"on": True, "to_a": target_a})
    if unit_id in around.busy:
        name = CommandName.CURRENT
    else:
        charges = direction_of(deal, unit_id) is Direction.CHARGE
        name = CommandName.CHARGE if charges else CommandName.DISCHARGE
    total_a = around.other_a(unit_id) + target_a
    raised = with_side(deal, unit_id, side).model_copy(update={"switched": True})
    return raised, Order(unit_id, name, CommandParams(grid_current_a=total_a))


def plan_down(deal: Deal, around: Surroundings, *, reference_too: bool) -> tuple[Deal, Order | None]:
    """Return the next step towards no current.

    The partner's comes first. The reference side moves only while the partner's step alone would overload the holder,
    or where *reference_too*. Silent units are left out. None where no step is possible now.
    """
    partner, reference = partner_of(deal), reference_of(deal)
    order: tuple[str, ...] = (partner, reference)
    if not side_of(deal, partner).on or partner in around.silent:
        order = (reference,) if reference_too else ()
    for unit_id in order:
        side = side_of(deal, unit_id)
        if unit_id in around.holding | around.silent or not side.on:
            continue
        target_a = min(side.to_a, permitted_a(deal, unit_id, 0.0, around))
        if unit_id != order[0]:
            target_a = _follow_a(deal, unit_id, target_a, around)
        moves = side.to_a - target_a
        if target_a > 0 and moves < min(SMALLEST_STEP_A, side.to_a) - SMALL_A and side.set_a == side.to_a:
            continue
        return _lowered(deal, unit_id, target_a, around)
    return deal, None


def _follow_a(deal: Deal, unit_id: str, target_a: float, around: Surroundings) -> float:
    """Return the current, in A, to which the reference side goes down in turns with its partner: *target_a* at least.

    While other deals are being switched, no lower than leaves the holder at rest whatever becomes of them, where that
    is a step at all: its battery may not be able to carry what the partner alone leaves over.
    """
    if around.high_a - around.low_a <= SMALL_A:
        return target_a
    follow_a = permitted_a(deal, unit_id, 0.0, replace(around, limit_a=0.0))
    return follow_a if side_of(deal, unit_id).to_a - follow_a >= SMALLEST_STEP_A else target_a


def _lowered(deal: Deal, unit_id: str, target_a: float, around: Surroundings) -> tuple[Deal, Order]:
    side = side_of(deal, unit_id)
    # Where an earlier command has no outcome, the side may carry the most of what was commanded.
    span = {"set_a": max(side.set_a, side.to_a), "to_a": target_a, "leaving": target_a == 0}
    lowered = with_side(deal, unit_id, side.model_copy(update=span))
    if target_a == 0 and unit_id not in around.busy:
        return lowered, Order(unit_id, CommandName.WAIT)
    total_a = around.other_a(unit_id) + target_a
    return lowered, Order(unit_id, CommandName.CURRENT, CommandParams(grid_current_a=total_a))
