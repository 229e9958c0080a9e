"""Opening a community: what can be wrong is said once, with a code; what was lost is never made anew by itself."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from apis_rules.documents.codes import sections
from apis_rules.documents.wiring import Server as Limits
from apis_rules.documents.wiring import load_wiring
from apis_rules.errors import Outage, Refused
from apis_rules.ports.state import Write
from apis_transport.buckets import stream_of
from apis_transport.community import OpenCommunity, open_community
from apis_transport.connection import open_connection
from apis_transport.embedded import BINARY_DIR_VARIABLE, embedded_server
from apis_transport.errors import CannotOpen
from apis_transport.jetstream import JetStream
from apis_transport.names import Names
from tests.nats_servers import Cluster, Server, free_port

pytestmark = pytest.mark.anyio
WIRING = load_wiring()


@asynccontextmanager
async def opened(url: str, community_id: str, state_dir: Path, **options) -> AsyncIterator[OpenCommunity]:
    async with open_community([url], community_id, "c", state_dir.name, state_dir, **options) as community:
        yield community


async def refused(url: str, community_id: str, folder: Path, **options) -> CannotOpen:
    with pytest.raises(CannotOpen) as caught:
        async with opened(url, community_id, folder / "E001", within_s=0.5, **options):
            pass
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == caught.value.code
    assert diagnostic.code in sections()
    assert "\n" not in diagnostic.message
    assert diagnostic.hint
    return caught.value


@pytest.mark.parametrize(
    "url", ["http://localhost:4222", "nats://", "nats://host:99999", "nats://a b:4222", "nats://a..b:4222", ""]
)
async def test_a_wrong_url(url: str, community_id: str, tmp_path: Path) -> None:
    """What is no URL of a NATS server is said before anything is tried."""
    assert (await refused(url, community_id, tmp_path)).code == "AR511"


async def test_a_refused_port(community_id: str, tmp_path: Path) -> None:
    """Nothing listens: the address and the reason are named, the password is not."""
    error = await refused(f"nats://me:secret@127.0.0.1:{free_port()}", community_id, tmp_path)
    assert error.code == "AR512"
    assert "connection refused" in str(error)
    assert "secret" not in str(error)


async def test_something_that_does_not_answer(community_id: str, tmp_path: Path) -> None:
    """A port that accepts and says nothing is not waited for without end."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        error = await refused(f"nats://127.0.0.1:{silent.getsockname()[1]}", community_id, tmp_path)
    assert error.code == "AR512"
    assert "no answer in time" in str(error)


async def test_wrong_credentials(community_id: str, tmp_path: Path) -> None:
    """A server that refuses the user says so at once, without naming the password."""
    server = Server(tmp_path / "server")
    config = tmp_path / "server" / "server.conf"
    config.write_text(f"{config.read_text()}\nauthorization {{ user: a, password: b }}\n")
    server.start()
    try:
        for url in (server.url, server.url.replace("//", "//a:wrong@")):
            error = await refused(url, community_id, tmp_path)
            assert error.code == "AR513"
            assert "wrong" not in str(error)
    finally:
        server.stop()


