"""The device port over the model, in virtual time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from apis_rules.errors import Outage, Refused, Unknown
from apis_rules.grid.device import ModelDevice
from apis_rules.grid.faults import Fault, FaultKind
from apis_rules.grid.invariants import HoldersAtOnce, PeakCurrent, UnheldCurrent
from apis_rules.grid.model import Grid
from apis_rules.grid.plant import Plant
from apis_rules.grid.settings import community
from apis_rules.ports.types import UnitData
from apis_rules.ports.virtual_time import run_virtual
from tests.grid.builders import CHARGE, REFERENCE, WAIT

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


def _on(story: Callable[[Plant, dict[str, ModelDevice]], Awaitable[None]], acceleration: float = 1.0) -> None:
    async def main() -> None:
        plant = Plant(Grid(community(4, seed=3)), asyncio.get_running_loop().time, acceleration)
        devices = {u: ModelDevice(plant, u) for u in ("E001", "E002")}
        await story(plant, devices)
        for device in devices.values():
            await device.close()

    run_virtual(main())


def test_a_deal_runs_through_the_port() -> None:
    """Ramp, charge, change of current and stop through the port move the grid, and readings tell of it."""

    async def story(plant: Plant, devices: dict[str, ModelDevice]) -> None:
        holder, taker = devices["E001"], devices["E002"]
        await holder.check()
        answer = await holder.set_mode(REFERENCE, 350.0, 2.3, 0.0)
        assert answer.document["dcdc"]["status"]["operationMode"] == "Grid Autonomy"
        await asyncio.sleep(65)
        reading = await holder.read()
        data = UnitData.model_validate({**reading.document, "time": reading.time})
        assert data.dcdc.meter.grid_voltage_v == pytest.approx(350, abs=1)
        assert data.dcdc.status.mode is REFERENCE
        assert data.battery.battery_operation_status == 3
        assert data.time == "2020/01/01-08:01:05"
        assert 0 < reading.received_at_s - reading.sent_at_s < 0.1
        await taker.set_mode(CHARGE, 350.0, 1.0, 0.0)
        await taker.set_current(2.0)
        await asyncio.sleep(0.2)
        status = await taker.read_status()
        assert status.document["dcdc"]["meter"]["ig"] == pytest.approx(2.0, abs=0.01)
        assert set(status.document["dcdc"]) == {"status", "meter"}
        await holder.set_voltage(345.0, 0.039)
        await asyncio.sleep(0.2)
        assert plant.grid_now().unit("E001").droop_ratio == 0.039
        await taker.stop(350.0)
        await holder.stop(350.0)
        assert plant.grid_now().modes()[:2] == (WAIT, WAIT)

    _on(story)


def test_unit_time_is_accelerated_and_continuous() -> None:
    """At factor 10 a ramp of 60 unit seconds is over after 6 seconds, and a change of the factor makes no jump."""

    async def story(plant: Plant, devices: dict[str, ModelDevice]) -> None:
        await devices["E001"].set_mode(REFERENCE, 350.0, 2.3, 0.0)
        await asyncio.sleep(3.0)
        assert plant.grid_now().unit("E001").grid_voltage_v == pytest.approx(175, abs=2)
        before = plant.unit_time_s()
        plant.acceleration = 100.0
        assert plant.unit_time_s() == before
        await asyncio.sleep(1.0)
        assert plant.unit_time_s() == pytest.approx(before + 100.0)

    _on(story, acceleration=10.0)


def test_a_silent_driver_is_an_outage_for_reads_and_unknown_for_sets() -> None:
    """No answer: a read is asked three times, then Outage; a set is sent once, then Unknown; a stop three times."""

    async def story(plant: Plant, devices: dict[str, ModelDevice]) -> None:
        loop = asyncio.get_running_loop()
        device = devices["E001"]
        number = plant.add_fault(Fault(kind=FaultKind.SILENT, unit="E001"))
        began, guarded = loop.time(), []
        with pytest.raises(Outage):
            await device.read()
        assert loop.time() - began == pytest.approx(15.0)
        with pytest.raises(Unknown):
            await device.set_mode(CHARGE, 350.0, 1.0, 0.0, guard=lambda: guarded.append(loop.time()))
        assert (len(guarded), loop.time() - began) == (1, pytest.approx(20.0))
        with pytest.raises(Unknown):
            await device.stop(350.0)
        assert loop.time() - began == pytest.approx(35.0)
        assert plant.grid_now().modes()[0] is WAIT
        await devices["E002"].read()
        plant.grid_now().faults.clear(number)
        await device.read()

    _on(story)


def test_a_lost_answer_hides_what_was_done() -> None:
    """The set is carried out though no answer comes."""

    async def story(plant: Plant, devices: dict[str, ModelDevice]) -> None:
        plant.add_fault(Fault(kind=FaultKind.ANSWER_LOST, unit="E001"))
        with pytest.raises(Unknown):
            await devices["E001"].set_mode(CHARGE, 350.0, 1.0, 0.0)
        assert plant.grid_now().modes()[0] is CHARGE

    _on(story)


def test_a_slow_driver_does_later_what_nobody_waits_for() -> None:
    """A set whose caller gave up is still carried out when the driver gets to it."""

    async def story(plant: Plant, devices: dict[str, ModelDevice]) -> None:
        plant.add_fault(Fault(kind=FaultKind.SLOW, unit="E001", value=6.0))
        impatient = ModelDevice(plant, "E001", timeout_s=5.0)
        with pytest.raises(Unknown):
            await impatient.set_mode(CHARGE, 350.0, 1.0, 0.0)
        assert plant.grid_now().modes()[0] is WAIT
        await asyncio.sleep(2.0)
        assert plant.grid_now().modes()[0] is CHARGE
        del devices

    _on(story)


def test_a_refusal_and_a_guard_stop_a_set() -> None:
    """A driver's no is Refused at once; what a guard raises stops the set before it is sent."""

    async def story(plant: Plant, devices: dict[str, ModelDevice]) -> None:
        def closed() -> None:
            raise RuntimeError("abort mark")

        with pytest.raises(RuntimeError, match="abort mark"):
            await devices["E001"].set_current(1.0, guard=closed)
        plant.add_fault(Fault(kind=FaultKind.REFUSED, unit="E001"))
        with pytest.raises(Refused, match="ERCD=fffe"):
            await devices["E001"].set_mode(CHARGE, 350.0, 1.0, 0.0)
        await devices["E001"].read()
        assert plant.grid_now().modes()[0] is WAIT

    _on(story)


