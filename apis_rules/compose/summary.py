"""Deals that are over, and the energy that went from whom to whom: at the end of a run, and of ``deals --since``."""

from __future__ import annotations

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
    created_utc: str | None
    ended_utc: str | None
    discharge_unit_id: str
    charge_unit_id: str
    deal_amount_wh: int
    point_per_wh: float | None
    discharge_wh: float | None
    charge_wh: float | None
    booked_wh: float | None
    points: float | None
    duration_s: float | None
    ended: str


@dataclass(frozen=True, slots=True)
class UnitTotal:
    """One unit over all deals: energies at its battery, points by the booked energy."""

    unit_id: str
    deals: int = 0
    given_wh: float = 0.0
    taken_wh: float = 0.0
    earned_points: float = 0.0
    paid_points: float = 0.0

    def plus(
        self, *, given_wh: float = 0.0, taken_wh: float = 0.0, earned: float = 0.0, paid: float = 0.0
    ) -> UnitTotal:
        """Return the total with one more deal."""
        return UnitTotal(
            self.unit_id,
            self.deals + 1,
            round(self.given_wh + given_wh, 3),
            round(self.taken_wh + taken_wh, 3),
            round(self.earned_points + earned, 3),
            round(self.paid_points + paid, 3),
        )


@dataclass(frozen=True, slots=True)
class Summary:
    """Some deals together.

    Attributes:
        given_wh, taken_wh: what discharging sides gave and charging sides got in all; the rest are losses.
        units: every unit that was a party.
    """

    deals: tuple[DealSummary, ...]
    given_wh: float
    taken_wh: float
    loss_wh: float
    units: tuple[UnitTotal, ...]

    def to_document(self) -> dict[str, Any]:
        """Return plain values for programs."""
        return asdict(self)


def sum_up(records: Sequence[DealRecord]) -> Summary:
    """Put the records of deals together."""
    totals: dict[str, UnitTotal] = {}
    deals = tuple(_deal(r) for r in records)
    for deal in deals:
        points = deal.points or 0.0
        giver, taker = (totals.get(u, UnitTotal(u)) for u in (deal.discharge_unit_id, deal.charge_unit_id))
        totals[giver.unit_id] = giver.plus(given_wh=deal.discharge_wh or 0.0, earned=points)
        totals[taker.unit_id] = taker.plus(taken_wh=deal.charge_wh or 0.0, paid=points)
    given_wh, taken_wh = (
        sum(wh or 0.0 for wh in side) for side in ([d.discharge_wh for d in deals], [d.charge_wh for d in deals])
    )
    return Summary(
        deals=deals,
        given_wh=round(given_wh, 3),
        taken_wh=round(taken_wh, 3),
        loss_wh=round(given_wh - taken_wh, 3),
        units=tuple(totals[unit] for unit in sorted(totals)),
    )


def why_ended(record: DealRecord) -> str:
    """Return why a deal is over."""
    if record.unconfirmed:
        return "a unit was excluded before its converter was confirmed in WAIT"
    return record.abort_reason or record.scram_reason or "in order"


def _deal(record: DealRecord) -> DealSummary:
    start_s = parse_unit_time(record.start_date_time or "")
    stop_s = parse_unit_time(record.stop_date_time or "")
    booked_wh = record.cumulate_amount_wh
    return DealSummary(
        deal_id=record.deal_id,
        created_utc=record.create_date_time_utc,
        ended_utc=record.deactivate_date_time_utc,
        discharge_unit_id=record.discharge_unit_id,
        charge_unit_id=record.charge_unit_id,
        deal_amount_wh=record.deal_amount_wh,
        point_per_wh=record.point_per_wh,
        discharge_wh=record.discharge_unit_amount_wh,
        charge_wh=record.charge_unit_amount_wh,
        booked_wh=booked_wh,
        points=None if booked_wh is None or record.point_per_wh is None else round(record.point_per_wh * booked_wh, 3),
        duration_s=None if start_s is None or stop_s is None else stop_s - start_s,
        ended=why_ended(record),
    )
