"""The page of a hardware watchdog: asked for while the node's loops go round, and only then."""

from __future__ import annotations

import asyncio

from apis_rules.errors import Outage
from apis_rules.node.watchdog import keep_quiet
from apis_rules.ports.virtual_time import run_virtual
from tests.node.world import pair


def test_the_page_is_asked_for_while_loops_go_round() -> None:
    """Once a period; not while a loop stands still; a page that does not answer ends nothing, and is told once."""

    async def scene() -> None:
        asked: list[float] = []
        goes, loop = True, asyncio.get_running_loop()
        answers = False

        async def ping() -> None:
            asked.append(loop.time())
            if not answers:
                raise Outage("nobody is there")

        task = asyncio.create_task(keep_quiet(ping, 5.0, lambda: goes))
        await asyncio.sleep(11)
        assert [round(t) for t in asked] == [0, 5, 10]
        goes = False
        await asyncio.sleep(20)
        assert len(asked) == 3
        goes = answers = True
        await asyncio.sleep(5)
        assert len(asked) == 4
        task.cancel()

    run_virtual(scene())


def test_a_node_whose_loop_stands_still_asks_no_more() -> None:
    """The controller's loop hangs: the last page is asked for before its limit is over, none after it."""

    async def scene() -> None:
        async with pair(20.0) as w:
            asked: list[float] = []
            loop = asyncio.get_running_loop()

            async def ping() -> None:
                asked.append(loop.time())

            w.houses["E002"].ping = ping
            await w.kill("E002")
            house = w.start("E002")
            await w.until(lambda: len(asked) >= 3, 20, "it is asked for")
            services = house.node.services  # type: ignore[union-attr]
            assert services is not None

            async def stand(*_: object) -> None:
                await asyncio.sleep(1e6)

            services.controller._take = stand  # type: ignore[method-assign]
            hung_s = loop.time()
            house.node = None
            await asyncio.sleep(30)
            assert asked[-1] < hung_s + 5.0
            task = house.task
            assert task is not None
            assert "no progress: controller" in str(task.exception().exceptions)  # type: ignore[union-attr]

    run_virtual(scene())
