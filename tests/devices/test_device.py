"""The device port over HTTP: retries, silence, order, limits."""

from __future__ import annotations

import asyncio
import json
import re
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apis_rules.documents.driver import load_driver
from apis_rules.documents.reading import load_config
from apis_rules.errors import InputError, Outage, Refused, Unknown
from apis_rules.ports.types import ConverterMode, UnitData
from apis_transport.device import DriverTimes, HttpDevice, open_device
from apis_transport.device_hosts import CONNECTIONS_PER_HOST, DeviceHosts
from tests.devices.server import Answer, Script, ScriptedDriver, scripted_driver

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

pytestmark = pytest.mark.anyio

STATUS = {"status": "0x0000", "alarmState": "No alarm", "operationMode": "Waiting"}
METER = {"wg": -2.44, "tmp": 30, "vb": 51.45, "wb": -12.21, "vg": 358.29, "ib": -0.23, "ig": -0.0}
CONVERTER = {"status": STATUS, "meter": METER, "vdis": {"dvg": 349.99, "drg": 0}, "param": {"dig": 3}}
BATTERY = {"rsoc": 70, "battery_operation_status": 3}
FLAT = {**CONVERTER, **BATTERY}
NESTED = {"dcdc": CONVERTER, "battery": BATTERY}
EMULATED = {"dcdc": CONVERTER, "emu": {"rsoc": 70}, "time": "2020/01/01-00:00:00"}
SPECIFIED = {
    "/version/get": {"comm_protocol_version": "1.0", "dcdc_batt_comm_version": "1.0"},
    "/all/get": NESTED,
    "/dcdc/get/status": {"status": STATUS, "meter": METER},
    "/dcdc/set": CONVERTER,
}
"""What the specification's own examples answer (5.2)."""


FILES = {"hwConfigFile": "h.json", "policyFile": "p.json", "scenarioFile": "s.json"}


def answers(by_path: dict[str, Any]) -> Script:
    return lambda path, _query: Answer(by_path[path]) if path in by_path else Answer({}, 404)


class Sequence:
    """Gives one answer after the other, then the last again and again."""

    def __init__(self, *given: Answer) -> None:
        self._given = list(given)

    def __call__(self, _path: str, _query: dict[str, str]) -> Answer:
        return self._given.pop(0) if len(self._given) > 1 else self._given[0]


@asynccontextmanager
async def opened(
    script: Script, *, kind: str = "dcdc_v2", timeout_s: float = 5.0, attempts: int = 3, unit_id: str = "E001"
) -> AsyncIterator[tuple[ScriptedDriver, HttpDevice]]:
    async with scripted_driver(script) as driver, DeviceHosts() as hosts:
        yield driver, make_device(driver, hosts, kind=kind, timeout_s=timeout_s, attempts=attempts, unit_id=unit_id)


def make_device(
    driver: ScriptedDriver, hosts: DeviceHosts, *, kind: str, timeout_s: float, attempts: int, unit_id: str
) -> HttpDevice:
    declared = load_driver(kind)
    addresses = dict.fromkeys(declared.hosts, driver.address)
    return HttpDevice(declared, unit_id, addresses, hosts, DriverTimes(timeout_s, attempts), time.perf_counter)


def charge(device: HttpDevice, guard: Callable[[], None] | None = None) -> Any:
    return device.set_mode(ConverterMode.CHARGE, 350, 1, 0, guard=guard)


async def test_the_specifications_examples_and_the_drivers_flat_form_read_alike() -> None:
    """A driver written from the specification and the one in the field give the same unit data."""
    readings = []
    for whole in (NESTED, FLAT):
        async with opened(answers({**SPECIFIED, "/all/get": whole})) as (_, device):
            await device.check()
            readings.append((await device.read()).document)
            assert (await device.read_status()).document == {"dcdc": {"status": STATUS, "meter": METER}}
            assert (await charge(device)).document == {"dcdc": CONVERTER}
            await device.set_voltage(350, 0)
            await device.set_current(1)
    assert readings[0] == readings[1] == {"dcdc": CONVERTER, "battery": BATTERY}


