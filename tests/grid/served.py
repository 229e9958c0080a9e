"""A served emulator for tests: real sockets on loopback, ports of the system's choice."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import httpx

from apis_rules.grid.model import Grid
from apis_rules.grid.plant import Plant
from apis_rules.grid.server import Emulator, EmulatorPorts
from apis_rules.grid.settings import community

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from apis_rules.grid.settings import GridSettings

ANY_PORTS = EmulatorPorts(emulator=0, v2_first=0, v1_first=0)


class Client:
    """Asks the ports of one emulator."""

    def __init__(self, emulator: Emulator, plant: Plant, http: httpx.AsyncClient) -> None:
        self.emulator, self.plant, self.http = emulator, plant, http

    @property
    def port(self) -> int:
        assert self.emulator.addresses.emulator is not None
        return self.emulator.addresses.emulator[1]

    def url(self, path: str, unit: str = "E001") -> str:
        """The path on the port that serves it."""
        port = self.port
        if path.startswith(("/all/", "/dcdc/", "/battery/", "/version/")):
            port = self.emulator.addresses.v2[unit][1]
        if path.startswith(("/remote/", "/1/")):
            port = self.emulator.addresses.v1[unit][1]
        return f"http://127.0.0.1:{port}{path}"

    async def get(self, path: str, unit: str = "E001") -> httpx.Response:
        return await self.http.get(self.url(path, unit))

    async def json(self, path: str, unit: str = "E001") -> Any:
        response = await self.get(path, unit)
        assert response.status_code == 200, response.text
        return response.json()

    async def fault(self, **fault: object) -> int:
        response = await self.http.post(self.url("/faults"), json=fault)
        assert response.status_code == 201, response.text
        return int(response.json()["number"])


@contextlib.asynccontextmanager
async def served(settings: GridSettings | None = None, acceleration: float = 10.0) -> AsyncIterator[Client]:
    """The example community, served."""
    plant = Plant(Grid(settings or community(4)), asyncio.get_running_loop().time, acceleration)
    async with Emulator(plant, ANY_PORTS) as emulator, httpx.AsyncClient(timeout=20) as http:
        yield Client(emulator, plant, http)


async def until(condition: Any, limit_s: float = 20.0) -> None:
    """Wait until *condition* (an async function) holds."""
    async with asyncio.timeout(limit_s):
        while not await condition():
            await asyncio.sleep(0.02)
