"""What an implementation of the ports must offer so that the contract suite can run over it.

Add an implementation by appending to ``IMPLEMENTATIONS`` in ``conftest.py``. Its servers, where it needs any, live for
the whole run; each test opens a community of its own on them, with fresh and empty buckets and streams.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import asyncio
    from contextlib import AbstractAsyncContextManager

    from apis_rules.ports.bundle import CommunityPorts


class Bench(Protocol):
    """One community, empty at the start. ``life_s`` is its lease's time limit."""

    life_s: int

    def connect(self, unit_id: str) -> AbstractAsyncContextManager[CommunityPorts]:
        """Open the ports of one node."""

    async def cut(self, unit_id: str) -> None:
        """Let nothing through between this node and the store; return when the node's link says so."""

    async def restore(self, unit_id: str) -> None:
        """Let everything through again; return when the node's link says so."""


class Implementation(Protocol):
    """A way to get a bench."""

    name: str
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None
    """None: asyncio's own loop, in real time."""

    def open(self) -> AbstractAsyncContextManager[Bench]:
        """Open an empty community."""
