"""The interface of ``dcdc_emulator``: one port, the unit's id in every path."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from apis_rules.grid.answers import emulator_dcdc, emulator_house, emulator_unit, filtered
from apis_rules.grid.http.asking import Wrong, mode_of, number_within, set_point

if TYPE_CHECKING:
    from starlette.requests import Request

    from apis_rules.grid.answers import Document
    from apis_rules.grid.http.served import Served
    from apis_rules.grid.model import Grid

MOST_ACCELERATION: Final = 86_400
MOST_UNITS: Final = 1000


class EmulatorApi:
    """Its paths. An unknown unit is ``{}`` where the existing emulator says so, else 404."""

    def __init__(self, served: Served) -> None:
        self._served = served

    def routes(self) -> list[Route]:
        """Return the routes, most asked first."""
        return [
            Route("/get/unit/{unit}", self.unit),
            Route("/get/dcdc/status/{unit}", self.status),
            Route("/set/dcdc/voltage/{unit}", self.set_voltage),
            Route("/set/dcdc/current/{unit}", self.set_current),
            Route("/set/dcdc/{unit}", self.set_mode),
            Route("/get/log", self.log),
            Route("/get/emu/{unit}", self.house),
            Route("/get/dcdc/{unit}", self.dcdc),
            Route("/get/acc", self.acceleration),
            Route("/set/acc/{factor}", self.set_acceleration),
            Route("/set/emu/{unit}", self.set_house),
            Route("/add/unit", self.add_unit),
            Route("/remove/unit", self.remove_unit),
            Route("/save", self.save),
            Route("/get/last", self.last),
            Route("/restart", self.restart),
        ]

    async def unit(self, request: Request) -> Response:
        """Everything that a node asks of a unit."""
        unit_id = self._known(request)
        if unit_id is None:
            return JSONResponse({})
        clock = self._served.plant.clock()
        return await self._served.reading(
            request, unit_id, "unit", lambda grid: emulator_unit(grid, unit_id, clock), battery=True
        )

    async def status(self, request: Request) -> Response:
        """The converter only."""
        unit_id = self._known(request)
        if unit_id is None:
            return JSONResponse({})
        return await self._served.reading(
            request, unit_id, "status", lambda grid: _parts(grid, unit_id, "status", "meter")
        )

    async def dcdc(self, request: Request) -> Response:
        """The whole converter."""
        unit_id = self._demanded(request)
        return await self._served.reading(request, unit_id, "dcdc", lambda grid: emulator_dcdc(grid, unit_id))

    async def house(self, request: Request) -> Response:
        """Battery and house."""
        unit_id = self._demanded(request)
        return await self._served.reading(
            request, unit_id, "house", lambda grid: emulator_house(grid, unit_id), battery=True
        )

    async def set_mode(self, request: Request) -> Response:
        """Mode and set-points."""
        unit_id, query = self._demanded(request), request.query_params
        if not query.get("mode"):
            raise Wrong("mode is missing")
        mode, droop = mode_of(query["mode"]), set_point(query, "drg", 0.0)
        voltage_v, current_a = set_point(query, "dvg"), set_point(query, "dig")

        def act(grid: Grid) -> Document:
            grid.set_mode(unit_id, mode, voltage_v, current_a, droop)
            return _parts(grid, unit_id, "status", "meter", "vdis", "param")

        return JSONResponse(await self._served.through_driver(request, unit_id, act, switches=True))

    async def set_voltage(self, request: Request) -> Response:
        """Voltage set-point and droop."""
        unit_id, query = self._demanded(request), request.query_params
        voltage_v, droop = set_point(query, "dvg"), set_point(query, "drg", 0.0)

        def act(grid: Grid) -> Document:
            grid.set_voltage(unit_id, voltage_v, droop)
            return _parts(grid, unit_id, "meter", "vdis")

        return JSONResponse(await self._served.through_driver(request, unit_id, act, switches=True))

    async def set_current(self, request: Request) -> Response:
        """Current set-point."""
        unit_id, current_a = self._demanded(request), set_point(request.query_params, "dig")

        def act(grid: Grid) -> Document:
            grid.set_current(unit_id, current_a)
            return _parts(grid, unit_id, "meter", "param")

        return JSONResponse(await self._served.through_driver(request, unit_id, act, switches=True))

    async def log(self, _: Request) -> Response:
        """All units."""
        return self._all(self._served.plant.grid_now())

    async def acceleration(self, _: Request) -> Response:
        """The factor as a bare number."""
        return HTMLResponse(f"{self._served.plant.acceleration:g}")

    async def set_acceleration(self, request: Request) -> Response:
        """Another factor, at once and without a jump of the units' clock."""
        factor = number_within("acceleration", request.path_params["factor"], MOST_ACCELERATION)
        if factor == 0.0:
            raise Wrong("acceleration = 0 would stop the clock")
        self._served.plant.acceleration = factor
        return await self.acceleration(request)

    async def set_house(self, request: Request) -> Response:
        """State of charge, PV or load of a house; all or nothing of a request is taken.

        PV and load stay as set until a restart (the existing emulator overwrites them within a second).
        """
        unit_id, grid = self._demanded(request), self._served.plant.grid_to_command()
        known = emulator_house(grid, unit_id)
        given = dict(request.query_params)
        if unknown := [key for key in given if key not in known]:
            return HTMLResponse(f"following key not found: {', '.join(unknown)}")
        settable = {"rsoc": 100.0, "pvc_charge_power": 1e5, "ups_output_power": 1e5}
        if fixed := [key for key in given if key not in settable]:
            raise Wrong(
                f"{', '.join(fixed)} follows from the model; rsoc, pvc_charge_power, ups_output_power can be set"
            )
        values = {key: number_within(key, text, settable[key]) for key, text in given.items()}
        if "rsoc" in values:
            grid.set_rsoc(unit_id, values["rsoc"])
        grid.override_house(unit_id, pv_w=values.get("pvc_charge_power"), load_w=values.get("ups_output_power"))
        return self._all(grid)

    async def add_unit(self, _: Request) -> Response:
        """One unit more, behind the last."""
        return self._resized(+1)

    async def remove_unit(self, _: Request) -> Response:
        """The last unit goes."""
        return self._resized(-1)

    async def save(self, _: Request) -> Response:
        """Keep the present state, until the emulator ends."""
        grid = self._served.plant.grid_to_command()
        self._served.saved = grid.snapshot()
        return self._all(grid)

    async def last(self, _: Request) -> Response:
        """Put the saved state back, with the units of then."""
        if self._served.saved is None:
            raise Wrong("nothing is saved", 404)
        grid = self._served.plant.grid_to_command().restored(self._served.saved)
        self._served.plant.replace_grid(grid)
        return self._all(grid)

    async def restart(self, _: Request) -> Response:
        """Everything as at the start, the units' clock too."""
        grid = self._served.plant.grid_to_command()
        grid.restart()
        return self._all(grid)

    def _resized(self, by: int) -> Response:
        grid = self._served.plant.grid_to_command()
        units = len(grid.unit_ids) + by
        if not 1 <= units <= MOST_UNITS:
            raise Wrong(f"a grid has 1 to {MOST_UNITS} units")
        self._served.plant.replace_grid(grid.resized(units))
        return self._all(self._served.plant.grid_now())

    def _all(self, grid: Grid) -> Response:
        clock = self._served.plant.clock()
        return JSONResponse({u: emulator_unit(grid, u, clock, whole=True) for u in grid.unit_ids})

    def _known(self, request: Request) -> str | None:
        unit_id: str = request.path_params["unit"]
        return unit_id if self._served.plant.grid_now().has(unit_id) else None

    def _demanded(self, request: Request) -> str:
        unit_id = self._known(request)
        if unit_id is None:
            raise Wrong(f"there is no unit {request.path_params['unit']!r}", 404)
        return unit_id


def _parts(grid: Grid, unit_id: str, *parts: str) -> Document:
    return filtered(emulator_dcdc(grid, unit_id), *parts)