def test_calls_of_one_unit_stand_in_a_row_and_stop_overtakes() -> None:
    """A second set waits for the first; a stop does not."""

    async def story(plant: Plant, devices: dict[str, ModelDevice]) -> None:
        device, ended = ModelDevice(plant, "E001", latency_s=1.0), []

        async def note(name: str, call: Awaitable[object]) -> None:
            await call
            ended.append((name, asyncio.get_running_loop().time()))

        await asyncio.gather(
            note("first", device.set_current(1.0)),
            note("second", device.read_status()),
            note("stop", device.stop(350.0)),
        )
        assert ended == [("first", 1.0), ("stop", 1.0), ("second", 2.0)]
        del devices

    _on(story)


def test_observers_measure_what_must_not_happen() -> None:
    """A charger left without a voltage, two holders at once and peaks of current are found and timed."""

    async def story(plant: Plant, devices: dict[str, ModelDevice]) -> None:
        unheld, holders, peak = UnheldCurrent(), HoldersAtOnce(), PeakCurrent()
        plant.grid_now().observers += [unheld, holders, peak]
        await devices["E001"].set_mode(REFERENCE, 350.0, 2.3, 0.0)
        await asyncio.sleep(65)
        await devices["E002"].set_mode(CHARGE, 350.0, 1.5, 0.0)
        await asyncio.sleep(5)
        plant.grid_now()
        assert (unheld.longest_s, holders.longest_s) == ({}, 0.0)
        assert peak.units_a["E002"] == pytest.approx(1.5, abs=0.02)
        assert peak.lines_a["E001-E002"] == pytest.approx(1.5, abs=0.02)
        await devices["E001"].stop(350.0)
        await asyncio.sleep(3)
        await devices["E002"].stop(350.0)
        plant.grid_now()
        assert unheld.longest_s["E002"] == pytest.approx(3.0, abs=0.3)
        await devices["E001"].set_mode(REFERENCE, 350.0, 2.3, 0.039)
        await devices["E002"].set_mode(REFERENCE, 350.0, 2.3, 0.0)
        await asyncio.sleep(2)
        await devices["E002"].stop(350.0)
        plant.grid_now()
        assert holders.longest_s == pytest.approx(2.0, abs=0.2)
        assert holders.without_droop_s == pytest.approx(2.0, abs=0.2)

    _on(story)
