"""Three servers as ``cluster-config`` writes them for three boards; each board is an address of this machine."""

from __future__ import annotations

import os
import random
import socket
import subprocess
from typing import TYPE_CHECKING

from apis_rules.processes import end_with_parent
from apis_transport.cluster_config import CLIENT_PORT
from apis_transport.embedded import find_server
from tests.compose.houses import ask, until

if TYPE_CHECKING:
    from pathlib import Path


class Board:
    """One server; its configuration is the one that the verb has written for its host."""

    def __init__(self, host: str, config: Path) -> None:
        self.host = host
        self._config = config
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._config.with_suffix(".log").open("ab") as log:
            self._process = subprocess.Popen(
                [find_server(), "-c", self._config],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=end_with_parent(os.getpid()),  # noqa: PLW1509  loads nothing after the fork
            )

    def listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((self.host, CLIENT_PORT)) == 0

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)


class Site:
    """A three-server site."""

    def __init__(self, folder: Path) -> None:
        draw = random.SystemRandom()
        net = f"127.{draw.randrange(1, 255)}.{draw.randrange(1, 255)}"
        hosts = [f"{net}.{n}" for n in (11, 12, 13)]
        self.boards = []
        for host in hosts:
            # A folder per board: there each has a machine, and so a store, of its own.
            board = folder / host
            ask("cluster-config", ",".join(hosts), "--out", board, "--store-dir", board / "store")
            self.boards.append(Board(host, board / f"nats-server-{host.replace('.', '-')}.conf"))

    @property
    def url(self) -> str:
        return ",".join(f"nats://{board.host}:{CLIENT_PORT}" for board in self.boards)

    def start(self) -> None:
        for board in self.boards:
            board.start()
        until(lambda: all(board.listens() for board in self.boards), 15, "all servers listen")

    def kill(self) -> None:
        for board in self.boards:
            board.kill()

    stop = kill
