"""Every recorded answer of a real driver to a request that a node makes is classified."""

from __future__ import annotations

import csv
import json
import re
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from apis_rules.decide.decision import Decider, compile_rules
from apis_rules.decide.rulefile import load_rules
from apis_rules.decide.ruleset import Evaluator
from apis_rules.documents.driver import load_driver
from apis_rules.errors import Refused
from apis_rules.ports.types import ConverterMode
from apis_rules.resources import data_dir
from apis_transport.device import DriverTimes, HttpDevice
from apis_transport.device_hosts import DeviceHosts
from tests.devices.server import Answer, ScriptedDriver, scripted_driver

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from apis_rules.ports.device import Reading

HERE = Path(__file__).parent
ROWS: list[dict[str, Any]] = [json.loads(line) for line in (HERE / "answers.jsonl").read_text().splitlines()]
BY_NAME = {row["name"]: row for row in ROWS}
PARTNERS = {"85-v1-log-data": "86-v1-remote-get", "86-v1-remote-get": "85-v1-log-data"}
"""A full reading of the first interface takes two answers."""
SEEN_BEFORE = {"dcdc_emulator": "01-get-unit"}
"""What a driver that wants to know its unit shows before any set."""

SAFETY = [
    Decider(compile_rules(load_rules(data_dir("rules") / file), {}), Evaluator.PURE)
    for file in ("local-safety.yaml", "hard-limits.yaml")
]


def unit_of(row: dict[str, Any]) -> str:
    found = re.search(r"E\d{3}", row["request"])
    return found[0] if found else "E001"


@asynccontextmanager
async def serving(row: dict[str, Any]) -> AsyncIterator[tuple[ScriptedDriver, HttpDevice, list[str]]]:
    """Serve the recorded answer, and those that its request needs beside it."""
    asked = urlsplit(row["request"])
    beside = [BY_NAME[name] for name in (PARTNERS.get(row["name"]), SEEN_BEFORE.get(row["driver"])) if name]

    def script(path: str, query: dict[str, str]) -> Answer:
        if path == asked.path and set(query) == {key for key, _ in parse_qsl(asked.query)}:
            return Answer(row["body"], row["status"])
        for other in beside:
            if path == re.sub(r"E\d{3}", unit_of(row), other["request"]):
                return Answer(other["body"], other["status"])
        return Answer({}, 404)

    failed: list[str] = []
    async with scripted_driver(script) as driver, DeviceHosts() as hosts:
        declared = load_driver(row["driver"])
        addresses = dict.fromkeys(declared.hosts, driver.address)
        times = DriverTimes(request_timeout_s=5.0, attempts=3)
        yield (
            driver,
            HttpDevice(declared, unit_of(row), addresses, hosts, times, time.perf_counter, failed.append),
            failed,
        )


async def ask(device: HttpDevice, row: dict[str, Any]) -> Reading | None:
    """Make the call whose request was recorded."""
    url = urlsplit(row["request"])
    query = dict(parse_qsl(url.query))
    if "version" in url.path:
        await device.check()
        return None
    if "mode" in query:
        voltage_v, current_a, droop = (float(query[key]) for key in ("dvg", "dig", "drg"))
        return await device.set_mode(ConverterMode(query["mode"]), voltage_v, current_a, droop)
    if "dvg" in query:
        return await device.set_voltage(float(query["dvg"]), float(query["drg"]))
    if "dig" in query:
        return await device.set_current(float(query["dig"]))
    return await (device.read_status() if "status" in url.path else device.read())


def as_numbers(query: dict[str, str]) -> dict[str, object]:
    return {key: value if key == "mode" else float(value) for key, value in query.items()}


@pytest.mark.anyio
@pytest.mark.parametrize("row", ROWS, ids=[row["name"] for row in ROWS])
async def test_a_recorded_answer(row: dict[str, Any]) -> None:
    """Good data come through; a failed reading warns at each try and is an error at the last; alarms are errors.

    The request that leaves has the recorded names and numbers.
    """
    async with serving(row) as (driver, device, failed):
        if row["verdict"] == "failed":
            with pytest.raises(Refused):
                await ask(device, row)
            assert len(failed) == 2
        else:
            reading = await ask(device, row)
            assert failed == []
            if reading is not None:
                asked_about = {"unit": reading.document, "node": {"effective": "manual"}}
                errors = [hit for rules in SAFETY for hit in rules.decide(asked_about, 0.0).hits]
                alarms = [hit.rule.id for hit in errors if hit.rule.id in ("L01", "L02", "L03", "L04")]
                assert bool(alarms) is (row["verdict"] == "error"), alarms
                shown = json.dumps(reading.document)
                for value in numbers_in(row["body"].get("meter", row["body"].get("dcdc", {}).get("meter", {}))):
                    assert json.dumps(value) in shown
        asked = urlsplit(row["request"])
        assert (asked.path, as_numbers(dict(parse_qsl(asked.query)))) in [
            (path, as_numbers(query)) for path, query in driver.requests
        ]


def numbers_in(part: dict[str, Any]) -> list[float]:
    return [value for value in part.values() if isinstance(value, int | float)]


def test_every_recording_is_in_the_table_or_has_a_reason() -> None:
    """Ninety-six recordings: those of a node's own requests are classified above, the others say why they are not."""
    with (HERE / "out_of_scope.csv").open() as file:
        others = list(csv.DictReader(file))
    assert all(row["why"] for row in others)
    assert len({row["name"] for row in [*ROWS, *others]}) == len(ROWS) + len(others) == 96
    assert {row["verdict"] for row in ROWS} == {"good", "failed", "error"}
