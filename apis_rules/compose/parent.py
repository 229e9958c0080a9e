"""The nodes' side of the process above them (``apis_rules.supervisor``): what they leave with it, what it does."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from collections import defaultdict
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, Self

from apis_rules.supervisor.orders import ALIVE_S, STARTING_S, VARIABLE, Inherited
from apis_transport.background import background_tasks
from apis_transport.embedded import IN_USE_HINT
from apis_transport.errors import CannotOpen

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from pathlib import Path

    from apis_rules.supervisor.orders import UnitOrders

BEAT_S: Final = 0.5
SERVER_S: Final = 20.0
"""How long the start of a nats-server is waited for."""

TAKE_S: Final = 5.0
"""How long the process above may take to hear and to answer."""

REQUESTS: Final = 3
"""What of its may still be under way then, one after the other: a look, an order, and what that may take to land."""


class Parent:
    """No process above: everything that it would do is left undone.

    Attributes:
        gone: set once the process above has died.
        kept: what the process that ran the nodes before this one has left.
    """

    def __init__(self) -> None:
        self.gone = asyncio.Event()
        self.kept: dict[str, Any] = {}

    @property
    def pid(self) -> int:
        """The process that stands for the whole run."""
        return os.getpid()

    @property
    def scratch(self) -> str:
        """A folder that lives as long as the run; empty where there is none."""
        return ""

    def holds(self, lock: str) -> bool:
        """Whether the lock was inherited."""
        _ = lock
        return False

    def share(self, lock: str, descriptor: int, unit_lock: Path) -> None:
        """Let the process above hold a lock too, from the moment at which the unit of *unit_lock* is taken over."""

    async def take_over(self, orders: Callable[[], UnitOrders]) -> None:
        """Return when nobody but this process orders anything of the unit's converter."""

    def change(self, orders: Callable[[], UnitOrders]) -> None:
        """Say how the converter is to be kept safe from now on."""

    def leave(self, unit_id: str, *, at_rest: bool) -> None:
        """Say that a node has ended. *at_rest*: nothing is left to do for its converter here; else it is guarded."""

    def keep(self, **values: Any) -> None:
        """Leave something for the process that runs the nodes after this one."""
        self.kept |= values

    def decide_end(self) -> None:
        """Say that the end which comes now is meant."""

    def watch(self, alive: Callable[[], bool | None]) -> None:
        """Give signs of life as long as *alive* says so; None: nothing is running yet."""


