"""A node's side of a bucket in memory: calls over its wire, and the view that it keeps."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from apis_rules.ports.feed import Feeds
from apis_rules.ports.memory.bucket import covers
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
    """``View`` over a bucket in memory. What it hears has travelled over the node's wire."""

    def __init__(self, bucket: Bucket, line: Line, prefixes: Sequence[str]) -> None:
        self._bucket = bucket
        self._line = line
        self._prefixes = prefixes
        self._picture: dict[str, Entry] = {}
        self._below: dict[str, Mapping[str, Entry]] = {}
        self._revision = 0
        self._store_id = ""
        self._complete = False
        self._in_doubt_since_s: float | None = None
        self._sync_due = False
        self._feeds: Feeds[Entry] = Feeds()
        self._fresh_waiters: list[asyncio.Future[None]] = []

    def get(self, key: str) -> Entry:
        """Return what the picture shows of *key*."""
        return self._picture.get(key, Entry(key, None, 0))

    def entries(self, prefix: str = "") -> Mapping[str, Entry]:
        """Return every present key below *prefix*."""
        if prefix and not prefix.endswith("."):
            entry = self._picture.get(prefix)
            return {} if entry is None or entry.value is None else {prefix: entry}
        if prefix not in self._below:
            found = {k: e for k, e in self._picture.items() if k.startswith(prefix) and e.value is not None}
            self._below[prefix] = found
        return self._below[prefix]

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
        return self._revision

    @property
    def store_id(self) -> str:
        """Identity of the bucket's present life."""
        return self._store_id

    def changes(self) -> AsyncIterator[Entry]:
        """Yield each change from now on."""
        return self._feeds.open(awake=self._line.awake)

    async def wait_fresh(self) -> None:
        """Return as soon as ``fresh`` is true."""
        while not self.fresh:
            waiter = asyncio.get_running_loop().create_future()
            self._fresh_waiters.append(waiter)
            await waiter

    def open(self) -> None:
        """Begin to listen."""
        self._unsubscribe = self._bucket.subscribe(self._announced)
        self._line.on_change.append(self._line_changed)
        self._line_changed()

    def close(self) -> None:
        """Listen no more."""
        self._unsubscribe()
        self._line.on_change.remove(self._line_changed)

    def _line_changed(self) -> None:
        if self._line.connected:
            self._sync_soon()
        elif self._in_doubt_since_s is None:
            self._in_doubt_since_s = asyncio.get_running_loop().time()

    def _sync_soon(self) -> None:
        if not self._sync_due:
            self._sync_due = True
            asyncio.get_running_loop().call_later(2 * self._line.latency_s, self._sync)

    def _sync(self) -> None:
        self._sync_due = False
        if not self._line.connected:
            return
        now = {e.key: e for e in self._bucket.entries() if covers(self._prefixes, e.key)}
        gone = [Entry(k, None, self._bucket.revision) for k, e in self._picture.items() if e.value and k not in now]
        changed = [e for k, e in now.items() if self._picture.get(k) != e]
        self._store_id = self._bucket.store_id
        self._picture = dict(now)
        self._below.clear()
        self._revision = self._bucket.revision
        self._complete = True
        self._in_doubt_since_s = None
        self._tell([*gone, *sorted(changed, key=lambda e: e.revision)])
        for waiter in self._fresh_waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._fresh_waiters.clear()

    def _announced(self, entry: Entry) -> None:
        """The store has changed: it is told over the wire, where it still reaches us."""
        if self._line.connected:
            asyncio.get_running_loop().call_later(self._line.latency_s, self._arrived, entry)

    def _arrived(self, entry: Entry) -> None:
        if not self._line.connected or not self._complete:
            return
        # What a complete look has shown already does not come again, and never an earlier change after a later one.
        if entry.revision <= self._revision:
            return
        self._revision = entry.revision
        if covers(self._prefixes, entry.key):
            self._picture[entry.key] = entry
            self._below = {p: found for p, found in self._below.items() if not entry.key.startswith(p)}
            self._tell([entry])

    def _tell(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            self._feeds.put(entry)
