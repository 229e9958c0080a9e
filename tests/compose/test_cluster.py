"""A community of separate nodes over three servers, of which one after the other is killed and comes back."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.compose.houses import UNITS, ask, now_s, until
from tests.compose.killing import RSOC, Community
from tests.compose.site import Site

if TYPE_CHECKING:
    from pathlib import Path

AWAY_S = 12.0
"""Longer than the servers take to elect a new leader."""

BACK_S = 10.0
UNHELD_S = 1.5
DEALLESS_S = 5.0
"""For which a converter may be seen active while the store shows no deal of its unit: it is on its way to WAIT."""

SWITCHED = frozenset({"activated", "warming_up", "compensating", "started", "stopping", "stopped", "deactivating"})
"""A deal that was seen in one of these is due a final record."""


def watch(community: Community, for_s: float, seen: dict[str, str], since_s: dict[str, float]) -> float:
    """Look on for a while; note every deal with its furthest state; return the longest time without a deal."""
    worst_s, until_s = 0.0, now_s() + for_s

    def over() -> bool:
        nonlocal worst_s
        overview = community.overview()
        busy = {overview.holder} | {u for d in overview.deals for u in (d.discharge_unit_id, d.charge_unit_id)}
        for unit_id in UNITS:
            if unit_id in community.houses.active() and unit_id not in busy:
                worst_s = max(worst_s, now_s() - since_s.setdefault(unit_id, now_s()))
            else:
                since_s.pop(unit_id, None)
        seen.update({d.deal_id: d.state for d in overview.deals if d.state in SWITCHED})
        return now_s() > until_s

    until(over, for_s + 10, "looked on")
    return worst_s


@pytest.mark.campaign
@pytest.mark.timeout(600)
def test_servers_die_one_after_the_other(tmp_path: Path) -> None:
    """No deal is lost or ends before its amount, no converter is active without one, whichever server is away."""
    site = Site(tmp_path / "servers")
    community = Community(tmp_path / "community", store=site)
    seen: dict[str, str] = {}
    since_s: dict[str, float] = {}
    try:
        until(lambda: any(d.state == "started" for d in community.overview().deals), 90, "deals run")
        for board in (*site.boards, site.boards[0]):
            community.houses.charge(RSOC)
            before = len(community.final_records())
            board.kill()
            worst_s = watch(community, AWAY_S, seen, since_s)
            board.start()
            worst_s = max(worst_s, watch(community, BACK_S, seen, since_s))
            done = len(community.final_records()) - before
            unheld_s = max(community.houses.unheld_s.values())
            told = f"{done} deals done, dealless {worst_s:.2f} s, without a voltage {unheld_s:.2f} s"
            print(f"{board.host} away for {AWAY_S:.0f} s: {told}")  # noqa: T201  the table
            assert worst_s <= DEALLESS_S
            assert unheld_s <= UNHELD_S
        broken = {r.deal_id: r.abort_reason or r.scram_reason for r in community.final_records()}
        assert set(broken.values()) == {None}, broken
        assert len(broken) > 4, "too few deals to say anything"
        ask("mode", "set", "stop", "--state-dir", tmp_path / "community" / "state")
        until(lambda: not community.deal_ids(), 60, "no deal is left")
        until(lambda: set(seen) <= {r.deal_id for r in community.final_records()}, 20, "a record of each deal")
        records = community.final_records()
        assert max(Counter(r.deal_id for r in records).values()) == 1
        for record in records:
            until(lambda r=record: set(r.units) <= set(community.files(r.deal_id)), 20, "both parties' files")
            assert set(community.files(record.deal_id).values()) == {record.to_json()}
        assert community.end() == [0] * len(UNITS), community.told()
        assert community.houses.all_wait()
    finally:
        community.close()
