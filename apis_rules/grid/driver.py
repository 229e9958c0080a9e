"""What a driver does with one request, faults included: one meaning for the HTTP server and for tests in-process."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from apis_rules.errors import Refused
from apis_rules.grid.faults import FaultKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from apis_rules.grid.model import Grid
    from apis_rules.grid.plant import Plant

T = TypeVar("T")

REFUSAL = "error: ERCD=fffe"
NO_ANSWER_FROM_CONVERTER = "read timeout"
BATTERY_SILENT = "modbus io exception"


async def through_driver(
    plant: Plant,
    unit_id: str,
    act: Callable[[Grid], T],
    *,
    switches: bool,
    battery: bool = False,
    latency_s: float = 0.0,
) -> T:
    """Let the driver of *unit_id* do *act* on the grid, as well as it can.

    Args:
        plant: the grid on its clock.
        unit_id: whose driver.
        act: what it does and answers.
        switches: whether *act* changes something (a set).
        battery: whether the answer needs the battery.
        latency_s: what it takes without any fault.

    Never returns while the driver is silent or has lost the answer: whoever asks sets the time limit.

    Raises:
        Refused: the driver answers with an error; the text is what a real one says.
        KeyError: the unit is not there.
    """
    board = plant.grid_now().faults
    slow = board.on(unit_id, FaultKind.SLOW)
    wait_s = latency_s + (slow.value or 0.0 if slow else 0.0)
    if wait_s:
        await asyncio.sleep(wait_s)
    grid = plant.grid_to_command() if switches else plant.grid_now()
    board = grid.faults
    if board.on(unit_id, FaultKind.SILENT):
        await asyncio.Future()
    if error := board.on(unit_id, FaultKind.DRIVER_ERROR):
        raise Refused(error.text or NO_ANSWER_FROM_CONVERTER)
    if battery and board.on(unit_id, FaultKind.BATTERY_UNREACHABLE):
        raise Refused(BATTERY_SILENT)
    if switches and board.on(unit_id, FaultKind.REFUSED):
        raise Refused(REFUSAL)
    answer = act(grid)
    if board.on(unit_id, FaultKind.ANSWER_LOST):
        await asyncio.Future()
    return answer
