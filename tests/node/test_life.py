"""How a node starts beside an active converter, and how nodes end: one, the holder, all, asked twice."""

from __future__ import annotations

import asyncio
import errno
import os

import pytest

from apis_rules.ports.types import ConverterMode
from apis_rules.ports.virtual_time import run_virtual
from tests.node.world import SMALL_DEALS, World, pair, world

ACCELERATION = 20.0


def exit_code(w: World, unit_id: str) -> int | None:
    task = w.houses[unit_id].task
    assert task is not None
    return task.result() if task.done() else None


def terminate(w: World, unit_id: str) -> None:
    node = w.houses[unit_id].node
    assert node is not None
    node.terminate()


async def found_active(mode: ConverterMode, refusal: str) -> None:
    async with world(2, acceleration=ACCELERATION, policy=SMALL_DEALS, rsoc=[60.0, 60.0], started=False) as w:
        holding = mode is ConverterMode.VOLTAGE_REFERENCE
        w.plant.grid_now().set_mode("E002", mode, 350.0, 2.0, 0.0)
        await asyncio.sleep(4)
        w.start("E001")
        await asyncio.sleep(3)
        w.start("E002", refusal)
        if not holding:
            await w.until(lambda: w.mode("E002") == "WAIT", 2, "WAIT at once")
        # Nobody has ever refreshed a holder that is new here: its time is over, and it goes after saying so.
        await w.until(lambda: w.mode("E002") == "WAIT", 25, "WAIT")
        assert w.events("found_holding" if holding else "active_at_start")
        if refusal:
            await w.until(lambda: exit_code(w, "E002") == 2, 30, "exit 2")
            assert w.events("refused")
        else:
            await w.until(lambda: w.houses["E002"].node.state == "autonomous", 30, "takes part")  # type: ignore[union-attr]
        await w.at_rest(30)


@pytest.mark.parametrize("refusal", ["", "its policy is another one"])
@pytest.mark.parametrize("mode", [ConverterMode.CHARGE, ConverterMode.DISCHARGE, ConverterMode.VOLTAGE_REFERENCE])
def test_a_start_that_finds_its_converter_active(mode: ConverterMode, refusal: str) -> None:
    """Current-controlled: WAIT at once. Holding: told, and WAIT when its time is out. So does one that may not join."""
    run_virtual(found_active(mode, refusal))


async def cannot_be_built(mode: ConverterMode, monkeypatch: pytest.MonkeyPatch) -> None:
    async with world(2, acceleration=ACCELERATION, started=False) as w:
        house = w.houses["E002"]
        w.plant.grid_now().set_mode("E002", mode, 350.0, 2.0, 0.0)

        def unreadable(name: str) -> bytes:
            raise OSError(errno.EIO, os.strerror(errno.EIO), name)

        monkeypatch.setattr(house.store, "load", unreadable)
        w.start("E002")
        assert house.task is not None
        with pytest.raises(OSError, match="Input/output error"):
            await house.task
        assert w.mode("E002") == "WAIT"


@pytest.mark.parametrize("mode", [ConverterMode.CHARGE, ConverterMode.VOLTAGE_REFERENCE])
def test_a_node_that_cannot_be_built_stops_its_converter(mode: ConverterMode, monkeypatch: pytest.MonkeyPatch) -> None:
    """What fails before any service runs goes on to whoever started the node, after the converter is in WAIT."""
    run_virtual(cannot_be_built(mode, monkeypatch))


async def holder_restarts() -> None:
    async with pair(ACCELERATION) as w:
        deal_id = await w.one_deal()
        holder = w.records.grid()[0].holder
        await w.kill(holder)
        await asyncio.sleep(3)
        w.start(holder)
        await w.until(lambda: w.events("found_holding"), 5, "it says that it holds")
        await w.until(lambda: [r for r in w.final_records if r.deal_id == deal_id], 60, "the deal's end")
        record = next(r for r in w.final_records if r.deal_id == deal_id)
        assert record.abort_reason is None, "the deal went on under the same voltage"
        assert record.cumulate_amount_wh == pytest.approx(record.deal_amount_wh, rel=0.02)
        await w.until(lambda: not w.unwritten(), 5, "deal logs")
        w.check_grid()
        w.check_books()


