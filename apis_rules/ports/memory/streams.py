"""Durable logs in memory: ordered, bounded in bytes, de-duplicated by message id."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final

from apis_rules.errors import Conflict, Outage, Refused
from apis_rules.ports.feed import Feeds
from apis_rules.ports.streams import StreamMessage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from apis_rules.ports.memory.faults import Line

NAMES: Final = ("DEALLOG", "ERRLOG", "DECISIONS")
DUPLICATE_WINDOW_S: Final = 120.0


class Log:
    """The store's side of one stream.

    Attributes:
        max_bytes: of all bodies together; the oldest messages go first.
        full: refuse every append.
    """

    def __init__(self, max_bytes: int = 64 * 1024 * 1024) -> None:
        self.max_bytes = max_bytes
        self.full = False
        self.last_seq = 0
        self.grown: Feeds[None] = Feeds()
        self._messages: deque[StreamMessage] = deque()
        self._bytes = 0
        self._last_by_subject: dict[str, StreamMessage] = {}
        self._seen: dict[str, tuple[int, float]] = {}

    def append(self, subject: str, body: bytes, message_id: str, expected_last: int | None) -> int:
        """Append, or return the sequence of the first copy."""
        now_s = asyncio.get_running_loop().time()
        if message_id in self._seen and now_s - self._seen[message_id][1] < DUPLICATE_WINDOW_S:
            return self._seen[message_id][0]
        if self.full:
            raise Refused("the stream is full")
        last = self._last_by_subject.get(subject)
        actual = last.seq if last else 0
        if expected_last is not None and actual != expected_last:
            raise Conflict(f"the last message on {subject} has sequence {actual}, not {expected_last}", actual)
        self.last_seq += 1
        message = StreamMessage(self.last_seq, subject, body)
        self._messages.append(message)
        self._last_by_subject[subject] = message
        self._seen[message_id] = (self.last_seq, now_s)
        self._bytes += len(body)
        while self._bytes > self.max_bytes:
            self._drop_oldest()
        self.grown.put(None)
        return self.last_seq

    def last(self, subject: str) -> StreamMessage | None:
        """Return the last message on *subject* that is still kept."""
        return self._last_by_subject.get(subject)

    def after(self, seq: int) -> StreamMessage | None:
        """Return the first kept message from *seq* on."""
        if not self._messages or seq > self.last_seq:
            return None
        return self._messages[max(0, seq - self._messages[0].seq)]

    def messages(self) -> Sequence[StreamMessage]:
        """Return what is kept, oldest first."""
        return tuple(self._messages)

    def _drop_oldest(self) -> None:
        oldest = self._messages.popleft()
        self._bytes -= len(oldest.body)
        if self._last_by_subject.get(oldest.subject) == oldest:
            del self._last_by_subject[oldest.subject]


class MemoryStreams:
    """``Streams`` over logs in memory."""

    def __init__(self, logs: Mapping[str, Log], line: Line) -> None:
        self._logs = logs
        self._line = line

    async def append(
        self, stream: str, subject: str, body: bytes, *, message_id: str, expected_last: int | None = None
    ) -> int:
        """Append durably and return the sequence."""
        log = self._log(stream)
        return await self._line.write("append", lambda: log.append(subject, body, message_id, expected_last))

    async def last(self, stream: str, subject: str) -> StreamMessage | None:
        """Return the last message on *subject*."""
        log = self._log(stream)
        return await self._line.read(lambda: log.last(subject))

    async def last_seq(self, stream: str) -> int:
        """Return the sequence of the stream's last message."""
        log = self._log(stream)
        return await self._line.read(lambda: log.last_seq)

    async def read(self, stream: str, from_seq: int = 1, subject: str | None = None) -> AsyncIterator[StreamMessage]:
        """Yield the messages from *from_seq* on and wait for more."""
        log = self._log(stream)
        grown = log.grown.open(first=[None])
        next_seq = max(1, from_seq)
        async for _ in grown:
            while next_seq <= log.last_seq and (message := await self._fetch(log, next_seq)) is not None:
                next_seq = message.seq + 1
                if subject is None or message.subject == subject:
                    yield message

    async def _fetch(self, log: Log, seq: int) -> StreamMessage | None:
        while True:
            try:
                return await self._line.read(lambda: log.after(seq))
            except Outage:
                await self._line.awake()
                await asyncio.sleep(self._line.limit_s)

    def _log(self, stream: str) -> Log:
        if stream not in self._logs:
            raise Refused(f"there is no stream {stream}")
        return self._logs[stream]
