"""A disk that is full while a deal log or the action log is written: the unit stops, tells why, and loses nothing."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from apis_rules.compose.simulation.community import House
from apis_rules.ports.types import ConverterMode, Level
from apis_rules.ports.virtual_time import run_virtual
from tests.node.world import SMALL_DEALS, World, world

ACCELERATION = 20.0


class Disk:
    """Of a house; takes no deal log as long as it is full."""

    def __init__(self, house: House) -> None:
        self.full = False
        self.refused: list[Path] = []
        self._house = house
        house.write = self.write  # type: ignore[method-assign]

    async def write(self, file: Path, content: bytes) -> None:
        if self.full:
            self.refused.append(file)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._house.files[file] = content


def ended(w: World, unit_id: str) -> bool:
    task = w.houses[unit_id].task
    return task is not None and task.done()


def party(w: World, deal_id: str, *, holder: bool) -> str:
    """The party of a deal that holds the voltage, or the other one."""
    units = w.records.deals()[deal_id][0].record.units
    return next(u for u in units if (u == w.records.grid()[0].holder) is holder)


async def at_fault(w: World, unit_id: str) -> None:
    """Check how the community comes through *unit_id*'s fatal error."""
    await w.until(lambda: ended(w, unit_id), 90, "its node ends")
    task = w.houses[unit_id].task
    assert task is not None
    assert task.result() != 0
    w.houses[unit_id].node = None
    told = w.events("disk")
    assert {(e.unit_id, e.kind) for e in told} == {(unit_id, "FRAMEWORK:LOCAL:FATAL")}
    assert told[0].level is Level.FATAL
    assert w.plant.grid_now().unit(unit_id).mode is ConverterMode.WAIT
    grid, _ = w.records.grid()
    assert grid.holder != unit_id or grid.state in ("falling", "dead")
    assert not any(unit_id in d.record.units for d, _ in w.records.deals().values())
    w.check_grid()


async def deal_log(*, holder: bool) -> None:
    rsoc = [92.0, 27.0, 26.0]
    async with world(3, acceleration=ACCELERATION, policy=SMALL_DEALS, rsoc=rsoc, started=False) as w:
        disks = {unit_id: Disk(house) for unit_id, house in w.houses.items()}
        for unit_id in w.unit_ids:
            w.start(unit_id)
        unit_id = party(w, await w.one_deal(), holder=holder)
        disk = disks[unit_id]
        disk.full = True
        await w.until(lambda: disk.refused, 90, "a deal ends")
        await at_fault(w, unit_id)
        assert not w.houses[unit_id].files
        disk.full = False
        w.start(unit_id)
        await w.until(
            lambda: {f.name for f in disk.refused} <= {f.name for f in w.houses[unit_id].files}, 30, "its logs"
        )
        await w.operator_sets("stop")
        await w.at_rest(90)
        await w.until(lambda: not w.records.deals(), 30, "no deal")
        await w.until(lambda: not w.unwritten(), 10, "all logs")
        w.check_books()


@pytest.mark.parametrize("holder", [False, True])
def test_a_deal_log_finds_no_room(holder: bool) -> None:
    """The unit ends its deals, hands over or drains, waits and ends; its log is written when it is back."""
    run_virtual(deal_log(holder=holder))


async def action_log(*, holder: bool) -> None:
    async with world(3, acceleration=ACCELERATION, policy=SMALL_DEALS, rsoc=[92.0, 27.0, 26.0]) as w:
        unit_id = party(w, await w.one_deal(), holder=holder)
        node = w.houses[unit_id].node
        assert node is not None
        assert node.services is not None
        node.services.errors.raise_event("disk", "action log a.log: No space left on device")
        await at_fault(w, unit_id)


@pytest.mark.parametrize("holder", [False, True])
def test_an_action_log_finds_no_room(holder: bool) -> None:
    """In the middle of a deal: the same."""
    run_virtual(action_log(holder=holder))
