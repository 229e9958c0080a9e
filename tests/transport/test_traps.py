"""What the client library's key-value layer does, and that ours does not.

Each test shows the library's behaviour first: where that part fails, the library has changed, and a part of ours may no
longer be needed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import nats
import nats.errors
import pytest
from nats.js.errors import BadRequestError, KeyWrongLastSequenceError
from nats.js.kv import KeyValue

from apis_rules.documents.wiring import load_wiring
from apis_rules.errors import Conflict, Outage, Refused, Unknown
from apis_rules.ports.bundle import CommunityPorts
from apis_rules.ports.state import At, Write
from apis_transport.buckets import stream_of
from apis_transport.community import open_community
from apis_transport.errors import CannotOpen
from apis_transport.names import Names
from tests.nats_servers import Cluster, Server, Wire

pytestmark = pytest.mark.anyio
LIMIT_S = 15


@asynccontextmanager
async def library(url: str) -> AsyncIterator[nats.NATS]:
    client = await nats.connect(url)
    try:
        yield client
    finally:
        await client.close()


@asynccontextmanager
async def opened(url: str | list[str], community_id: str, folder: Path, **options) -> AsyncIterator[CommunityPorts]:
    urls = [url] if isinstance(url, str) else url
    async with open_community(urls, community_id, "c", "E001", folder / "E001", **options) as community:
        yield community.ports


async def until(condition, within_s: float = LIMIT_S) -> float:
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.005)
    return loop.time() - began


async def bucket(client: nats.NATS, name: str, **options) -> KeyValue:
    return await client.jetstream(timeout=2).create_key_value(bucket=name, **options)


async def test_an_expired_value_is_absent(shared_server: Server, community_id: str, tmp_path: Path) -> None:
    """An expired key is read as absent, with the revision of its expiry; the library reads it as present and empty."""
    async with library(shared_server.url) as client, opened(shared_server.url, community_id, tmp_path) as ports:
        kv = await bucket(client, community_id, limit_marker_ttl=5)
        await kv.create("lease", b"x", msg_ttl=1)
        written = await ports.ctl.write(Write("gm.lease", b"x", time_limit_s=1))
        await asyncio.sleep(1.5)
        assert (await kv.get("lease")).value is None
        entry = await ports.ctl.get("gm.lease")
        assert entry.value is None
        assert entry.revision > written


async def test_an_expired_key_can_be_created_at_once(shared_server: Server, community_id: str, tmp_path: Path) -> None:
    """A lease that has just expired can be taken; the library refuses to create it while the expiry is remembered."""
    async with library(shared_server.url) as client, opened(shared_server.url, community_id, tmp_path) as ports:
        kv = await bucket(client, community_id, limit_marker_ttl=5)
        await kv.create("lease", b"x", msg_ttl=1)
        await ports.ctl.write(Write("gm.lease", b"x", time_limit_s=1))
        await asyncio.sleep(1.5)
        with pytest.raises(KeyWrongLastSequenceError):
            await kv.create("lease", b"y", msg_ttl=1)
        entry = await ports.ctl.get("gm.lease")
        await ports.ctl.write(Write("gm.lease", b"y", entry.at, time_limit_s=1))


async def test_a_renewal_keeps_its_time_limit(shared_server: Server, community_id: str, tmp_path: Path) -> None:
    """A lease that was renewed still ends; the library's update makes it permanent."""
    async with library(shared_server.url) as client, opened(shared_server.url, community_id, tmp_path) as ports:
        kv = await bucket(client, community_id, limit_marker_ttl=5)
        await kv.update("lease", b"x", last=await kv.create("lease", b"x", msg_ttl=1))
        term = await ports.lease.acquire("E001")
        assert term is not None
        renewed = await ports.lease.renew(term)
        first = await ports.ctl.write(Write("k", b"x", time_limit_s=1))
        await ports.ctl.write(Write("k", b"x", At("k", first), time_limit_s=1))
        await asyncio.sleep(1.5)
        assert (await kv.get("lease")).value == b"x"
        assert (await ports.ctl.get("k")).value is None
        assert renewed.lease_revision > term.lease_revision


