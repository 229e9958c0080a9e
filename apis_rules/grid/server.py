"""The device emulator as a server: all ports on one event loop, in a process of its own or inside another one."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias

import uvicorn
from starlette.applications import Starlette

from apis_rules.errors import Unsupported
from apis_rules.grid.http.asking import handlers
from apis_rules.grid.http.control_api import ControlApi
from apis_rules.grid.http.driver_api import DriverApi
from apis_rules.grid.http.emulator_api import EmulatorApi
from apis_rules.grid.http.served import Served

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, MutableMapping
    from types import TracebackType

    from apis_rules.grid.plant import Plant

    Scope: TypeAlias = MutableMapping[str, Any]
    Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
    Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_CLOCK_S: Final = 0.1  # how long nobody may have looked before the model is moved anyway
_BACKLOG: Final = 2048
_LAST_PORT: Final = 65_535


@dataclass(frozen=True, slots=True)
class EmulatorPorts:
    """Where to listen. A first port is that of the first unit, the others follow; 0 takes free ones, None no port."""

    host: str = "127.0.0.1"
    emulator: int | None = 4390
    v2_first: int | None = 14380
    v1_first: int | None = 15380


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the emulator listens: (host, port) of ``dcdc_emulator``, and of each unit's drivers by unit id."""

    emulator: tuple[str, int] | None = None
    v2: dict[str, tuple[str, int]] = field(default_factory=dict)
    v1: dict[str, tuple[str, int]] = field(default_factory=dict)


class Emulator:
    """Serves a plant: ``async with Emulator(plant, ports) as emulator: …``.

    Takes no signals; leaving the block closes the ports and ends what is under way. Units that are added later are
    served on the port of ``dcdc_emulator`` only.

    Raises (on entering):
        Unsupported: a port is taken or does not exist, or the address is not this machine's.
    """

    def __init__(self, plant: Plant, ports: EmulatorPorts = EmulatorPorts()) -> None:
        self._plant = plant
        self._ports = ports
        self.addresses = Addresses()
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as stack:
            served = Served(self._plant)
            sockets, apps = self._listen(served, stack)
            config = uvicorn.Config(
                _ByPort(apps),
                http="httptools",
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="error",
                access_log=False,
                server_header=False,
                date_header=False,
                backlog=_BACKLOG,
                timeout_graceful_shutdown=2,
            )
            server = _Server(config)
            serving = asyncio.create_task(server.serve(sockets))
            stack.push_async_callback(_stop, server, serving)
            stack.push_async_callback(served.close)
            stack.push_async_callback(_cancelled, asyncio.create_task(self._move()))
            while not server.started:
                if serving.done():
                    await serving
                await asyncio.sleep(0.005)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    def _listen(
        self, served: Served, stack: contextlib.AsyncExitStack
    ) -> tuple[list[socket.socket], dict[int, Starlette]]:
        ports, unit_ids = self._ports, self._plant.grid_now().unit_ids
        sockets: list[socket.socket] = []
        apps: dict[int, Starlette] = {}

        def listen(port: int, routes: Any) -> tuple[str, int]:
            bound = stack.enter_context(_bound(ports.host, port))
            sockets.append(bound)
            number: int = bound.getsockname()[1]
            apps[number] = Starlette(routes=routes, exception_handlers=handlers())
            apps[number].router.redirect_slashes = False  # a wrong path is not found, not sent elsewhere
            return ports.host, number

        emulator = None
        if ports.emulator is not None:
            emulator = listen(ports.emulator, EmulatorApi(served).routes() + ControlApi(served).routes())
        v2, v1 = {}, {}
        for k, unit_id in enumerate(unit_ids):
            driver = DriverApi(served, unit_id)
            if ports.v2_first is not None:
                v2[unit_id] = listen(ports.v2_first and ports.v2_first + k, driver.v2_routes())
            if ports.v1_first is not None:
                v1[unit_id] = listen(ports.v1_first and ports.v1_first + k, driver.v1_routes())
        self.addresses = Addresses(emulator, v2, v1)
        return sockets, apps

    async def _move(self) -> None:
        # So that a long time without requests is not caught up in one long stop.
        while True:
            self._plant.grid_now()
            await asyncio.sleep(_CLOCK_S)


class _Server(uvicorn.Server):
    """Leaves the process's signals alone: whoever embeds the emulator handles them."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _ByPort:
    """Hands a request to the application of the port that it came in on."""

    def __init__(self, apps: dict[int, Starlette]) -> None:
        self._apps = apps

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._apps[scope["server"][1]](scope, receive, send)


def _bound(host: str, port: int) -> socket.socket:
    if port > _LAST_PORT:
        raise Unsupported(f"there is no port {port}: one per unit is needed; begin lower, or serve fewer units")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        # The protocol is named because asyncio turns off Nagle's delay only where it sees that it is TCP.
        bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    except OSError as error:
        raise Unsupported(
            f"cannot open another port: {error.strerror}; serve fewer units or allow more files"
        ) from error
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        # Two sockets that may reuse an address can both be bound to it; only listening tells that it is taken.
        bound.listen(_BACKLOG)
    except OSError as error:
        bound.close()
        raise Unsupported(f"cannot listen on {host}:{port}: {error.strerror}; choose another port or host") from error
    return bound


async def _stop(server: uvicorn.Server, serving: asyncio.Task[None]) -> None:
    server.should_exit = True
    await serving


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
