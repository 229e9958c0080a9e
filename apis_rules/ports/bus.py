"""Plain messages between nodes: question and answer, one question to all, news to all.

The contract
------------
- Nothing is stored. A message reaches who listens now; one that was sent while disconnected is never delivered later.
- ``ask`` reaches one unit. ``gather`` reaches every node that serves the verb, the asker included, and ends as soon as
  *expected* answers are in, else at its deadline; more than one answer of a node are all returned.
- A handler's exception of type ``Refused`` reaches the asker as ``Refused`` with its text. Any other exception ends the
  server loudly and the asker sees ``Unknown``.
- Handlers of one node run concurrently; a handler that must not overlap itself holds its own lock.
- Verbs and topics are single words ``[A-Za-z0-9_-]+``; bodies are bytes of at most 1 MB.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from contextlib import AbstractAsyncContextManager

Handler: TypeAlias = Callable[[bytes], Awaitable[bytes | None]]


class Bus(Protocol):
    """Messages without memory. The module's docstring is the contract."""

    async def ask(self, unit_id: str, verb: str, body: bytes, within_s: float) -> bytes:
        """Ask one unit and return its answer.

        Raises:
            Refused: nobody of that id serves the verb (known within milliseconds), or the handler refused.
            Outage: not connected.
            Unknown: no answer within *within_s*; it may have been heard.
        """

    async def gather(self, verb: str, body: bytes, within_s: float, expected: int | None = None) -> Sequence[bytes]:
        """Ask every node; return the answers in order of arrival.

        A handler that returns None does not answer. *expected* None waits for the whole time.

        Raises:
            Outage: not connected.
        """

    async def broadcast(self, topic: str, body: bytes) -> None:
        """Tell all listeners, oneself included. Returns when it has left this process. Raises ``Outage``."""

    def serve(self, unit_id: str, verb: str, handler: Handler) -> AbstractAsyncContextManager[None]:
        """Answer ``ask(unit_id, verb)`` and ``gather(verb)`` while the context is open."""

    def listen(self, topic: str) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Hear what is broadcast on *topic* while the context is open, in order of sending per sender."""
