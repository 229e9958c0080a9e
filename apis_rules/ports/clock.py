"""The runtime clock: seconds that only grow and that count suspension; and the link to the community's store.

Periods and time-outs use asyncio itself, which the virtual-time loop makes jump. This clock is for what must not trust
the loop alone: leases, deadlines of a mastership and dead-man times go on while a process or its machine stands still.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Clock(Protocol):
    """Two clocks, both arguments of the core, never read by it."""

    def now_s(self) -> float:
        """Seconds since some fixed moment; never goes back; counts the time that the process was suspended."""

    def utc_s(self) -> float:
        """Seconds since 1970 in UTC, as the machine believes; may jump."""


class Link(Protocol):
    """The connection to the store."""

    @property
    def connected(self) -> bool:
        """Whether a round trip to the store succeeded within the link's liveness limit."""

    def changes(self) -> AsyncIterator[bool]:
        """Yield ``connected`` now and at each change."""
