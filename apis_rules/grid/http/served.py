"""The plant as the HTTP side sees it: work passes through the faults of a unit's driver and ends with the server."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from starlette.responses import JSONResponse, Response

from apis_rules.errors import Refused
from apis_rules.grid.driver import through_driver
from apis_rules.grid.http.asking import Wrong

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from apis_rules.grid.model import Grid, Snapshot
    from apis_rules.grid.plant import Plant

T = TypeVar("T")


class Served:
    """A plant that is served.

    Attributes:
        plant: the grid on its clock.
        saved: what ``/save`` has kept.
        set_before: units that a driver's client has set completely; before that a driver refuses half a set.
    """

    def __init__(self, plant: Plant) -> None:
        self.plant = plant
        self.saved: Snapshot | None = None
        self.set_before: set[str] = set()
        self._moment: tuple[int, tuple[int, int], int] | None = None
        self._written: dict[tuple[str, str], bytes] = {}
        self._closing = asyncio.Event()
        self._under_way: set[asyncio.Task[object]] = set()

    async def reading(
        self, request: Request, unit_id: str, name: str, look: Callable[[Grid], object], *, battery: bool = False
    ) -> Response:
        """Answer with what *look* sees; *name* tells the readings of one unit apart.

        Many readers of one moment get the same bytes, which are written once.
        """
        grid = self.plant.grid_now()
        if grid.faults.disturbs(unit_id):
            return JSONResponse(await self.through_driver(request, unit_id, look, switches=False, battery=battery))
        moment = (id(grid), grid.stamp, int(self.plant.unit_time_s()))
        if moment != self._moment:
            self._moment = moment
            self._written.clear()
        body = self._written.get((unit_id, name))
        if body is None:
            body = self._written[unit_id, name] = bytes(JSONResponse(look(grid)).body)
        return Response(body, media_type="application/json")

    async def through_driver(
        self, request: Request, unit_id: str, act: Callable[[Grid], T], *, switches: bool, battery: bool = False
    ) -> T:
        """Let the driver of *unit_id* do *act*, as ``driver.through_driver``; a driver's error becomes ``Wrong``.

        A silent driver's request ends when the client goes away, or with the server.
        """
        grid = self.plant.grid_now()
        if not grid.faults.disturbs(unit_id):
            return act(self.plant.grid_to_command() if switches else grid)
        work = asyncio.create_task(through_driver(self.plant, unit_id, act, switches=switches, battery=battery))
        ends = [asyncio.create_task(self._closing.wait()), asyncio.create_task(_gone(request))]
        self._under_way.add(work)
        work.add_done_callback(self._ended)
        try:
            await asyncio.wait({work, *ends}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in ends:
                end.cancel()
        if not work.done() or work.cancelled():
            raise Wrong("the driver gave no answer", 503)
        try:
            return work.result()
        except Refused as refusal:
            raise Wrong(str(refusal)) from None

    async def close(self) -> None:
        """End what waits for a driver's answer."""
        self._closing.set()
        tasks = tuple(self._under_way)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, work: asyncio.Task[object]) -> None:
        self._under_way.discard(work)
        if not work.cancelled():
            # Looked at, so that asyncio does not complain about one whose client has gone.
            work.exception()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