async def test_numbers_come_through_as_they_are() -> None:
    """Quantised, whole and negative-zero values are good data; a missing alarm is none."""
    meter = {**METER, "vg": 350.010986328125, "ig": -0.0, "vb": 48}
    whole = {
        **NESTED,
        "dcdc": {**CONVERTER, "meter": meter, "status": {"status": "0x0000", "operationMode": "Waiting"}},
    }
    async with opened(answers({"/all/get": whole})) as (_, device):
        document = (await device.read()).document
    assert json.dumps(document["dcdc"]["meter"]) == json.dumps(meter)
    assert UnitData.model_validate(document).dcdc.status.alarm_state is None


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "dcdc.status.status is missing"),
        ([FLAT], "no JSON object"),
        (b"", "no JSON object"),
        (b"<html>", "no JSON object"),
        (b'{"a": NaN}', "no JSON object"),
        (b"[" * 100_000, "no JSON object"),
        ({**FLAT, "rsoc": "70"}, "battery.rsoc is no number"),
        ({**FLAT, "rsoc": True}, "battery.rsoc is no number"),
        ({**FLAT, "meter": {**METER, "vg": None}}, "dcdc.meter.vg is missing"),
        ({**FLAT, "status": "0x0000"}, "dcdc.status.status is missing"),
        ({**FLAT, "vdis": 7}, "dcdc.vdis is not what it should be"),
        ({**FLAT, "meter": {**METER, "tmp": "warm"}}, "dcdc.meter.tmp is not what it should be"),
    ],
)
async def test_an_answer_that_is_none(body: Any, says: str) -> None:
    """Empty, cut, foreign or incomplete answers are failed readings that say what is wrong."""
    async with opened(Sequence(Answer(body))) as (driver, device):
        with pytest.raises(Refused, match=re.escape(says)):
            await device.read()
        assert len(driver.requests) == 3


async def test_an_error_of_the_driver_is_told_in_its_words() -> None:
    """What the driver says of a refusal stands in the error."""
    async with opened(Sequence(Answer({"err": "error: ERCD=fffe"}, 400))) as (_, device):
        with pytest.raises(Refused, match="HTTP 400: error: ERCD=fffe"):
            await device.read()


async def test_a_reading_is_tried_again_whatever_went_wrong() -> None:
    """A refusal, a cut connection and silence are each followed by another try, up to the policy's number."""
    script = Sequence(Answer({}, 500), Answer(cut=True), Answer(silent=True), Answer(FLAT))
    async with opened(script, attempts=4, timeout_s=0.5) as (driver, device):
        assert (await device.read()).document["battery"] == BATTERY
        assert len(driver.requests) == 4


@pytest.mark.parametrize("answer", [Answer(silent=True), Answer(cut=True)])
async def test_a_set_that_may_have_been_done_is_not_sent_again(answer: Answer) -> None:
    """Sent and not answered: unknown at once, and one request; a reading has just failed and is tried again."""
    async with opened(Sequence(answer), timeout_s=0.3) as (driver, device):
        with pytest.raises(Unknown):
            await charge(device)
        assert len(driver.requests) == 1
        with pytest.raises(Outage):
            await device.read()
        assert len(driver.requests) == 4


async def test_a_refused_set_is_tried_again_and_the_guard_is_asked_each_time() -> None:
    """The guard stands directly before each request; what it raises ends the set with just that."""
    asked = []

    def guard() -> None:
        asked.append(len(driver.requests))
        if len(asked) == 3:
            raise Refused("aborted")

    async with opened(Sequence(Answer({"err": "timeout"}, 400)), attempts=5) as (driver, device):
        with pytest.raises(Refused, match=r"^aborted$"):
            await charge(device, guard)
        assert asked == [0, 1, 2]
        assert len(driver.requests) == 2


