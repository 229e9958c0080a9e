"""The safety floor in a running community: limits, announced voltage, reactions of all, loops that stand still."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from apis_rules.grid.faults import Fault
from apis_rules.node import messages
from apis_rules.ports.types import ConverterMode, OperationMode
from apis_rules.ports.virtual_time import run_virtual
from tests.node.world import World, pair

if TYPE_CHECKING:
    from apis_rules.node.services import Services

ACCELERATION = 20.0
READING_S = 1.0
LOCAL_S = 0.5


def services_of(w: World, unit_id: str) -> Services:
    node = w.houses[unit_id].node
    assert node is not None
    assert node.services is not None
    return node.services


async def check_too_warm(*, holder: bool) -> None:
    async with pair(ACCELERATION) as w:
        deal_id = await w.one_deal()
        held_by = w.records.grid()[0].holder
        unit_id = held_by if holder else next(u for u in w.unit_ids if u != held_by)
        assert unit_id is not None
        w.plant.add_fault(Fault(kind="over_temperature", unit=unit_id, value=72.0))
        await w.until(lambda: w.mode(unit_id) == "WAIT", READING_S + LOCAL_S, "the unit stops by itself")
        if holder:
            await w.until(lambda: {w.mode(u) for u in w.unit_ids} == {"WAIT"}, LOCAL_S, "the others hear of it")
        await w.at_rest(30)
        assert [e for e in w.events("L10") if e.unit_id == unit_id]
        record = next(r for r in w.final_records if r.deal_id == deal_id)
        assert record.abort_reason is not None
        await asyncio.sleep(5)
        assert not w.deals_in("started"), "trades with an error"
        w.check_grid()
        w.check_books()


@pytest.mark.parametrize("holder", [False, True])
def test_a_hard_limit_on_a_reading(holder: bool) -> None:
    """The unit stops within one reading, the holder says so first; the error is kept, the deal ends with its record."""
    run_virtual(check_too_warm(holder=holder))


async def check_community_error(*, master_dies: bool) -> None:
    async with pair(ACCELERATION) as w:
        await w.one_deal()
        master = w.master
        assert master is not None
        other = next(u for u in w.unit_ids if u != master)
        services_of(w, other).errors.raise_event("hardware_of_all", "")
        if master_dies:
            await asyncio.sleep(0.005)
            await w.kill(master)
            await asyncio.sleep(3)
            w.start(master)
        await w.until(lambda: {w.mode(u) for u in w.unit_ids} == {"WAIT"}, 15, "everybody waits")
        await w.at_rest(30)
        await w.until(lambda: not any(services_of(w, u).errors.reaction for u in w.unit_ids), 5, "the reaction is over")
        if not master_dies:
            assert w.records.mode().mode is OperationMode.STOP  # type: ignore[union-attr]
            assert w.records.sustain() is not None
        w.check_grid()
        w.check_books()


@pytest.mark.parametrize("master_dies", [False, True])
def test_a_community_error_stops_everybody(master_dies: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scram by whoever is master, current-controlled units first; then the reaction is over, and the mode is stop."""
    entries_of_a_ramp(monkeypatch)
    run_virtual(check_community_error(master_dies=master_dies))


def entries_of_a_ramp(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a test raise the error of a ramp that takes too long, as the master would."""
    from apis_rules.node.catalogue import Catalogue

    entry = Catalogue.entry
    monkeypatch.setattr(
        Catalogue, "entry", lambda self, name: entry(self, "ramp_timeout" if name == "hardware_of_all" else name)
    )


async def check_strange_broadcasts() -> None:
    async with pair(ACCELERATION) as w:
        await w.one_deal()
        bus = w.store.connect("E009").bus
        for topic in (messages.VOLTAGE_GOING, messages.ERRORS, messages.SETTLED):
            await bus.broadcast(topic, b"not json")
            await bus.broadcast(topic, b'{"format": 99}')
        await asyncio.sleep(1)
        assert not [h.unit_id for h in w.houses.values() if h.task is None or h.task.done()]
        assert w.deals_in("started")


def test_broadcasts_that_nobody_can_read() -> None:
    """They are left out: no node ends, and the deal goes on."""
    run_virtual(check_strange_broadcasts())


async def check_standstill() -> None:
    async with pair(ACCELERATION) as w:
        await w.one_deal()
        master = w.master
        assert master is not None
        house = w.houses[master]
        services = services_of(w, master)

        async def stand(_: object) -> None:
            await asyncio.sleep(1e6)

        services.grid_master._pass = stand  # type: ignore[method-assign]
        house.node = None
        task = house.task
        assert task is not None
        await w.until(task.done, 8, "the node ends")
        assert isinstance(task.exception(), BaseExceptionGroup)
        assert "no progress: grid master" in str(task.exception().exceptions)  # type: ignore[union-attr]
        assert w.mode(master) == "WAIT"
        await w.until(lambda: {w.mode(u) for u in w.unit_ids} == {"WAIT"}, 20, "everybody waits")
        await w.until(lambda: w.master is not None, 10, "another master")
        w.check_grid()


def test_a_master_whose_loop_stands_still() -> None:
    """It ends loudly with its converter in WAIT, its lease lapses, and another unit is master."""
    run_virtual(check_standstill())


async def check_slow_store() -> None:
    async with pair(ACCELERATION) as w:
        for line in w.store.lines.values():
            line.latency_s = 0.45
        await asyncio.sleep(20)
        assert not [h.unit_id for h in w.houses.values() if h.task is None or h.task.done()]
        for line in w.store.lines.values():
            line.latency_s = 0.0005
        await w.one_deal()


def test_a_slow_store_ends_no_node() -> None:
    """Each request within its limit, too slow for a lease: no loop counts as standing still; later they trade."""
    run_virtual(check_slow_store())


async def check_full_disk() -> None:
    async with pair(ACCELERATION) as w:
        deal_id = await w.one_deal()
        unit_id = next(u for u in w.unit_ids if u != w.records.grid()[0].holder)
        w.houses[unit_id].store.full = True
        await w.until(lambda: [r for r in w.final_records if r.deal_id == deal_id], 60, "the deal ends")
        assert w.events("disk") or w.events("not_persisted")
        assert w.plant.grid_now().unit(unit_id).mode is ConverterMode.WAIT
        w.check_grid()


def test_a_disk_that_is_full_delays_no_stop() -> None:
    """The unit says that it cannot keep what it must, and its converter goes to WAIT all the same."""
    run_virtual(check_full_disk())
