"""A local picture of one bucket that is kept current by the server and knows how old it is.

The client library's own way of following a bucket resumes 7 to 19 seconds after a restart of the server, and never
after a bucket was lost and made anew. Here any doubt (a gap, a silence, a new connection) throws the consumer away and
takes the whole picture again.
"""

from __future__ import annotations

import asyncio
import logging
import weakref
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from apis_rules.errors import PortError
from apis_rules.ports.state import Entry
from apis_transport.jetstream import BATCH_COMMIT, BATCH_ID, is_gone

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from nats.aio.msg import Msg

    from apis_rules.documents.wiring import LinkTimes
    from apis_rules.ports.clock import Clock
    from apis_rules.ports.state import View
    from apis_transport.jetstream import JetStream

_log = logging.getLogger(__name__)

STORE_ID: Final = "apis-store-id"
"""Key of the stream's metadata under which whoever made the bucket left a random text."""

_FORGET_CONSUMER_S: Final = 10
_RETRY_S: Final = 0.2


class _Doubt(Exception):
    """The picture may lack something."""


@dataclass(slots=True, eq=False)
class Mirror:
    """One bucket. The consumer exists while somebody watches. Made by ``open_community``.

    Attributes:
        before: what stands before each key in a subject.
        on_look: told store id and last revision at each new look, before the picture is complete.
    """

    jetstream: JetStream
    stream: str
    before: str
    times: LinkTimes
    clock: Clock
    tasks: asyncio.TaskGroup
    on_look: Callable[[str, int], None] | None = None
    store_id: str = ""
    revision: int = 0
    _entries: dict[str, Entry] = field(default_factory=dict)
    _below: dict[tuple[Sequence[str], str], dict[str, Entry]] = field(default_factory=dict)
    _complete: bool = False
    _generation: int = -1
    _heard_at_s: float = 0.0
    _silences: int = 0
    _watchers: int = 0
    _follower: asyncio.Task[None] | None = None
    _waiting: set[asyncio.Future[None]] = field(default_factory=set)
    _readers: weakref.WeakSet[_Changes] = field(default_factory=weakref.WeakSet)

    @property
    def fresh(self) -> bool:
        """Whether the picture is complete, from this connection, and the server was heard of lately."""
        connection = self.jetstream.connection
        return (
            self._complete
            and connection.connected
            and self._generation == connection.generation
            and self.clock.now_s() - self._heard_at_s < self.times.fresh_s
        )

    @asynccontextmanager
    async def watch(self, prefixes: Sequence[str]) -> AsyncIterator[View]:
        """Keep the picture while the context is open; give a view of the keys below *prefixes*."""
        self._watchers += 1
        if self._follower is None:
            self._follower = self.tasks.create_task(self._follow_for_ever(), name=f"view of {self.stream}")
        view = _View(self, tuple(prefixes))
        confirming = self.tasks.create_task(self._confirm(view), name=f"new view of {self.stream}")
        try:
            yield view
        finally:
            confirming.cancel()
            self._watchers -= 1
            if self._watchers == 0 and self._follower is not None:
                self._follower.cancel()
                self._follower, self._complete = None, False

    async def look(self) -> tuple[str, int]:
        """Ask the leader for the bucket's identity and its last revision. Raises ``Outage``."""
        info = await self.jetstream.info(self.stream)
        store_id = (info["config"].get("metadata") or {}).get(STORE_ID, info["created"])
        return store_id, info["state"]["last_seq"]

    async def news(self) -> None:
        """Return when the server was heard of again."""
        waiting = asyncio.get_running_loop().create_future()
        self._waiting.add(waiting)
        try:
            await waiting
        finally:
            self._waiting.discard(waiting)

    async def _confirm(self, view: _View) -> None:
        """Let *view* be fresh when the picture, which may be older than it, holds all that was there when it began."""
        last_seq: int | None = None
        while last_seq is None:
            try:
                _, last_seq = await self.look()
            except PortError as error:
                _log.debug("view of %s: %s", self.stream, error)
                await asyncio.sleep(_RETRY_S)
        silences = self._silences
        while not (self.fresh and (self.revision >= last_seq or self._silences > silences)):
            await self.news()
        view.confirmed = True
        self._wake()

    async def _follow_for_ever(self) -> None:
        connection = self.jetstream.connection
        arrived: asyncio.Queue[Msg | None] = asyncio.Queue()
        with connection.on_change(lambda: arrived.put_nowait(None)):
            while True:
                while not arrived.empty():
                    arrived.get_nowait()
                if connection.connected:
                    try:
                        await self._follow(arrived)
                    except (_Doubt, PortError) as doubt:
                        _log.debug("view of %s starts again: %s", self.stream, doubt)
                self._complete = False
                with suppress(TimeoutError):
                    async with asyncio.timeout(_RETRY_S):
                        await arrived.get()

    async def _follow(self, arrived: asyncio.Queue[Msg | None]) -> None:
        connection = self.jetstream.connection
        generation = connection.generation
        inbox = connection.new_inbox()
        look = _Look(*await self.look())
        if self.on_look is not None:
            self.on_look(look.store_id, look.last_seq)
        async with connection.subscribe(inbox, arrived.put_nowait):
            consumer = await self._open_consumer(inbox)
            try:
                if not consumer["num_pending"]:
                    look.pending = 0
                self._generation = generation
                self._heard_at_s = self.clock.now_s()
                self._finish(look)
                while True:
                    await self._take(look, await self._next(arrived))
                    if not self._complete:
                        self._finish(look)
                    self._wake()
            finally:
                with suppress(PortError):  # else the server forgets it by itself
                    await connection.publish(f"$JS.API.CONSUMER.DELETE.{self.stream}.{consumer['name']}", b"")

    async def _open_consumer(self, inbox: str) -> dict[str, Any]:
        config = {
            "deliver_subject": inbox,
            "deliver_policy": "last_per_subject",
            "ack_policy": "none",
            "replay_policy": "instant",
            "max_deliver": 1,
            "filter_subject": f"{self.before}>",
            "idle_heartbeat": int(self.times.heartbeat_s * 1e9),
            "flow_control": True,
            "inactive_threshold": _FORGET_CONSUMER_S * 1_000_000_000,
            "mem_storage": True,
            "num_replicas": 1,
        }
        return await self.jetstream.api(
            f"CONSUMER.CREATE.{self.stream}", {"stream_name": self.stream, "config": config}
        )

    async def _next(self, arrived: asyncio.Queue[Msg | None]) -> Msg:
        if arrived.empty():
            try:
                async with asyncio.timeout(self.times.fresh_s):
                    message = await arrived.get()
            except TimeoutError:
                raise _Doubt("the server is silent") from None
        else:
            message = arrived.get_nowait()
        if message is None:
            raise _Doubt("the connection changed")
        self._heard_at_s = self.clock.now_s()
        return message

    async def _take(self, look: _Look, message: Msg) -> None:
        headers = message.headers or {}
        if headers.get("Status") == "100":
            if int(headers.get("Nats-Last-Consumer", look.taken)) != look.taken:
                raise _Doubt("messages were lost")
            look.idle = True
            self._silences += 1
            stalled = headers.get("Nats-Consumer-Stalled")
            if message.reply or stalled:
                await self.jetstream.connection.publish(message.reply or stalled or "", b"")
            return
        position = _position(message.reply)
        if position.consumer_seq != look.taken + 1:
            raise _Doubt("messages were lost")
        look.taken += 1
        look.pending = position.pending
        key = message.subject.removeprefix(self.before)
        entry = Entry(key, None if is_gone(headers) else message.data, position.stream_seq)
        if not self._complete:
            look.entries[key] = entry
            look.top = entry.revision
        else:
            self._add(look, entry, headers)

    def _add(self, look: _Look, entry: Entry, headers: Mapping[str, str]) -> None:
        # Parts of a batch wait for the last one: they were written in one step and are shown in one.
        batch = headers.get(BATCH_ID)
        if look.batch and look.batch != batch:
            self._show(look)
        look.held.append(entry)
        look.batch = batch
        if batch is None or BATCH_COMMIT in headers:
            self._show(look)

    def _show(self, look: _Look) -> None:
        held, look.held, look.batch = look.held, [], None
        for entry in held:
            self._apply(entry)
        self.revision = max(self.revision, held[-1].revision)

    def _apply(self, entry: Entry) -> None:
        self._entries[entry.key] = entry
        self._below = {asked: found for asked, found in self._below.items() if not entry.key.startswith(asked[1])}
        for reader in self._readers:
            reader.add(entry)

    def _finish(self, look: _Look) -> None:
        # A follower may answer the consumer and lack what the leader had acknowledged when the look began. The last
        # message may also have gone since, so silence counts too.
        if look.pending != 0 or not (look.top >= look.last_seq or look.idle):
            return
        vanished = [key for key, entry in self._entries.items() if key not in look.entries and entry.value is not None]
        known = self._entries
        self._entries = {}
        self.store_id, self.revision = look.store_id, look.top
        for key in vanished:
            self._apply(Entry(key, None, 0))
        for key in vanished:
            del self._entries[key]
        for key, entry in look.entries.items():
            if known.get(key) == entry:
                self._entries[key] = entry
            else:
                self._apply(entry)
        self._below.clear()
        look.entries = {}
        self._complete = True
        self._wake()

    def _wake(self) -> None:
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)

    def entry(self, key: str) -> Entry:
        """Return what the picture shows of *key*."""
        return self._entries.get(key) or Entry(key, None, 0)

    def entries(self, prefixes: tuple[str, ...], prefix: str) -> Mapping[str, Entry]:
        """Return every present key below one of *prefixes* and below *prefix*; the same one until one of them changes.

        Everybody asks again and again, and most changes are of other keys.
        """
        found = self._below.get((prefixes, prefix))
        if found is None:
            found = self._below[prefixes, prefix] = {
                key: entry
                for key, entry in sorted(self._entries.items())
                if entry.value is not None and key.startswith(prefix) and _within(key, prefixes)
            }
        return found

    def changes(self, prefixes: Sequence[str]) -> AsyncIterator[Entry]:
        """Yield each change below *prefixes* from now on."""
        reader = _Changes(tuple(prefixes))
        self._readers.add(reader)
        return reader


