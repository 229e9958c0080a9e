"""A nats-server of our own that another process runs, so that it outlives this one."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Protocol

from apis_rules.documents.wiring import load_wiring
from apis_transport.background import background_tasks
from apis_transport.embedded import (
    START_LIMIT_S,
    embedded_server,
    find_server,
    last_words,
    log_file,
    read_port,
    write_config,
)
from apis_transport.errors import CannotOpen

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from apis_rules.documents.wiring import Wiring


class Keeper(Protocol):
    """The process that runs the server, starts it again when it ends, and ends it when the run is over.

    Attributes:
        gone: set once that process is dead, and the server with it.
    """

    gone: asyncio.Event

    @property
    def server_pid(self) -> int:
        """The server that it runs already; 0: none."""

    async def keep_server(self, argv: Sequence[str], log: Path, lock: Path) -> int:
        """Run a server that shares *lock*; return its process id. Raises ``CannotOpen``: AR523, AR524."""


@asynccontextmanager
async def kept_server(store_dir: Path, keeper: Keeper) -> AsyncIterator[str]:
    """Give the URL of a server with its store in *store_dir*, on loopback, which *keeper* runs.

    Where the keeper dies, a server on the same store and port is run here, for an orderly end.

    Raises:
        CannotOpen: AR522 no ``nats-server``, AR523 it does not start (port taken, too old), AR524 the store is in use.
    """
    wiring = load_wiring()
    pid = keeper.server_pid
    if not pid:
        argv = (str(find_server()), "-c", str(_prepare(store_dir, wiring)))
        pid = await keeper.keep_server(argv, log_file(store_dir), store_dir / "server.lock")
    port = await _listening(store_dir, pid)
    # Whenever it is started again, it listens where it is known.
    write_config(store_dir, wiring, port)
    async with background_tasks() as tasks:
        tasks.create_task(_replace(store_dir, port, keeper), name="kept server")
        yield f"nats://127.0.0.1:{port}"


def _prepare(store_dir: Path, wiring: Wiring) -> Path:
    store_dir.mkdir(parents=True, exist_ok=True)
    log_file(store_dir).touch()
    return write_config(store_dir, wiring, 0)


async def _listening(store_dir: Path, pid: int) -> int:
    loop = asyncio.get_running_loop()
    until, log = loop.time() + START_LIMIT_S, log_file(store_dir)
    while loop.time() < until:
        if port := read_port(store_dir, pid):
            return port
        if "[FTL]" in log.read_text(errors="replace"):
            break
        await asyncio.sleep(0.01)
    raise CannotOpen("AR523", str(store_dir), f"its nats-server does not start: {last_words(log)}", f"its log is {log}")


async def _replace(store_dir: Path, port: int, keeper: Keeper) -> None:
    await keeper.gone.wait()
    async with embedded_server(store_dir, port=port):
        await asyncio.Event().wait()
