"""The decision log over any streams: never waits, never fails, counts what it had to give up."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from apis_rules.errors import Outage, Refused, Unknown
from apis_rules.ports.unique import new_uuid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from apis_rules.ports.streams import Streams

STREAM: Final = "DECISIONS"
WAITING_LIMIT: Final = 1000
RETRY_S: Final = 1.0


class BufferedDecisionLog:
    """``DecisionLog``: keeps decisions until the stream has them, the oldest waiting one goes first when it is full.

    ``run`` carries them over and belongs into the node's task group.
    """

    def __init__(self, streams: Streams, unit_id: str) -> None:
        self._streams = streams
        self._subject = unit_id
        self._waiting: deque[tuple[str, bytes]] = deque()
        self._some = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self._dropped = 0

    def record(self, decision: Mapping[str, Any]) -> None:
        """Hand over one decision as plain JSON values."""
        if len(self._waiting) == WAITING_LIMIT:
            self._waiting.popleft()
            self._dropped += 1
        self._waiting.append((new_uuid().hex, json.dumps(decision, separators=(",", ":")).encode()))
        self._some.set()
        self._empty.clear()

    @property
    def dropped(self) -> int:
        """How many were given up since the start."""
        return self._dropped

    async def flush(self, within_s: float) -> bool:
        """Wait until everything handed over is kept; False when time ran out."""
        try:
            async with asyncio.timeout(within_s):
                await self._empty.wait()
        except TimeoutError:
            return False
        return True

    async def run(self) -> None:
        """Carry decisions to the stream, for ever. What the store refuses is given up and counted."""
        while True:
            await self._some.wait()
            while self._waiting:
                await self._carry(*self._waiting[0])
            self._some.clear()
            self._empty.set()

    async def _carry(self, message_id: str, body: bytes) -> None:
        try:
            await self._streams.append(STREAM, self._subject, body, message_id=message_id)
        except Refused:
            self._dropped += 1
        except (Outage, Unknown):
            await asyncio.sleep(RETRY_S)
            return
        # While it was under way the queue may have overflowed, and this one been given up.
        if self._waiting and self._waiting[0][0] == message_id:
            self._waiting.popleft()
