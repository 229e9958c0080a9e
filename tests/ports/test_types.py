"""The shared types on the wire."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from apis_rules.ports.types import (
    ConverterMode,
    Deal,
    DealRecord,
    Direction,
    ErrorEvent,
    UnitData,
)


def test_unit_data_keeps_the_keys_of_the_specification_and_what_it_does_not_know() -> None:
    """Reading and writing unit data loses nothing that a driver delivered, known or not."""
    document = {
        "time": "2026/01/02-03:04:05",
        "apis": {"remaining_capacity_wh": 2400, "operation_mode": {"global": "autonomous"}, "is_grid_master": True},
        "oesunit": {"id": "E001", "communityId": "oss", "budo": "1", "Ver": "x"},
        "battery": {"rsoc": 50, "battery_operation_status": 3, "soh": 98},
        "dcdc": {
            "status": {"status": "0x0041", "alarmState": "No alarm", "statusName": "Charging"},
            "meter": {"wg": 0, "vg": 349.8, "ig": -0.0, "tmp": 25},
            "vdis": {"dvg": 350, "drg": 0.0},
            "param": {"dig": 1, "ogv": 400, "new_in_this_driver": [1, 2]},
        },
        "emu": {"pvc_charge_power": 100},
    }
    data = UnitData.from_json(json.dumps(document))
    assert data.dcdc.status.mode is ConverterMode.CHARGE
    assert data.dcdc.meter.grid_voltage_v == 349.8
    assert data.to_document() == document


def test_what_a_driver_leaves_out_is_unknown() -> None:
    """A driver without alarm and battery status is read; the missing values are None."""
    data = UnitData.from_json('{"dcdc": {"status": {"status": "nonsense"}}}')
    assert data.dcdc.status.mode is None
    assert data.dcdc.status.alarm is None
    assert data.battery.battery_operation_status is None


@pytest.mark.parametrize("number", ["NaN", "Infinity"])
def test_numbers_are_finite(number: str) -> None:
    """What is no number is refused where it comes in."""
    with pytest.raises(ValidationError):
        UnitData.from_json(f'{{"battery": {{"rsoc": {number}}}}}')


def test_a_deal_record_has_the_existing_keys() -> None:
    """The record writes the existing system's keys, with a UTC twin where there is one, without what is unknown."""
    record = DealRecord(
        unit_id="E001",
        negotiation_id="n",
        request_unit_id="E001",
        accept_unit_id="E002",
        request_date_time="2026/01/02-03:04:05",
        accept_date_time="2026/01/02-03:04:06",
        request_deal_grid_current_a=1.0,
        accept_deal_grid_current_a=1.0,
        type=Direction.CHARGE,
        charge_unit_id="E001",
        discharge_unit_id="E002",
        deal_grid_current_a=1.0,
        request_amount_wh=100,
        accept_amount_wh=90,
        deal_amount_wh=90,
        deal_id="d",
        create_date_time="2026/01/02-03:04:07",
        create_date_time_utc="2026-01-02T02:04:07.000Z",
        cumulate_amount_wh=12.5,
    )
    document = record.to_document()
    assert {"requestUnitId", "dealGridCurrentA", "createDateTime", "createDateTimeUtc", "cumulateAmountWh"} <= set(
        document
    )
    assert "startDateTime" not in document
    assert record.units == ("E002", "E001")
    assert record.unit_of(Direction.DISCHARGE) == "E002"
    deal = Deal(state="created", record=record)
    assert Deal.from_json(deal.to_json()) == deal


def test_values_cannot_be_changed() -> None:
    """What is shared between tasks is frozen."""
    data = UnitData()
    with pytest.raises(ValidationError, match="frozen"):
        data.time = "x"  # type: ignore[misc]  # the mistake itself


def test_the_kind_of_an_error_reads_as_the_specification_writes_it() -> None:
    """Category, extent and level are joined by colons."""
    event = ErrorEvent.model_validate(
        {
            "event_id": "1",
            "rule": "L08",
            "unit_id": "E001",
            "reported_by": "E001",
            "category": "HARDWARE",
            "extent": "LOCAL",
            "level": "ERROR",
            "message": "m",
            "date_time": "2026/01/02-03:04:05",
            "date_time_utc": "2026-01-02T02:04:05.000Z",
        }
    )
    assert event.kind == "HARDWARE:LOCAL:ERROR"
    assert ErrorEvent.from_json(event.to_json()) == event