async def test_a_fraction_of_a_second_is_not_cut_off(shared_server: Server, community_id: str, tmp_path: Path) -> None:
    """A time limit that the server would shorten is refused; the library makes 1 s of 1.9 s."""
    async with library(shared_server.url) as client, opened(shared_server.url, community_id, tmp_path) as ports:
        kv = await bucket(client, community_id, limit_marker_ttl=5)
        await kv.create("k", b"x", msg_ttl=1.9)
        stored = await client.jetstream().get_msg(f"KV_{community_id}", subject=f"$KV.{community_id}.k")
        assert (stored.headers or {})["Nats-TTL"].rstrip("s") == "1"
        with pytest.raises(ValueError, match="whole seconds"):
            await ports.ctl.write(Write("k", b"x", time_limit_s=1.9))  # type: ignore[arg-type]  # the mistake itself


async def test_a_bucket_with_history_is_not_used_for_what_expires(
    shared_server: Server, community_id: str, tmp_path: Path
) -> None:
    """With a history the value before an expired one comes back, so such a bucket is refused when it is found."""
    async with library(shared_server.url) as client:
        kv = await bucket(client, community_id, history=5)
        await kv.put("lease", b"dead master")
        await client.jetstream().publish(f"$KV.{community_id}.lease", b"new", headers={"Nats-TTL": "1"})
        await asyncio.sleep(1.5)
        assert (await kv.get("lease")).value == b"dead master"

        names = Names(load_wiring(), community_id, "c")
        ctl = stream_of(names, names.wiring.buckets.ctl)
        await bucket(client, ctl.removeprefix("KV_"), history=5)
        with pytest.raises(CannotOpen) as caught:
            async with opened(shared_server.url, community_id, tmp_path):
                pass
        assert caught.value.code == "AR515"
        assert ctl in str(caught.value)


async def test_a_delete_is_conditional(shared_server: Server, community_id: str, tmp_path: Path) -> None:
    """A delete on condition of a stale revision, or of none, deletes nothing; the library's deletes what is there."""
    async with library(shared_server.url) as client, opened(shared_server.url, community_id, tmp_path) as ports:
        kv = await bucket(client, community_id)
        await kv.put("k", b"x")
        with pytest.raises(BadRequestError):
            await kv.delete("k", last=99)
        await kv.delete("k", last=0)
        first = await ports.ctl.write(Write("k", b"1"))
        await ports.ctl.write(Write("k", b"2"))
        for revision in (first, 0):
            with pytest.raises(Conflict):
                await ports.ctl.write(Write("k", None, At("k", revision)))
        assert (await ports.ctl.get("k")).value == b"2"


async def test_a_server_with_a_domain(tmp_path: Path, community_id: str) -> None:
    """Everything works on a server whose JetStream has a domain, whose acknowledgements look different."""
    server = Server(tmp_path / "server")
    config = tmp_path / "server" / "server.conf"
    config.write_text(config.read_text().replace("jetstream {", "jetstream {\n  domain: site"))
    server.start()
    try:
        async with opened(server.url, community_id, tmp_path) as ports, ports.ctl.watch() as view:
            await asyncio.wait_for(view.wait_fresh(), LIMIT_S)
            changes = view.changes()
            revision = await ports.ctl.write(Write("k", b"x"))
            assert (await asyncio.wait_for(anext(changes), LIMIT_S)).revision == revision
    finally:
        server.stop()


