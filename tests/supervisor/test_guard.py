"""One converter without its node, over the modelled grid's real HTTP: every driver, every mode."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from apis_rules.battery_claims import ClaimFile, list_claims
from apis_rules.ports.types import ConverterMode
from apis_rules.supervisor import guard as guard_module
from apis_rules.supervisor.guard import Guard
from apis_rules.supervisor.orders import Place, UnitOrders, now_s
from tests.compose.houses import Houses, until
from tests.nats_servers import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = "this start of the machine"


@pytest.fixture(scope="module")
def houses() -> Iterator[Houses]:
    with Houses() as opened:
        yield opened


def ordered(houses: Houses, folder: Path) -> UnitOrders:
    host, port = houses.addresses.emulator or ("", 0)
    words = {"Waiting": "wait", "Heteronomy CV": "current", "Grid Autonomy": "holding"}
    return UnitOrders(
        unit_id="E001",
        lock=str(folder / "unit.lock"),
        memory=str(folder / "unit.json"),
        clock_id=HERE,
        read_url=f"http://{host}:{port}/get/dcdc/status/E001",
        places=(Place((("status", "operationMode"),), words),),
        wait_url=f"http://{host}:{port}/set/dcdc/E001?mode=0x0000&dvg=350.0&dig=0.0&drg=0.0",
        holder_dead_man_s=20.0,
        request_timeout_s=1.0,
    )


def refreshed(folder: Path, ago_s: float) -> None:
    (folder / "unit.json").write_text(json.dumps({"clockId": HERE, "refreshedAtS": now_s() - ago_s}))


@contextmanager
def guarding(orders: UnitOrders) -> Iterator[tuple[Guard, list[str]]]:
    told: list[str] = []
    guard = Guard(orders, told.append)
    guard.start()
    try:
        yield guard, told
    finally:
        guard.end()
        until(lambda: guard.left_alone, 10, "nothing is under way any more")


def mode(houses: Houses) -> ConverterMode:
    return houses.modes()["E001"]


@pytest.mark.parametrize("found", [ConverterMode.CHARGE, ConverterMode.DISCHARGE])
def test_a_current_goes_to_wait_at_once_and_again(houses: Houses, tmp_path: Path, found: ConverterMode) -> None:
    """Whenever it is seen, also after a late write has switched it on again; then its duty is over."""
    houses.set_mode("E001", found)
    with guarding(ordered(houses, tmp_path)) as (guard, told):
        until(lambda: mode(houses) is ConverterMode.WAIT, 3, "WAIT")
        houses.set_mode("E001", found)
        until(lambda: mode(houses) is ConverterMode.WAIT, 3, "WAIT again")
        until(lambda: guard.over, 6, "WAIT for longer than a late write may take")
    assert len(told) == 1
    assert "E001: without its node the converter charged or discharged" in told[0]


def test_a_holder_goes_on_until_its_time_is_out(houses: Houses, tmp_path: Path) -> None:
    """The last refresh, which the dead node has kept, counts; not the time of its death."""
    houses.set_mode("E001", ConverterMode.VOLTAGE_REFERENCE)
    refreshed(tmp_path, ago_s=18.0)
    began_s = now_s()
    with guarding(ordered(houses, tmp_path)) as (_, told):
        until(lambda: mode(houses) is ConverterMode.WAIT, 5, "WAIT")
        assert 1.5 < now_s() - began_s < 3.5
        until(lambda: told, 2, "it is told")
    assert "held the voltage" in told[0]


def test_a_holder_is_left_alone_before(houses: Houses, tmp_path: Path) -> None:
    """A node that is back within its time finds it as it was; somebody in a hurry does not wait for that."""
    houses.set_mode("E001", ConverterMode.VOLTAGE_REFERENCE)
    refreshed(tmp_path, ago_s=0.0)
    with guarding(ordered(houses, tmp_path)) as (guard, told):
        until(lambda: guard.looks > 1, 5, "two looks")
        assert mode(houses) is ConverterMode.VOLTAGE_REFERENCE
        assert told == []
        guard.hurry()
        until(lambda: mode(houses) is ConverterMode.WAIT, 3, "WAIT")


def test_a_claim_on_the_battery_goes_when_the_converter_waits(houses: Houses, tmp_path: Path) -> None:
    """Not before it was in WAIT for long enough, and only the dead node's own."""
    path = tmp_path / "claims"
    for owner in ("example/example/E001", "example/example/E009"):
        left = ClaimFile(path, owner, 10.0)
        left.take(2.0)
        left.close()
    houses.set_mode("E001", ConverterMode.CHARGE)
    orders = replace(ordered(houses, tmp_path), owner="example/example/E001", claims=(str(path),))
    with guarding(orders) as (guard, _):
        assert len(list_claims(path)) == 2
        until(lambda: guard.over, 10, "the duty is over")
    assert [claim.owner for claim, _ in list_claims(path)] == ["example/example/E009"]


def test_a_look_that_fails_is_repeated(houses: Houses, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever goes wrong in it: it is told once, and the converter goes to WAIT all the same."""
    real, fails = guard_module.ask, iter([True, True])

    def ask(url: str, timeout_s: float) -> Any:
        if next(fails, False):
            raise MemoryError("no room")
        return real(url, timeout_s)

    monkeypatch.setattr(guard_module, "ask", ask)
    houses.set_mode("E001", ConverterMode.CHARGE)
    with guarding(ordered(houses, tmp_path)) as (_, told):
        until(lambda: mode(houses) is ConverterMode.WAIT, 5, "WAIT")
    assert [sentence for sentence in told if "no room" in sentence] == told[:1]


def test_a_claim_that_cannot_be_looked_for_ends_no_duty(houses: Houses, tmp_path: Path) -> None:
    """Its file cannot even be asked for: that is told, and the duty is done all the same."""
    houses.set_mode("E001", ConverterMode.WAIT)
    orders = replace(ordered(houses, tmp_path), owner="a/b/E001", claims=(str(tmp_path / ("x" * 300)),))
    with guarding(orders) as (guard, told):
        until(lambda: guard.over, 10, "the duty is over")
    assert len(told) == 1
    assert "its claim on the battery stays" in told[0]


def test_a_driver_that_is_not_there_is_asked_again(houses: Houses, tmp_path: Path) -> None:
    """No answer is neither WAIT nor a reason to give up."""
    nobody = f"http://127.0.0.1:{free_port()}/"
    with guarding(replace(ordered(houses, tmp_path), read_url=nobody, wait_url=nobody)) as (guard, told):
        until(lambda: guard.looks > 1, 5, "two looks")
        assert not guard.over
        assert told == []
