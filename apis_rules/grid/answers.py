"""The JSON documents that drivers answer with: the same keys and types as those of the existing drivers.

``dcdc_emulator`` rounds; ``dcdc_v2`` and ``dcdc_v1`` deliver what fits the fixed-point registers of the converter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

from apis_rules.grid.meters import Meter, quantised
from apis_rules.ports.types import ConverterMode

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from apis_rules.grid.model import Grid, UnitState
    from apis_rules.grid.settings import ConverterSettings

Document: TypeAlias = dict[str, Any]

_METER_KEYS: Final = ("wg", "tmp", "vb", "wb", "vg", "ib", "ig")
_RUNNING: Final = {
    ConverterMode.WAIT: ("off", 0),
    ConverterMode.CHARGE: ("charge", 1),
    ConverterMode.DISCHARGE: ("discharge", 2),
    ConverterMode.VOLTAGE_REFERENCE: ("discharge", 2),
}
_ALARM_WORDS: Final = {"No alarm": "0000 0000", "Light alarm": "4010 0001", "Heavy alarm": "8000 0002"}
_PERMITTED, _NOT_PERMITTED = 3, 0


def time_text(clock: datetime) -> str:
    """Return a clock as drivers write it: ``yyyy/MM/dd-HH:mm:ss``."""
    return clock.strftime("%Y/%m/%d-%H:%M:%S")


def _rounded(name: str, value: float) -> float:
    return round(value, 3 if name in {"ig", "dig", "drg"} else 2)


def _settings(grid: Grid, unit_id: str) -> ConverterSettings:
    return next(u.converter for u in grid.settings.units if u.unit_id == unit_id)


def _dcdc(grid: Grid, unit_id: str, number: Callable[[str, float], float], status_name: str | None) -> Document:
    unit, meter, fixed = grid.unit(unit_id), grid.meter(unit_id), _settings(grid, unit_id)
    running, bits = _RUNNING[unit.mode]
    return {
        "status": {
            "status": unit.mode.code,
            "alarm": f"{_ALARM_WORDS[unit.alarm]} {bits:04x}",
            "alarmState": unit.alarm,
            "statusName": status_name or unit.mode.operation_mode,
            "runningState": running,
            "operationMode": unit.mode.operation_mode,
        },
        "meter": _meter(meter, number),
        "vdis": {"dvg": number("dvg", unit.voltage_set_v), "drg": number("drg", unit.droop_ratio)},
        "param": {
            "cib": fixed.battery_current_limit_a,
            "ubv": fixed.battery_undervoltage_v,
            "dig": number("dig", unit.current_set_a),
            "ogv": fixed.grid_overvoltage_v,
            "obv": fixed.battery_overvoltage_v,
            "ugv": fixed.grid_undervoltage_v,
        },
    }


def _meter(meter: Meter, number: Callable[[str, float], float]) -> Document:
    return {key: number(key, getattr(meter, key)) for key in _METER_KEYS}


# --- dcdc_emulator ------------------------------------------------------------------------------------------------


def emulator_dcdc(grid: Grid, unit_id: str) -> Document:
    """Return the whole converter part of a unit."""
    unit = grid.unit(unit_id)
    return {
        **_dcdc(grid, unit_id, _rounded, None),
        "powermeter": {"p2": round(unit.mains_w, 2), "p1": 0.0, "i1": 0.0, "kwh1": 0.0, "kwh2": 0.0, "v1": 206.1},
    }


def filtered(dcdc: Document, *parts: str) -> Document:
    """Return the *parts* of a converter with the keys that nodes ask for."""
    kept = {
        "status": ("status", "alarmState", "operationMode"),
        "meter": _METER_KEYS,
        "vdis": ("dvg", "drg"),
        "param": ("dig",),
    }
    return {part: {key: dcdc[part][key] for key in kept[part]} for part in parts}


def emulator_house(grid: Grid, unit_id: str) -> Document:
    """Return the part ``emu`` of a unit: battery and house.

    ``battery_operation_status`` is there only while sharing is not permitted: the existing emulator does not know it.
    """
    unit = grid.unit(unit_id)
    answer = {
        "charge_discharge_power": round(abs(unit.battery_power_w), 2),
        "system_time": _system_time(grid),
        "pvc_charge_current": round(unit.pv_w / max(unit.battery_voltage_v, 1.0), 2),
        "ups_input_voltage": 102.8,
        "rsoc": round(unit.rsoc_percent, 4),
        "battery_current": round(unit.battery_power_w / max(unit.battery_voltage_v, 1.0), 2),
        "battery_voltage": round(unit.battery_voltage_v, 2),
        "pvc_charge_voltage": round(unit.battery_voltage_v, 2),
        "ups_operation_mode": {"parameter": 80, "mode": 5 if unit.bypass else 2, "stop_mode": 2},
        "ups_operation_schedule": 1,
        "ups_output_power": round(unit.load_w, 2),
        "battery_rsoc": round(unit.rsoc_percent),
        "ups_output_frequency": 60,
        "pvc_charge_power": round(unit.pv_w, 2),
        "ups_output_current": round(unit.load_w / 102.8, 2),
        "dischargeable_time": _dischargeable(grid, unit),
        "ups_output_voltage": 102.8,
    }
    return answer if unit.permitted else {**answer, "battery_operation_status": _NOT_PERMITTED}


def emulator_unit(grid: Grid, unit_id: str, clock: datetime, *, whole: bool = False) -> Document:
    """Return a unit's record; with *whole* everything of its converter, as ``/get/log`` shows it."""
    dcdc = emulator_dcdc(grid, unit_id)
    return {
        "emu": emulator_house(grid, unit_id),
        "dcdc": dcdc if whole else filtered(dcdc, "status", "meter", "vdis", "param"),
        "oesunit": {
            "on": True,
            "ip": f"localhost/{unit_id}",
            "display": f"Sample_{unit_id}",
            "ipv6_ll": "NA",
            "mac": "00:00:00:00:00:00",
            "ipv6_g": "NA",
            "sn": unit_id.lstrip("E").lstrip("0") or "0",
            "budo": "1",
            "id": unit_id,
        },
        "time": time_text(clock),
    }


