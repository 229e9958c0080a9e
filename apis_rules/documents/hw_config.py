"""hwConfig.json: the hardware of one node (specification 6.2)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from apis_rules.documents.model import FileModel, Number, Period


class Range(FileModel):
    """The values of a measurement that are safe: from *min* to *max*, both included."""

    min: Number
    max: Number


class MeterRanges(FileModel):
    """Safe ranges of what the converter measures; a discharging grid or battery current is negative."""

    temperature_c: Annotated[Range, Field(alias="tmp")]
    grid_voltage_v: Annotated[Range, Field(alias="vg")]
    battery_voltage_v: Annotated[Range, Field(alias="vb")]
    grid_current_a: Annotated[Range, Field(alias="ig")]
    battery_current_a: Annotated[Range, Field(alias="ib")]


class DcdcRanges(FileModel):
    """``safety.range.dcdc``."""

    meter: MeterRanges


class SafetyRanges(FileModel):
    """``safety.range``."""

    dcdc: DcdcRanges


class HwSafety(FileModel):
    """``safety``."""

    range: SafetyRanges


class HwConfig(FileModel):
    """A hwConfig file.

    Attributes:
        droop_ratio: of the voltage reference while it is handed over (0.039 = 3.9 %).
        efficient_battery_grid_voltage_ratio: grid voltage / battery voltage at which the converter is most efficient.
    """

    refreshing_period_s: Period = 5.0
    battery_nominal_capacity_wh: Annotated[Number, Field(gt=0)]
    grid_current_capacity_a: Annotated[Number, Field(gt=0)]
    grid_current_allowance_a: Annotated[Number, Field(ge=0)]
    droop_ratio: Annotated[Number, Field(ge=0, lt=1)]
    efficient_battery_grid_voltage_ratio: Annotated[Number, Field(gt=0)] | None = None
    safety: HwSafety

    @property
    def ranges(self) -> MeterRanges:
        """The safe range of each measurement."""
        return self.safety.range.dcdc.meter
