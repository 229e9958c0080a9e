"""The emulator's interfaces over real sockets."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from apis_rules.errors import Unsupported
from apis_rules.grid.model import Grid
from apis_rules.grid.plant import Plant
from apis_rules.grid.server import Emulator, EmulatorPorts
from apis_rules.grid.settings import community
from tests.grid.builders import ideal
from tests.grid.served import Client, served, until

RECORDED = json.loads(Path(__file__).with_name("recorded_answers.json").read_text(encoding="utf-8"))

# What must hold before a recorded answer can be given again: faults, and whether the driver is fresh.
FAULTS: dict[str, dict[str, object]] = {
    "batterytimeout": {"kind": "battery_unreachable"},
    "busy": {"kind": "driver_error", "text": "timeout"},
    "checksum": {"kind": "driver_error", "text": "checksum error"},
    "heavyalarm": {"kind": "heavy_alarm"},
    "lightalarm": {"kind": "light_alarm"},
    "nak": {"kind": "driver_error", "text": "error: ERCD=fffe"},
    "notpermitted": {"kind": "permission_withdrawn"},
    "timeout": {"kind": "driver_error"},
}
SHOWN = {
    "120-fault-heavyalarm-all-get": ("status", "alarmState", "Heavy alarm"),
    "120-fault-lightalarm-all-get": ("status", "alarmState", "Light alarm"),
    "120-fault-notpermitted-all-get": ("battery_operation_status", None, 0),
    "121-fault-heavyalarm-set": ("status", "alarmState", "Heavy alarm"),
}


def _shape(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _shape(part) for key, part in value.items()}
    if isinstance(value, bool):
        return "flag"
    return "number" if isinstance(value, int | float) else "text"


def _recorded_shape(row: dict[str, Any], key: str) -> Any:
    shape = row.get(key)
    return RECORDED["shapes"].get(shape, shape) if isinstance(shape, str) else shape


@pytest.mark.parametrize("row", RECORDED["answers"], ids=lambda row: row["name"])
def test_every_recorded_answer_has_its_counterpart(row: dict[str, Any]) -> None:
    """Same status, content type, keys and kinds of values as the existing drivers; 400 or 404 where those hang."""

    async def story() -> None:
        async with served() as client:
            if row["name"] == "11-get-last":
                await client.json("/save")
            if row["request"].startswith("/dcdc/set") and not row.get("err", "").startswith("No "):
                await client.json("/dcdc/set?mode=0x0041&dvg=350&dig=1&drg=0")
            fault = next((f for word, f in FAULTS.items() if f"-fault-{word}" in row["name"]), None)
            if fault:
                await client.fault(unit="E001", **fault)
            response = await client.get(row["request"])
            assert response.status_code == row["status"], response.text
            assert response.headers["content-type"].split(";")[0] == row.get("type", "application/json")
            if "text" in row:
                assert response.text == row["text"]
            if "err" in row:
                assert response.json() == {"err": row["err"]}
            elif "shape" in row:
                assert _shape(response.json()) == _recorded_shape(row, "shape")
            if "each_unit" in row:
                units = response.json()
                assert {unit: _shape(part) for unit, part in units.items()} == dict.fromkeys(
                    units, _recorded_shape(row, "each_unit")
                )
                assert len(units) == {"/add/unit": 5, "/remove/unit": 3}.get(row["request"], 4)
            if row["name"] in SHOWN:
                part, key, value = SHOWN[row["name"]]
                shown = response.json()[part]
                assert (shown[key] if key else shown) == value

    asyncio.run(story())


async def _rested(client: Client) -> None:
    # One second of unit time later everything that was commanded has settled.
    began = client.plant.unit_time_s()

    async def passed() -> bool:
        return client.plant.unit_time_s() > began + 1.5

    await until(passed)


def test_the_command_sequences_give_the_measured_currents_and_voltages() -> None:
    """What nodes command, with sensors as they come: ig and final vg within 1 % of those of the existing emulator."""

    async def story() -> None:
        async with served(community(4, seed=5, rsoc_percent=[60.0]), acceleration=100.0) as client:

            async def at_350() -> bool:
                return bool((await client.json("/get/dcdc/status/E001"))["meter"]["vg"] > 349.0)

            async def meter(unit: str) -> Any:
                return (await client.json(f"/get/dcdc/status/{unit}"))["meter"]

            await client.json("/set/dcdc/E001?mode=0x0014&dvg=350&dig=2.3&drg=0")
            await until(at_350)
            client.plant.acceleration = 10.0
            await _rested(client)
            assert (await meter("E003"))["vg"] == pytest.approx(350.0, rel=0.01)
            for command, expected in (
                ("E002?mode=0x0041&dvg=350&dig=1&drg=0", {"E001": -1.0, "E002": 1.0}),
                ("current/E002?dig=2.0", {"E001": -2.0, "E002": 2.0}),
                ("E003?mode=0x0002&dvg=380&dig=1&drg=0", {"E001": -1.0, "E002": 2.0, "E003": -1.0}),
            ):
                await client.json(f"/set/dcdc/{command}")
                await _rested(client)
                for unit, current_a in expected.items():
                    found = await meter(unit)
                    assert found["ig"] == pytest.approx(current_a, rel=0.01), (command, unit)
                    assert found["vg"] == pytest.approx(350.0, rel=0.01)
                    assert found["wg"] == pytest.approx(350.0 * current_a, rel=0.02)
            for dvg in (340.0, 352.5):
                await client.json(f"/set/dcdc/voltage/E001?dvg={dvg}&drg=0")
                await _rested(client)
                for unit in ("E001", "E002", "E003", "E004"):
                    assert (await meter(unit))["vg"] == pytest.approx(dvg, rel=0.01)
            for unit in ("E002", "E003", "E001"):
                await client.json(f"/set/dcdc/{unit}?mode=0x0000&dvg=350&dig=0&drg=0")
                await _rested(client)
                assert (await meter(unit))["ig"] == pytest.approx(0.0, abs=0.01)
            client.plant.acceleration = 100.0

            async def decayed() -> bool:
                return bool((await meter("E002"))["vg"] < 3.5)

            await until(decayed)
            await client.json("/set/dcdc/E002?mode=0x0041&dvg=350&dig=1&drg=0")
            assert (await meter("E002"))["ig"] == pytest.approx(0.0, abs=0.01)

    asyncio.run(story())


def test_a_battery_moves_by_its_power_at_any_acceleration() -> None:
    """State of charge follows the power without steps, also at factor 1 where the existing emulator stands still."""

    async def story() -> None:
        async with served(ideal(rsoc_percent=[60.0]), acceleration=1.0) as client:
            await client.json("/set/emu/E001?pvc_charge_power=0&ups_output_power=145")
            before = (await client.json("/get/unit/E001"))["emu"]["rsoc"]

            async def moved() -> bool:
                return bool((await client.json("/get/unit/E001"))["emu"]["rsoc"] < before)

            await until(moved)
            assert await moved()

    asyncio.run(story())


def test_v2_refuses_half_a_first_set_in_a_drivers_words() -> None:
    """Before the first complete set, what is missing is named in the order mode, current, voltage."""

    async def story() -> None:
        async with served() as client:
            for query, err in (
                ("", "No operationMode"),
                ("mode=0x0000", "No dig"),
                ("mode=0x0000&dig=1", "No dvg"),
                ("mode=0x0000&dig=1&dvg=1600", "ushort format requires 0 <= number <= 65535"),
                ("mode=0x0000&dig=nan&dvg=350", "bad value: nan"),
            ):
                response = await client.get(f"/dcdc/set?{query}")
                assert (response.status_code, response.json()) == (400, {"err": err})
            await client.json("/dcdc/set?mode=0x0014&dvg=350&dig=2.3&drg=0")
            answer = await client.json("/dcdc/set?dig=1.5")
            assert answer["param"]["dig"] == 1.499176025390625
            assert (await client.json("/dcdc/get"))["vdis"]["dvg"] == 349.98779296875
            assert (await client.get("/dcdc/set?dig=1", unit="E002")).json() == {"err": "No operationMode"}

    asyncio.run(story())


def test_v1_and_v2_and_the_emulator_show_one_grid() -> None:
    """What is commanded through one interface is seen through the others."""

    async def story() -> None:
        async with served() as client:
            await client.json("/remote/set?mode=0x0041&dvg=350&dig=1&drg=0", unit="E002")
            assert (await client.json("/get/dcdc/E002"))["status"]["status"] == "0x0041"
            await client.json("/remote/set/current?dig=1.5", unit="E002")
            assert (await client.json("/dcdc/get", unit="E002"))["param"]["dig"] == pytest.approx(1.5, abs=0.001)
            await client.json("/set/dcdc/E002?mode=0x0000&dvg=350&dig=0")
            assert (await client.json("/remote/get", unit="E002"))["status"]["operationMode"] == "Waiting"
            battery = await client.json("/1/log/data", unit="E002")
            assert battery["rsoc"] == pytest.approx((await client.json("/battery/get", unit="E002"))["rsoc"], abs=0.2)

    asyncio.run(story())


@pytest.mark.parametrize(
    ("path", "status", "err"),
    [
        ("/set/dcdc/E001?mode=0x0014&dvg=&dig=1", 400, "dvg is missing"),
        ("/set/dcdc/E001?mode=0x0014&dvg=350", 400, "dig is missing"),
        ("/set/dcdc/E001?mode=&dvg=350&dig=1", 400, "mode is missing"),
        ("/set/dcdc/E001?mode=0x14zz&dvg=350&dig=1", 400, "bad value: 0x14zz"),
        ("/set/dcdc/E001?mode=0x0014&dvg=900&dig=1", 400, "dvg = 900 is out of range: 0 to 400"),
        ("/set/dcdc/E001?mode=0x0014&dvg=350&dig=-1", 400, "dig = -1 is out of range: 0 to 7.8125"),
        ("/set/dcdc/E001?mode=0x0014&dvg=350&dig=1e400", 400, "dig = 1e400 is no number"),
        ("/set/dcdc/voltage/E001", 400, "dvg is missing"),
        ("/set/dcdc/current/E001?dig=x", 400, "dig = x is no number"),
        ("/set/acc/0", 400, "acceleration = 0 would stop the clock"),
        ("/set/acc/1e12", 400, "acceleration = 1e12 is out of range: 0 to 86400"),
        ("/set/acc/fast", 400, "acceleration = fast is no number"),
        ("/set/emu/E001?rsoc=full", 400, "rsoc = full is no number"),
        ("/set/emu/E001?rsoc=101", 400, "rsoc = 101 is out of range: 0 to 100"),
        ("/set/emu/E001?battery_voltage=50", 400, None),
        ("/set/emu/E999?rsoc=50", 404, "there is no unit 'E999'"),
        ("/get/last", 404, "nothing is saved"),
    ],
)
def test_a_wrong_request_gets_an_answer_and_changes_nothing(path: str, status: int, err: str | None) -> None:
    """Each mistake is named in JSON with 400 or 404, and the unit is as before."""

    async def story() -> None:
        async with served() as client:
            before = (await client.json("/get/dcdc/E001"))["vdis"], client.plant.acceleration
            response = await client.get(path)
            assert response.status_code == status
            assert err is None or response.json() == {"err": err}
            assert ((await client.json("/get/dcdc/E001"))["vdis"], client.plant.acceleration) == before

    asyncio.run(story())


def test_a_misspelt_field_takes_nothing_of_the_request() -> None:
    """With an unknown key in it, no part of a request to set house values is done."""

    async def story() -> None:
        async with served() as client:
            response = await client.get("/set/emu/E001?rsoc=11&nokey=1")
            assert response.text == "following key not found: nokey"
            assert (await client.json("/get/emu/E001"))["rsoc"] > 90
            await client.json("/set/emu/E001?rsoc=11")
            assert (await client.json("/get/emu/E001"))["rsoc"] == pytest.approx(11, abs=0.5)

    asyncio.run(story())


def test_the_clock_is_continuous_over_changes_of_speed() -> None:
    """The units' clock goes on by factor times the time on the wall, at every factor, and restart sets it back."""

    async def story() -> None:
        async with served() as client:
            for factor in (1, 60, 600, 10):
                assert (await client.get(f"/set/acc/{factor}")).text == str(factor)
                unit_s, wall_s = client.plant.unit_time_s(), asyncio.get_running_loop().time()
                await asyncio.sleep(0.2)
                passed_s = asyncio.get_running_loop().time() - wall_s
                assert client.plant.unit_time_s() - unit_s == pytest.approx(factor * passed_s, rel=0.1)
            assert (await client.json("/get/unit/E001"))["time"] > "2020/01/01-08:02"
            await client.json("/restart")
            assert (await client.json("/get/unit/E001"))["time"] < "2020/01/01-08:01"

    asyncio.run(story())