async def test_the_guard_is_asked_when_the_requests_turn_has_come() -> None:
    """A set that waited behind a slow reading is judged by what is true when it leaves."""
    gate = asyncio.Event()
    allowed = True

    def guard() -> None:
        if not allowed:
            raise Refused("aborted")

    script = Sequence(Answer(FLAT, after=gate), Answer(CONVERTER))
    async with opened(script) as (driver, device), asyncio.TaskGroup() as group:
        group.create_task(device.read())
        await driver.wait_for(1)
        setting = group.create_task(outcome_of(charge(device, guard)))
        allowed = False
        gate.set()
        assert isinstance(await setting, Refused)
        assert len(driver.requests) == 1


async def outcome_of(call: Any) -> Any:
    try:
        return await call
    except (Outage, Refused, Unknown) as error:
        return error


async def test_a_driver_that_is_not_there() -> None:
    """Nothing was sent, so a set is known not to be done."""
    async with opened(answers({})) as (driver, device):
        driver_port = driver.port
    async with DeviceHosts() as hosts:
        gone = ScriptedDriver(answers({}), driver_port)
        device = make_device(gone, hosts, kind="dcdc_v2", timeout_s=2, attempts=3, unit_id="E001")
        for call in (charge(device), device.read(), device.stop(350)):
            with pytest.raises(Outage):
                await call


async def test_reads_and_sets_of_one_unit_never_overlap() -> None:
    """However many are asked for at once, the driver sees one at a time, in order."""
    async with opened(answers({**SPECIFIED, "/all/get": FLAT})) as (driver, device):
        calls = [device.read(), charge(device), device.read_status(), device.set_current(1), device.set_voltage(350, 0)]
        await asyncio.gather(*calls, device.read())
        assert driver.open_most == 1
        assert driver.paths[0] == "/all/get"


async def test_a_stop_overtakes_everything() -> None:
    """While a reading hangs and a set waits behind it, WAIT goes out and is answered."""
    gate = asyncio.Event()

    def script(path: str, query: dict[str, str]) -> Answer:
        return Answer(CONVERTER) if query.get("mode") == "0x0000" else Answer(FLAT, after=gate)

    async with opened(script) as (driver, device), asyncio.TaskGroup() as group:
        group.create_task(device.read())
        await driver.wait_for(1)
        group.create_task(charge(device))
        async with asyncio.timeout(2):
            assert (await device.stop(350)).document == {"dcdc": CONVERTER}
        assert driver.requests[-1] == ("/dcdc/set", {"mode": "0x0000", "dvg": "350.0", "dig": "0.0", "drg": "0.0"})
        gate.set()


async def test_a_stop_is_tried_again_even_after_silence() -> None:
    """WAIT does no harm twice."""
    async with opened(Sequence(Answer(silent=True), Answer(CONVERTER)), timeout_s=0.3) as (driver, device):
        await device.stop(350)
        assert len(driver.requests) == 2


async def test_at_most_four_connections_to_one_host_and_one_of_them_for_stops() -> None:
    """Eight units at one address keep to the limit; a stop gets through while readings hang on all they may have."""
    gate = asyncio.Event()

    def script(path: str, query: dict[str, str]) -> Answer:
        return Answer(CONVERTER) if query.get("mode") == "0x0000" else Answer(FLAT, after=gate)

    async with scripted_driver(script) as driver, DeviceHosts() as hosts, asyncio.TaskGroup() as group:
        units = [
            make_device(driver, hosts, kind="dcdc_v2", timeout_s=10, attempts=1, unit_id=f"E{i:03d}") for i in range(8)
        ]
        for unit in units:
            group.create_task(unit.read())
        await driver.wait_for(CONNECTIONS_PER_HOST - 1)
        async with asyncio.timeout(3):
            await units[7].stop(350)
        assert driver.open_most <= CONNECTIONS_PER_HOST
        gate.set()
    assert driver.open_most <= CONNECTIONS_PER_HOST == 4
    assert len(driver.requests) == 9


