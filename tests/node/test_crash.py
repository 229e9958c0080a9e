"""A Grid Master that dies at any of its writes leaves nothing undone and nothing done twice."""

from __future__ import annotations

import asyncio

import pytest

from apis_rules.ports.virtual_time import run_virtual
from tests.node.world import SMALL_DEALS, World, world

UNITS = 2
ACCELERATION = 30.0
DEAL_WRITES = 22
"""A whole deal takes its master about so many writes."""


async def until_master_dies(w: World, writes: int) -> str:
    """Let the master of the first deal die directly before its *writes*-th write after the deal was made."""
    await w.until(lambda: w.records.deals() and w.master, 30, "a deal and a master")
    master = w.master
    assert master is not None
    w.store.lines[master].writes_until_kill = writes
    await w.until(lambda: w.store.lines[master].killed, 120, f"the {writes}-th write of {master}")
    await w.kill(master)
    return master


async def check_deal_with_crash(writes: int) -> None:
    async with world(UNITS, acceleration=ACCELERATION, rsoc=[92.0, 27.0], policy=SMALL_DEALS) as w:
        master = await until_master_dies(w, writes)
        ids = {*w.records.deals(), *(r.deal_id for r in w.final_records)}
        await asyncio.sleep(3)
        w.start(master)
        await w.until(lambda: not ids & set(w.records.deals()), 150, f"the end of {ids} after write {writes}")
        w.check_books()
        w.check_grid()


@pytest.mark.parametrize("writes", range(DEAL_WRITES))
def test_a_master_that_dies_and_comes_back(writes: int) -> None:
    """Started again after 3 s: the deal is finished or ended in order, with exactly one final record."""
    run_virtual(check_deal_with_crash(writes))
