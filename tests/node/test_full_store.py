"""A store that takes no write: what is owed stays owed, and no node ends by it."""

from __future__ import annotations

import asyncio

from apis_rules.ports.virtual_time import run_virtual
from tests.node.test_floor import services_of
from tests.node.test_reactions import raise_as
from tests.node.world import World, pair

ACCELERATION = 20.0
REFUSED_S = 5.0


def check_alive(w: World) -> None:
    assert not w.ended(), w.tell()


async def community_stop() -> None:
    async with pair(ACCELERATION) as w:
        deal_id = await w.one_deal()
        master = w.master
        assert master is not None
        w.store.ctl.full = True
        raise_as(services_of(w, master).errors, "HARDWARE:GLOBAL:ERROR")
        await asyncio.sleep(REFUSED_S)
        check_alive(w)
        w.store.ctl.full = False
        await w.until(lambda: [r for r in w.final_records if r.deal_id == deal_id], 90, "the deal's end")
        await w.until(lambda: w.records.sustain() is not None, 30, "it is written down")
        assert w.records.sustain().reason == "made for a test"  # type: ignore[union-attr]
        check_alive(w)
        w.check_grid()


def test_a_full_store_does_not_end_a_master_that_owes_a_stop() -> None:
    """It goes on, and writes the community's stop down when there is room again."""
    run_virtual(community_stop())


async def own_deals() -> None:
    async with pair(ACCELERATION) as w:
        deal_id = await w.one_deal()
        unit_id = next(u for u in w.unit_ids if u != w.master)
        w.store.ctl.full = True
        raise_as(services_of(w, unit_id).errors, "HARDWARE:LOCAL:ERROR")
        await asyncio.sleep(REFUSED_S)
        check_alive(w)
        w.store.ctl.full = False
        await w.until(lambda: [r for r in w.final_records if r.deal_id == deal_id], 90, "the deal's end")
        check_alive(w)
        w.check_grid()


def test_a_full_store_does_not_end_a_unit_that_leaves_its_deals() -> None:
    """It asks again until the store takes the request."""
    run_virtual(own_deals())
