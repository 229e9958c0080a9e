"""The nodes and the process above them understand each other: both ends of one socket, in this process."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import selectors
import socket
from typing import TYPE_CHECKING

import pytest

from apis_rules.compose.parent import Parent, Supervised
from apis_rules.supervisor.orders import ALIVE_S, STARTING_S, Inherited, UnitOrders
from apis_rules.supervisor.process import Supervisor

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

pytestmark = pytest.mark.anyio


def orders(folder: Path, timeout_s: float = 1.0) -> UnitOrders:
    nobody = "http://127.0.0.1:1/"
    return UnitOrders(
        "E001", str(folder / "unit.lock"), str(folder / "unit.json"), "", nobody, (), nobody, 20.0, timeout_s
    )


@pytest.fixture
async def both() -> AsyncIterator[tuple[Supervisor, Supervised]]:
    """The supervisor looks at its end again and again, as its own loop does."""
    above, below = socket.socketpair()
    supervisor = Supervisor(["run"], 5, needs_scratch=False)
    above.setblocking(False)
    supervisor._channel = above
    supervisor._selector.register(above, selectors.EVENT_READ)
    nodes = Supervised(Inherited(below.detach(), {}, {}, 0, ""))

    async def look() -> None:
        while True:
            supervisor._hear()
            supervisor._let_take()
            await asyncio.sleep(0.01)

    tasks = [asyncio.create_task(look()), asyncio.create_task(nodes.run())]
    with nodes:
        yield supervisor, nodes
        for task in tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
    supervisor._close_channel()
    supervisor._selector.close()


async def seen(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.01)


async def test_a_unit_is_taken_over_with_its_lock(both: tuple[Supervisor, Supervised], tmp_path: Path) -> None:
    """The orders arrive whole, the lock is held above too, and the node goes on only when it was told so."""
    supervisor, nodes = both
    lock = tmp_path / "unit.lock"
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    nodes.share(str(lock), descriptor, lock)
    await nodes.take_over(lambda: orders(tmp_path))
    assert supervisor._units == {"E001": orders(tmp_path)}
    os.close(descriptor)
    with lock.open() as other, pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(supervisor._locks[str(lock)])


async def test_a_slow_driver_is_waited_for_longer(
    both: tuple[Supervisor, Supervised], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without an answer a node goes on only when a look, an order and its landing could all have taken their time."""
    supervisor, nodes = both
    monkeypatch.setattr("apis_rules.compose.parent.TAKE_S", 0.1)
    supervisor._let_take = lambda: None  # type: ignore[method-assign]
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    await nodes.take_over(lambda: orders(tmp_path, 0.3))
    assert loop.time() - began_s >= 3 * 0.3


async def test_what_nodes_say_later_counts(both: tuple[Supervisor, Supervised], tmp_path: Path) -> None:
    """Other orders after a reload; what the next process shall know; a unit that rests; an end that is meant."""
    supervisor, nodes = both
    await nodes.take_over(lambda: orders(tmp_path))
    nodes.change(lambda: orders(tmp_path, 7.0))
    await seen(lambda: supervisor._units["E001"].request_timeout_s == 7.0)
    nodes.keep(left=["E001"])
    nodes.leave("E001", at_rest=True)
    await seen(lambda: supervisor._kept == {"left": ["E001"]} and not supervisor._units)
    assert not supervisor._decided
    nodes.decide_end()
    await seen(lambda: supervisor._decided)


async def test_a_guard_ends_where_its_unit_needs_none(both: tuple[Supervisor, Supervised], tmp_path: Path) -> None:
    """A failed node's converter is guarded at once; when another instance has the unit, nothing of ours goes on."""
    supervisor, nodes = both
    await nodes.take_over(lambda: orders(tmp_path))
    nodes.leave("E001", at_rest=False)
    await seen(lambda: supervisor._guards)
    guard = supervisor._guards["E001"]
    nodes.leave("E001", at_rest=True)
    await seen(lambda: guard.left_alone)
    assert not supervisor._guards
    assert not supervisor._units


async def test_signs_of_life_stop_with_the_loops(both: tuple[Supervisor, Supervised]) -> None:
    """While nodes begin a sign lasts longer; where a loop stands still there is none any more."""
    supervisor, nodes = both
    await seen(lambda: supervisor._good_for_s == STARTING_S)
    nodes.watch(lambda: True)
    await seen(lambda: supervisor._good_for_s == ALIVE_S)
    nodes.watch(lambda: False)
    nodes.keep(x=1)
    await seen(lambda: supervisor._kept == {"x": 1})
    heard_at_s = supervisor._heard_at_s
    nodes._beat()
    for _ in range(10):
        await asyncio.sleep(0.01)  # in which anything that was sent would have arrived
    assert supervisor._heard_at_s == heard_at_s


async def test_the_end_of_the_process_above_is_noticed(both: tuple[Supervisor, Supervised], tmp_path: Path) -> None:
    """Its end of the socket closes with it; nobody waits for its answers any more, nor for those to come."""
    supervisor, nodes = both
    supervisor._let_take = lambda: None  # type: ignore[method-assign]
    waiting = asyncio.create_task(nodes.take_over(lambda: orders(tmp_path)))
    await seen(lambda: supervisor._units)
    supervisor._close_channel()
    async with asyncio.timeout(5):
        await nodes.gone.wait()
        await waiting
        await nodes.take_over(lambda: orders(tmp_path))


async def test_without_a_process_above_nothing_waits(tmp_path: Path) -> None:
    """Nodes run alone as they do below a supervisor, and keep for themselves what they would leave."""
    alone = Parent()
    await alone.take_over(lambda: orders(tmp_path))
    alone.keep(span=(1, 2, None))
    assert alone.kept == {"span": (1, 2, None)}
    assert alone.pid == os.getpid()
