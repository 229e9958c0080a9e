"""``ports.streams.Streams``: durable logs, read message by message from their leader."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from apis_rules.errors import Outage, Refused
from apis_rules.ports.streams import StreamMessage
from apis_transport.jetstream import EXPECTED_SEQ, MESSAGE_ID, Publication

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from apis_transport.jetstream import JetStream, Stored
    from apis_transport.names import Names

_SUBJECT: Final = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
_LOOK_AGAIN_S: Final = 0.25
"""After something was seen passing by that is not stored yet."""

_LOOK_ANYWAY_S: Final = 5.0
"""What passes by while the connection is lost is not seen."""


@dataclass(frozen=True, slots=True)
class NatsStreams:
    """The community's logs. Made by ``open_community``."""

    jetstream: JetStream
    names: Names

    async def append(
        self, stream: str, subject: str, body: bytes, *, message_id: str, expected_last: int | None = None
    ) -> int:
        """Append durably and return the sequence."""
        headers = {MESSAGE_ID: message_id}
        if expected_last is not None:
            headers[EXPECTED_SEQ] = str(expected_last)
        return await self.jetstream.store(Publication(self._subject(stream, subject), body, headers))

    async def last(self, stream: str, subject: str) -> StreamMessage | None:
        """Return the last message on *subject*, None where there is none."""
        full = self._subject(stream, subject)
        stored = await self.jetstream.last(self.names.stream(stream), full)
        return None if stored is None else self._message(stream, stored)

    async def last_seq(self, stream: str) -> int:
        """Return the sequence of the stream's last message, 0 where it is empty."""
        self._declared(stream)
        return int((await self.jetstream.info(self.names.stream(stream)))["state"]["last_seq"])

    async def read(self, stream: str, from_seq: int = 1, subject: str | None = None) -> AsyncIterator[StreamMessage]:
        """Yield the messages from *from_seq* on and wait for more."""
        self._declared(stream)
        pattern = self.names.log(stream, ">") if subject is None else self._subject(stream, subject)
        arrived = asyncio.Event()
        # What is seen passing by only says that it is worth while to look: it may not have been stored.
        async with self.jetstream.connection.subscribe(pattern, lambda _: arrived.set()):
            while True:
                pause_s = _LOOK_AGAIN_S if arrived.is_set() else _LOOK_ANYWAY_S
                arrived.clear()
                stored = None
                with suppress(Outage):
                    stored = await self.jetstream.next(self.names.stream(stream), from_seq, pattern)
                if stored is not None:
                    from_seq = stored.seq + 1
                    yield self._message(stream, stored)
                    continue
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause_s):
                        await arrived.wait()

    def _message(self, stream: str, stored: Stored) -> StreamMessage:
        return StreamMessage(stored.seq, stored.subject.removeprefix(self.names.log(stream, "")), stored.body)

    def _subject(self, stream: str, subject: str) -> str:
        self._declared(stream)
        if not _SUBJECT.fullmatch(subject):
            raise Refused(f"{subject!r} is not a subject of a log: words of letters, digits, _ and -, dots between")
        return self.names.log(stream, subject)

    def _declared(self, stream: str) -> None:
        if stream not in self.names.wiring.streams:
            raise Refused(f"no log {stream} is declared in the wiring")
