"""Operation modes of a running community in virtual time (specification 4.3, 8): what they gate, how they are kept."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from apis_rules.compose.steer import set_mode
from apis_rules.node.local_mode import LocalModeKeeper
from apis_rules.node.state_dir import MemoryStateStore
from apis_rules.ports.types import ConverterMode, Level, OperationMode
from apis_rules.ports.virtual_time import run_virtual
from tests.node.world import SMALL_DEALS, World, operator, world

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

A, H, S = OperationMode.AUTONOMOUS, OperationMode.HETERONOMOUS, OperationMode.STOP


def two_and_two() -> AbstractAsyncContextManager[World]:
    return world(4, acceleration=20.0, seed=2, policy=SMALL_DEALS, rsoc=[92.0, 27.0, 91.0, 26.0])


async def two_deals(w: World) -> None:
    await w.until(lambda: len(w.deals_in("started")) == 2, 60, "two deals")


def stopped(w: World) -> bool:
    """No deal is left and every converter waits."""
    grid = w.plant.grid_now()
    return not w.records.deals() and all(grid.unit(u).mode is ConverterMode.WAIT for u in w.unit_ids)


async def force_stop() -> float:
    loop = asyncio.get_running_loop()
    async with two_and_two() as w, operator(w) as op:
        await two_deals(w)
        asked_s = loop.time()
        await set_mode(op, S, None)
        await w.until(lambda: stopped(w), 10, "everything stops")
        took_s = loop.time() - asked_s
        await w.at_rest(10)
        assert took_s < 2.0
        assert len(w.final_records) == 2
        assert {r.abort_reason for r in w.final_records} == {"the operation mode is stop"}
        assert not [e for e in w.error_events() if e.level is not Level.WARN], "an error that blocks units"
        await set_mode(op, A, None)
        await w.until(lambda: w.deals_in("started"), 25, "they trade again at once")
        w.check_grid()
        w.check_books()
        return took_s


def test_a_force_stop_drains() -> None:
    """Two deals running: none left and every converter in WAIT within 2 s, no error that keeps units from trading."""
    run_virtual(force_stop())


async def soft_stop() -> None:
    async with two_and_two() as w, operator(w) as op:
        await two_deals(w)
        agreed = set(w.records.deals())
        await set_mode(op, H, None)
        await w.until(lambda: not w.records.deals(), 60, "what was agreed ends by itself")
        await w.at_rest(20)
        await asyncio.sleep(10)
        assert {r.deal_id for r in w.final_records} == agreed
        assert all(r.abort_reason is None for r in w.final_records)


def test_a_soft_stop_lets_deals_end() -> None:
    """What was agreed goes on to its amount, and nothing new is agreed."""
    run_virtual(soft_stop())


async def one_unit_stops() -> None:
    async with two_and_two() as w, operator(w) as op:
        await two_deals(w)
        holder = w.records.grid()[0].holder
        unit_id = next(u for u in w.unit_ids if u != holder and not set(w.records.deals_of(u)) & _of(w, holder))
        own, others = _of(w, unit_id), _of(w, holder)
        await set_mode(op, S, unit_id)
        await w.until(lambda: not w.records.deals_of(unit_id), 10, "its deals end")
        assert w.mode(unit_id) == "WAIT"
        assert {r.deal_id for r in w.final_records} == own
        assert others <= set(w.records.deals())
        # A node that was started anew, and a store that was away, have not forgotten it.
        await w.kill(unit_id)
        w.start(unit_id)
        w.store.stop()
        await asyncio.sleep(3)
        w.store.start()
        await w.until(lambda: _effective(w, unit_id) is S, 20, "the mode is kept")
        await w.until(lambda: len(w.final_records) >= 4, 60, "the others trade")
        assert unit_id not in {u for r in w.final_records[2:] for u in r.units}
        await set_mode(op, None, unit_id)
        await w.until(lambda: w.records.deals_of(unit_id), 60, "it trades again")


def _of(w: World, unit_id: str | None) -> set[str]:
    return set(w.records.deals_of(unit_id or ""))


def _effective(w: World, unit_id: str) -> OperationMode | None:
    node = w.houses[unit_id].node
    return node.services.board.effective_mode if node and node.services and node.services.board.records.fresh else None


def test_a_unit_stops_for_itself() -> None:
    """Its deals end, the others' go on; kept over restarts of the node and of the store; cleared, it trades again."""
    run_virtual(one_unit_stops())


async def community_restarts() -> None:
    async with two_and_two() as w, operator(w) as op:
        await w.until(lambda: w.master, 20, "a master")
        await set_mode(op, H, None)
        for unit_id in w.unit_ids:
            await w.kill(unit_id)
        w.store.stop()
        await asyncio.sleep(30)
        w.store.start()
        for unit_id in w.unit_ids:
            w.start(unit_id)
        await w.until(lambda: w.master, 20, "a master")
        await asyncio.sleep(5)
        assert [_effective(w, u) for u in w.unit_ids] == [H, H, H, H]
        assert not w.records.deals()


def test_the_mode_of_a_community_outlives_all_its_nodes() -> None:
    """Every node and the store are started anew: it is still what the operator set."""
    run_virtual(community_restarts())


@pytest.mark.parametrize(
    ("community", "unit_id", "own", "trading"),
    [
        (A, "E001", None, ""),
        (A, "E001", H, "the operation mode is heteronomous"),
        (A, "E001", S, "the operation mode is stop"),
        (A, "E002", H, "nobody accepts (E002: not-autonomous)"),
        (A, "E002", S, "nobody accepts (E002: not-autonomous)"),
        (H, "E001", None, "the operation mode is heteronomous"),
        (S, "E001", H, "the operation mode is stop"),
    ],
)
def test_who_asks_and_who_accepts(
    community: OperationMode, unit_id: str, own: OperationMode | None, trading: str
) -> None:
    """The effective mode of a unit gates its requests and its answers, each by itself, and is what it says."""

    async def main() -> None:
        # E001 has reason to ask; E002 has none, but would accept.
        async with world(2, acceleration=1.0, policy=SMALL_DEALS, rsoc=[92.0, 45.0]) as w, operator(w) as op:
            await set_mode(op, S, None)
            await w.until(lambda: w.master and not w.records.deals(), 20, "a master")
            await set_mode(op, own, unit_id)
            await set_mode(op, community, None)
            board = w.houses["E001"].node.services.board  # type: ignore[union-attr]
            if trading:
                await w.until(lambda: board.trading == trading, 20, "it says why")
            else:
                await w.until(w.records.deals, 20, "a deal")
            assert bool(w.records.deals()) is not bool(trading)

    run_virtual(main())


def keeper_of(kept: bytes | None, inherited: bytes | None) -> OperationMode | None:
    store = MemoryStateStore()
    if kept is not None:
        run_virtual(store.save("operationMode", kept, durable=True))
    board: Any = SimpleNamespace(local_mode=None)
    LocalModeKeeper(board, store, inherited)
    mode: OperationMode | None = board.local_mode
    return mode


@pytest.mark.parametrize(
    ("kept", "inherited", "mode"),
    [
        (None, None, None),
        (None, b"heteronomous", H),
        (None, b"stop\n", S),
        (None, b"\xff", S),
        (b"", b"stop", None),
        (b"heteronomous", b"stop", H),
    ],
)
def test_a_units_own_mode_is_taken_over_once(
    kept: bytes | None, inherited: bytes | None, mode: OperationMode | None
) -> None:
    """What apis-main has kept counts until a mode is set here; taken away here, it does not come back."""
    assert keeper_of(kept, inherited) is mode
