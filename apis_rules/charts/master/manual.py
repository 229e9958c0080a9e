"""An operator's direct commands: only in manual mode, only on a grid without deals (specification 4.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apis_rules.charts.master import accounts
from apis_rules.charts.master.output import Order, Reply
from apis_rules.ports.types import CommandName, OperationMode

if TYPE_CHECKING:
    from collections.abc import Callable

    from apis_rules.charts.master.picture import ManualOrder
    from apis_rules.charts.master.round import Round


def serve_orders(round_: Round, grid_event: Callable[..., bool]) -> None:
    """Carry out or refuse each manual order; an order whose unit is still busy waits for the next round."""
    for order in round_.picture.orders:
        refused = _why_refused(round_, order)
        if refused is not None:
            round_.reply(Reply(order.order_id, refused))
            continue
        if order.unit_id in round_.sent:
            continue
        if order.name is CommandName.VOLTAGE_REFERENCE:
            _hold(round_, order, grid_event)
        elif order.name is CommandName.WAIT and order.unit_id == round_.grid.holder:
            grid_event(round_, "release", reason="by hand")
        else:
            round_.issue(Order(order.unit_id, order.name, order.params), None)
        round_.reply(Reply(order.order_id))


def _why_refused(round_: Round, order: ManualOrder) -> str | None:
    if order.name not in (
        CommandName.WAIT,
        CommandName.CHARGE,
        CommandName.DISCHARGE,
        CommandName.VOLTAGE_REFERENCE,
    ):
        return f"{order.name} is not given by hand"
    if round_.picture.mode is not OperationMode.MANUAL:
        return f"the operation mode is {round_.picture.mode}, not manual"
    if accounts.live_deals(round_):
        return "deals are still running"
    if order.unit_id not in round_.settings.members:
        return f"{order.unit_id} is no member"
    if order.name is CommandName.VOLTAGE_REFERENCE:
        if round_.grid.state != "dead":
            return f"the grid is {round_.grid.state}, not dead"
        if accounts.bus_of(round_) not in ("dead", "raised"):
            return "the bus is not known to be dead"
    return None


def _hold(round_: Round, order: ManualOrder, grid_event: Callable[..., bool]) -> None:
    grid_event(round_, "reference_by_hand", manual=order)