async def test_nothing_is_delivered_after_a_reconnection(
    shared_server: Server, community_id: str, tmp_path: Path
) -> None:
    """What was sent while disconnected never arrives; the library keeps it and delivers it when it is back."""
    wire = Wire(shared_server.port)
    await wire.mend()
    subject = f"{community_id}.zombie"
    heard: list[bytes] = []

    async def hear(message) -> None:
        heard.append(message.data)

    async with library(shared_server.url) as listener:
        await listener.subscribe(subject, cb=hear)
        client = await nats.connect(wire.url, reconnect_time_wait=0.1, max_reconnect_attempts=-1)
        async with opened(wire.url, community_id, tmp_path) as ports:
            await wire.cut()
            await until(lambda: not client.is_connected and not ports.link.connected)
            await client.publish(subject, b"library")
            for call in (
                ports.bus.broadcast("news", b"ours"),
                ports.ctl.write(Write("late", b"ours")),
                ports.streams.append("ERRLOG", "late", b"ours", message_id="late"),
            ):
                with pytest.raises(Outage):
                    await call
            await wire.mend()
            await until(lambda: client.is_connected and ports.link.connected and bool(heard))
            assert heard == [b"library"]
            assert (await ports.ctl.get("late")).value is None
            assert await ports.streams.last_seq("ERRLOG") == 0
        await client.close()
    await wire.cut()


async def test_a_question_ends_when_its_server_dies(server: Server, community_id: str, tmp_path: Path) -> None:
    """A request under way when the server dies ends at once as unknown; the library waits out its whole time."""
    loop = asyncio.get_running_loop()

    async def silent(body: bytes) -> None:
        return None

    client = await nats.connect(server.url, allow_reconnect=False)
    await client.subscribe("silent")
    async with opened(server.url, community_id, tmp_path) as ports, ports.bus.serve("E001", "silent", silent):
        theirs = asyncio.create_task(client.request("silent", b"", timeout=2))
        ours = asyncio.create_task(ports.bus.ask("E001", "silent", b"", 10))
        await asyncio.sleep(0.1)
        began = loop.time()
        server.kill()
        with pytest.raises(Unknown):
            await ours
        assert loop.time() - began < 1
        with pytest.raises((nats.errors.TimeoutError, asyncio.CancelledError)):
            await theirs
        assert loop.time() - began > 1.5
    await client.close()


async def test_a_write_that_timed_out_may_still_be_done(server: Server, community_id: str, tmp_path: Path) -> None:
    """A write to a frozen server is unknown, not failed: the server does it when it continues."""
    async with opened(server.url, community_id, tmp_path) as ports:
        server.freeze()
        with pytest.raises(Unknown):
            await ports.ctl.write(Write("k", b"x"))
        server.thaw()
        async with asyncio.timeout(LIMIT_S):
            while True:
                try:
                    entry = await ports.ctl.get("k")
                    break
                except Outage:
                    await asyncio.sleep(0.05)
        assert entry.value == b"x"


async def test_rights_that_were_taken_away_and_given_back(tmp_path: Path, community_id: str) -> None:
    """A node whose rights were taken away is an outage, and comes back by itself when it has them again.

    The library's client gives up for good where the server says that rights have expired; where it does not, it leaves
    an open socket behind at each attempt, which is why it is not shown here.
    """
    server = Server(tmp_path / "server")
    config = tmp_path / "server" / "server.conf"
    text = config.read_text()
    config.write_text(f"{text}\nauthorization {{ user: node, password: right }}\n")
    server.start()
    try:
        async with opened(server.url.replace("//", "//node:right@"), community_id, tmp_path) as ports:
            config.write_text(f"{text}\nauthorization {{ user: node, password: other }}\n")
            server.reload()
            await until(lambda: not ports.link.connected)
            with pytest.raises(Outage):
                await ports.ctl.write(Write("k", b"x"))
            config.write_text(f"{text}\nauthorization {{ user: node, password: right }}\n")
            server.reload()
            await until(lambda: ports.link.connected)
            await ports.ctl.write(Write("k", b"x"))
    finally:
        server.stop()


async def test_a_missing_right_is_said(tmp_path: Path, community_id: str) -> None:
    """A write without the right to it is refused in a sentence; the library's call only times out."""
    server = Server(tmp_path / "server")
    config = tmp_path / "server" / "server.conf"
    rights = '{ publish: { deny: ["$KV.*.grid"] } }'
    config.write_text(
        f"{config.read_text()}\nauthorization {{ users: [ {{ user: a, password: b, permissions: {rights} }} ] }}\n"
    )
    server.start()
    url = server.url.replace("//", "//a:b@")
    try:
        async with library(url) as client, opened(url, community_id, tmp_path) as ports:
            kv = await bucket(client, community_id)
            with pytest.raises(nats.errors.TimeoutError):
                await kv.put("grid", b"x")
            with pytest.raises(Refused, match="no right"):
                await ports.ctl.write(Write("grid", b"x"))
            await ports.ctl.write(Write("other", b"x"))
    finally:
        server.stop()


