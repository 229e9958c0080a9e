"""``ports.clock.Link``: whether a question to the store's leader was answered lately."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from apis_rules.errors import PortError
from apis_rules.ports.feed import Feeds

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from apis_rules.documents.wiring import LinkTimes
    from apis_rules.ports.clock import Clock
    from apis_transport.jetstream import JetStream

_ASK_AGAIN_S: Final = 0.2


@dataclass(slots=True, eq=False)
class NatsLink:
    """The link of one node. A lost connection counts at once, silence after ``alive_s``. Made by ``open_community``."""

    jetstream: JetStream
    stream: str
    subject: str
    times: LinkTimes
    clock: Clock
    _answered_at_s: float | None = None
    _generation: int = -1
    _told: bool = False
    _feeds: Feeds[bool] = field(default_factory=Feeds)

    @property
    def connected(self) -> bool:
        """Whether a round trip to the store's leader succeeded lately, on this connection."""
        connection = self.jetstream.connection
        return (
            connection.connected
            and self._generation == connection.generation
            and self._answered_at_s is not None
            and self.clock.now_s() - self._answered_at_s < self.times.alive_s
        )

    def changes(self) -> AsyncIterator[bool]:
        """Yield ``connected`` now and at each change."""
        self._tell()
        return self._feeds.open([self._told])

    async def run(self) -> None:
        """Ask again and again until cancelled."""
        changed = asyncio.Event()
        with self.jetstream.connection.on_change(changed.set):
            while True:
                changed.clear()
                self._tell()
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._remaining_s()):
                        await self._ask()
                self._tell()
                pause_s = self.times.probe_s if self.connected else _ASK_AGAIN_S
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(pause_s, self._remaining_s() or pause_s)):
                        await changed.wait()

    async def _ask(self) -> None:
        connection = self.jetstream.connection
        sent_at_s, generation = self.clock.now_s(), connection.generation
        with suppress(PortError):
            await self.jetstream.last(self.stream, self.subject)
            self._answered_at_s, self._generation = sent_at_s, generation

    def _remaining_s(self) -> float | None:
        if not self.connected or self._answered_at_s is None:
            return None
        return max(0.0, self._answered_at_s + self.times.alive_s - self.clock.now_s())

    def _tell(self) -> None:
        if self.connected != self._told:
            self._told = not self._told
            self._feeds.put(self._told)
