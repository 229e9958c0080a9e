"""Brings a converter to WAIT with nothing but its driver: where no service runs any more, or none may run."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from apis_rules.errors import PortError
from apis_rules.ports.types import ConverterMode, DcdcData

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from apis_rules.ports.device import Device

PAUSE_S: Final = 0.5


async def read_mode(device: Device) -> ConverterMode | None:
    """Return what the converter does, None where it says something unknown. Raises ``PortError``."""
    return DcdcData.model_validate((await device.read_status()).document.get("dcdc", {})).status.mode


async def bring_to_wait(
    device: Device, grid_voltage_v: float, within_s: float, tell_going: Callable[[], Awaitable[None]]
) -> ConverterMode | None:
    """Bring a converter to WAIT and look whether it is; return the mode in which it was seen last.

    Args:
        device: the driver.
        grid_voltage_v: the set-point that goes along with WAIT.
        within_s: how long to try; a driver that does not answer is asked again.
        tell_going: tells the community, before a converter that holds the voltage stops.
    """
    mode: ConverterMode | None = None
    told = False
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            while mode is not ConverterMode.WAIT:
                with contextlib.suppress(PortError):
                    mode = await read_mode(device)
                    if mode is ConverterMode.VOLTAGE_REFERENCE and not told:
                        told = True
                        await tell_going()
                    if mode is not ConverterMode.WAIT:
                        await device.stop(grid_voltage_v)
                        mode = await read_mode(device)
                await asyncio.sleep(0 if mode is ConverterMode.WAIT else PAUSE_S)
    return mode