async def test_a_view_is_current_again_soon_after_a_restart(server: Server, community_id: str, tmp_path: Path) -> None:
    """After a kill of the server a view shows the next write within 2 s of its acknowledgement."""
    async with opened(server.url, community_id, tmp_path) as ports, ports.ctl.watch() as view:
        await asyncio.wait_for(view.wait_fresh(), LIMIT_S)
        server.kill()
        await until(lambda: not view.fresh, within_s=1)
        server.start()
        await until(lambda: ports.link.connected)
        await ports.ctl.write(Write("k", b"after"))
        assert await until(lambda: view.get("k").value == b"after") < 2
        await until(lambda: view.fresh)


async def test_views_leave_no_consumer_behind(shared_server: Server, community_id: str, tmp_path: Path) -> None:
    """Views that come and go leave nothing on the server; the library leaves a consumer for each."""
    async with library(shared_server.url) as client, opened(shared_server.url, community_id, tmp_path) as ports:
        kv = await bucket(client, community_id)
        for _ in range(3):
            await (await kv.watchall()).stop()
        assert (await client.jetstream().stream_info(f"KV_{community_id}")).state.consumer_count == 3

        names = Names(load_wiring(), community_id, "c")
        stream = stream_of(names, names.wiring.buckets.policy)
        for _ in range(3):
            async with ports.policy.watch() as view:
                await asyncio.wait_for(view.wait_fresh(), LIMIT_S)
        async with asyncio.timeout(LIMIT_S):
            while (await client.jetstream().stream_info(stream)).state.consumer_count:
                await asyncio.sleep(0.02)


async def test_keys_never_miss_an_acknowledged_write(cluster: Cluster, community_id: str, tmp_path: Path) -> None:
    """On a cluster, what was acknowledged is among the keys and in a new view, whichever server answers."""
    names = ("E001", "E002", "E003")
    async with (
        open_community(cluster.urls[:1], community_id, "c", names[0], tmp_path / "1", kind="cluster") as one,
        open_community(cluster.urls[1:2], community_id, "c", names[1], tmp_path / "2", kind="cluster") as two,
        open_community(cluster.urls[2:], community_id, "c", names[2], tmp_path / "3", kind="cluster") as three,
    ):
        nodes = (one.ports, two.ports, three.ports)
        for n in range(45):
            await nodes[n % 3].ctl.write(Write(f"deal.{n}", b"x"))
            reader = nodes[(n + 1) % 3].ctl
            assert f"deal.{n}" in await reader.keys("deal.")
            async with reader.watch("deal.") as view:
                await asyncio.wait_for(view.wait_fresh(), LIMIT_S)
                assert view.get(f"deal.{n}").value == b"x"


async def test_writes_under_one_fence_do_not_hinder_each_other(
    cluster: Cluster, community_id: str, tmp_path: Path
) -> None:
    """A master may send many fenced writes at once; a cluster's server refuses all but one of them for no reason."""
    async with open_community(cluster.urls, community_id, "c", "E001", tmp_path / "1") as community:
        ctl = community.ports.ctl
        fence = At("gm.epoch", await ctl.write(Write("gm.epoch", b"1")))
        await asyncio.gather(*(ctl.write(Write(f"cmd.E{n:03}", b"x", fence)) for n in range(30)))
        assert len(await ctl.keys("cmd.")) == 30
        await ctl.write(Write("gm.epoch", b"2"))
        results = await asyncio.gather(
            *(ctl.write(Write(f"cmd.E{n:03}", b"late", fence)) for n in range(30)), return_exceptions=True
        )
        assert all(isinstance(result, Conflict) for result in results)
