"""What a unit reports of itself: specification section 8, with whatever else its driver delivers."""

from __future__ import annotations

import enum
from functools import lru_cache
from typing import Annotated

from pydantic import ConfigDict, Field

from apis_rules.ports.types.model import WireModel


class ConverterMode(enum.Enum):
    """A mode of the bidirectional converter (specification section 8, ``dcdc.status``)."""

    WAIT = "0x0000"
    CHARGE = "0x0041"
    DISCHARGE = "0x0002"
    VOLTAGE_REFERENCE = "0x0014"

    @property
    def code(self) -> str:
        """The code in ``status.status`` and in a request that sets the mode."""
        return self.value

    @property
    def operation_mode(self) -> str:
        """The text in ``status.operationMode``; charge and discharge share one, so it does not tell the direction."""
        return _OPERATION_MODES[self]

    @property
    def current_controlled(self) -> bool:
        """Whether the converter feeds or draws a set current and so needs another one to hold the voltage."""
        return self in (ConverterMode.CHARGE, ConverterMode.DISCHARGE)


_OPERATION_MODES = {
    ConverterMode.WAIT: "Waiting",
    ConverterMode.CHARGE: "Heteronomy CV",
    ConverterMode.DISCHARGE: "Heteronomy CV",
    ConverterMode.VOLTAGE_REFERENCE: "Grid Autonomy",
}


class OperationMode(enum.StrEnum):
    """An operation mode of the community, or (heteronomous and stop only) of one unit (specification 4.3, 8)."""

    AUTONOMOUS = "autonomous"
    HETERONOMOUS = "heteronomous"
    STOP = "stop"
    MANUAL = "manual"


class _UnitPart(WireModel):
    # A rule may name any field that a driver delivers, so nothing is dropped; the keys here are not camelCase.
    model_config = ConfigDict(extra="allow", alias_generator=None)


class DcdcStatus(_UnitPart):
    """``dcdc.status``. A driver may leave out the alarm."""

    status: str | None = None
    alarm: str | None = None
    alarm_state: Annotated[str | None, Field(alias="alarmState")] = None
    status_name: Annotated[str | None, Field(alias="statusName")] = None
    running_state: Annotated[str | None, Field(alias="runningState")] = None
    operation_mode: Annotated[str | None, Field(alias="operationMode")] = None

    @property
    def mode(self) -> ConverterMode | None:
        """The mode of the status code, or None where there is none or it is not one of the four."""
        return None if self.status is None else _mode_of(self.status)


@lru_cache(maxsize=64)
def _mode_of(code: str) -> ConverterMode | None:
    try:
        return ConverterMode(f"0x{int(code, 16):04x}")
    except ValueError:
        return None


class DcdcMeter(_UnitPart):
    """``dcdc.meter``: what the converter measures. Discharging to the grid counts negative."""

    grid_power_w: Annotated[float | None, Field(alias="wg")] = None
    grid_voltage_v: Annotated[float | None, Field(alias="vg")] = None
    grid_current_a: Annotated[float | None, Field(alias="ig")] = None
    battery_power_w: Annotated[float | None, Field(alias="wb")] = None
    battery_voltage_v: Annotated[float | None, Field(alias="vb")] = None
    battery_current_a: Annotated[float | None, Field(alias="ib")] = None
    temperature_c: Annotated[float | None, Field(alias="tmp")] = None


class DcdcVdis(_UnitPart):
    """``dcdc.vdis``: the voltage set-point and its droop."""

    target_voltage_v: Annotated[float | None, Field(alias="dvg")] = None
    droop_ratio: Annotated[float | None, Field(alias="drg")] = None


class DcdcParam(_UnitPart):
    """``dcdc.param``: the current set-point, as an absolute value, and the converter's own thresholds."""

    target_current_a: Annotated[float | None, Field(alias="dig")] = None
    grid_overvoltage_v: Annotated[float | None, Field(alias="ogv")] = None
    grid_undervoltage_v: Annotated[float | None, Field(alias="ugv")] = None
    battery_current_limit_a: Annotated[float | None, Field(alias="cib")] = None
    battery_overvoltage_v: Annotated[float | None, Field(alias="obv")] = None
    battery_undervoltage_v: Annotated[float | None, Field(alias="ubv")] = None


class DcdcData(_UnitPart):
    """``dcdc``: the converter, as merged from full and status answers."""

    status: DcdcStatus = DcdcStatus()
    meter: DcdcMeter = DcdcMeter()
    vdis: DcdcVdis = DcdcVdis()
    param: DcdcParam = DcdcParam()


class BatteryData(_UnitPart):
    """``battery``. ``battery_operation_status`` is 3 where sharing is permitted; a driver may not know it."""

    rsoc_percent: Annotated[float | None, Field(alias="rsoc")] = None
    battery_operation_status: int | None = None


class OperationModes(_UnitPart):
    """``apis.operation_mode``. ``local`` is None where the unit follows the community."""

    community: Annotated[OperationMode | None, Field(alias="global")] = None
    local: OperationMode | None = None
    effective: OperationMode | None = None


class ApisData(_UnitPart):
    """``apis``: what the node adds. ``deal_id_list`` is absent when empty, ``is_grid_master`` when false."""

    version: str | None = None
    remaining_capacity_wh: int | None = None
    deal_interlock_capacity: int | None = None
    deal_id_list: tuple[str, ...] | None = None
    is_grid_master: bool | None = None
    operation_mode: OperationModes = OperationModes()


class OesunitData(_UnitPart):
    """``oesunit``: who the unit is. ``budo`` is ``"1"`` while the effective mode is autonomous."""

    community_id: Annotated[str | None, Field(alias="communityId")] = None
    cluster_id: Annotated[str | None, Field(alias="clusterId")] = None
    id: str | None = None
    display: str | None = None
    serial_number: Annotated[str | None, Field(alias="sn")] = None
    budo: str | None = None
    ip: str | None = None
    ipv6_link_local: Annotated[str | None, Field(alias="ipv6_ll")] = None
    ipv6_global: Annotated[str | None, Field(alias="ipv6_g")] = None
    mac: str | None = None


class UnitData(_UnitPart):
    """One unit at one moment (specification section 8).

    Attributes:
        time: the unit's clock, ``yyyy/MM/dd-HH:mm:ss``.

    A value that the driver did not deliver is None: rules treat a comparison over it as false.
    """

    time: str | None = None
    apis: ApisData = ApisData()
    oesunit: OesunitData = OesunitData()
    battery: BatteryData = BatteryData()
    dcdc: DcdcData = DcdcData()
