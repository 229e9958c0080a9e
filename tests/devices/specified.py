"""A driver written from the specification alone (5.1, 5.2): its paths, its nested full answer, its version key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from apis_rules.errors import Refused
from apis_rules.grid.answers import emulator_dcdc
from apis_rules.grid.driver import through_driver
from apis_rules.ports.types import ConverterMode
from tests.devices.server import Answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from apis_rules.grid.model import Grid
    from apis_rules.grid.plant import Plant

STATUS = ("status", "alarmState", "operationMode")
METER = ("wg", "tmp", "vb", "wb", "vg", "ib", "ig")


class SpecifiedDriver:
    """Serves one unit of *plant*, in the form of the specification's examples."""

    def __init__(self, plant: Plant, unit_id: str) -> None:
        self._plant = plant
        self._unit_id = unit_id

    async def __call__(self, path: str, query: dict[str, str]) -> Answer:
        match path:
            case "/version/get":
                return Answer({"comm_protocol_version": "1.0", "dcdc_batt_comm_version": "1.0"})
            case "/all/get":
                return await self._do(lambda grid: {"dcdc": self._dcdc(grid), "battery": self._battery(grid)})
            case "/dcdc/get/status":
                return await self._do(lambda grid: {k: self._dcdc(grid)[k] for k in ("status", "meter")})
            case "/dcdc/set":
                return await self._do(lambda grid: self._set(grid, query), switches=True)
            case _:
                return Answer({}, 404)

    async def _do(self, act: Callable[[Grid], dict[str, Any]], *, switches: bool = False) -> Answer:
        try:
            return Answer(await through_driver(self._plant, self._unit_id, act, switches=switches))
        except Refused as error:
            return Answer({"err": str(error)}, 400)

    def _set(self, grid: Grid, query: dict[str, str]) -> dict[str, Any]:
        if "mode" in query:
            voltage_v, current_a, droop = (float(query[key]) for key in ("dvg", "dig", "drg"))
            grid.set_mode(self._unit_id, ConverterMode(query["mode"]), voltage_v, current_a, droop)
            parts = ["status", "meter", "vdis", "param"]
        elif "dvg" in query:
            grid.set_voltage(self._unit_id, float(query["dvg"]), float(query["drg"]))
            parts = ["meter", "vdis"]
        else:
            grid.set_current(self._unit_id, float(query["dig"]))
            parts = ["meter", "param"]
        return {part: self._dcdc(grid)[part] for part in parts}

    def _dcdc(self, grid: Grid) -> dict[str, Any]:
        whole = emulator_dcdc(grid, self._unit_id)
        return {
            "status": {key: whole["status"][key] for key in STATUS},
            "meter": {key: whole["meter"][key] for key in METER},
            "vdis": {key: whole["vdis"][key] for key in ("dvg", "drg")},
            "param": {"dig": whole["param"]["dig"]},
        }

    def _battery(self, grid: Grid) -> dict[str, Any]:
        unit = grid.unit(self._unit_id)
        return {"rsoc": unit.rsoc_percent, "battery_operation_status": 3 if unit.permitted else 0}
