"""What an observer says of its unit, in virtual time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from apis_rules.compose.observe import Observer
from apis_rules.compose.sites import bundled_site
from apis_rules.ports.virtual_time import run_virtual
from tests.node.world import operator, world

if TYPE_CHECKING:
    from apis_rules.grid.device import ModelDevice


class Listening:
    """A device that notes what is asked of it."""

    def __init__(self, device: ModelDevice) -> None:
        self._device = device
        self.asked: list[str] = []

    def __getattr__(self, name: str) -> Any:
        self.asked.append(name)
        return getattr(self._device, name)


async def check_an_observer() -> None:
    async with world(2, rsoc=[92.0, 27.0], started=False) as w, operator(w) as op:
        device = Listening(w.houses["E001"].device)
        observer = Observer(bundled_site(), op, device)  # type: ignore[arg-type]  # whatever the name, it is passed on
        task = asyncio.get_running_loop().create_task(observer.run())
        await w.until(lambda: "excess" in observer.opinion.text, 5, "what it reads")
        assert observer.opinion.text == (
            "E001 (observed) is excess: would ask to discharge, accept to discharge (1056 Wh, 2016 Wh)"
        )
        assert set(device.asked) == {"read"}
        device.asked.clear()
        # Once its node runs, what that publishes is enough.
        w.start("E001")
        await w.until(lambda: op.overview().units[0].present, 10, "its node")
        await asyncio.sleep(2)
        device.asked.clear()
        await asyncio.sleep(5)
        assert device.asked == []
        assert observer.opinion.gist.startswith("E001 is excess")
        task.cancel()


def test_an_observer_reads_and_never_writes() -> None:
    """It says what its unit would do by what its node publishes; only where none runs the driver is read."""
    run_virtual(check_an_observer())
