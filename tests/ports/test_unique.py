"""Ids that occur once, and runs in virtual time that make up the same ones again."""

from __future__ import annotations

import asyncio

from apis_rules.ports.feed import Feed
from apis_rules.ports.unique import new_uuid
from apis_rules.ports.virtual_time import run_virtual


async def some() -> list[str]:
    return [str(new_uuid()) for _ in range(100)]


def test_a_seed_decides_the_ids_of_a_virtual_run() -> None:
    """Equal seeds give equal ids, other seeds others, and within a run none comes twice."""
    first = run_virtual(some(), seed=1)
    assert run_virtual(some(), seed=1) == first
    assert not set(first) & set(run_virtual(some(), seed=2))
    assert len(set(first)) == 100


def test_elsewhere_chance_decides() -> None:
    """On a real loop, and without one, no id comes twice, in whichever run."""
    found = [*asyncio.run(some()), *asyncio.run(some()), *(str(new_uuid()) for _ in range(100))]
    assert len(set(found)) == 300


def test_a_feed_that_skips() -> None:
    """What waited is forgotten, what comes afterwards is handed out."""

    async def read() -> str:
        feed: Feed[str] = Feed()
        feed.put("old")
        feed.put("older news")
        feed.skip()
        feed.put("new")
        return await anext(feed)

    assert run_virtual(read()) == "new"
