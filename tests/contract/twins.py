"""The in-memory twins on the contract suite, and twins that are wrong on purpose."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from apis_rules.ports.memory import MemoryCommunity
from apis_rules.ports.memory.bucket import Bucket
from apis_rules.ports.state import Entry, Write
from apis_rules.ports.virtual_time import VirtualTimeLoop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from apis_rules.ports.bundle import CommunityPorts


class MemoryBench:
    """A community of twins."""

    life_s = 2

    def __init__(self, spoil: Callable[[MemoryCommunity], None]) -> None:
        self._community = MemoryCommunity(life_s=self.life_s)
        spoil(self._community)

    @asynccontextmanager
    async def connect(self, unit_id: str) -> AsyncIterator[CommunityPorts]:
        ports = self._community.connect(unit_id)
        carry = asyncio.create_task(ports.decisions.run())
        try:
            yield ports
        finally:
            carry.cancel()

    async def cut(self, unit_id: str) -> None:
        self._community.lines[unit_id].cut()

    async def restore(self, unit_id: str) -> None:
        self._community.lines[unit_id].restore()


class Twins:
    """The in-memory twins in virtual time."""

    loop_factory = VirtualTimeLoop

    def __init__(self, name: str = "memory", spoil: Callable[[MemoryCommunity], None] = lambda _: None) -> None:
        self.name = name
        self._spoil = spoil

    @asynccontextmanager
    async def open(self) -> AsyncIterator[MemoryBench]:
        yield MemoryBench(self._spoil)


class _DropsConditions(Bucket):
    def check_conditions(self, writes: Sequence[Write]) -> None:
        super().check_conditions([w for w in writes if w.when is None])


class _ForgetsTimeLimits(Bucket):
    def write(self, writes: Sequence[Write]) -> int:
        return super().write([Write(w.key, w.value, w.when) for w in writes])


class _TellsOnlyTheLastOfABatch(Bucket):
    def _announce(self, batch: Sequence[Entry]) -> None:
        # With the first one's revision, else a view would see that something is missing and look at everything.
        super()._announce([replace(batch[-1], revision=batch[0].revision)])


def _swap_bucket(kind: type[Bucket]) -> Callable[[MemoryCommunity], None]:
    def spoil(community: MemoryCommunity) -> None:
        for bucket in (community.ctl, community.unit, community.policy):
            bucket.__class__ = kind

    return spoil


def _deliver_late(community: MemoryCommunity) -> None:
    """A wire that keeps what was written while it was cut, and delivers it when it is mended."""
    connect = community.connect

    def spoiled_connect(unit_id: str) -> CommunityPorts:
        ports = connect(unit_id)
        line = community.lines[unit_id]
        kept: list[Callable[[], object]] = []
        write = line.write

        async def late_write(call: str, apply: Callable[[], object]) -> object:
            if not line.connected:
                kept.append(apply)
            return await write(call, apply)

        def mended() -> None:
            if line.connected:
                for apply in kept:
                    apply()
                kept.clear()

        line.write = late_write  # type: ignore[method-assign,assignment]
        line.on_change.append(mended)
        return ports

    community.connect = spoiled_connect  # type: ignore[method-assign]


def _grant_living_leases(community: MemoryCommunity) -> None:
    """A store that does not see the present lease, so that a second candidate takes it."""
    get = community.ctl.get

    def blind_get(key: str) -> Entry:
        entry = get(key)
        return Entry(key, None, entry.revision) if key == "gm.lease" else entry

    community.ctl.get = blind_get  # type: ignore[method-assign]


WRONG_TWINS = [
    Twins("drops-conditions", _swap_bucket(_DropsConditions)),
    Twins("forgets-time-limits", _swap_bucket(_ForgetsTimeLimits)),
    Twins("tells-half-a-batch", _swap_bucket(_TellsOnlyTheLastOfABatch)),
    Twins("delivers-late", _deliver_late),
    Twins("grants-living-leases", _grant_living_leases),
]
"""Each breaks one promise; the suite must fail over each (``test_wrong_twins.py``)."""
