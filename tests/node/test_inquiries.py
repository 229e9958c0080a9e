"""When the readings that a Grid Master asks for wake it, over a bus in virtual time."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import pytest

from apis_rules.charts.master import UnitLimits
from apis_rules.node import messages
from apis_rules.node.inquiries import ROUND_S, Inquiries
from apis_rules.node.neighbours import Neighbours
from apis_rules.ports.memory.community import MemoryCommunity
from apis_rules.ports.types import ConverterMode, DcdcData, Epoch, UnitData
from apis_rules.ports.virtual_time import run_virtual

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping
    from typing import Any

    from apis_rules.node.errors import Errors

TRAVEL_S = 0.005
"""More than a question and its answer are on their way."""

QUIET_S = 2.0


@dataclass
class Unit:
    """Answers after *takes_s* that its converter is in *mode*."""

    unit_id: str
    takes_s: float
    mode: ConverterMode = ConverterMode.WAIT
    asked_at_s: list[float] = field(default_factory=list)

    async def answer(self, body: bytes) -> bytes:
        assert messages.read_message(messages.DataWanted, body).fresh
        self.asked_at_s.append(asyncio.get_running_loop().time())
        await asyncio.sleep(self.takes_s)
        shown = DcdcData.model_validate({"status": {"status": self.mode.code}})
        return messages.UnitReport(
            unit_id=self.unit_id,
            boot="b",
            data=UnitData(dcdc=shown),
            age_s=0.0,
            unit_time_s=0.0,
            hardware=messages.Hardware(capacity_a=2.3, allowance_a=0.125),
        ).to_json()


class NoErrors:
    """Where a reading goes wrong is not the question here."""

    def note(self, text: str) -> None:
        raise AssertionError(text)


async def woken_at_s(units: list[Unit], wanted: list[str], in_play: Mapping[str, object]) -> list[float]:
    """Return when the master was woken by one round of readings; its own unit, read before, is not among them."""
    store, loop = MemoryCommunity(), asyncio.get_running_loop()
    ports = store.connect("E001")
    neighbours = Neighbours(UnitLimits(2.3, 0.125))
    for unit_id in ("E001", *(u.unit_id for u in units)):
        neighbours.of(unit_id).data = UnitData(dcdc=DcdcData.model_validate({"status": {"status": "0x0000"}}))
    woken: list[float] = []
    async with AsyncExitStack() as stack:
        for unit in units:
            served = store.connect(unit.unit_id).bus.serve(unit.unit_id, messages.DATA, unit.answer)
            await stack.enter_async_context(served)
        tasks = await stack.enter_async_context(asyncio.TaskGroup())

        def start(coroutine: Coroutine[Any, Any, None]) -> None:
            tasks.create_task(coroutine)

        began_s = loop.time()
        neighbours.of("E001").read_at_s = began_s
        epoch, errors = Epoch(number=1, term_id="t"), cast("Errors", NoErrors())
        inquiries = Inquiries(
            epoch, "E001", ports, neighbours, errors, start, lambda: woken.append(loop.time() - began_s)
        )
        inquiries.read(wanted, in_play)
        await asyncio.sleep(QUIET_S)
    return woken


@pytest.mark.parametrize(
    ("units", "wanted", "expected_s"),
    [
        pytest.param([Unit("E002", 0.02), Unit("E003", 0.06)], ["E002", "E003"], [0.06], id="last of the wanted"),
        pytest.param(
            [Unit("E002", 0.02), Unit("E003", 0.5)], ["E002", "E003"], [0.02 + ROUND_S, 0.5], id="slow driver"
        ),
        pytest.param(
            [Unit("E002", 0.02, ConverterMode.CHARGE), Unit("E003", 0.06)],
            ["E002", "E003"],
            [0.02, 0.06],
            id="turned at once",
        ),
        pytest.param([Unit("E002", 0.02), Unit("E003", 0.06)], ["E002"], [0.02, 0.06], id="not for what nobody wants"),
        pytest.param([Unit("E002", 0.02), Unit("E003", 0.06)], [], [0.06], id="end of a round"),
    ],
)
def test_readings_that_are_wanted_together_wake_the_master_once(
    units: list[Unit], wanted: list[str], expected_s: list[float]
) -> None:
    """With the last of them, or a tenth of a second after the first; a converter that has turned wakes it at once."""
    in_play = {u.unit_id: () for u in units}
    woken_s = run_virtual(woken_at_s(units, wanted, in_play))
    assert woken_s == [pytest.approx(s, abs=TRAVEL_S) for s in expected_s]