@dataclass(slots=True)
class _Look:
    """One taking of the whole picture, and what follows on the same consumer."""

    store_id: str
    last_seq: int
    top: int = 0
    taken: int = 0
    pending: int | None = None
    idle: bool = False
    entries: dict[str, Entry] = field(default_factory=dict)
    held: list[Entry] = field(default_factory=list)
    batch: str | None = None


@dataclass(slots=True, eq=False, weakref_slot=True)
class _Changes:
    """Iterates over changes; of a key that changed again before it was read only the last one is kept."""

    prefixes: tuple[str, ...]
    _pending: dict[str, Entry] = field(default_factory=dict)
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, entry: Entry) -> None:
        """Note a change."""
        if _within(entry.key, self.prefixes):
            self._pending.pop(entry.key, None)
            self._pending[entry.key] = entry
            self._arrived.set()

    def __aiter__(self) -> _Changes:
        return self

    async def __anext__(self) -> Entry:
        while not self._pending:
            self._arrived.clear()
            await self._arrived.wait()
        return self._pending.pop(next(iter(self._pending)))


@dataclass(slots=True, eq=False)
class _View:
    mirror: Mirror
    prefixes: tuple[str, ...]
    confirmed: bool = False

    def get(self, key: str) -> Entry:
        return self.mirror.entry(key) if _within(key, self.prefixes) else Entry(key, None, 0)

    def entries(self, prefix: str = "") -> Mapping[str, Entry]:
        return self.mirror.entries(self.prefixes, prefix)

    @property
    def fresh(self) -> bool:
        return self.confirmed and self.mirror.fresh

    @property
    def revision(self) -> int:
        return self.mirror.revision

    @property
    def store_id(self) -> str:
        return self.mirror.store_id

    def changes(self) -> AsyncIterator[Entry]:
        return self.mirror.changes(self.prefixes)

    async def wait_fresh(self) -> None:
        while not self.fresh:
            await self.mirror.news()


@dataclass(frozen=True, slots=True)
class _Position:
    stream_seq: int
    consumer_seq: int
    pending: int


def _position(reply: str) -> _Position:
    # $JS.ACK.[domain.account.]stream.consumer.deliveries.stream_seq.consumer_seq.time.pending[.random]
    parts = reply.split(".")
    first = 2 if len(parts) == 9 else 4
    return _Position(int(parts[first + 3]), int(parts[first + 4]), int(parts[first + 6]))


def _within(key: str, prefixes: Sequence[str]) -> bool:
    return not prefixes or any(key == p or (p.endswith(".") and key.startswith(p)) or not p for p in prefixes)
