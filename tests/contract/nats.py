"""The NATS adapters on the contract suite: over an embedded server of each test's own, and over three servers."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from apis_rules.documents.wiring import Kind, Wiring, load_wiring
from apis_rules.ports.bundle import CommunityPorts
from apis_transport.community import open_community
from apis_transport.connection import open_connection
from apis_transport.embedded import embedded_server
from apis_transport.jetstream import JetStream
from tests.nats_servers import Cluster, OnDemand, Wire

LIFE_S = 2
LIMIT_S = 20


def quick(wiring: Wiring, **times) -> Wiring:
    """Return *wiring* with shorter times, so that tests need not wait."""
    changed = {
        kind: getattr(wiring.times, kind).model_copy(update={"life_s": LIFE_S, **times})
        for kind in ("embedded", "cluster")
    }
    return wiring.model_copy(update={"times": wiring.times.model_copy(update=changed)})


class NatsBench:
    """One community on running servers; each node has a wire of its own."""

    life_s = LIFE_S

    def __init__(self, ports: Sequence[int], kind: Kind, community_id: str, folder: Path) -> None:
        self._ports = ports
        self._kind = kind
        self._community_id = community_id
        self._folder = folder
        self._wires: dict[str, Wire] = {}
        self._nodes: dict[str, CommunityPorts] = {}

    @asynccontextmanager
    async def connect(self, unit_id: str) -> AsyncIterator[CommunityPorts]:
        wire = Wire(self._ports[len(self._wires) % len(self._ports)])
        await wire.mend()
        self._wires[unit_id] = wire
        try:
            async with open_community(
                [wire.url],
                self._community_id,
                "c",
                unit_id,
                self._folder / unit_id,
                kind=self._kind,
                wiring=quick(load_wiring()),
                within_s=LIMIT_S,
            ) as community:
                carry = asyncio.create_task(community.ports.decisions.run())
                self._nodes[unit_id] = community.ports
                await self._wait(unit_id, connected=True)
                try:
                    yield community.ports
                finally:
                    carry.cancel()
        finally:
            await wire.cut()

    async def cut(self, unit_id: str) -> None:
        await self._wires[unit_id].cut()
        await self._wait(unit_id, connected=False)

    async def restore(self, unit_id: str) -> None:
        await self._wires[unit_id].mend()
        await self._wait(unit_id, connected=True)

    async def _wait(self, unit_id: str, *, connected: bool) -> None:
        async with asyncio.timeout(LIMIT_S):
            async for state in self._nodes[unit_id].link.changes():
                if state is connected:
                    return


class OverEmbeddedServer:
    """A server of its own for each test."""

    name = "embedded"
    loop_factory = None

    @asynccontextmanager
    async def open(self) -> AsyncIterator[NatsBench]:
        folder = Path(tempfile.mkdtemp(prefix="apis-rules-test-"))
        try:
            async with embedded_server(folder / "store") as server:
                yield NatsBench([server.port], "embedded", "community", folder)
        finally:
            shutil.rmtree(folder)


CLUSTER = OnDemand(Cluster)
"""Three servers for the whole run."""


class OverCluster:
    """Three servers for all tests, a community of its own for each."""

    name = "cluster"
    loop_factory = None
    _numbers = itertools.count(1)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[NatsBench]:
        cluster = CLUSTER.get()
        folder = Path(tempfile.mkdtemp(prefix="apis-rules-test-"))
        community_id = f"test{next(self._numbers)}"
        try:
            yield NatsBench([server.port for server in cluster.servers], "cluster", community_id, folder)
        finally:
            shutil.rmtree(folder)
            await _forget(cluster.urls, community_id)


async def _forget(urls: Sequence[str], community_id: str) -> None:
    async with open_connection(urls, "tests") as connection:
        jetstream = JetStream(connection, 5.0)
        for name in (await jetstream.api("STREAM.NAMES"))["streams"]:
            if name.removeprefix("KV_").startswith(f"{community_id}-"):
                await jetstream.api(f"STREAM.DELETE.{name}")
