"""The store is stopped, lost, set back; a node is frozen or cut off; the master is gone for good."""

from __future__ import annotations

import asyncio

import pytest

from apis_rules.ports.types import OperationMode
from apis_rules.ports.virtual_time import run_virtual
from tests.node.world import SMALL_DEALS, pair, world

ACCELERATION = 20.0


async def outage(seconds: float) -> None:
    async with pair(ACCELERATION) as w:
        deal_id = await w.one_deal()
        w.store.stop()
        await asyncio.sleep(seconds)
        if seconds > w.times.dead_man_s:
            assert {w.mode(u) for u in w.unit_ids} <= {"WAIT", "VOLTAGE_REFERENCE"}
        w.store.start()
        await w.until(lambda: [r for r in w.final_records if r.deal_id == deal_id], 90, "the deal's end")
        record = next(r for r in w.final_records if r.deal_id == deal_id)
        assert (record.abort_reason is None) == (seconds < w.times.dead_man_s)
        await w.until(lambda: len(w.deals_in("started")) > 0, 90, "trading goes on")
        w.check_grid()
        w.check_books()


@pytest.mark.parametrize("seconds", [3.0, 30.0])
def test_a_store_that_is_away(seconds: float) -> None:
    """Shorter than the dead-man time a deal goes on; longer, units stop by themselves; then the community goes on."""
    run_virtual(outage(seconds))


async def amnesia(*, lost: bool) -> None:
    async with pair(ACCELERATION) as w:
        old = w.store.snapshot()
        await w.one_deal()
        await asyncio.sleep(1.5)
        if lost:
            w.store.lose()
        else:
            w.store.rewind(old)
        await w.until(lambda: (m := w.records.mode()) is not None and m.amnesia, 30, "mode stop")
        await w.until(lambda: {w.mode(u) for u in w.unit_ids} == {"WAIT"}, 40, "everybody waits")
        await w.at_rest(40)
        assert w.records.mode().mode is OperationMode.STOP  # type: ignore[union-attr]
        assert all("revision" in e.message or "epoch" in e.message for e in w.events("amnesia"))
        await asyncio.sleep(15)
        w.check_still()
        assert not w.records.deals()
        w.check_grid(dealless_s=w.times.dead_man_s)
        await w.operator_sets("autonomous")
        await w.until(lambda: w.deals_in("started"), 60, "trading goes on")
        assert len(w.events("amnesia")) <= 2
        w.check_grid(dealless_s=w.times.dead_man_s)


@pytest.mark.parametrize("lost", [True, False])
def test_a_store_that_has_forgotten(lost: bool) -> None:
    """Lost or set back in a running deal: everything stops, says why, and waits for an operator."""
    run_virtual(amnesia(lost=lost))


async def silent_for(how: str, seconds: float, *, master: bool) -> None:
    async with world(3, acceleration=ACCELERATION, policy=SMALL_DEALS, rsoc=[92.0, 27.0, 55.0]) as w:
        deal_id = await w.one_deal()
        units = w.records.deals()[deal_id][0].record.units
        unit_id = w.master if master else next(u for u in units if u != w.master)
        assert unit_id is not None
        line = w.store.lines[unit_id]
        if how == "frozen":
            w.freeze(unit_id)
        else:
            line.cut()
        await asyncio.sleep(seconds)
        if seconds > w.times.life_s + w.times.margin_s:
            assert w.master is not None
            assert w.master != unit_id
        if how == "frozen":
            w.thaw(unit_id)
        else:
            line.restore()
        await w.until(lambda: [r for r in w.final_records if r.deal_id == deal_id], 90, "the deal's end")
        await w.until(lambda: w.deals_in("started"), 90, "trading goes on")
        dead = [unit_id] if how == "frozen" else []
        w.check_grid(dead=dead)
        w.check_books()


@pytest.mark.parametrize(
    ("how", "seconds", "master"),
    [("frozen", 4.0, False), ("frozen", 25.0, True), ("cut", 25.0, True), ("cut", 25.0, False)],
)
def test_a_node_that_is_suspended_or_cut_off(how: str, seconds: float, master: bool) -> None:
    """Another is master in time, its converter stops by itself where it can, and late commands have no effect."""
    run_virtual(silent_for(how, seconds, master=master))