def _system_time(grid: Grid) -> Document:
    clock = grid.clock()
    return {"year": clock.year, "month": clock.month, "day": clock.day, "hour": clock.hour, "minute": clock.minute}


def _dischargeable(grid: Grid, unit: UnitState) -> Document:
    # Time until empty at the present power; 0 while it charges.
    stored_wh = unit.rsoc_percent / 100.0 * _capacity_wh(grid, unit.unit_id)
    minutes = 0 if unit.battery_power_w >= 0 else min(int(60 * stored_wh / -unit.battery_power_w), 99 * 60)
    return {"hour": minutes // 60, "minute": minutes % 60}


def _capacity_wh(grid: Grid, unit_id: str) -> float:
    return next(u.battery.capacity_wh for u in grid.settings.units if u.unit_id == unit_id)


# --- dcdc_v2, dcdc_v1 ---------------------------------------------------------------------------------------------


def driver_dcdc(grid: Grid, unit_id: str) -> Document:
    """Return ``status``, ``meter``, ``vdis`` and ``param`` as the driver of one converter delivers them."""
    return _dcdc(grid, unit_id, quantised, "Ignore")


def driver_status(dcdc: Document) -> Document:
    """Return the short answer, which lacks the status code."""
    keys = ("alarmState", "runningState", "operationMode")
    return {"status": {key: dcdc["status"][key] for key in keys}, "meter": dcdc["meter"]}


def driver_battery(grid: Grid, unit_id: str) -> Document:
    """Return state of charge in steps of 0.1 % and the permission to share."""
    unit = grid.unit(unit_id)
    status = _PERMITTED if unit.permitted else _NOT_PERMITTED
    return {"rsoc": round(unit.rsoc_percent, 1), "battery_operation_status": status}


def driver_powermeter() -> Document:
    """Return the power meter of ``dcdc_v1``, which no such driver has."""
    return {"p2": 0, "p1": 0, "v1": 0, "kwh2": 0, "kwh1": 0, "i1": 0}


def driver_log(grid: Grid, unit_id: str) -> Document:
    """Return the battery as ``dcdc_v1`` reports it on ``/1/log/data``."""
    unit, battery = grid.unit(unit_id), driver_battery(grid, unit_id)
    return {
        "system_time": _system_time(grid),
        "rsoc": battery["rsoc"],
        "dischargeable_time": _dischargeable(grid, unit),
        "battery_voltage": round(unit.battery_voltage_v, 2),
        "battery_current": round(unit.battery_power_w / max(unit.battery_voltage_v, 1.0), 2),
        "battery_rsoc": battery["rsoc"],
        "battery_status": 0,
        "battery_warning": 0,
        "battery_operation_status": battery["battery_operation_status"],
        "battery_comm_err": 0,
        "charge_discharge_power": round(abs(unit.battery_power_w), 2),
        "ups_operation_schedule": 0,
        "ups_operation_mode": {"mode": 5 if unit.bypass else 2, "parameter": 0, "stop_mode": 0},
    }


def driver_limits(grid: Grid, unit_id: str) -> Document:
    """Return the converter's fixed set-up, as written by ``/remote/ioctl/set``."""
    fixed = _settings(grid, unit_id)
    return {
        "dcdc_converter_name": unit_id,
        "dcdc_setup_parameter": {
            "ubv": fixed.battery_undervoltage_v,
            "ugv": fixed.grid_undervoltage_v,
            "obv": fixed.battery_overvoltage_v,
            "ogv": fixed.grid_overvoltage_v,
            "bcf": "0x0003",
            "cvb": 57.6,
            "dlb": 49,
            "cdb": 1.2,
            "ddb": 1.8,
            "drb": 0.0,
            "cib": fixed.battery_current_limit_a,
        },
    }
