"""Records that outlive nodes: deal records, errors, decisions.

The contract
------------
- A stream is an ordered list of messages with sequence numbers from 1, bounded in bytes: the oldest are dropped first.
- ``append`` returns when the message is durable. A second ``append`` with the same *message_id* within the
  de-duplication window changes nothing and returns the first one's sequence.
- *expected_last* is the condition that the last message on the same subject has this sequence (0: none there). The
  final record of a deal is appended on a subject of its own with 0, so that there is exactly one.
- ``read`` begins at a sequence and goes on waiting for what comes, through outages, in order, without gap or repetition
  (what was dropped by the bound aside).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@dataclass(frozen=True, slots=True)
class StreamMessage:
    """One message of a stream."""

    seq: int
    subject: str
    body: bytes


class Streams(Protocol):
    """The community's durable logs. The module's docstring is the contract."""

    async def append(
        self, stream: str, subject: str, body: bytes, *, message_id: str, expected_last: int | None = None
    ) -> int:
        """Append durably and return the sequence.

        Raises:
            Conflict: the last message on *subject* is another one than *expected_last*.
            Outage: not written.
            Refused: no such stream, or its quota.
            Unknown: repeat with the same *message_id*; it is stored at most once.
        """

    async def last(self, stream: str, subject: str) -> StreamMessage | None:
        """Return the last message on *subject*, None where there is none. Raises ``Outage``."""

    async def last_seq(self, stream: str) -> int:
        """Return the sequence of the stream's last message, 0 where it is empty. Raises ``Outage``."""

    def read(self, stream: str, from_seq: int = 1, subject: str | None = None) -> AsyncIterator[StreamMessage]:
        """Yield the messages from *from_seq* on, those of *subject* only where one is given, and wait for more."""
