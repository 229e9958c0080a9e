"""What a look at a community keeps of it, however long it lasts."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from apis_rules.compose.lines import Narrator
from apis_rules.compose.onlooker import KEPT_DEALS
from apis_rules.compose.overview import DealLine
from apis_rules.node.records import LOCK
from apis_rules.ports.state import Write
from apis_rules.ports.types import Category, Direction, ErrorEvent, Extent, Level, Lock, LockEntry
from apis_rules.ports.virtual_time import run_virtual
from tests.compose.test_kept import RECORD, TIME
from tests.node.world import operator, world

if TYPE_CHECKING:
    from apis_rules.compose.onlooker import Onlooker
    from apis_rules.ports.streams import Streams


async def end_deals(streams: Streams, first: int, last: int) -> None:
    for number in range(first, last + 1):
        record = RECORD.model_copy(update={"deal_id": f"deal{number}"})
        await streams.append("DEALLOG", record.deal_id, record.to_json(), message_id=record.deal_id)


def kept(looker: Onlooker) -> list[str]:
    return [r.deal_id for r in looker.finished]


async def check_what_is_kept() -> None:
    async with world(1, started=False) as w, operator(w) as looker:
        following = asyncio.create_task(looker.follow_deals(1))
        await end_deals(looker.ports.streams, 1, 3)
        await w.until(lambda: looker.finished_count == 3, 5, "the deals are seen")
        assert [r.deal_id for r in looker.finished_after(1)] == ["deal2", "deal3"]
        assert looker.finished_after(3) == []
        assert looker.finished.maxlen == KEPT_DEALS
        looker.keep_deals(2)
        await end_deals(looker.ports.streams, 4, 5)
        await w.until(lambda: looker.finished_count == 5, 5, "more")
        assert kept(looker) == ["deal4", "deal5"]
        assert [r.deal_id for r in looker.finished_after(1)] == ["deal4", "deal5"]

        narrator, overview = Narrator(), looker.overview()
        error = ErrorEvent(
            event_id="e1",
            rule="L01",
            unit_id="E001",
            reported_by="E001",
            category=Category.LOGIC,
            extent=Extent.LOCAL,
            level=Level.WARN,
            message="odd",
            date_time=TIME,
            date_time_utc=TIME,
        )
        deal = DealLine("deal6", "started", "E002", "E001", 30, 1.0, 1.0, None)
        told = list(narrator.news(replace(overview, deals=(deal,)), [error], looker.finished_after(4), ()))
        assert [t.split(":")[0] for t in told][-3:] == ["deal deal6 E002 -> E001 30 Wh", "LOGIC", "deal deal5 done"]
        assert not list(narrator.news(replace(overview, deals=(deal,)), [error], (), ()))
        assert not list(narrator.news(overview, [], (), ()))
        assert not [what for what in narrator._told if what.startswith("deal ")]
        assert not narrator._errors
        following.cancel()


def test_what_is_kept_of_ended_deals_and_errors_is_bounded() -> None:
    """All are counted, the last are kept; each is told once, and then what is over is forgotten."""
    run_virtual(check_what_is_kept())


async def who_is_known(lock: Lock) -> bool:
    async with world(1, started=False) as w, operator(w) as looker:
        w.store.ctl.write([Write(LOCK + "E009", lock.to_json())])
        await w.until(lambda: looker.records.lock("E009") == lock and "E009" in looker.records.locks(), 5, "seen")
        return looker.knows("E009")


@pytest.mark.parametrize(
    ("lock", "known"),
    [
        (Lock(), False),
        (Lock(exclusion="breaker opened"), True),
        (Lock(entries=(LockEntry(deal_id="d1", direction=Direction.CHARGE, ampere=1.0),)), True),
    ],
)
def test_a_unit_that_has_left_is_known_while_something_of_it_is_open(lock: Lock, known: bool) -> None:
    """A deal or an exclusion is open; the empty lock that a deal leaves behind is not."""
    assert run_virtual(who_is_known(lock)) is known
