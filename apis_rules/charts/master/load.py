"""Whose current passes where: each unit's share by its deals, and what is left for the unit that holds the voltage."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apis_rules.charts.master.sides import signed_span_a

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from apis_rules.ports.types import Deal


class BusLoad:
    """Sums over the deals that are switched on, kept current as deals change; charging counts positive.

    Where a command has no outcome yet, the truth lies between two numbers, and both are kept.

    Args:
        excluded_a: units declared cut off, with their last set current: it may flow in either direction.
    """

    def __init__(self, deals: Iterable[Deal], excluded_a: Mapping[str, float]) -> None:
        self._low: dict[str, float] = {}
        self._high: dict[str, float] = {}
        self._set: dict[str, float] = {}
        self._on: dict[str, int] = {}
        self._excluded = excluded_a.keys()
        self._excluded_a = sum(excluded_a.values())
        for deal in deals:
            self.add(deal)

    def add(self, deal: Deal, sign: int = 1) -> None:
        """Count *deal*, or with *sign* -1 count it no more."""
        detail, record = deal.detail, deal.record
        for unit_id, side in ((record.discharge_unit_id, detail.discharge), (record.charge_unit_id, detail.charge)):
            if not side.on or unit_id in self._excluded:
                continue
            low_a, high_a = signed_span_a(deal, unit_id)
            self._low[unit_id] = self._low.get(unit_id, 0.0) + sign * low_a
            self._high[unit_id] = self._high.get(unit_id, 0.0) + sign * high_a
            self._set[unit_id] = self._set.get(unit_id, 0.0) + sign * side.to_a
            self._on[unit_id] = self._on.get(unit_id, 0) + sign * int(not side.leaving)

    def on(self, unit_id: str) -> int:
        """Return in how many deals the unit is switched on and was not told to stop."""
        return self._on.get(unit_id, 0)

    def commanded_a(self, unit_id: str) -> float:
        """Return the sum of the unit's shares as commanded, an absolute value."""
        return self._set.get(unit_id, 0.0)

    def holder_span_a(self, holding: Collection[str]) -> tuple[float, float]:
        """Return the least and the most that the units *holding* may carry: the opposite of all others together."""
        low_a = sum(a for unit_id, a in self._low.items() if unit_id not in holding)
        high_a = sum(a for unit_id, a in self._high.items() if unit_id not in holding)
        return -high_a - self._excluded_a, -low_a + self._excluded_a
