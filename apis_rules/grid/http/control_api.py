"""What the emulator offers beyond the interfaces of drivers: faults, the grid as one document, and its live page."""

from __future__ import annotations

import asyncio
import json
import math
from dataclasses import asdict
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from apis_rules.grid.answers import time_text
from apis_rules.grid.faults import Fault
from apis_rules.grid.http.asking import Wrong
from apis_rules.grid.wording import sentence

if TYPE_CHECKING:
    from starlette.requests import Request

    from apis_rules.grid.faults import Planned
    from apis_rules.grid.http.served import Served

_MOST_BODY: Final = 65_536
_BODY_S: Final = 5.0


class ControlApi:
    """Its paths."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._page = (resources.files("apis_rules.grid.page") / "index.html").read_text(encoding="utf-8")

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/", self.page),
            Route("/grid", self.grid),
            Route("/faults", self.faults),
            Route("/faults", self.add_fault, methods=["POST"]),
            Route("/faults", self.clear_faults, methods=["DELETE"]),
            Route("/faults/{number:int}", self.clear_fault, methods=["DELETE"]),
            Route("/alarms/{unit}", self.clear_alarm, methods=["DELETE"]),
        ]

    async def page(self, _: Request) -> Response:
        """The live page; it needs nothing from anywhere else."""
        return HTMLResponse(self._page)

    async def grid(self, _: Request) -> Response:
        """Topology, units, lines and faults as they truly are, without the errors of meters."""
        plant = self._served.plant
        grid = plant.grid_now()
        return JSONResponse(
            {
                "time": time_text(plant.clock()),
                "acceleration": plant.acceleration,
                "nodes": list(grid.settings.topology.nodes),
                "voltages": grid.node_voltage_v,
                "units": [{**asdict(u), "mode": u.mode.name} for u in map(grid.unit, grid.unit_ids)],
                "lines": [asdict(line) for line in grid.lines()],
                "faults": [_shown(p) for p in grid.faults.planned()],
            }
        )

    async def faults(self, _: Request) -> Response:
        """Every fault that has not ended."""
        return JSONResponse([_shown(p) for p in self._served.plant.grid_now().faults.planned()])

    async def add_fault(self, request: Request) -> Response:
        """Plan a fault; the answer is its number."""
        try:
            fault = Fault.model_validate(await _body(request))
        except ValidationError as error:
            raise Wrong("; ".join(map(sentence, error.errors(include_url=False)))) from None
        try:
            number = self._served.plant.add_fault(fault)
        except KeyError as error:
            raise Wrong(f"there is no {error.args[0]!r} in this grid", 404) from None
        return JSONResponse({"number": number}, 201)

    async def clear_faults(self, _: Request) -> Response:
        """End all faults."""
        return JSONResponse({"cleared": self._served.plant.clear_faults()})

    async def clear_fault(self, request: Request) -> Response:
        """End one fault."""
        if not self._served.plant.clear_faults(request.path_params["number"]):
            raise Wrong(f"there is no fault {request.path_params['number']}", 404)
        return JSONResponse({"cleared": True})

    async def clear_alarm(self, request: Request) -> Response:
        """Let a tripped converter leave WAIT again; an alarm that is a fault stays with its fault."""
        unit_id, grid = request.path_params["unit"], self._served.plant.grid_to_command()
        if not grid.has(unit_id):
            raise Wrong(f"there is no unit {unit_id!r}", 404)
        grid.clear_alarm(unit_id)
        return JSONResponse({"cleared": True})


def _shown(planned: Planned) -> dict[str, Any]:
    until = None if math.isinf(planned.until_s) else planned.until_s
    return {"number": planned.number, **planned.fault.to_document(), "fromS": planned.from_s, "untilS": until}


async def _body(request: Request) -> object:
    # Bounded in size and time: a client that sends without end, or does not go on, gets an answer too.
    received = bytearray()
    try:
        async with asyncio.timeout(_BODY_S):
            async for chunk in request.stream():
                received += chunk
                if len(received) > _MOST_BODY:
                    raise Wrong(f"a fault takes less than {_MOST_BODY} bytes", 413)
    except TimeoutError:
        raise Wrong(f"the request did not end within {_BODY_S:g} s", 408) from None
    try:
        return json.loads(received)
    except ValueError as error:
        raise Wrong(f"no JSON: {error}") from None
