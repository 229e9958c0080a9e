"""Every reaction of the table in a running community, in virtual time: done, and what it leaves behind."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING

import pytest

from apis_rules.node import messages
from apis_rules.ports.types import Category, Epoch, ErrorEvent, Extent, Level, OperationMode
from apis_rules.ports.virtual_time import run_virtual
from tests.node.test_floor import services_of
from tests.node.test_life import exit_code
from tests.node.world import SCRAM_DELAY_S, SMALL_DEALS, World, pair, world

if TYPE_CHECKING:
    from apis_rules.node.errors import Errors

ACCELERATION = 20.0
SUSTAINING_S = 30.0
"""Of both kinds of errors, in the shipped policy."""


def raise_as(errors: Errors, kind: str, text: str = "made for a test") -> ErrorEvent:
    """Let a node raise an event of any kind about itself, as a rule file of one's own would."""
    category, extent, level = kind.split(":")
    event = errors._event(kind, Category(category), Extent(extent), Level(level), text)
    errors._raise(event)
    return event


def known(w: World) -> None:
    """The converters' modes are known and WAIT, every switched deal has its record, and nothing is left locked."""
    assert {w.mode(u) for u in w.unit_ids} == {"WAIT"}, w.tell()
    assert not w.records.active()[0].units, w.tell()
    assert all(not lock.entries for lock, _ in w.records.locks().values()), w.tell()
    assert not w.records.deals(), w.tell()
    w.check_grid()
    w.check_books()


async def of_one_unit(kind: str) -> None:
    async with world(4, acceleration=ACCELERATION, seed=2, policy=SMALL_DEALS, rsoc=[92.0, 27.0, 91.0, 26.0]) as w:
        await w.until(lambda: len(w.deals_in("started")) == 2, 60, "two deals")
        await w.until(lambda: w.master == w.records.grid()[0].holder, 30, "the holder is master")
        unit_id = w.master
        assert unit_id is not None
        own = set(w.records.deals_of(unit_id))
        others = set(w.deals_in("started")) - own
        raise_as(services_of(w, unit_id).errors, kind)
        await w.until(lambda: own <= {r.deal_id for r in w.final_records}, 30, "its deal ends")
        await w.until(lambda: w.mode(unit_id) == "WAIT", 30, "it waits")
        category, _, level = kind.split(":")
        resigns = level == "FATAL" or category in ("LOGIC", "FRAMEWORK")
        if resigns:
            await w.until(lambda: w.master not in (None, unit_id), 15, "another master")
        if level == "FATAL":
            await w.until(lambda: exit_code(w, unit_id) is not None, 20, "it ends")
            w.houses[unit_id].node = None
        else:
            assert "an error" in services_of(w, unit_id).board.trading or not w.records.deals_of(unit_id)
        await w.until(lambda: others <= {r.deal_id for r in w.final_records}, 90, "the others' deal")
        assert [r.abort_reason for r in w.final_records if r.deal_id in others] == [None]
        if level == "ERROR":
            await w.until(lambda: w.records.deals_of(unit_id), SUSTAINING_S + 60, "it trades again")
        w.check_grid()


@pytest.mark.parametrize(
    "kind",
    [
        "HARDWARE:LOCAL:ERROR",
        pytest.param("LOGIC:LOCAL:ERROR", marks=pytest.mark.campaign),
        "USER:LOCAL:FATAL",
    ],
)
def test_an_error_of_one_unit(kind: str) -> None:
    """Its deals end with their records, it waits, resigns or ends as the table says; the others' deal goes on."""
    run_virtual(of_one_unit(kind))


async def of_all(kind: str) -> None:
    async with pair(ACCELERATION) as w:
        await w.one_deal()
        epoch = w.records.epoch()
        assert epoch is not None
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        raise_as(services_of(w, "E002").errors, kind)
        await w.until(lambda: {w.mode(u) for u in w.unit_ids} == {"WAIT"}, SCRAM_DELAY_S + 1.0, "everybody waits")
        await w.until(lambda: w.records.grid()[0].state == "dead" and not w.records.deals(), 30, "at rest")
        category, _, level = kind.split(":")
        if level == "FATAL":
            await w.until(lambda: None not in [exit_code(w, u) for u in w.unit_ids], 40, "everybody ends")
            known(w)
            return
        known(w)
        sustain = w.records.sustain()
        assert sustain is not None
        assert sustain.answered_seq == w.store.logs["ERRLOG"].messages()[-1].seq
        mode = w.records.mode()
        if category == "HARDWARE":
            assert mode is not None
            assert (mode.mode, mode.reason) == (OperationMode.STOP, "made for a test")
            await w.operator_sets("autonomous")
        else:
            assert mode is None
        if category == "LOGIC":
            await w.until(lambda: w.records.epoch().number > epoch.number, 20, "a new term")  # type: ignore[union-attr]
        await w.until(lambda: w.deals_in("created", "activated", "started"), SUSTAINING_S + 30, "they trade again")
        assert loop.time() - began_s >= SUSTAINING_S
        w.check_grid()


@pytest.mark.parametrize(
    "kind", ["HARDWARE:GLOBAL:ERROR", "LOGIC:GLOBAL:ERROR", "USER:GLOBAL:ERROR", "FRAMEWORK:GLOBAL:FATAL"]
)
def test_an_error_of_the_community(kind: str) -> None:
    """A scram in time; then the mode stop with its reason, a new term, or the end of all; trade after its time only."""
    run_virtual(of_all(kind))


