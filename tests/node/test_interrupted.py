"""Every step interrupted at random: nodes killed, suspended and cut off, the store restarted; the books close."""

from __future__ import annotations

import asyncio
import random

import pytest

from apis_rules.ports.memory import Fault, FaultKind
from apis_rules.ports.virtual_time import run_virtual
from tests.node.world import SMALL_DEALS, World, world

ACCELERATION = 20.0
TROUBLE_S = 60.0
CI_SEEDS = range(1)
CAMPAIGN_SEEDS = range(100, 160)


async def interrupt(w: World, source: random.Random) -> str:
    """Let one thing go wrong for a while, and put it right; say what it was."""
    unit_id = source.choice(w.unit_ids)
    line = w.store.lines[unit_id]
    for_s = source.choice([0.3, 3.0, 15.0])
    kind = source.choice(["kill", "freeze", "cut", "store", "die at a write", "lost command", "slow answers"])
    match kind:
        case "kill":
            await w.kill(unit_id)
            await asyncio.sleep(for_s)
            w.start(unit_id)
        case "freeze":
            w.freeze(unit_id)
            await asyncio.sleep(for_s)
            w.thaw(unit_id)
        case "cut":
            line.cut()
            await asyncio.sleep(for_s)
            line.restore()
        case "store":
            w.store.stop()
            await asyncio.sleep(for_s)
            w.store.start()
        case "die at a write":
            line.writes_until_kill = source.randrange(12)
            await asyncio.sleep(10)
            line.writes_until_kill = None
            if line.killed:
                await w.kill(unit_id)
                await asyncio.sleep(for_s)
                w.start(unit_id)
        case "lost command":
            line.fail_next("command", Fault(FaultKind.LOST))
            line.fail_next("report", Fault(FaultKind.LOST))
            line.fail_next("write", Fault(FaultKind.ACK_LOST))
        case _:
            line.fail_next("write", Fault(FaultKind.DELAYED, 0.9))
            line.fail_next("answer", Fault(FaultKind.LOST))
    return f"{kind} {unit_id} {for_s}"


async def troubled(seed: int) -> None:
    source = random.Random(seed)
    policy = {**SMALL_DEALS, "operationMode": "autonomous"}
    async with world(3, acceleration=ACCELERATION, seed=seed, policy=policy, rsoc=[92.0, 27.0, 25.0]) as w:
        loop = asyncio.get_running_loop()
        history = []
        while loop.time() < TROUBLE_S:
            await asyncio.sleep(source.uniform(0.0, 8.0))
            began_s = loop.time()
            history.append(f"{began_s:.2f} {await interrupt(w, source)}")
        try:
            await w.operator_sets("stop")
            await w.at_rest(90)
            await asyncio.sleep(3)
            w.check_still()
            assert not [i for i, (d, _) in w.records.deals().items() if d.switched]
            w.check_books()
            w.check_grid(dead=w.unit_ids)
            await w.operator_sets("autonomous")
            await w.until(lambda: w.deals_in("started"), 90, "trading goes on")
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: " + "; ".join(history) + f"\n{error}") from error


@pytest.mark.parametrize("seed", CI_SEEDS)
def test_a_community_in_trouble(seed: int) -> None:
    """Whatever is interrupted: at the end all converters wait, every deal is booked once, and they trade again."""
    run_virtual(troubled(seed))


@pytest.mark.campaign
@pytest.mark.parametrize("seed", CAMPAIGN_SEEDS)
def test_a_community_in_trouble_at_length(seed: int) -> None:
    """The same for many seeds; a failure names its seed and its history."""
    run_virtual(troubled(seed))
