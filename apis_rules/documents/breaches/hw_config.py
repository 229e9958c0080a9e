"""Rules between the keys of a hwConfig.json."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apis_rules.documents.breaches.sight import Sight, at

if TYPE_CHECKING:
    from apis_rules.documents.diagnostics import Findings
    from apis_rules.documents.document import Document


def check_hw_config(document: Document, findings: Findings) -> None:
    """Note what does not fit together."""
    sight = Sight(document, findings)
    for meter in ("tmp", "vg", "vb", "ig", "ib"):
        sight.in_order(f"safety.range.dcdc.meter.{meter}.min", f"safety.range.dcdc.meter.{meter}.max")
    capacity = sight.number("gridCurrentCapacityA")
    for bound, sign in (("min", -1), ("max", 1)):
        key = f"safety.range.dcdc.meter.ig.{bound}"
        limit = sight.number(key)
        if capacity is not None and limit is not None and sign * limit < capacity:
            sight.error(
                at(key),
                "AR226",
                f"{key} is {limit:g}, so the capacity of gridCurrentCapacityA, {capacity:g} A, would count as unsafe",
                f"{'at most -' if sign < 0 else 'at least '}{capacity:g} is needed",
            )
