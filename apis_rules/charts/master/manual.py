"""An operator's direct commands: only in manual mode, only on a grid without deals (specification 4.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from apis_rules.charts.master import accounts
from apis_rules.charts.master.output import Order, Reply
from apis_rules.charts.master.sides import SMALL_A
from apis_rules.ports.types import CommandName, Direction, OperationMode

if TYPE_CHECKING:
    from collections.abc import Callable

    from apis_rules.charts.master.picture import ManualOrder
    from apis_rules.charts.master.round import Round


def serve_orders(round_: Round, grid_event: Callable[..., bool]) -> None:
    """Carry out or refuse each manual order; it waits while its unit is busy, or unit or bus are not known yet."""
    for order in round_.picture.orders:
        refused = _why_refused(round_, order)
        if refused is not None:
            round_.reply(Reply(order.order_id, refused))
            continue
        if order.name is not CommandName.WAIT and _must_wait(round_, order):
            continue
        if order.name is CommandName.VOLTAGE_REFERENCE:
            grid_event(round_, "reference_by_hand", by_hand=order)
        elif order.name is CommandName.WAIT and order.unit_id == round_.grid.holder:
            grid_event(round_, "release", reason="an operator ends it")
        else:
            round_.issue(Order(order.unit_id, order.name, order.params), None)
        round_.reply(Reply(order.order_id))


def _must_wait(round_: Round, order: ManualOrder) -> bool:
    if not accounts.is_fresh(round_, order.unit_id):
        round_.want(order.unit_id)
        return True
    unknown = order.name is CommandName.VOLTAGE_REFERENCE and round_.bus in ("low", "unknown")
    return order.unit_id in round_.sent or unknown


_DIRECTIONS: Final = {CommandName.CHARGE: Direction.CHARGE, CommandName.DISCHARGE: Direction.DISCHARGE}
_BY_HAND: Final = frozenset({CommandName.WAIT, CommandName.VOLTAGE_REFERENCE, *_DIRECTIONS})


def _why_refused(round_: Round, order: ManualOrder) -> str | None:
    mode, grid = round_.picture.mode, round_.grid
    holds = order.name is CommandName.VOLTAGE_REFERENCE
    starts = order.name is not CommandName.WAIT
    reasons = {
        f"{order.name} is not given by hand": order.name not in _BY_HAND,
        f"the operation mode is {mode}, not manual": mode is not OperationMode.MANUAL,
        f"{order.unit_id} is no member": order.unit_id not in round_.settings.members,
        "deals are still running": bool(accounts.live_deals(round_)),
        f"{order.unit_id} is excluded": starts and order.unit_id in round_.exclusions,
        f"{order.unit_id} holds the voltage": starts and not holds and order.unit_id in accounts.holders(round_),
        f"the grid is {grid.state}, not dead": holds and grid.state != "dead",
        f"the grid is {grid.state}": starts and grid.state not in ("dead", "held_by_hand"),
        "the grid is dead: nobody holds a voltage": order.name in _DIRECTIONS
        and grid.state == "dead"
        and round_.bus in ("dead", "low"),
        "the bus is not dead": holds and round_.bus in ("masked", "live"),
    }
    found = next((reason for reason, applies in reasons.items() if applies), None)
    return found or _why_out_of_range(round_, order)


def _why_out_of_range(round_: Round, order: ManualOrder) -> str | None:
    """Return what the order would exceed: the voltage range, the unit's current, or the current of who holds."""
    settings, voltage_v, current_a = round_.settings, order.params.grid_voltage_v, order.params.grid_current_a
    if voltage_v is not None and not settings.stop_voltage_v < voltage_v <= settings.range_max_v:
        return f"{voltage_v:g} V is not above {settings.stop_voltage_v:g} V and up to {settings.range_max_v:g} V"
    unit, holder = round_.unit(order.unit_id), round_.grid.holder
    if current_a is None or unit is None:
        return None
    if not 0 < current_a <= unit.limits.capacity_a + SMALL_A:
        return f"{order.unit_id} carries more than 0 and up to {unit.limits.capacity_a:g} A"
    holding = round_.unit(holder) if holder else None
    carried_a = abs(_others_a(round_, order) + _signed_a(_DIRECTIONS[order.name], current_a))
    if holding is not None and carried_a > holding.limits.capacity_a + SMALL_A:
        return f"{holder} holds the voltage and would carry {carried_a:g} A of {holding.limits.capacity_a:g} A"
    return None


def _others_a(round_: Round, order: ManualOrder) -> float:
    others = {u: a for u, a in round_.active.items() if u not in (order.unit_id, *accounts.holders(round_))}
    return sum(_signed_a(a.direction, a.current_a) for a in others.values())


def _signed_a(direction: Direction | None, current_a: float) -> float:
    return -current_a if direction is Direction.DISCHARGE else current_a
