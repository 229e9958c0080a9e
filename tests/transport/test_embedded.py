"""The embedded server: one program of our own, which lives and dies with us."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from apis_rules.ports.state import Write
from apis_transport.community import open_community
from apis_transport.connection import open_connection
from apis_transport.embedded import BINARY_DIR_VARIABLE, embedded_server, find_server
from apis_transport.errors import CannotOpen

pytestmark = pytest.mark.anyio

PARENT = """
import asyncio, sys
from pathlib import Path
from apis_transport.embedded import embedded_server
async def main():
    async with embedded_server(Path(sys.argv[1])) as server:
        print(server.pid, server.port, flush=True)
        await asyncio.Event().wait()
asyncio.run(main())
"""


def alive(pid: int) -> bool:
    """Whether the process is there and is no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def listening_on(port: int) -> set[str]:
    """Addresses, as the kernel writes them, at which somebody listens on *port*."""
    rows = [line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()]
    return {row[1].partition(":")[0] for row in rows if row[3] == "0A" and row[1].endswith(f":{port:04X}")}


async def until(condition, within_s: float = 10.0) -> float:
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.01)
    return loop.time() - began


async def test_it_listens_on_loopback_only_and_stops_within_a_second(tmp_path: Path) -> None:
    """It is up when the context is entered, reached by 127.0.0.1 only, and gone a second after the context ended."""
    async with embedded_server(tmp_path) as server:
        assert server.url == f"nats://127.0.0.1:{server.port}"
        async with open_connection([server.url], "probe") as connection:
            assert connection.connected
        assert listening_on(server.port) == {"0100007F"}
        pid = server.pid
        began = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - began < 1
    assert not alive(pid)


async def test_a_frozen_server_is_stopped_too(tmp_path: Path) -> None:
    """A server that cannot answer a signal is ended by force, within a second."""
    async with embedded_server(tmp_path) as server:
        pid = server.pid
        os.kill(pid, signal.SIGSTOP)
        began = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - began < 1.2
    assert not alive(pid)


async def test_it_is_started_again_at_the_same_port_with_its_store(tmp_path: Path) -> None:
    """Killed, it comes back by itself where it was, and what was acknowledged is there."""
    async with (
        embedded_server(tmp_path / "store") as server,
        open_community([server.url], "c", "k", "E001", tmp_path / "E001") as community,
    ):
        ctl, link = community.ports.ctl, community.ports.link
        port = server.port
        for n in range(3):
            await ctl.write(Write(f"deal.{n}", b"x"))
            os.kill(server.pid, signal.SIGKILL)
            await until(lambda: not link.connected, within_s=1)
            await until(lambda: link.connected, within_s=5)
        assert server.restarts == 3
        assert server.port == port
        assert await ctl.keys("deal.") == ["deal.0", "deal.1", "deal.2"]


async def test_it_dies_with_its_parent(tmp_path: Path) -> None:
    """After kill -9 of the parent the server ends, and the next one gets the store."""
    parent = start_parent(tmp_path)
    assert parent.stdout is not None
    try:
        pid = int(parent.stdout.readline().split()[0])
        assert alive(pid)
    finally:
        parent.kill()
        parent.wait()
        parent.stdout.close()
    async with embedded_server(tmp_path):
        assert not alive(pid)


def start_parent(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", PARENT, folder], stdout=subprocess.PIPE, text=True)


async def test_the_store_is_locked_as_long_as_the_server_lives(tmp_path: Path) -> None:
    """The lock is the server's as well as ours: it is free only when both are gone."""
    async with embedded_server(tmp_path) as server:
        assert str(tmp_path / "server.lock") in open_files(server.pid)


def open_files(pid: int) -> set[str]:
    return {str(path.readlink()) for path in Path(f"/proc/{pid}/fd").iterdir()}


async def test_an_operators_own_binary_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder that the environment names is looked in, and no other."""
    own = tmp_path / "nats-server"
    own.symlink_to(find_server())
    monkeypatch.setenv(BINARY_DIR_VARIABLE, str(tmp_path))
    assert find_server() == own


async def test_what_is_no_program_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A binary for another machine, or a damaged one, is AR523 instead of an error of the operating system."""
    broken = tmp_path / "nats-server"
    broken.write_text("no program")
    broken.chmod(0o755)
    monkeypatch.setenv(BINARY_DIR_VARIABLE, str(tmp_path))
    with pytest.raises(CannotOpen, match=r"AR523.*does not start: Exec format error"):
        async with embedded_server(tmp_path / "store"):
            pass


async def test_a_binary_that_is_away_for_a_while_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that ends while its binary is being replaced is started again once the new one is there."""
    own = tmp_path / "nats-server"
    own.symlink_to(find_server())
    monkeypatch.setenv(BINARY_DIR_VARIABLE, str(tmp_path))
    async with embedded_server(tmp_path / "store") as server:
        own.rename(tmp_path / "old")
        first = server.pid
        os.kill(first, signal.SIGKILL)
        await until(lambda: server.restarts >= 2)
        (tmp_path / "old").rename(own)
        await until(lambda: server.pid != first and alive(server.pid))


async def test_every_write_is_on_disk_before_it_is_acknowledged(tmp_path: Path) -> None:
    """The server runs with the one setting without which a power cut loses acknowledged writes."""
    async with embedded_server(tmp_path):
        assert "sync_interval: always" in (tmp_path / "nats-server.conf").read_text()
