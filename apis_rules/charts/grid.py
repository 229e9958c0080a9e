"""The chart ``grid`` and what it needs: its effects, and a grid record and a context for its walks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from apis_rules.charts.bindings import Binding
from apis_rules.charts.master.grid_effects import EFFECTS, GridContext
from apis_rules.ports.types import ConverterMode, GridRecord

if TYPE_CHECKING:
    from collections.abc import Mapping


def make_grid(given: Mapping[str, Any]) -> GridRecord:
    """Return a grid record from what a walk says of it; E002 holds 350 V where it says nothing."""
    return GridRecord.model_validate({"holder": "E002", "deal_id": "d1", "target_voltage_v": 350.0, **given})


def make_context(given: Mapping[str, Any]) -> GridContext:
    """Return the context from what a walk says."""
    values = dict(given)
    for name in ("active", "voltages_v", "optimised_deals"):
        if name in values:
            values[name] = tuple(values[name])
    if values.get("old_mode"):
        values["old_mode"] = ConverterMode[values["old_mode"].upper()]
    return GridContext(**values)


BINDING: Final = Binding("grid", EFFECTS, make_grid, make_context)
