"""The watch over a simulated community sees what must never happen, when it is made to happen."""

from __future__ import annotations

import asyncio

from apis_rules.compose.simulation.invariants import Watch
from apis_rules.node.records import EPOCH, LOCK
from apis_rules.ports.state import Write
from apis_rules.ports.types import ConverterMode, Direction, Epoch, Lock, LockEntry
from apis_rules.ports.virtual_time import run_virtual
from tests.node.world import SMALL_DEALS, world

ACCELERATION = 20.0


async def misdeeds() -> list[str]:
    async with world(3, acceleration=ACCELERATION, seed=1, policy=SMALL_DEALS, rsoc=[92.0, 27.0, 50.0]) as w:
        watch = Watch(w, lambda _: False)
        deal_id = await w.one_deal()
        assert not watch.violations
        stranger = next(u for u in w.unit_ids if not w.records.deals_of(u))
        await w.kill(stranger)
        w.store.ctl.write([Write(f"deal.{deal_id}", None)])
        # A converter that nobody commands draws current, then far too much of it, and then takes the voltage as well.
        for current_a, for_s in ((1.0, 1.8), (4.0, 0.1)):
            w.plant.grid_to_command().set_mode(stranger, ConverterMode.CHARGE, 350.0, current_a, 0.0)
            await asyncio.sleep(for_s)
        w.plant.grid_to_command().set_mode(stranger, ConverterMode.VOLTAGE_REFERENCE, 350.0, 2.0, 0.0)
        await asyncio.sleep(0.5)
        entries = tuple(LockEntry(deal_id=str(d), direction=d, ampere=1.0) for d in Direction)
        w.store.ctl.write([Write(LOCK + stranger, Lock(entries=entries).to_json())])
        w.store.ctl.write([Write(EPOCH, Epoch(number=1, term_id="older").to_json())])
        watch.close()
        return [violation.what for violation in watch.violations]


def test_the_watch_sees_it() -> None:
    """Current without a deal or over the limit, two voltages, both directions, old epochs, lost records: all told."""
    told = run_virtual(misdeeds())
    for words in (
        "draws current without a deal",
        "carries",
        "hold the voltage together, one without droop",
        "charges and discharges",
        "epoch 1 after 1",
        "is left in VOLTAGE_REFERENCE without a deal",
        "switched a converter and has no final record",
    ):
        assert any(words in what for what in told), (words, told)


async def a_node_with_a_fault() -> list[str]:
    async with world(2, acceleration=ACCELERATION, seed=1, policy=SMALL_DEALS, rsoc=[92.0, 27.0]) as w:
        watch = Watch(w, lambda _: False)
        await w.one_deal()

        def broken(*_: object, **__: object) -> None:
            raise ZeroDivisionError("a fault of the program")

        w.houses["E002"].store.save = broken  # type: ignore[method-assign]
        await w.until(lambda: w.ended() == ["E002"], 60, "the node ends")
        del w.houses["E002"].store.save
        w.mend()
        await w.until(lambda: w.resting or not w.ended(), 60, "it runs again")
        watch.close()
        return [violation.what for violation in watch.violations]


def test_a_node_that_its_own_fault_has_ended_is_told() -> None:
    """A node that an error ends is no dead node among others, also after it was started again."""
    assert any("E002 was ended by" in what for what in run_virtual(a_node_with_a_fault()))
