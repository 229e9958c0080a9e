"""The contract of ``apis_rules/ports/device.py``, over every implementation."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import pytest

from apis_rules.errors import Outage, Refused, Unknown
from apis_rules.grid.faults import FaultKind
from apis_rules.ports.types import ConverterMode, UnitData
from tests.contract.devices import KINDS, UNIT, DeviceBench, open_devices

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from apis_rules.ports.device import Reading

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """HTTP takes real time, whatever the other ports run on."""
    return "asyncio"


@pytest.fixture(params=KINDS)
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[DeviceBench]:
    """A unit in WAIT on a dead grid."""
    async with open_devices(request.param) as opened:
        await opened.device.check()
        yield opened


def shown(reading: Reading) -> UnitData:
    return UnitData.model_validate(reading.document)


def truly(bench: DeviceBench) -> ConverterMode:
    return bench.plant.grid_now().unit(UNIT).mode


async def test_a_full_reading_has_converter_and_battery(bench: DeviceBench) -> None:
    """Mode, voltage, current and state of charge are there, with the time around the request."""
    reading = await bench.device.read()
    unit = shown(reading)
    assert unit.dcdc.status.mode is ConverterMode.WAIT
    assert unit.dcdc.meter.grid_voltage_v is not None
    assert unit.dcdc.meter.grid_current_a is not None
    assert unit.battery.rsoc_percent == pytest.approx(bench.plant.grid_now().unit(UNIT).rsoc_percent, abs=0.5)
    assert reading.sent_at_s <= reading.received_at_s
    assert reading.time is None or re.fullmatch(r"\d{4}/\d\d/\d\d-\d\d:\d\d:\d\d", reading.time)


async def test_a_status_has_the_converter_only(bench: DeviceBench) -> None:
    """What a status does not say stays as it was when it is merged: it says nothing of the battery."""
    document = (await bench.device.read_status()).document
    assert set(document) == {"dcdc"}
    assert document["dcdc"]["status"]["operationMode"] == "Waiting"
    assert "vg" in document["dcdc"]["meter"]


@pytest.mark.parametrize("mode", list(ConverterMode))
async def test_a_mode_is_set_with_all_its_set_points(bench: DeviceBench, mode: ConverterMode) -> None:
    """The answer and the next reading show the mode and, as near as the driver can tell, the set-points."""
    answer = shown(await bench.device.set_mode(mode, 352.0, 1.5, 0.02)).dcdc
    assert answer.status.mode is mode
    later = shown(await bench.device.read()).dcdc
    assert later.status.mode is truly(bench) is mode
    assert later.vdis.target_voltage_v == pytest.approx(352.0, abs=0.1)
    assert later.vdis.droop_ratio == pytest.approx(0.02, abs=0.001)
    assert later.param.target_current_a == pytest.approx(1.5, abs=0.01)


async def test_voltage_and_current_are_moved_alone(bench: DeviceBench) -> None:
    """Each moves its own set-point and leaves the mode and the other one."""
    device = bench.device
    await device.set_mode(ConverterMode.VOLTAGE_REFERENCE, 350.0, 2.0, 0.0)
    assert shown(await device.set_voltage(345.0, 0.039)).dcdc.vdis.target_voltage_v == pytest.approx(345.0, abs=0.1)
    assert shown(await device.set_current(1.0)).dcdc.param.target_current_a == pytest.approx(1.0, abs=0.01)
    unit = shown(await device.read()).dcdc
    assert unit.status.mode is ConverterMode.VOLTAGE_REFERENCE
    assert unit.vdis.target_voltage_v == pytest.approx(345.0, abs=0.1)
    assert unit.vdis.droop_ratio == pytest.approx(0.039, abs=0.001)


async def test_a_stop_is_wait_without_current_and_droop(bench: DeviceBench) -> None:
    """Whatever was set, a stop leaves WAIT, 0 A and no droop."""
    await bench.device.set_mode(ConverterMode.VOLTAGE_REFERENCE, 350.0, 2.0, 0.039)
    await bench.device.stop(350.0)
    unit = shown(await bench.device.read()).dcdc
    assert unit.status.mode is ConverterMode.WAIT
    assert unit.param.target_current_a == pytest.approx(0.0, abs=0.01)
    assert unit.vdis.droop_ratio == pytest.approx(0.0, abs=0.001)


async def test_a_guard_that_says_no_lets_nothing_through(bench: DeviceBench) -> None:
    """What the guard raises comes back, and the converter was told nothing."""

    def guard() -> None:
        raise Refused("aborted")

    before = shown(await bench.device.read()).dcdc
    for call in (
        bench.device.set_mode(ConverterMode.CHARGE, 350.0, 1.0, 0.0, guard=guard),
        bench.device.set_voltage(345.0, 0.0, guard=guard),
        bench.device.set_current(1.0, guard=guard),
    ):
        with pytest.raises(Refused, match=r"^aborted$"):
            await call
    after = shown(await bench.device.read()).dcdc
    assert (after.status.mode, after.vdis, after.param) == (ConverterMode.WAIT, before.vdis, before.param)


async def test_a_driver_that_refuses(bench: DeviceBench) -> None:
    """An error of the driver is ``Refused``, for a set and for a stop, and changes nothing."""
    bench.fault(FaultKind.REFUSED)
    with pytest.raises(Refused):
        await bench.device.set_mode(ConverterMode.CHARGE, 350.0, 1.0, 0.0)
    assert truly(bench) is ConverterMode.WAIT


async def test_a_silent_driver(bench: DeviceBench) -> None:
    """A question without an answer is an ``Outage``; a set without one is ``Unknown``."""
    bench.fault(FaultKind.SILENT)
    with pytest.raises(Outage):
        await bench.device.read()
    with pytest.raises(Outage):
        await bench.device.read_status()
    with pytest.raises(Unknown):
        await bench.device.set_mode(ConverterMode.CHARGE, 350.0, 1.0, 0.0)


async def test_a_lost_answer(bench: DeviceBench) -> None:
    """A set whose answer is lost is ``Unknown``, is not sent twice, and may have been done: here it was."""
    bench.fault(FaultKind.ANSWER_LOST)
    asked = []
    with pytest.raises(Unknown):
        await bench.device.set_mode(ConverterMode.CHARGE, 350.0, 1.0, 0.0, guard=lambda: asked.append(1))
    assert asked == [1]
    bench.recover()
    assert shown(await bench.device.read()).dcdc.status.mode is ConverterMode.CHARGE


async def test_a_stop_overtakes_what_hangs(bench: DeviceBench) -> None:
    """While a reading waits for an answer that never comes and a set waits behind it, a stop is done."""
    await bench.device.set_mode(ConverterMode.VOLTAGE_REFERENCE, 350.0, 2.0, 0.0)
    bench.fault(FaultKind.SILENT)
    async with asyncio.TaskGroup() as group:
        reading = group.create_task(outcome_of(bench.device.read()))
        await asyncio.sleep(0.1)  # so that it is under way; were it not, the stop would be first all the same
        setting = group.create_task(outcome_of(bench.device.set_current(1.0)))
        bench.recover()
        await bench.device.stop(350.0)
        assert not reading.done()
        assert truly(bench) is ConverterMode.WAIT
    assert not isinstance(await setting, Unknown)


async def outcome_of(call: object) -> object:
    try:
        return await call  # type: ignore[misc] # any awaitable of the port
    except (Outage, Refused, Unknown) as error:
        return error


async def test_closing_leaves_the_converter_alone(bench: DeviceBench) -> None:
    """Giving up connections is no command."""
    await bench.device.set_mode(ConverterMode.VOLTAGE_REFERENCE, 350.0, 2.0, 0.0)
    await bench.device.close()
    assert truly(bench) is ConverterMode.VOLTAGE_REFERENCE
