"""What a supervisor does for a unit while its node is dead: the duty of the real one, at a modelled driver."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from apis_rules.charts.unit import UnitMemory
from apis_rules.compose.shown import SHOWN
from apis_rules.errors import PortError
from apis_rules.node.controller import MEMORY_FILE
from apis_rules.node.last_stop import read_mode
from apis_rules.supervisor.duty import Duty, Shown, decide_step, note_order

if TYPE_CHECKING:
    from apis_rules.compose.simulation.community import VirtualCommunity
    from apis_rules.grid.device import ModelDevice


async def stand_by(community: VirtualCommunity, unit_id: str, until_s: float) -> None:
    """Keep the converter of *unit_id* safe, whose node is dead, until *until_s* of the loop's time.

    Returns when no order of its own can reach the converter any more.
    """
    loop = asyncio.get_running_loop()
    house, documents = community.houses[unit_id], community.documents[unit_id]
    content = house.store.load(MEMORY_FILE)
    duty = Duty(
        UnitMemory.from_json(content).refreshed_at_s if content else None,
        documents.times["holder_dead_man_s"],
        documents.policy.controller.request_timeout_s,
    )
    while loop.time() < until_s:
        asked_at_s = loop.time()
        step = decide_step(duty, await _look(house.device), asked_at_s, loop.time())
        duty = step.duty
        if step.order_wait and loop.time() < until_s:
            answered = await _stop(house.device, documents.policy.operation_grid_voltage_v)
            duty = note_order(duty, loop.time(), answered=answered)
        await asyncio.sleep(max(0.0, min(step.look_at_s, until_s) - loop.time()))
    await asyncio.sleep(max(0.0, duty.unsettled_until_s - loop.time()))


async def _look(device: ModelDevice) -> Shown:
    try:
        mode = await read_mode(device)
    except PortError:
        return Shown.NOTHING
    return Shown.OTHER if mode is None else SHOWN[mode]


async def _stop(device: ModelDevice, grid_voltage_v: float) -> bool:
    try:
        await device.stop(grid_voltage_v)
    except PortError:
        return False
    return True
