"""An operator's direct commands: only in manual mode, only on a grid without deals (specification 4.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from apis_rules.charts.master import accounts
from apis_rules.charts.master.output import Order, Reply
from apis_rules.ports.types import CommandName, OperationMode

if TYPE_CHECKING:
    from collections.abc import Callable

    from apis_rules.charts.master.picture import ManualOrder
    from apis_rules.charts.master.round import Round


def serve_orders(round_: Round, grid_event: Callable[..., bool]) -> None:
    """Carry out or refuse each manual order; it waits while its unit is busy or the bus is not known yet."""
    for order in round_.picture.orders:
        refused = _why_refused(round_, order)
        if refused is not None:
            round_.reply(Reply(order.order_id, refused))
            continue
        unknown = order.name is CommandName.VOLTAGE_REFERENCE and round_.bus in ("low", "unknown")
        if order.unit_id in round_.sent or unknown:
            continue
        if order.name is CommandName.VOLTAGE_REFERENCE:
            grid_event(round_, "reference_by_hand", by_hand=order)
        elif order.name is CommandName.WAIT and order.unit_id == round_.grid.holder:
            grid_event(round_, "release", reason="by hand")
        else:
            round_.issue(Order(order.unit_id, order.name, order.params), None)
        round_.reply(Reply(order.order_id))


_BY_HAND: Final = frozenset(
    {CommandName.WAIT, CommandName.CHARGE, CommandName.DISCHARGE, CommandName.VOLTAGE_REFERENCE}
)


def _why_refused(round_: Round, order: ManualOrder) -> str | None:
    mode, grid = round_.picture.mode, round_.grid
    holds = order.name is CommandName.VOLTAGE_REFERENCE
    reasons = {
        f"{order.name} is not given by hand": order.name not in _BY_HAND,
        f"the operation mode is {mode}, not manual": mode is not OperationMode.MANUAL,
        f"{order.unit_id} is no member": order.unit_id not in round_.settings.members,
        "deals are still running": bool(accounts.live_deals(round_)),
        f"the grid is {grid.state}, not dead": holds and grid.state != "dead",
        "the bus is not dead": holds and round_.bus in ("masked", "live"),
    }
    return next((reason for reason, applies in reasons.items() if applies), None)
