"""What deals can make lines and the voltage reference carry, whatever of them is on (specification 11.1).

Deals are switched one converter after the other, and a converter may drop out at any time. So currents of opposite
directions never cancel: a side of a line is taken for what its units charge with alone, and for what they discharge
with alone. Whichever of them are on, and wherever the voltage is held, the line carries at most the largest of these
four sums.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping


@dataclass(frozen=True, slots=True)
class Share:
    """What one deal asks of its two units, an absolute value in A."""

    discharge_unit_id: str
    charge_unit_id: str
    current_a: float


@dataclass(frozen=True, slots=True)
class LineViews:
    """The four sums of a line, in A: what the units of either side discharge with, and charge with."""

    forward_discharging_a: float
    forward_charging_a: float
    backward_discharging_a: float
    backward_charging_a: float

    @property
    def worst_a(self) -> float:
        """The most that the line can carry."""
        return max(
            self.forward_discharging_a, self.forward_charging_a, self.backward_discharging_a, self.backward_charging_a
        )


def line_views(
    forward: Collection[str], backward: Collection[str], shares: Iterable[Share], cut_off_a: Mapping[str, float]
) -> LineViews:
    """Return the four sums of a line between the units *forward* and *backward*, over all deals that may be on.

    *cut_off_a* has the units that were declared cut off, with their last set current: it may flow in either direction.
    """
    found = tuple(shares)

    def discharging_a(side: Collection[str]) -> float:
        return sum(s.current_a for s in found if s.discharge_unit_id in side) + unknown_a(side)

    def charging_a(side: Collection[str]) -> float:
        return sum(s.current_a for s in found if s.charge_unit_id in side) + unknown_a(side)

    def unknown_a(side: Collection[str]) -> float:
        return sum(a for unit_id, a in cut_off_a.items() if unit_id in side)

    return LineViews(discharging_a(forward), charging_a(forward), discharging_a(backward), charging_a(backward))


def reserve_need_a(holder: str, shares: Iterable[Share], cut_off_a: Mapping[str, float]) -> tuple[float, str | None]:
    """Return the most that *holder* carries when any one other party drops out, in A, and which one that is.

    The holder carries the opposite of all others together; None where that is most while all are on.
    """
    net_a: defaultdict[str, float] = defaultdict(float)
    for share in shares:
        net_a[share.charge_unit_id] += share.current_a
        net_a[share.discharge_unit_id] -= share.current_a
    others_a = {unit_id: a for unit_id, a in net_a.items() if unit_id != holder}
    all_a, unknown_a = sum(others_a.values()), sum(cut_off_a.values())
    worst_a, worst = abs(all_a), None
    for unit_id, a in others_a.items():
        if abs(all_a - a) > worst_a:
            worst_a, worst = abs(all_a - a), unit_id
    return worst_a + unknown_a, worst