async def test_stops_keep_to_the_limit_too() -> None:
    """Eight stops and eight readings at once: never more than four connections, and all of them are served."""
    gate = asyncio.Event()
    script: Script = lambda _path, query: Answer(CONVERTER if query else FLAT, after=gate)  # noqa: E731 - short
    async with scripted_driver(script) as driver, DeviceHosts() as hosts, asyncio.TaskGroup() as group:
        for i in range(8):
            unit = make_device(driver, hosts, kind="dcdc_v2", timeout_s=10, attempts=1, unit_id=f"E{i:03d}")
            group.create_task(unit.read())
            group.create_task(unit.stop(350))
        await driver.wait_for(CONNECTIONS_PER_HOST)
        gate.set()
    assert driver.open_most == CONNECTIONS_PER_HOST
    assert len(driver.requests) == 16


async def test_no_set_leaves_for_a_unit_that_the_emulator_does_not_know() -> None:
    """The emulator answers ``{}`` for an unknown unit and hangs for good at a set: none leaves, WAIT neither."""
    async with opened(Sequence(Answer({})), kind="dcdc_emulator", unit_id="E999") as (driver, device):
        for call in (
            device.check(),
            charge(device),
            device.set_current(1),
            device.set_voltage(350, 0),
            device.stop(350),
        ):
            with pytest.raises(Refused):
                await call
        assert set(driver.paths) == {"/get/unit/E999"}


async def test_a_unit_that_was_taken_away_from_the_emulator_is_looked_for_before_the_next_set() -> None:
    """After a reading that shows nothing, the next set asks for the unit first."""
    gone, seen, done = Answer({}), Answer(EMULATED), Answer(CONVERTER)
    script = Sequence(seen, done, gone, gone, gone, seen, done)
    async with opened(script, kind="dcdc_emulator") as (driver, device):
        await charge(device)
        with pytest.raises(Refused):
            await device.read()
        await charge(device)
    reads, sets = "/get/unit/E001", "/set/dcdc/E001"
    assert driver.paths == [reads, sets, reads, reads, reads, reads, sets]


SET_POINTS = st.floats(allow_nan=False, allow_infinity=False, width=32)
PLAIN = re.compile(r"-?\d+\.\d+")


@settings(max_examples=15, deadline=None)
@given(st.sampled_from(list(ConverterMode)), SET_POINTS, SET_POINTS, SET_POINTS)
def test_every_set_carries_all_of_its_set_points_in_plain_numbers(
    mode: ConverterMode, voltage_v: float, current_a: float, droop: float
) -> None:
    """Whatever is asked for, nothing leaves that the emulator is known to hang on."""

    async def ask() -> ScriptedDriver:
        script: Script = lambda path, _query: Answer(EMULATED if path.startswith("/get") else CONVERTER)  # noqa: E731 - short
        async with opened(script, kind="dcdc_emulator") as (driver, device):
            await device.set_mode(mode, voltage_v, current_a, droop)
            await device.set_voltage(voltage_v, droop)
            await device.set_current(current_a)
        return driver

    sets = [(path, query) for path, query in asyncio.run(ask()).requests if path.startswith("/set")]
    assert [(path, set(query)) for path, query in sets] == [
        ("/set/dcdc/E001", {"mode", "dvg", "dig", "drg"}),
        ("/set/dcdc/voltage/E001", {"dvg", "drg"}),
        ("/set/dcdc/current/E001", {"dig"}),
    ]
    for _, query in sets:
        for key, text in query.items():
            if key == "mode":
                assert text in {"0x0000", "0x0002", "0x0014", "0x0041"}
            else:
                assert PLAIN.fullmatch(text)
                assert text != "-0.0"
                asked = {"dvg": voltage_v, "dig": current_a, "drg": droop}[key]
                assert float(text) == pytest.approx(asked, abs=1e-6)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
async def test_no_number_is_no_set_point(value: float) -> None:
    """A set-point that is no number is a mistake of the caller; nothing leaves."""
    async with opened(answers(SPECIFIED)) as (driver, device):
        with pytest.raises(ValueError, match="no set-point"):
            await device.set_current(value)
        assert driver.requests == []