def test_saved_states_come_back() -> None:
    """/get/last puts converters and batteries back to the moment of /save, units that came or went included."""

    async def story() -> None:
        async with served() as client:
            await client.json("/set/dcdc/E002?mode=0x0041&dvg=350&dig=1")
            await client.json("/save")
            await client.json("/set/dcdc/E002?mode=0x0000&dvg=350&dig=0")
            await client.json("/set/emu/E002?rsoc=99")
            await client.json("/get/last")
            unit = await client.json("/get/unit/E002")
            assert unit["dcdc"]["status"]["status"] == "0x0041"
            assert unit["emu"]["rsoc"] < 30
            await client.json("/add/unit")
            assert (await client.json("/get/unit/E005"))["oesunit"]["id"] == "E005"
            assert (await client.json("/get/unit/E002"))["dcdc"]["status"]["status"] == "0x0041"
            assert list(await client.json("/get/last")) == ["E001", "E002", "E003", "E004"]
            assert await client.json("/get/unit/E005") == {}
            unit = await client.json("/get/unit/E002")
            assert unit["dcdc"]["status"]["status"] == "0x0041"
            assert unit["emu"]["rsoc"] < 30
            await client.json("/remove/unit")
            assert list(await client.json("/get/last")) == ["E001", "E002", "E003", "E004"]

    asyncio.run(story())


