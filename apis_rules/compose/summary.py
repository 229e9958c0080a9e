"""What a run has done, at its end: each deal that is over, and the energy that went from whom to whom."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from apis_rules.node.unit_clock import parse_unit_time

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apis_rules.ports.types import DealRecord


@dataclass(frozen=True, slots=True)
class DealSummary:
    """One deal that is over; energies at the batteries, durations by the unit clock."""

    deal_id: str
    discharge_unit_id: str
    charge_unit_id: str
    deal_amount_wh: int
    discharge_wh: float | None
    charge_wh: float | None
    booked_wh: float | None
    points: float | None
    duration_s: float | None
    ended: str


@dataclass(frozen=True, slots=True)
class Summary:
    """A whole run.

    Attributes:
        given_wh, taken_wh: what discharging sides gave and charging sides got in all; the rest are losses.
        units: unit id → energy got minus energy given.
    """

    deals: tuple[DealSummary, ...]
    given_wh: float
    taken_wh: float
    loss_wh: float
    units: dict[str, float]

    def to_document(self) -> dict[str, Any]:
        """Return plain values for programs."""
        return asdict(self)


def sum_up(records: Sequence[DealRecord]) -> Summary:
    """Put the records of a run together."""
    balance: defaultdict[str, float] = defaultdict(float)
    for record in records:
        balance[record.discharge_unit_id] -= record.discharge_unit_amount_wh or 0.0
        balance[record.charge_unit_id] += record.charge_unit_amount_wh or 0.0
    given_wh = sum(r.discharge_unit_amount_wh or 0.0 for r in records)
    taken_wh = sum(r.charge_unit_amount_wh or 0.0 for r in records)
    return Summary(
        deals=tuple(_deal(r) for r in records),
        given_wh=round(given_wh, 3),
        taken_wh=round(taken_wh, 3),
        loss_wh=round(given_wh - taken_wh, 3),
        units={unit: round(wh, 3) for unit, wh in sorted(balance.items())},
    )


def _deal(record: DealRecord) -> DealSummary:
    start_s = parse_unit_time(record.start_date_time or "")
    stop_s = parse_unit_time(record.stop_date_time or "")
    booked_wh = record.cumulate_amount_wh
    return DealSummary(
        deal_id=record.deal_id,
        discharge_unit_id=record.discharge_unit_id,
        charge_unit_id=record.charge_unit_id,
        deal_amount_wh=record.deal_amount_wh,
        discharge_wh=record.discharge_unit_amount_wh,
        charge_wh=record.charge_unit_amount_wh,
        booked_wh=booked_wh,
        points=None if booked_wh is None or record.point_per_wh is None else round(record.point_per_wh * booked_wh, 3),
        duration_s=None if start_s is None or stop_s is None else stop_s - start_s,
        ended=record.abort_reason or record.scram_reason or "in order",
    )