class Supervised(Parent):
    """The process above, on the other end of a socket; ``apis_transport.kept_server.Keeper``."""

    def __init__(self, inherited: Inherited) -> None:
        super().__init__()
        self.kept = inherited.kept
        self._inherited = inherited
        self._socket = socket.socket(fileno=inherited.channel)
        self._socket.setblocking(False)
        for descriptor in (inherited.channel, *inherited.locks.values()):
            os.set_inheritable(descriptor, False)
        self._server_pid = inherited.server_pid
        self._to_share: defaultdict[str, list[tuple[str, int]]] = defaultdict(list)
        self._answers: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._alive: Callable[[], bool | None] = lambda: None

    @property
    def pid(self) -> int:
        """The process that stands for the whole run."""
        return os.getppid()

    @property
    def scratch(self) -> str:
        """A folder that lives as long as the run; empty where there is none."""
        return self._inherited.scratch

    @property
    def server_pid(self) -> int:
        """The nats-server that the process above runs; 0: none."""
        return self._server_pid

    def holds(self, lock: str) -> bool:
        """Whether the lock was inherited."""
        return lock in self._inherited.locks

    def share(self, lock: str, descriptor: int, unit_lock: Path) -> None:
        """Let the process above hold a lock too, from the moment at which the unit of *unit_lock* is taken over."""
        self._to_share[str(unit_lock)].append((lock, descriptor))

    async def take_over(self, orders: Callable[[], UnitOrders]) -> None:
        """Return when nobody but this process orders anything of the unit's converter."""
        given = orders()
        for lock, descriptor in self._to_share.pop(given.lock, ()):
            self._say({"lock": lock}, descriptor)
        # One that does not answer for so long orders nothing either.
        within_s = TAKE_S + REQUESTS * given.request_timeout_s
        with contextlib.suppress(TimeoutError):
            await self._ask({"take": given.to_document()}, f"taken {given.unit_id}", within_s)

    def change(self, orders: Callable[[], UnitOrders]) -> None:
        """Say how the converter is to be kept safe from now on."""
        self._say({"orders": orders().to_document()})

    def leave(self, unit_id: str, *, at_rest: bool) -> None:
        """Say that a node has ended. *at_rest*: nothing is left to do for its converter here; else it is guarded."""
        self._say({"left": unit_id, "at_rest": at_rest})

    def keep(self, **values: Any) -> None:
        """Leave something for the process that runs the nodes after this one."""
        super().keep(**values)
        self._say({"keep": values})

    def decide_end(self) -> None:
        """Say that the end which comes now is meant."""
        self._say({"decided": True})
        self._alive = lambda: None
        self._beat()

    def watch(self, alive: Callable[[], bool | None]) -> None:
        """Give signs of life as long as *alive* says so; None: nothing is running yet."""
        self._alive = alive

    async def keep_server(self, argv: Sequence[str], log: Path, lock: Path) -> int:
        """Run a nats-server above; return its process id.

        Raises:
            CannotOpen: AR523 it does not start, AR524 the store is in use.
        """
        asked = {"server": [str(a) for a in argv], "log": str(log), "lock_file": str(lock)}
        try:
            answer = await self._ask(asked, "server", SERVER_S)
        except TimeoutError:
            raise CannotOpen("AR523", str(argv[0]), "was not started by the supervisor in time") from None
        failure = str(answer.get("failure", "the supervisor is gone"))
        if failure.startswith("locked"):
            owner = failure.removeprefix("locked ") or "another process"
            raise CannotOpen("AR524", str(lock.parent), f"is in use by {owner}", IN_USE_HINT)
        if failure:
            raise CannotOpen("AR523", str(argv[0]), f"does not start: {failure}")
        self._server_pid = int(answer["server_pid"])
        return self._server_pid

    async def run(self) -> None:
        """Listen and give signs of life until cancelled, or until the process above is gone."""
        async with asyncio.TaskGroup() as tasks:
            beating = tasks.create_task(self._give_signs())
            try:
                await self._listen()
            finally:
                self.gone.set()
                beating.cancel()
                for waiting in self._answers.values():
                    if not waiting.done():
                        waiting.set_result({})

    async def _give_signs(self) -> None:
        while True:
            self._beat()
            await asyncio.sleep(BEAT_S)

    def _beat(self) -> None:
        alive = self._alive()
        if alive is not False:
            self._say({"alive_for_s": STARTING_S if alive is None else ALIVE_S})

    async def _listen(self) -> None:
        loop, unread = asyncio.get_running_loop(), b""
        while True:
            try:
                data = await loop.sock_recv(self._socket, 65_536)
            except ConnectionError:
                return
            if not data:
                return
            *lines, unread = (unread + data).split(b"\n")
            for line in lines:
                answer = json.loads(line)
                key = f"taken {answer['taken']}" if "taken" in answer else "server"
                waiting = self._answers.pop(key, None)
                if waiting is not None and not waiting.done():
                    waiting.set_result(answer)

    async def _ask(self, message: dict[str, Any], key: str, within_s: float) -> dict[str, Any]:
        """Return the answer; an empty one where the process above is gone."""
        if self.gone.is_set():
            return {}
        waiting = self._answers[key] = asyncio.get_running_loop().create_future()
        self._say(message)
        async with asyncio.timeout(within_s):
            answer: dict[str, Any] = await waiting
        return answer

    def _say(self, message: dict[str, Any], *descriptors: int) -> None:
        try:
            socket.send_fds(self._socket, [json.dumps(message).encode() + b"\n"], list(descriptors))
        except BlockingIOError:
            return  # it stands still: then nothing is guarded, and a sign of life is worth nothing
        except OSError:
            self.gone.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()


@asynccontextmanager
async def open_parent() -> AsyncIterator[Parent]:
    """Give the process above this one: the supervisor, where there is one."""
    text = os.environ.pop(VARIABLE, "")
    if not text:
        yield Parent()
        return
    with Supervised(Inherited.from_text(text)) as parent:
        async with background_tasks() as tasks:
            tasks.create_task(parent.run(), name="the process above")
            yield parent
