"""Feeds: one reader's queue each."""

from __future__ import annotations

import asyncio
import gc

import pytest

from apis_rules.ports.feed import Feed, Feeds
from apis_rules.ports.virtual_time import run_virtual


def test_what_is_put_in_together_is_there_together() -> None:
    """A reader that was woken once finds everything that was put in, in order, and waits again after it."""

    async def main() -> list[int]:
        feed: Feed[int] = Feed()
        seen: list[int] = []

        async def read() -> None:
            async for item in feed:
                seen.append(item)  # noqa: PERF401 - one by one: it is cancelled in between

        reading = asyncio.create_task(read())
        await asyncio.sleep(1)
        feed.put_all([1, 2])
        feed.put(3)
        await asyncio.sleep(1)
        feed.put(4)
        await asyncio.sleep(1)
        assert not reading.done()
        reading.cancel()
        return seen

    assert run_virtual(main()) == [1, 2, 3, 4]


def test_a_reader_that_gave_up_waiting_reads_on_later() -> None:
    """A wait that was cut short loses nothing that is put in afterwards."""

    async def main() -> int:
        feed: Feed[int] = Feed()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await anext(feed)
        feed.put(5)
        return await anext(feed)

    assert run_virtual(main()) == 5


def test_two_readers_of_one_feed_are_a_mistake() -> None:
    """A second one that waits at the same time is told so, instead of one of them never being woken."""

    async def main() -> None:
        feed: Feed[int] = Feed()
        first = asyncio.create_task(anext(feed))
        await asyncio.sleep(1)
        with pytest.raises(RuntimeError, match="one reader"):
            await anext(feed)
        feed.put(1)
        assert await first == 1

    run_virtual(main())


def test_a_reader_that_nobody_holds_is_forgotten() -> None:
    """Everybody who still holds a feed gets what is put in; one that was let go costs nothing."""
    feeds: Feeds[int] = Feeds()
    kept, dropped = feeds.open([0]), feeds.open()
    del dropped
    gc.collect()
    feeds.put(1)
    feeds.put_all([2, 3])

    async def main() -> list[int]:
        return [await anext(kept) for _ in range(4)]

    assert run_virtual(main()) == [0, 1, 2, 3]
    assert len(feeds) == 1