def test_a_silent_driver_holds_its_own_clients_only() -> None:
    """While one driver is silent, others answer; its client gets an answer when the server ends."""

    async def story() -> None:
        async with httpx.AsyncClient(timeout=20) as patient, served() as client:
            number = await client.fault(kind="silent", unit="E001")
            with pytest.raises(httpx.ReadTimeout):
                await client.http.get(client.url("/get/unit/E001"), timeout=0.3)
            await client.json("/get/unit/E002")
            await client.json("/get/log")
            assert (await client.http.delete(client.url(f"/faults/{number}"))).json() == {"cleared": True}
            await client.json("/get/unit/E001")
            await client.fault(kind="silent", unit="E001")
            waiting = asyncio.create_task(patient.get(client.url("/all/get")))
            await asyncio.wait({waiting}, timeout=0.2)
            await client.emulator.__aexit__(None, None, None)
            response = await waiting
            assert (response.status_code, response.json()) == (503, {"err": "the driver gave no answer"})

    asyncio.run(story())


def test_the_alarm_of_a_tripped_converter_can_be_cleared() -> None:
    """After a trip a converter obeys again once its alarm is cleared, and not before."""

    async def story() -> None:
        async with served() as client:
            charge = "/set/dcdc/E001?mode=0x0041&dvg=350&dig=1"
            await client.http.delete(client.url(f"/faults/{await client.fault(kind='trip', unit='E001')}"))
            assert (await client.json(charge))["status"] == {
                "status": "0x0000",
                "alarmState": "Heavy alarm",
                "operationMode": "Waiting",
            }
            assert (await client.http.delete(client.url("/alarms/E001"))).json() == {"cleared": True}
            assert (await client.json(charge))["status"]["status"] == "0x0041"
            response = await client.http.delete(client.url("/alarms/E777"))
            assert (response.status_code, response.json()) == (404, {"err": "there is no unit 'E777'"})

    asyncio.run(story())


