"""What belongs to one process: when it is killed or suspended, its requests to the driver are too."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from apis_rules.errors import Outage

if TYPE_CHECKING:
    from apis_rules.grid.device import ModelDevice


class ProcessDevice:
    """A unit's device as one process sees it: when the process is killed, nothing more of it leaves.

    What it had sent before may still land. A frozen process sends and hears nothing until it goes on.
    """

    def __init__(self, device: ModelDevice) -> None:
        self._device = device
        self._goes = asyncio.Event()
        self._goes.set()
        self.dead = False

    def freeze(self) -> None:
        """Let every call stand still until ``thaw``."""
        self._goes.clear()

    def thaw(self) -> None:
        """Let them go on."""
        self._goes.set()

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._device, name)

        async def while_alive(*args: Any, **kwargs: Any) -> Any:
            if not self._goes.is_set():
                await self._goes.wait()
            if self.dead:
                raise Outage("this process is dead")
            answer = await call(*args, **kwargs)
            if not self._goes.is_set():
                await self._goes.wait()
            return answer

        return while_alive