async def test_an_old_server(community_id: str, tmp_path: Path) -> None:
    """A server that announces 2.10 is refused, before anything is asked of it."""
    asked: list[bytes] = []

    async def old(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        info = {"server_id": "X", "version": "2.10.25", "headers": True, "max_payload": 1 << 20, "proto": 1}
        writer.write(b"INFO " + json.dumps(info).encode() + b"\r\n")
        while line := await reader.readline():
            if line.startswith(b"PING"):
                writer.write(b"PONG\r\n")
            elif not line.startswith(b"CONNECT"):
                asked.append(line)
        writer.close()

    stub = await asyncio.start_server(old, "127.0.0.1", 0)
    async with stub:
        error = await refused(f"nats://127.0.0.1:{stub.sockets[0].getsockname()[1]}", community_id, tmp_path)
    assert error.code == "AR514"
    assert "2.10" in str(error)
    assert asked == []


async def test_a_server_without_jetstream(community_id: str, tmp_path: Path) -> None:
    """A server that cannot store anything is told from one that is not there."""
    server = Server(tmp_path / "server")
    config = tmp_path / "server" / "server.conf"
    text = config.read_text()
    config.write_text(text[: text.index("jetstream {")] + f'ports_file_dir: "{tmp_path / "server"}"\n')
    server.start()
    try:
        assert (await refused(server.url, community_id, tmp_path)).code == "AR517"
    finally:
        server.stop()


async def test_a_quota_without_room(community_id: str, tmp_path: Path) -> None:
    """A server whose quota is too small is said at the start; one that fills up later refuses writes with the code."""
    server = Server(tmp_path / "server", limits=Limits(max_file_mb=100, max_memory_mb=64, max_payload_kb=1088))
    server.start()
    try:
        error = await refused(server.url, community_id, tmp_path)
        assert error.code == "AR516"
    finally:
        server.stop()


async def test_a_bucket_that_fills_up(shared_server: Server, community_id: str, tmp_path: Path) -> None:
    """When a bucket is full a write is refused with the code, and deleting makes room again."""
    small = WIRING.model_copy(
        update={
            "buckets": WIRING.buckets.model_copy(update={"ctl": WIRING.buckets.ctl.model_copy(update={"max_mb": 1})})
        }
    )
    async with opened(shared_server.url, community_id, tmp_path / "E001", wiring=small) as community:
        ctl = community.ports.ctl
        for n in range(9):
            await ctl.write(Write(f"deal.{n}", b"x" * 100_000))
        with pytest.raises(Refused, match="AR516"):
            await ctl.write(Write("deal.9", b"x" * 200_000))
        await ctl.write(Write("deal.0", None))
        await ctl.write(Write("deal.new", b"small"))


async def test_a_store_in_use(tmp_path: Path) -> None:
    """A second server on one store is refused, in this process and in another, and the first one goes on."""
    async with embedded_server(tmp_path) as first:
        with pytest.raises(CannotOpen) as caught:
            async with embedded_server(tmp_path):
                pass
        assert caught.value.code == "AR524"
        assert "process" in str(caught.value)
        async with open_connection([first.url], "probe") as connection:
            assert connection.connected


async def test_a_taken_port(tmp_path: Path) -> None:
    """A fixed port that another program uses is said in the server's own words."""
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(CannotOpen) as caught:
        async with embedded_server(tmp_path, port=other.getsockname()[1]):
            pass
    assert caught.value.code == "AR523"
    assert "address already in use" in str(caught.value)


async def test_a_missing_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the program the error says how to get it."""
    monkeypatch.setenv(BINARY_DIR_VARIABLE, str(tmp_path))
    with pytest.raises(CannotOpen) as caught:
        async with embedded_server(tmp_path):
            pass
    assert caught.value.code == "AR522"
    assert "apis-rules[embedded]" in str(caught.value)


async def test_an_unusable_id(community_id: str, tmp_path: Path, shared_server: Server) -> None:
    """Ids that would mean something else in a subject are refused before anything is sent."""
    for bad in ("a.b", "a b", "*", "", "-a", "ä", "x" * 65):
        assert (await refused(shared_server.url, bad, tmp_path)).code == "AR510"
    with pytest.raises(ValueError, match="single word"):
        async with open_community([shared_server.url], community_id, "c", "E.1", tmp_path):
            pass


async def test_two_clusters_share_nothing(shared_server: Server, tmp_path: Path) -> None:
    """Clusters whose ids differ, even so that they would run together, see nothing of each other."""
    pairs = [("a", "b-c"), ("a-b", "c"), ("a", "b"), ("A", "b")]
    names = [Names(WIRING, *pair) for pair in pairs]
    buckets = {stream_of(n, WIRING.buckets.ctl) for n in names}
    assert len(buckets) == len(pairs)

    async def echo(body: bytes) -> bytes:
        return body

    async with (
        open_community([shared_server.url], "a", "b-c", "E001", tmp_path / "1") as one,
        open_community([shared_server.url], "a-b", "c", "E001", tmp_path / "2") as two,
        one.ports.bus.serve("E001", "status", echo),
        two.ports.bus.listen("news") as news,
        two.ports.commands.inbox("E001") as inbox,
        two.ports.commands.outcomes() as outcomes,
    ):
        term = await one.ports.lease.acquire("E001")
        assert term is not None
        assert (await two.ports.lease.state()).holder is None
        await one.ports.ctl.write(Write("cmd.E001", b"{}", term.fence))
        await one.ports.bus.broadcast("news", b"x")
        await one.ports.streams.append("DEALLOG", "d", b"x", message_id="m")
        with pytest.raises(Refused):
            await two.ports.bus.ask("E001", "status", b"", 1)
        assert await two.ports.bus.gather("status", b"", 0.2) == []
        assert await two.ports.ctl.keys() == []
        assert await two.ports.streams.last_seq("DEALLOG") == 0
        for heard in (news, inbox, outcomes):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(heard), 0.1)


@pytest.mark.parametrize("servers", ["shared_server", "cluster"])
async def test_many_nodes_may_be_the_first(
    servers: str, community_id: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Nodes that start together make one store between them, on one server and on a cluster."""
    running = request.getfixturevalue(servers)
    urls = running.urls if isinstance(running, Cluster) else [running.url]
    stores = set()
    everybody = asyncio.Barrier(6)

    async def start(unit_id: str) -> None:
        async with (
            open_community(urls, community_id, "c", unit_id, tmp_path / unit_id) as community,
            community.ports.ctl.watch() as view,
        ):
            await view.wait_fresh()
            stores.add(view.store_id)
            await everybody.wait()

    async with asyncio.timeout(60):
        await asyncio.gather(*(start(f"E{n}") for n in range(6)))
    assert len(stores) == 1


async def test_everything_may_be_started_again(tmp_path: Path) -> None:
    """After an orderly end of nodes and server the next start finds the store and what was in it."""
    for n in range(3):
        async with (
            embedded_server(tmp_path / "store") as server,
            opened(server.url, "community", tmp_path / "E001") as community,
        ):
            await community.ports.ctl.write(Write(f"deal.{n}", b"x"))
            await community.ports.unit.write(Write("E001", b"data", time_limit_s=20))
            assert len(await community.ports.ctl.keys("deal.")) == n + 1
            assert community.continuity is not None
            assert community.continuity.amnesia is None


async def test_a_lost_store_is_not_made_anew(shared_server: Server, community_id: str, tmp_path: Path) -> None:
    """A unit that knows the store refuses to start without it, until an operator says so; a new unit may make it."""
    state = tmp_path / "E001"
    async with opened(shared_server.url, community_id, state) as community:
        await community.ports.ctl.write(Write("deal.1", b"x"))
    await lose(shared_server.url, community_id)
    error = await refused(shared_server.url, community_id, tmp_path)
    assert error.code == "AR520"
    assert "--new-store" in str(error)
    async with opened(shared_server.url, community_id, state, new_store=True) as community:
        assert community.continuity is not None
        assert community.continuity.amnesia is None
        assert await community.ports.ctl.keys() == []


async def test_a_store_that_another_made_anew_is_amnesia(
    shared_server: Server, community_id: str, tmp_path: Path
) -> None:
    """A unit that comes back to a store made anew by others says so at once, and what it remembers stays."""
    state = tmp_path / "E001"
    async with opened(shared_server.url, community_id, state) as community, community.ports.ctl.watch() as view:
        last = await community.ports.ctl.write(Write("deal.1", b"x"))
        async with asyncio.timeout(10):
            while view.revision < last:
                await asyncio.sleep(0.01)
    await lose(shared_server.url, community_id)
    async with opened(shared_server.url, community_id, tmp_path / "E002"):
        pass
    for _ in range(2):  # an unanswered question is asked again at the next start
        async with opened(shared_server.url, community_id, state) as community:
            continuity = community.continuity
            assert continuity is not None
            assert continuity.amnesia is not None
            assert not continuity.amnesia.same_store
            assert continuity.amnesia.known_revision == last
    async with opened(shared_server.url, community_id, state) as community:
        assert community.continuity is not None
        async with community.ports.ctl.watch() as view:
            await view.wait_fresh()
            community.continuity.accept(view.store_id, view.revision)
    async with opened(shared_server.url, community_id, state) as community:
        assert community.continuity is not None
        assert community.continuity.amnesia is None


async def test_a_store_that_goes_back_while_running_is_amnesia(community_id: str, tmp_path: Path) -> None:
    """A server that returns with an older store is noticed, and views show that store and nothing of the newer one."""
    server = Server(tmp_path / "server").start()
    try:
        async with opened(server.url, community_id, tmp_path / "E001") as community:
            ctl, continuity = community.ports.ctl, community.continuity
            assert continuity is not None
            await ctl.write(Write("deal.old", b"x"))
            server.stop()
            shutil.copytree(tmp_path / "server" / "store", tmp_path / "older")
            server.start()
            async with asyncio.timeout(10), ctl.watch() as view:
                await view.wait_fresh()
                for n in range(3):
                    last = await ctl.write(Write(f"deal.{n}", b"x"))
                while view.revision < last:
                    await asyncio.sleep(0.01)
                server.stop()
                shutil.rmtree(tmp_path / "server" / "store")
                shutil.copytree(tmp_path / "older", tmp_path / "server" / "store")
                server.start()
                await continuity.noticed.wait()
                await view.wait_fresh()
                assert continuity.amnesia is not None
                assert continuity.amnesia.same_store
                assert continuity.amnesia.known_revision == last > continuity.amnesia.found_revision
                assert set(view.entries("deal.")) == {"deal.old"}
                assert view.revision == continuity.amnesia.found_revision
    finally:
        server.stop()


async def test_a_store_lost_while_running(shared_server: Server, community_id: str, tmp_path: Path) -> None:
    """Buckets that vanish under a running node make every view stale and the link down; nobody makes them anew."""
    async with opened(shared_server.url, community_id, tmp_path / "E001") as community:
        ports = community.ports
        async with asyncio.timeout(15), ports.ctl.watch() as view:
            await view.wait_fresh()
            await lose(shared_server.url, community_id)
            while view.fresh or ports.link.connected:
                await asyncio.sleep(0.02)
            with pytest.raises(Outage):
                await ports.ctl.write(Write("k", b"x"))


async def test_what_a_unit_remembers_is_damaged(shared_server: Server, community_id: str, tmp_path: Path) -> None:
    """A damaged memory of the store is refused with its file's name."""
    state = tmp_path / "E001"
    state.mkdir()
    (state / "store.json").write_text("{")
    error = await refused(shared_server.url, community_id, tmp_path)
    assert error.code == "AR521"
    assert "store.json" in str(error)


def test_the_command_line_says_it(tmp_path: Path) -> None:
    """An error of this kind ends a verb with exit 2, one line with its code, and no traceback."""
    program = (
        "import sys; from apis_rules.cli import main; from apis_transport.errors import CannotOpen\n"
        "from apis_transport.verbs import cluster_config\n"
        "def run(args): raise CannotOpen('AR512', 'nats://h:1', 'cannot be reached: connection refused', 'is it up?')\n"
        "cluster_config.run = run\n"
        "sys.exit(main(['cluster-config', 'a,b,c', '--out', 'x']))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert run.returncode == 2
    assert run.stderr.splitlines()[0] == "nats://h:1: AR512 error: cannot be reached: connection refused"
    assert "Traceback" not in run.stderr


async def lose(url: str, community_id: str) -> None:
    """Delete everything of a community, as an emptied store directory would."""
    async with open_connection([url], "operator") as connection:
        jetstream = JetStream(connection, 5.0)
        for name in (await jetstream.api("STREAM.NAMES"))["streams"]:
            if name.removeprefix("KV_").startswith(f"{community_id}-c-"):
                await jetstream.api(f"STREAM.DELETE.{name}")