def test_slow_refused_and_lost() -> None:
    """A slow driver takes its time, a refusing one answers 400 to sets only, a lost answer hides a done command."""

    async def story() -> None:
        async with served() as client:
            await client.fault(kind="slow", unit="E001", value=0.4)
            began = time.perf_counter()
            await client.json("/get/dcdc/status/E001")
            assert time.perf_counter() - began >= 0.4
            await client.fault(kind="refused", unit="E002")
            response = await client.get("/set/dcdc/E002?mode=0x0041&dvg=350&dig=1")
            assert (response.status_code, response.json()) == (400, {"err": "error: ERCD=fffe"})
            assert (await client.json("/get/dcdc/E002"))["status"]["operationMode"] == "Waiting"
            await client.fault(kind="answer_lost", unit="E003")
            with pytest.raises(httpx.ReadTimeout):
                await client.http.get(client.url("/set/dcdc/E003?mode=0x0041&dvg=350&dig=1"), timeout=0.5)
            assert (await client.json("/get/log"))["E003"]["dcdc"]["status"]["status"] == "0x0041"

    asyncio.run(story())


def test_wrong_faults_are_refused() -> None:
    """A fault that is incomplete, unknown, no JSON, or for something that is not there gets told what is wrong."""

    async def story() -> None:
        async with served() as client:
            for content, status, word in (
                (b'{"kind": "slow", "unit": "E001"}', 400, "needs value"),
                (b'{"kind": "nonsense"}', 400, "kind"),
                (b"[1, 2", 400, "no JSON"),
                (b"[]", 400, "an object with keys was expected"),
                (b'{"kind": "trip", "unit": "E777"}', 404, "E777"),
                (b'{"kind": "line_open", "line": "A-B"}', 404, "A-B"),
                (b"x" * 70_000, 413, "bytes"),
            ):
                response = await client.http.post(client.url("/faults"), content=content)
                assert response.status_code == status
                assert word in response.json()["err"]
            assert await client.json("/faults") == []
            assert (await client.http.delete(client.url("/faults/7"))).status_code == 404
            await client.fault(kind="trip", unit="E001", forS=100)
            assert [f["kind"] for f in await client.json("/faults")] == ["trip"]
            assert (await client.http.delete(client.url("/faults"))).json() == {"cleared": True}
            assert await client.json("/faults") == []

    asyncio.run(story())


def test_a_taken_port_is_said_and_nothing_stays_open() -> None:
    """Starting twice on one port fails with one sentence, and the first goes on."""

    async def story() -> None:
        async with served() as client:
            again = Emulator(
                Plant(Grid(community(1)), asyncio.get_running_loop().time), EmulatorPorts("127.0.0.1", client.port)
            )
            with pytest.raises(Unsupported, match=f"cannot listen on 127.0.0.1:{client.port}"):
                await again.__aenter__()
            await client.json("/get/log")
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", client.port)

    asyncio.run(story())