async def while_another_is_answered() -> None:
    async with pair(ACCELERATION) as w:
        await w.one_deal()
        errors = services_of(w, "E002").errors
        for line in w.store.lines.values():
            line.cut()  # nobody can end deals, so the local reaction waits for a minute
        raise_as(errors, "HARDWARE:LOCAL:ERROR", "first")
        await asyncio.sleep(1)
        raise_as(errors, "HARDWARE:GLOBAL:ERROR", "second")
        assert errors.reaction is not None, "demanded at once"
        raise_as(errors, "USER:LOCAL:FATAL", "third")
        await w.until(lambda: errors._local.empty() and not errors._local.fatal.is_set(), 1.0, "FATAL interrupts")


def test_nothing_waits_behind_the_answer_to_another_event() -> None:
    """While a unit waits for the end of its deals, a community error and a fatal one are answered at once."""
    run_virtual(while_another_is_answered())


async def master_dies(*, heard: bool) -> None:
    async with pair(ACCELERATION) as w:
        await w.one_deal()
        master = w.master
        assert master is not None
        other = next(u for u in w.unit_ids if u != master)
        await w.kill(master)
        raise_as(services_of(w, other).errors, "HARDWARE:GLOBAL:ERROR")
        if not heard:
            await w.until(lambda: w.events("HARDWARE:GLOBAL:ERROR"), 2, "kept")
            await w.kill(other)
            w.start(other)
        await w.until(lambda: w.records.mode() is not None, 40, "the mode is set by whoever is master next")
        assert w.records.mode().reason == "made for a test"  # type: ignore[union-attr]
        assert w.records.sustain() is not None
        w.start(master)
        await w.at_rest(60)
        w.check_grid()
        w.check_books()


@pytest.mark.parametrize("heard", [True, False])
def test_a_community_error_outlives_its_master(heard: bool) -> None:
    """Its master dies over it, or all nodes do: the next master answers it, with the mode and the sustaining time."""
    run_virtual(master_dies(heard=heard))


async def hand_over_while_sustaining() -> None:
    async with pair(ACCELERATION) as w:
        await w.one_deal()
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        raise_as(services_of(w, "E001").errors, "USER:GLOBAL:ERROR")
        await w.until(lambda: w.records.sustain() is not None, 5, "written")
        await w.at_rest(30)
        for unit_id in w.unit_ids:
            await w.kill(unit_id)
        for unit_id in w.unit_ids:
            w.start(unit_id)
        await w.until(w.records.deals, SUSTAINING_S + 60, "they trade again")
        assert loop.time() - began_s >= SUSTAINING_S


def test_a_new_master_does_not_shorten_the_sustaining_time() -> None:
    """All nodes are started anew meanwhile: nobody trades before the time of the error is over."""
    run_virtual(hand_over_while_sustaining())


async def not_by_right() -> None:
    async with pair(ACCELERATION) as w:
        deal_id = await w.one_deal()
        epoch = w.records.epoch()
        assert epoch is not None
        stranger = w.store.connect("E009").bus
        template = services_of(w, "E001").errors._event(
            "made", Category.HARDWARE, Extent.LOCAL, Level.FATAL, "not by right"
        )
        foreign = Epoch(number=epoch.number, term_id="another")
        for changes in (
            {"unit_id": "E001", "reported_by": "E002"},
            {"unit_id": "E001", "reported_by": "E009"},
            {"unit_id": "E009", "reported_by": "E009", "extent": Extent.GLOBAL},
            {"unit_id": "E001", "reported_by": "E002", "extent": Extent.GLOBAL},
            {"unit_id": "E001", "reported_by": "E002", "epoch": foreign},
        ):
            event = template.model_copy(update={"event_id": uuid.uuid4().hex, **changes})
            await stranger.broadcast(messages.ERRORS, event.to_json())
        await asyncio.sleep(5)
        assert w.deals_in("started") == [deal_id], "the deal goes on"
        event = template.model_copy(update={"event_id": uuid.uuid4().hex, "reported_by": "E002", "epoch": epoch})
        await stranger.broadcast(messages.ERRORS, event.to_json())
        await w.until(lambda: [r for r in w.final_records if r.deal_id == deal_id], 30, "the master's word counts")


def test_only_the_master_speaks_for_others() -> None:
    """What another unit or a stranger says of a unit is left out; a Grid Master's word, by its epoch, is answered."""
    run_virtual(not_by_right())


def test_an_error_that_stays_is_told_ever_more_rarely() -> None:
    """Raised each second for two minutes: told a few times, present all the time; gone and back again, told at once."""

    async def scene() -> None:
        async with world(2, acceleration=1.0, rsoc=[50.0, 50.0]) as w:
            await w.until(lambda: w.master, 20, "a master")
            errors = services_of(w, "E001").errors
            for _ in range(120):
                raise_as(errors, "HARDWARE:LOCAL:ERROR")
                assert errors.local_present
                await asyncio.sleep(1)
            told = len(w.events("HARDWARE:LOCAL:ERROR"))
            assert 3 <= told <= 5
            await asyncio.sleep(30)
            raise_as(errors, "HARDWARE:LOCAL:ERROR")
            await asyncio.sleep(1)
            assert len(w.events("HARDWARE:LOCAL:ERROR")) == told + 1

    run_virtual(scene())
