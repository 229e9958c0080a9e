"""Manual mode in virtual time: operators command converters one by one, through the Grid Master (specification 4.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from apis_rules.compose.steer import order_directly, parse_order, set_mode, stop_units
from apis_rules.errors import Refused
from apis_rules.ports.types import ConverterMode, Level, OperationMode
from apis_rules.ports.virtual_time import run_virtual
from tests.node.world import SMALL_DEALS, World, operator, world

if TYPE_CHECKING:
    from apis_rules.compose.onlooker import Onlooker

ACCELERATION = 20.0
TWO_AND_TWO = [92.0, 27.0, 91.0, 26.0]


async def by_hand(op: Onlooker, unit_id: str, word: str, value: float | None = None) -> bool:
    return await order_directly(op, parse_order(unit_id, word, value))


async def refused(op: Onlooker, unit_id: str, word: str, value: float | None = None) -> str:
    with pytest.raises(Refused) as error:
        await by_hand(op, unit_id, word, value)
    return str(error.value)


async def enter_manual(w: World, op: Onlooker) -> None:
    await set_mode(op, OperationMode.MANUAL, None)
    await w.at_rest(20)
    states = lambda: {h.node.state for h in w.houses.values() if h.node}  # noqa: E731
    await w.until(lambda: states() == {"manual"}, 5, "every node is in manual mode")


async def commands_by_hand() -> None:
    async with (
        world(4, acceleration=ACCELERATION, seed=2, policy=SMALL_DEALS, rsoc=TWO_AND_TWO) as w,
        operator(w) as op,
    ):
        await w.until(lambda: len(w.deals_in("started")) == 2, 60, "two deals")
        assert "not in manual mode" in await refused(op, "E002", "charge", 1.0)
        await enter_manual(w, op)
        assert len(w.final_records) == 2
        assert "nobody holds a voltage" in await refused(op, "E002", "charge", 1.0)
        assert not w.records.deals()
        await by_hand(op, "E001", "reference", 345.0)
        assert w.records.grid()[0].holder == "E001"
        await w.until(lambda: w.plant.grid_now().unit("E002").grid_voltage_v > 340, 20, "a voltage by hand")
        assert "the grid is held_by_hand, not dead" in await refused(op, "E003", "reference", 350.0)
        assert await by_hand(op, "E002", "charge", 1.5)
        assert w.plant.grid_now().unit("E002").grid_current_a == pytest.approx(1.5, abs=0.2)
        assert "would carry 3 A" in await refused(op, "E004", "charge", 1.5)
        assert "up to 2.3 A" in await refused(op, "E004", "discharge", 5.0)
        assert await by_hand(op, "E003", "discharge", 0.5)
        assert await by_hand(op, "E003", "wait")
        assert w.mode("E003") == "WAIT"
        await set_mode(op, OperationMode.AUTONOMOUS, None)
        await w.until(lambda: w.mode("E002") == "WAIT", 3, "who lives on the voltage stops first")
        assert w.mode("E001") == "VOLTAGE_REFERENCE"
        await w.until(lambda: w.deals_in("started"), 60, "they trade again")
        assert not [e for e in w.error_events() if e.level is not Level.WARN], "an error that blocks units"
        w.check_grid(dealless_s=60)


def test_operators_command_converters_in_manual_mode() -> None:
    """Deals end in order, then orders are obeyed within all limits; leaving the mode brings everybody to WAIT."""
    run_virtual(commands_by_hand())


async def master_dies() -> None:
    async with (
        world(3, acceleration=ACCELERATION, seed=2, policy=SMALL_DEALS, rsoc=[60.0, 60.0, 60.0]) as w,
        operator(w) as op,
    ):
        await w.until(lambda: w.master, 20, "a master")
        await enter_manual(w, op)
        holder, other = (u for u in w.unit_ids if u != w.master)
        await by_hand(op, holder, "reference", 350.0)
        await w.until(lambda: w.plant.grid_now().unit(other).grid_voltage_v > 346, 20, "a voltage by hand")
        assert await by_hand(op, other, "charge", 1.0)
        dead = w.master
        assert dead is not None
        await w.kill(dead)
        await w.until(lambda: w.master not in (None, dead), 10, "the next master")
        await w.until(lambda: op.overview().master == w.master, 10, "it is known")
        assert w.records.grid()[0].holder == holder
        assert (w.mode(holder), w.mode(other)) == ("VOLTAGE_REFERENCE", "CHARGE")
        # The holder is told to end: whoever lives on its voltage goes first.
        await by_hand(op, holder, "wait")
        await w.at_rest(20)
        w.check_grid(dealless_s=60)


def test_a_voltage_by_hand_outlives_its_grid_master() -> None:
    """It stands in the grid record; the next master goes on from there, and ends it in order."""
    run_virtual(master_dies())


async def stopped_by_hand(stopped: list[str]) -> None:
    async with (
        world(3, acceleration=ACCELERATION, seed=2, policy=SMALL_DEALS, rsoc=[60.0, 60.0, 60.0]) as w,
        operator(w) as op,
    ):
        await w.until(lambda: w.master, 20, "a master")
        await enter_manual(w, op)
        await by_hand(op, "E001", "reference", 350.0)
        await w.until(lambda: w.plant.grid_now().unit("E002").grid_voltage_v > 346, 20, "a voltage by hand")
        assert await by_hand(op, "E002", "charge", 1.0)
        assert await stop_units(op, stopped, 30, lambda: False) == ()
        tasks = [w.houses[u].task for u in stopped]
        assert [task.result() for task in tasks if task is not None] == [0] * len(stopped)
        assert all(w.mode(u) == "WAIT" for u in stopped)
        assert not [e for e in w.error_events() if e.level is not Level.WARN]
        if "E001" not in stopped:
            assert w.mode("E001") == "VOLTAGE_REFERENCE"
        w.check_grid(dealless_s=60)


@pytest.mark.parametrize("stopped", [["E001", "E002", "E003"], ["E001"], ["E002"]])
def test_nodes_that_are_stopped_let_go_of_what_is_held_by_hand(stopped: list[str]) -> None:
    """Who lives on a voltage by hand goes to WAIT, then who holds it, then the nodes end with 0."""
    run_virtual(stopped_by_hand(stopped))


async def holder_trips() -> None:
    async with (
        world(2, acceleration=ACCELERATION, seed=2, policy=SMALL_DEALS, rsoc=[60.0, 60.0]) as w,
        operator(w) as op,
    ):
        await w.until(lambda: w.master, 20, "a master")
        await enter_manual(w, op)
        await by_hand(op, "E001", "reference", 350.0)
        await w.until(lambda: w.plant.grid_now().unit("E002").grid_voltage_v > 346, 20, "a voltage by hand")
        await w.until(lambda: w.records.grid()[0].open_command is None, 20, "the order is done")
        w.plant.grid_now().set_mode("E001", ConverterMode.WAIT, 350.0, 0.0, 0.0)
        await w.at_rest(30)
        assert {w.mode(u) for u in w.unit_ids} == {"WAIT"}
        assert w.records.grid()[0].holder is None


def test_a_holder_by_hand_that_trips_stays_off() -> None:
    """What an operator switched on is not switched on again by itself."""
    run_virtual(holder_trips())
