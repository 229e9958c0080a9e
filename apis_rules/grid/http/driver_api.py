"""The interfaces of ``dcdc_v2`` and ``dcdc_v1``: one port per unit, no unit id in the paths."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from apis_rules.grid.answers import (
    driver_battery,
    driver_dcdc,
    driver_limits,
    driver_log,
    driver_powermeter,
    driver_status,
)
from apis_rules.grid.http.asking import Wrong, mode_of, register_value

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from apis_rules.grid.answers import Document
    from apis_rules.grid.http.served import Served
    from apis_rules.grid.model import Grid

VERSION: Final = {"comm_interface_version": "2.0", "dcdc_batt_comm_version": "1.4"}


class DriverApi:
    """The paths of one unit's driver.

    Values that a set leaves out are those of the last set. Until mode, voltage and current have been set once together,
    a set of less is refused, in the words of a real driver.
    """

    def __init__(self, served: Served, unit_id: str) -> None:
        self._served = served
        self._unit_id = unit_id

    def v2_routes(self) -> list[Route]:
        """Return the routes of ``dcdc_v2``."""
        return [
            Route("/all/get", self._get(lambda g: {**driver_battery(g, self._unit_id), **self._dcdc(g)}, battery=True)),
            Route("/dcdc/get/status", self._get(lambda g: driver_status(self._dcdc(g)))),
            Route("/dcdc/set", self.set),
            Route("/dcdc/get", self._get(self._dcdc)),
            Route("/battery/get", self._get(lambda g: driver_battery(g, self._unit_id), battery=True)),
            Route("/version/get", self.version),
        ]

    def v1_routes(self) -> list[Route]:
        """Return the routes of ``dcdc_v1``, those of its battery driver included."""
        return [
            Route("/remote/get", self._get(lambda g: {**self._dcdc(g), "powermeter": driver_powermeter()})),
            Route("/1/log/data", self._get(lambda g: driver_log(g, self._unit_id), battery=True)),
            Route("/remote/get/status", self._get(lambda g: driver_status(self._dcdc(g)))),
            Route("/remote/set", self.set),
            Route("/remote/set/voltage", self.set),
            Route("/remote/set/current", self.set),
            Route("/remote/ioctl/get", self._get(self._everything, battery=True)),
            Route("/remote/ioctl/set", self._get(lambda g: driver_limits(g, self._unit_id))),
            Route("/remote/ioctl/clr_alarm", self.clear_alarm),
            Route("/version/get", self.version),
        ]

    async def version(self, _: Request) -> Response:
        """Of the interface and of the driver that it is modelled on."""
        return JSONResponse(VERSION)

    async def set(self, request: Request) -> Response:
        """Set what is given; the answer has the parts that the given values concern."""
        query = {k: v for k, v in request.query_params.items() if k in {"mode", "dvg", "dig", "drg"} and v}
        if "mode" not in query and self._unit_id not in self._served.set_before:
            raise Wrong("No operationMode")
        for name in ("dig", "dvg"):
            if name not in query and self._unit_id not in self._served.set_before:
                raise Wrong(f"No {name}")
        mode = mode_of(query["mode"]) if "mode" in query else None
        values = {name: register_value(name, query[name]) for name in ("dvg", "dig", "drg") if name in query}
        given = set(query)

        def act(grid: Grid) -> Document:
            unit = grid.unit(self._unit_id)
            if given == {"dig"}:
                grid.set_current(self._unit_id, values["dig"])
                return _only(self._dcdc(grid), "meter", "param")
            voltage_v, droop = values.get("dvg", unit.voltage_set_v), values.get("drg", unit.droop_ratio)
            if given in ({"dvg"}, {"dvg", "drg"}):
                grid.set_voltage(self._unit_id, voltage_v, droop)
                return _only(self._dcdc(grid), "meter", "vdis")
            grid.set_mode(self._unit_id, mode or unit.mode, voltage_v, values.get("dig", unit.current_set_a), droop)
            return self._dcdc(grid)

        answer = await self._served.through_driver(request, self._unit_id, act, switches=True)
        self._served.set_before.add(self._unit_id)
        return JSONResponse(answer)

    async def clear_alarm(self, request: Request) -> Response:
        """Let a tripped converter leave WAIT again."""

        def act(grid: Grid) -> Document:
            grid.clear_alarm(self._unit_id)
            return {**self._dcdc(grid), "powermeter": driver_powermeter()}

        return JSONResponse(await self._served.through_driver(request, self._unit_id, act, switches=True))

    def _get(
        self, look: Callable[[Grid], Document], *, battery: bool = False
    ) -> Callable[[Request], Awaitable[Response]]:
        async def get(request: Request) -> Response:
            return await self._served.reading(request, self._unit_id, request.url.path, look, battery=battery)

        return get

    def _dcdc(self, grid: Grid) -> Document:
        return driver_dcdc(grid, self._unit_id)

    def _everything(self, grid: Grid) -> Document:
        return {**self._dcdc(grid), "powermeter": driver_powermeter(), **driver_log(grid, self._unit_id)}


def _only(dcdc: Document, *parts: str) -> Document:
    return {part: dcdc[part] for part in parts}
