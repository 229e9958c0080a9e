"""A node knows when it is alone, and is back soon after its server."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from apis_rules.errors import Outage, PortError, Unknown
from apis_rules.ports.state import Write
from apis_transport.community import open_community
from apis_transport.connection import open_connection
from tests.nats_servers import Cluster, Server

pytestmark = pytest.mark.anyio


async def until(condition, within_s: float) -> float:
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.005)
    return loop.time() - began


async def test_a_killed_server_is_noticed_within_a_second(server: Server, community_id: str, tmp_path: Path) -> None:
    """Killed: the link says so within 1 s and everything is an outage at once; back: within 2 s of its return."""
    async with open_community([server.url], community_id, "c", "E001", tmp_path / "E001") as community:
        ports = community.ports
        for _ in range(2):
            await until(lambda: ports.link.connected, 5)
            server.kill()
            await until(lambda: not ports.link.connected, 1)
            with pytest.raises(Outage):
                await ports.ctl.write(Write("k", b"x"))
            await asyncio.sleep(1)
            server.start()
            await until(lambda: ports.link.connected, 2)
            await ports.ctl.write(Write("k", b"x"))


async def test_a_client_that_fails_while_it_closes_is_replaced(
    server: Server, community_id: str, tmp_path: Path
) -> None:
    """The client tells nobody of its end where its last bytes cannot be sent; the node is back all the same."""
    async with open_connection([server.url], "E001") as connection:
        client = connection._client
        assert client is not None

        async def drain() -> None:
            raise ConnectionResetError("the server was killed")

        transport = client._transport
        transport.drain, transport.writelines = drain, lambda _: None
        client._pending, client._pending_data_size = [b"PING\r\n"], 6
        server.kill()
        await until(lambda: not connection.connected, 3)
        server.start()
        await until(lambda: connection.connected and connection.generation == 2, 3)
        assert connection._client is not client
        transport.close()
        await asyncio.sleep(0)


async def test_a_frozen_server_is_noticed_within_three_and_a_half_seconds(
    server: Server, community_id: str, tmp_path: Path
) -> None:
    """Frozen: the link and the views say so within 3.5 s; thawed: both are back within 2 s."""
    async with open_community([server.url], community_id, "c", "E001", tmp_path / "E001") as community:
        ports = community.ports
        async with ports.ctl.watch() as view:
            await until(lambda: ports.link.connected and view.fresh, 5)
            server.freeze()
            await until(lambda: not ports.link.connected and not view.fresh, 3.5)
            with pytest.raises((Outage, Unknown)):
                await ports.ctl.write(Write("k", b"x"))
            await asyncio.sleep(2)
            server.thaw()
            await until(lambda: ports.link.connected and view.fresh, 2)


async def test_a_cluster_without_majority_is_no_link(cluster: Cluster, community_id: str, tmp_path: Path) -> None:
    """With one server of three the connection holds and nothing is decided: no write is done, the link goes down."""
    async with open_community(cluster.urls, community_id, "c", "E001", tmp_path / "E001") as community:
        ports = community.ports
        await until(lambda: ports.link.connected, 5)
        try:
            for server in cluster.servers[1:]:
                server.freeze()
            with pytest.raises(PortError):
                await ports.ctl.write(Write("k", b"x"))
            await until(lambda: not ports.link.connected, 20)
        finally:
            for server in cluster.servers[1:]:
                server.thaw()
        await until(lambda: ports.link.connected, 20)


async def test_a_failure_inside_a_receiver_ends_everything_loudly(shared_server: Server) -> None:
    """A bug in what handles a message is raised where the connection was opened, not logged and forgotten."""

    def broken(message) -> None:
        raise ZeroDivisionError(message.subject)

    async def use_it() -> None:
        async with (
            open_connection([shared_server.url], "E001") as connection,
            connection.subscribe("broken", broken),
        ):
            await connection.publish("broken", b"")
            await asyncio.sleep(10)

    with pytest.raises(ExceptionGroup) as caught:
        await use_it()
    assert caught.group_contains(ZeroDivisionError)


async def test_closing_never_hangs(server: Server, community_id: str, tmp_path: Path) -> None:
    """A community closes within 4 s whatever state its server is in: up, frozen, killed."""
    for state in ("up", "frozen", "killed"):
        async with (
            asyncio.timeout(30),
            open_community([server.url], community_id, "c", "E001", tmp_path / "E001") as community,
            community.ports.ctl.watch() as view,
            community.ports.commands.inbox("E001"),
        ):
            await view.wait_fresh()
            if state == "frozen":
                server.freeze()
            elif state == "killed":
                server.kill()
            began = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - began < 4
        if state == "frozen":
            server.thaw()
