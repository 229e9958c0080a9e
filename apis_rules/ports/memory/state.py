"""A node's side of a bucket in memory: calls over its wire, and the view that it keeps."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from apis_rules.ports.feed import Feeds
from apis_rules.ports.memory.picture import Life, Picture
from apis_rules.ports.state import Entry, View, Write

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from apis_rules.ports.memory.bucket import Bucket
    from apis_rules.ports.memory.faults import Line

FRESHNESS_LIMIT_S: Final = 2.5
"""After so long without a word from the store a view no longer counts as current."""


class MemoryState:
    """``SharedState`` over a bucket in memory."""

    def __init__(self, bucket: Bucket, line: Line) -> None:
        self._bucket = bucket
        self._line = line

    async def get(self, key: str) -> Entry:
        """Read one key from the store."""
        return await self._line.read(lambda: self._bucket.get(key))

    async def keys(self, prefix: str = "") -> Sequence[str]:
        """List the present keys below *prefix*."""
        return await self._line.read(lambda: self._bucket.keys(prefix))

    async def write(self, *writes: Write) -> int:
        """Apply all of *writes* or none."""
        check_writes(writes)
        return await self._line.write("write", lambda: self._bucket.write(writes))

    @asynccontextmanager
    async def watch(self, *prefixes: str) -> AsyncIterator[View]:
        """Open a view of all keys below *prefixes*."""
        view = MemoryView(self._bucket, self._line, prefixes)
        view.open()
        try:
            yield view
        finally:
            view.close()


def check_writes(writes: Sequence[Write]) -> None:
    """Raise ``ValueError`` for what no store would take."""
    if not writes:
        raise ValueError("nothing to write")
    if len({w.key for w in writes}) != len(writes):
        raise ValueError("a batch writes each key once")
    for write in writes:
        if write.time_limit_s is not None and (write.time_limit_s < 1 or write.time_limit_s != int(write.time_limit_s)):
            raise ValueError("a time limit is whole seconds from 1")


class MemoryView:
    """``View`` over a bucket in memory. What it hears has travelled over the node's wire.

    Attributes:
        line: that wire.
    """

    def __init__(self, bucket: Bucket, line: Line, prefixes: Sequence[str]) -> None:
        self.line = line
        self._bucket = bucket
        self._picture = Picture(Life(""), tuple(prefixes), 0, {})
        self._complete = False
        self._in_doubt_since_s: float | None = None
        self._sync_due = False
        self._feeds: Feeds[Entry] = Feeds()
        self._fresh_waiters: list[asyncio.Future[None]] = []

    def get(self, key: str) -> Entry:
        """Return what the picture shows of *key*."""
        return self._picture.get(key)

    def entries(self, prefix: str = "") -> Mapping[str, Entry]:
        """Return every present key below *prefix*."""
        return self._picture.below(prefix)

    @property
    def fresh(self) -> bool:
        """Whether the picture is complete and the store was heard of lately."""
        if not self._complete:
            return False
        since = self._in_doubt_since_s
        return since is None or asyncio.get_running_loop().time() - since < FRESHNESS_LIMIT_S

    @property
    def revision(self) -> int:
        """The highest revision in the picture."""
        return self._picture.revision

    @property
    def store_id(self) -> str:
        """Identity of the bucket's present life."""
        return self._picture.life.store_id

    def changes(self) -> AsyncIterator[Entry]:
        """Yield each change from now on."""
        return self._feeds.open(awake=self.line.awake)

    async def wait_fresh(self) -> None:
        """Return as soon as ``fresh`` is true."""
        while not self.fresh:
            waiter = asyncio.get_running_loop().create_future()
            self._fresh_waiters.append(waiter)
            await waiter

    def open(self) -> None:
        """Begin to listen."""
        self._bucket.attach(self)
        self.line.on_change.append(self._line_changed)
        self._line_changed()

    def close(self) -> None:
        """Listen no more."""
        self._bucket.detach(self)
        self.line.on_change.remove(self._line_changed)

    def hear(self, batch: Sequence[Entry]) -> None:
        """Take what was written in one step."""
        if not self._complete or batch[-1].revision <= self._picture.revision:
            return  # a complete look shows it, or has shown it already
        if batch[0].revision != self._picture.revision + 1:
            self._sync_soon()  # something before it was missed
            return
        self._picture, news = self._picture.after(batch)
        if news:
            self._feeds.put_all(news)

    def _line_changed(self) -> None:
        if self.line.connected:
            self._sync_soon()
        elif self._in_doubt_since_s is None:
            self._in_doubt_since_s = asyncio.get_running_loop().time()

    def _sync_soon(self) -> None:
        if not self._sync_due:
            self._sync_due = True
            asyncio.get_running_loop().call_later(2 * self.line.latency_s, self._sync)

    def _sync(self) -> None:
        self._sync_due = False
        if not self.line.connected:
            return
        before, now = self._picture.entries, self._bucket.picture(self._picture.prefixes)
        gone = [Entry(k, None, now.revision) for k, e in before.items() if e.value and k not in now.entries]
        changed = [e for k, e in now.entries.items() if before.get(k) != e]
        self._picture = now
        self._complete = True
        self._in_doubt_since_s = None
        self._feeds.put_all([*gone, *sorted(changed, key=lambda e: e.revision)])
        for waiter in self._fresh_waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._fresh_waiters.clear()
