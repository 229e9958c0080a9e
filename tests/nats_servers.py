"""Real servers for tests: processes that can be killed and frozen, and a wire that can be cut."""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from apis_rules.documents.wiring import Server as Limits
from apis_rules.processes import end_with_parent
from apis_transport.clock import MachineClock
from apis_transport.embedded import find_server
from apis_transport.server_config import render_cluster, render_server

ROOMY = Limits(max_file_mb=100_000, max_memory_mb=10_000, max_payload_kb=1088)
"""Room for the communities of a whole run of tests; nothing of it is taken before it is used."""


_draw = random.SystemRandom()


def free_port() -> int:
    """Return a free port that no outgoing connection is given meanwhile: one below the system's range for those."""
    while True:
        port = _draw.randrange(12_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class Server:
    """One nats-server process on loopback with a store of its own; its port stays the same over restarts."""

    def __init__(self, folder: Path, name: str = "s", *, limits: Limits = ROOMY, cluster: str = "") -> None:
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self.name = name
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self._config = folder / "server.conf"
        self._config.write_text(
            render_server(
                limits,
                name=name,
                listen=f"127.0.0.1:{self.port}",
                store_dir=folder / "store",
                ports_file_dir=folder,
                cluster=cluster,
            )
        )

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def start(self, *, wait: bool = True) -> Server:
        for old in self.folder.glob("*.ports"):
            old.unlink()
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [find_server(), "-c", self._config],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=end_with_parent(os.getpid()),  # noqa: PLW1509  loads nothing after the fork
            )
        if wait:
            self.wait_listening()
        return self

    def wait_listening(self, within_s: float = 10) -> None:
        assert self.process is not None
        clock = MachineClock()
        until = clock.now_s() + within_s
        ports = self.folder / f"nats-server_{self.process.pid}.ports"
        while clock.now_s() < until:
            with suppress(OSError, ValueError):
                json.loads(ports.read_text())
                return
            time.sleep(0.005)
        raise TimeoutError((self.folder / "log").read_text()[-800:])

    def kill(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def freeze(self) -> None:
        """Stop every one of its threads; return when they stand."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        threads = Path(f"/proc/{self.process.pid}/task")
        while any(_state(thread / "stat") != "T" for thread in threads.iterdir()):
            time.sleep(0.001)

    def thaw(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def reload(self) -> None:
        """Let it read its configuration again."""
        assert self.process is not None
        self.process.send_signal(signal.SIGHUP)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.thaw()
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.kill()


def _state(stat: Path) -> str:
    return stat.read_text().rpartition(")")[2].split()[0]


class Cluster:
    """Three servers that agree by majority."""

    def __init__(self, folder: Path, size: int = 3) -> None:
        routes = [free_port() for _ in range(size)]
        self.servers = [
            Server(
                folder / f"n{i}",
                f"n{i}",
                cluster=render_cluster(
                    "tests",
                    f"127.0.0.1:{routes[i]}",
                    [f"nats://127.0.0.1:{port}" for n, port in enumerate(routes) if n != i],
                ),
            )
            for i in range(size)
        ]

    @property
    def urls(self) -> list[str]:
        return [server.url for server in self.servers]

    def start(self) -> Cluster:
        for server in self.servers:
            server.start(wait=False)
        for server in self.servers:
            server.wait_listening()
        return self

    def stop(self) -> None:
        for server in self.servers:
            server.stop()


class OnDemand:
    """Servers that are started when they are first needed and stopped by ``stop``, with their files."""

    def __init__(self, make) -> None:
        self._make = make
        self._folder: Path | None = None
        self._servers = None

    def get(self):
        if self._servers is None:
            self._folder = Path(tempfile.mkdtemp(prefix="apis-rules-test-"))
            self._servers = self._make(self._folder).start()
        return self._servers

    def stop(self) -> None:
        if self._servers is not None and self._folder is not None:
            self._servers.stop()
            shutil.rmtree(self._folder)
            self._servers = None


class Wire:
    """A TCP relay to one server that can be cut (connections end, new ones are refused) and mended."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._pumps: set[asyncio.Task[None]] = set()
        self.port = free_port()

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    async def mend(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)

    async def cut(self) -> None:
        if self._server is not None:
            self._server.close()
        for writer in self._writers:
            writer.close()
        if self._pumps:
            await asyncio.wait(self._pumps)
        if self._server is not None:
            await self._server.wait_closed()
            self._server = None

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._to)
        except OSError:
            writer.close()
            return
        self._writers |= {writer, far_writer}
        for source, sink in ((reader, far_writer), (far_reader, writer)):
            pump = asyncio.create_task(self._pump(source, sink))
            self._pumps.add(pump)
            pump.add_done_callback(self._pumps.discard)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(65536):
                sink.write(data)
                await sink.drain()
        sink.close()
        self._writers.discard(sink)
