"""Shared state of the planner's world: values with revisions, and the records that they hold."""

from __future__ import annotations

from typing import Any

from apis_rules.ports.types import ActiveRecord, Deal, DealRecord, Direction, GridRecord, Lock, LockEntry


def make_deal(deal_id: str, discharge: str, charge: str, *, current_a: float = 1.0, amount_wh: int = 50) -> Deal:
    """A deal as its creator stores it."""
    record = DealRecord(
        unit_id=charge,
        negotiation_id=f"n-{deal_id}",
        request_unit_id=discharge,
        accept_unit_id=charge,
        request_date_time="2026/01/01-12:00:00",
        accept_date_time="2026/01/01-12:00:00",
        request_deal_grid_current_a=current_a,
        accept_deal_grid_current_a=current_a,
        type=Direction.DISCHARGE,
        charge_unit_id=charge,
        discharge_unit_id=discharge,
        deal_grid_current_a=current_a,
        request_amount_wh=amount_wh,
        accept_amount_wh=amount_wh,
        deal_amount_wh=amount_wh,
        deal_id=deal_id,
        create_date_time="2026/01/01-12:00:02",
    )
    return Deal(state="created", record=record)


class Store:
    """Keys with values and revisions; a record is read once for each of its revisions.

    Attributes:
        values: key → its value and revision.
        stream: final records, by deal.
    """

    def __init__(self) -> None:
        self.revision = 0
        self.values: dict[str, tuple[bytes, int]] = {}
        self.stream: dict[str, list[DealRecord]] = {}
        self._parsed: dict[str, tuple[int, Any]] = {}
        self._deals: dict[str, Deal] | None = None

    def touch(self) -> None:
        """Something has changed."""

    def put(self, key: str, value: bytes | None) -> None:
        self.revision += 1
        if value is None:
            self.values.pop(key, None)
        else:
            self.values[key] = (value, self.revision)
        self._deals = None
        self.touch()

    def revision_of(self, key: str) -> int:
        """0 where there is no value."""
        stored = self.values.get(key)
        return 0 if stored is None else stored[1]

    def read(self, key: str, kind: Any) -> Any:
        """The record under *key*; the empty one where there is none."""
        stored = self.values.get(key)
        if stored is None:
            return kind()
        revision, known = self._parsed.get(key, (0, None))
        if revision != stored[1]:
            known = kind.from_json(stored[0])
            self._parsed[key] = (stored[1], known)
        return known

    def create(self, deal: Deal) -> None:
        """What a mediator does: the deal and both locks at once."""
        self.put(f"deal.{deal.record.deal_id}", deal.to_json())
        for direction in Direction:
            unit_id = deal.record.unit_of(direction)
            lock = self.lock(unit_id)
            entry = LockEntry(deal_id=deal.record.deal_id, direction=direction, ampere=deal.record.deal_grid_current_a)
            self.put(f"lock.{unit_id}", lock.model_copy(update={"entries": (*lock.entries, entry)}).to_json())

    def lock(self, unit_id: str) -> Lock:
        lock: Lock = self.read(f"lock.{unit_id}", Lock)
        return lock

    def exclude(self, unit_id: str, reason: str = "cable cut") -> None:
        self.put(f"lock.{unit_id}", self.lock(unit_id).model_copy(update={"exclusion": reason}).to_json())

    def ask_stop(self, deal_id: str, unit_id: str, reason: str = "local error") -> None:
        self.put(f"stop.{deal_id}.{unit_id}", reason.encode())

    @property
    def grid(self) -> GridRecord:
        grid: GridRecord = self.read("grid", GridRecord)
        return grid

    @property
    def active(self) -> ActiveRecord:
        active: ActiveRecord = self.read("active", ActiveRecord)
        return active

    @property
    def deals(self) -> dict[str, Deal]:
        if self._deals is None:
            keys = (key for key in self.values if key.startswith("deal."))
            self._deals = {key.removeprefix("deal."): self.read(key, Deal) for key in keys}
        return self._deals

    def state_of(self, deal_id: str) -> str | None:
        deal = self.deals.get(deal_id)
        return None if deal is None else deal.state
