"""The true energy of every deal, by the grid's own ledger: what records are held against."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from apis_rules.compose.simulation.community import VirtualCommunity
    from apis_rules.grid.model import Grid


class DealMeters:
    """Counts what flows on the battery side of both parties while a deal is booked; deals of one unit share alike.

    Attributes:
        wh: (deal id, unit id) → Wh so far.
        disturbed: deals of which a party, or the store, was out of order meanwhile: their records may miss something.
            So may those of other deals of that party, and those of the voltage reference, which carries the rest.
    """

    def __init__(self, community: VirtualCommunity, ill: Callable[[str], bool], store: str) -> None:
        self._community = community
        self._ill = ill
        self._store = store
        self._revision = -1
        self._deals_of: dict[str, list[str]] = {}
        self._before: dict[str, float] = {}
        self.wh: dict[tuple[str, str], float] = {}
        self.disturbed: set[str] = set()

    def __call__(self, grid: Grid, dt_s: float) -> None:
        """Add one step."""
        _ = dt_s
        ctl = self._community.store.ctl
        if ctl.revision != self._revision:
            self._revision = ctl.revision
            self._look_at_deals()
        moved_wh = dict(zip(grid.unit_ids, grid.battery_side_wh().tolist(), strict=True)) if self._deals_of else {}
        for unit_id, deal_ids in self._deals_of.items():
            now_wh = moved_wh[unit_id]
            share_wh = (now_wh - self._before.get(unit_id, now_wh)) / len(deal_ids)
            self._before[unit_id] = now_wh
            for deal_id in deal_ids:
                key = deal_id, unit_id
                self.wh[key] = self.wh.get(key, 0.0) + share_wh

    def _look_at_deals(self) -> None:
        self._deals_of = {}
        uneven: set[str | None] = set()
        holder = self._community.records.grid()[0].holder
        for deal_id, (deal, _) in self._community.records.deals().items():
            if any(map(self._ill, (*deal.record.units, self._store, self._community.master or self._store))):
                self.disturbed.add(deal_id)
            if deal_id in self.disturbed:
                uneven |= {*deal.record.units, holder}
            if deal.detail.flowing:
                for unit_id in deal.record.units:
                    self._deals_of.setdefault(unit_id, []).append(deal_id)
        self.disturbed.update(*(self._deals_of.get(unit_id, ()) for unit_id in uneven if unit_id))
        self._before = {u: wh for u, wh in self._before.items() if u in self._deals_of}
