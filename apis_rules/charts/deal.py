"""The chart ``deal`` and what it needs: its effects, and a deal and a context for its walks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from apis_rules.charts.bindings import Binding
from apis_rules.charts.master.deal_effects import EFFECTS, DealContext
from apis_rules.charts.master.sides import Surroundings
from apis_rules.ports.types import Deal, Direction

if TYPE_CHECKING:
    from collections.abc import Mapping


def make_deal(given: Mapping[str, Any]) -> Deal:
    """Return a whole deal from what a walk says of it: E001 discharges 1 A to E002, 50 Wh."""
    said = {
        "charge_unit_id": "E002",
        "discharge_unit_id": "E001",
        "deal_grid_current_a": 1.0,
        **given.get("record", {}),
    }
    record = {
        "unit_id": said["charge_unit_id"],
        "negotiation_id": "n1",
        "request_unit_id": said["discharge_unit_id"],
        "accept_unit_id": said["charge_unit_id"],
        "request_date_time": "2026/01/01-12:00:00",
        "accept_date_time": "2026/01/01-12:00:00",
        "request_deal_grid_current_a": said["deal_grid_current_a"],
        "accept_deal_grid_current_a": said["deal_grid_current_a"],
        "type": Direction.DISCHARGE,
        "request_amount_wh": 50,
        "accept_amount_wh": 50,
        "deal_amount_wh": 50,
        "deal_id": "d1",
        "create_date_time": "2026/01/01-12:00:02",
        **said,
    }
    return Deal.model_validate({**given, "record": record})


def make_context(given: Mapping[str, Any]) -> DealContext:
    """Return the context from what a walk says: times and numbers, the surroundings by their names."""
    around = dict(given.get("around", {}))
    for name in ("holding", "busy", "silent", "excluded"):
        around[name] = frozenset(around.get(name, ()))
    return DealContext(**{"time": "2026/01/01-12:00:00", **given, "around": Surroundings(**around)})


BINDING: Final = Binding("deal", EFFECTS, make_deal, make_context)