@pytest.mark.parametrize(
    ("version", "fine"),
    [
        ({"comm_interface_version": "2.0", "dcdc_batt_comm_version": "1.4"}, True),
        ({"comm_protocol_version": "1.0", "dcdc_batt_comm_version": "1.0 "}, True),
        ({"dcdc_batt_comm_version": "2"}, True),
        ({"comm_interface_version": "3.0"}, False),
        ({"comm_protocol_version": "10.1"}, False),
        ({"comm_interface_version": "new"}, False),
        ({"version": "2.0"}, False),
        ({}, False),
    ],
)
async def test_the_version_gate(version: dict[str, str], fine: bool) -> None:
    """Our major version must not be below the driver's; either key of the version will do; none is refused."""
    async with opened(answers({"/version/get": version})) as (_, device):
        if fine:
            await device.check()
        else:
            with pytest.raises(Refused):
                await device.check()


async def test_the_first_interface_reads_converter_and_battery_together() -> None:
    """Two requests make one reading; where either fails, the reading does."""
    battery = {"rsoc": 62.5, "battery_operation_status": 3}
    for log, fine in ((battery, True), ({}, False)):
        async with opened(answers({"/remote/get": CONVERTER, "/1/log/data": log}), kind="dcdc_v1") as (_, device):
            if fine:
                assert (await device.read()).document == {"dcdc": CONVERTER, "emu": battery, "battery": battery}
            else:
                with pytest.raises(Refused, match=r"battery\.rsoc is missing"):
                    await device.read()


async def test_the_emulators_clock_is_the_units() -> None:
    """The time in a reading is kept; a driver without one gives none. Both ends of the request are noted."""
    async with opened(Sequence(Answer(EMULATED)), kind="dcdc_emulator") as (_, device):
        before = time.perf_counter()
        reading = await device.read()
        assert reading.time == "2020/01/01-00:00:00"
        assert before <= reading.sent_at_s <= reading.received_at_s <= time.perf_counter()
    async with opened(answers(SPECIFIED)) as (_, device):
        assert (await device.read()).time is None


@pytest.mark.parametrize("kind", ["dcdc_emulator", "dcdc_v1", "dcdc_v2"])
async def test_a_device_from_a_config_file(tmp_path: Path, kind: str) -> None:
    """A checked config.json says which driver is used and where it listens."""
    config: dict[str, Any] = {"unitId": "E007", "systemType": kind, **FILES}
    whole = {"/get/unit/E007": EMULATED, "/remote/get": CONVERTER, "/1/log/data": BATTERY, "/all/get": FLAT}
    async with scripted_driver(answers(whole)) as driver, DeviceHosts() as hosts:
        place = {"host": "127.0.0.1", "port": driver.port}
        config["connection"] = dict.fromkeys(("emulator", "dcdc_controller", "emu_driver"), place)
        path = tmp_path / "config.json"
        path.write_text(json.dumps(config))
        device = open_device(load_config(path).model, hosts, DriverTimes(5, 3), time.perf_counter)
        assert (await device.read()).document["battery"]["rsoc"] == 70
        await device.close()


@pytest.mark.parametrize("kind", ["dcdc_emulator", "dcdc_v1", "dcdc_v2"])
def test_a_config_that_is_fine_has_every_host_of_its_driver(tmp_path: Path, kind: str) -> None:
    """What a driver's file looks for under ``connection`` is demanded when the config is checked."""
    config = {"unitId": "E007", "systemType": kind, **FILES}
    place = {"host": "localhost", "port": 4380}
    names = [key.removeprefix("connection.") for key in load_driver(kind).hosts.values()]
    for missing in names:
        connection = {name: place for name in names if name != missing}
        path = tmp_path / "config.json"
        path.write_text(json.dumps({**config, "connection": connection}))
        with pytest.raises(InputError):
            load_config(path)