def test_a_holder_that_comes_back_goes_on_holding() -> None:
    """Killed and started after 3 s: it keeps the voltage, obeys the new master, and its deal ends in order."""
    run_virtual(holder_restarts())


async def one_ends(*, holder: bool) -> None:
    async with world(4, acceleration=ACCELERATION, seed=2, policy=SMALL_DEALS, rsoc=[92.0, 27.0, 91.0, 26.0]) as w:
        await w.until(lambda: len(w.deals_in("started")) == 2, 60, "two deals")
        grid, _ = w.records.grid()
        unit_id = grid.holder if holder else next(u for u in w.unit_ids if u not in (grid.holder, w.master))
        assert unit_id is not None
        own = set(w.records.deals_of(unit_id))
        others = set(w.deals_in("started")) - own
        terminate(w, unit_id)
        await w.until(lambda: exit_code(w, unit_id) == 0, 20, "exit 0")
        assert w.mode(unit_id) == "WAIT"
        assert f"data.{unit_id}" not in w.store.unit.keys("data."), "it is shown as away at once"
        assert not own & set(w.records.deals())
        w.houses[unit_id].node = None
        await w.until(lambda: others <= {r.deal_id for r in w.final_records}, 60, "the others' deal ends")
        ended = {r.deal_id: r for r in w.final_records}
        assert all(ended[i].abort_reason is None for i in others)
        assert not w.events("hand_over_failed")
        await w.until(lambda: not w.unwritten(), 5, "deal logs")
        w.check_grid()
        w.check_books()


@pytest.mark.parametrize("holder", [False, True])
def test_one_node_is_asked_to_end(holder: bool) -> None:
    """Its deals end in order, the voltage is handed over where it holds it, the others' deals go on; exit 0."""
    run_virtual(one_ends(holder=holder))


async def all_end(times: int) -> None:
    async with pair(ACCELERATION) as w:
        await w.one_deal()
        for _ in range(times):
            for unit_id in w.unit_ids:
                terminate(w, unit_id)
            await asyncio.sleep(0.02)
        expected = 0 if times == 1 else 1
        await w.until(lambda: {exit_code(w, u) for u in w.unit_ids} == {expected}, 15, f"all end with {expected}")
        assert {w.mode(u) for u in w.unit_ids} == {"WAIT"}
        w.check_grid()
        if times == 1:
            w.check_still()
            assert not w.records.deals()
            assert len(w.final_records) == 1


@pytest.mark.parametrize("times", [1, 2])
def test_all_nodes_are_asked_to_end(times: int) -> None:
    """Once: the deal ends in order with its record, exit 0. Twice: every converter goes to WAIT at once, exit 1."""
    run_virtual(all_end(times))


async def cancelled(displaced: bool) -> None:
    async with pair(ACCELERATION) as w:
        await w.one_deal()
        (party,) = set(w.unit_ids) - {w.records.grid()[0].holder}
        house = w.houses[party]
        before = w.mode(party)
        assert before in ("CHARGE", "DISCHARGE")
        house.displaced = displaced
        assert house.task is not None
        house.task.cancel()
        house.node = None
        await asyncio.wait([house.task])
        assert w.mode(party) == (before if displaced else "WAIT")
        if displaced:
            w.plant.grid_now().set_mode(party, ConverterMode.WAIT, 350.0, 0.0, 0.0)  # as the other instance will


@pytest.mark.parametrize("displaced", [False, True])
def test_a_node_that_is_cut_short(displaced: bool) -> None:
    """It brings its converter to WAIT first, unless another instance has taken its unit: then it touches nothing."""
    run_virtual(cancelled(displaced))
