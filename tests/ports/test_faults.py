"""What the twins' wires and stores do wrong when they are asked to."""

from __future__ import annotations

import asyncio
import random

import pytest

from apis_rules.errors import Conflict, Fenced, Outage, Refused, Unknown
from apis_rules.ports.memory import Fault, FaultKind, Killed, MemoryCommunity, MemoryDevice
from apis_rules.ports.memory.faults import Line
from apis_rules.ports.state import At, Write
from apis_rules.ports.types import Command, CommandName, ConverterMode, Epoch
from apis_rules.ports.virtual_time import VirtualTimeLoop

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    return ("asyncio", {"loop_factory": VirtualTimeLoop})


async def test_a_lost_write_is_unknown_and_not_done() -> None:
    """A request that never arrives costs the caller its limit and changes nothing."""
    community = MemoryCommunity()
    ports = community.connect("E001")
    community.lines["E001"].fail_next("write", Fault(FaultKind.LOST))
    began = asyncio.get_running_loop().time()
    with pytest.raises(Unknown):
        await ports.ctl.write(Write("grid", b"x"))
    assert asyncio.get_running_loop().time() - began == pytest.approx(1.0, abs=0.01)
    assert (await ports.ctl.get("grid")).value is None


async def test_a_lost_acknowledgement_is_unknown_and_done() -> None:
    """A write whose acknowledgement is lost has been applied."""
    community = MemoryCommunity()
    ports = community.connect("E001")
    community.lines["E001"].fail_next("write", Fault(FaultKind.ACK_LOST))
    with pytest.raises(Unknown):
        await ports.ctl.write(Write("grid", b"x"))
    assert (await ports.ctl.get("grid")).value == b"x"


async def test_a_delayed_write_is_applied_after_the_caller_gave_up() -> None:
    """A write that arrives late is unknown, then applied, unless its condition no longer holds."""
    community = MemoryCommunity()
    ports = community.connect("E001")
    line = community.lines["E001"]
    line.fail_next("write", Fault(FaultKind.DELAYED, 3.0))
    line.fail_next("write", Fault(FaultKind.DELAYED, 3.0))
    with pytest.raises(Unknown):
        await ports.ctl.write(Write("grid", b"late"))
    with pytest.raises(Unknown):
        await ports.ctl.write(Write("deal.1", b"late", At("deal.1", 0)))
    await ports.ctl.write(Write("deal.1", b"other"))
    assert (await ports.ctl.get("grid")).value is None
    await asyncio.sleep(3)
    assert (await ports.ctl.get("grid")).value == b"late"
    assert (await ports.ctl.get("deal.1")).value == b"other"


async def test_a_cut_before_the_acknowledgement_is_unknown() -> None:
    """When the wire breaks after the store has written, the caller cannot know."""
    community = MemoryCommunity()
    ports = community.connect("E001")
    line = community.lines["E001"]
    line.latency_s = 1.0
    write = asyncio.create_task(ports.ctl.write(Write("grid", b"x")))
    await asyncio.sleep(1.5)
    line.cut()
    with pytest.raises(Unknown):
        await write
    assert community.ctl.get("grid").value == b"x"


async def test_a_frozen_process_continues_with_what_it_was_about_to_do() -> None:
    """A suspended process does nothing; when it continues, its old write is judged by the store as it is then."""
    community = MemoryCommunity(life_s=2)
    one, two = community.connect("E001"), community.connect("E002")
    old = await one.lease.acquire("E001")
    assert old is not None
    community.lines["E001"].freeze()
    stale = asyncio.create_task(one.ctl.write(Write("grid", b"stale", old.fence)))
    renewal = asyncio.create_task(one.lease.renew(old))
    await asyncio.sleep(3)
    assert not stale.done()
    new = await two.lease.acquire("E002")
    assert new is not None
    community.lines["E001"].thaw()
    with pytest.raises(Conflict):
        await stale
    with pytest.raises(Fenced):
        await renewal


async def test_a_killed_process_has_no_effect_any_more() -> None:
    """Killed directly before its n-th write: that write and everything after it never happen."""
    community = MemoryCommunity()
    ports = community.connect("E001")
    community.lines["E001"].writes_until_kill = 2
    await ports.ctl.write(Write("a", b"1"))
    await ports.ctl.write(Write("b", b"1"))
    with pytest.raises(Killed):
        await ports.ctl.write(Write("c", b"1"))
    with pytest.raises(Killed):
        await ports.ctl.get("a")
    assert community.ctl.keys("") == ["a", "b"]


async def test_an_unanswered_renewal_that_was_applied_does_not_end_the_term() -> None:
    """After an unknown renewal the next one finds out that the lease is still ours and goes on."""
    community = MemoryCommunity(life_s=2)
    ports = community.connect("E001")
    term = await ports.lease.acquire("E001")
    assert term is not None
    for fault in (FaultKind.ACK_LOST, FaultKind.LOST):
        community.lines["E001"].fail_next("write", Fault(fault))
        with pytest.raises(Unknown):
            await ports.lease.renew(term)
        renewed = await ports.lease.renew(term)
        assert renewed.sent_at_s > term.sent_at_s
        term = renewed


async def test_two_unanswered_renewals_in_a_row_are_seen_through() -> None:
    """Several renewals applied without an answer leave the term alive for the next."""
    community = MemoryCommunity(life_s=5)
    ports = community.connect("E001")
    term = await ports.lease.acquire("E001")
    assert term is not None
    unharmed = Fault(FaultKind.DELAYED, 0.0)
    # The second renewal is refused first, finds the lease its own, and loses the answer of its second write as well.
    for faults in ([Fault(FaultKind.ACK_LOST)], [unharmed, Fault(FaultKind.ACK_LOST)]):
        for fault in faults:
            community.lines["E001"].fail_next("write", fault)
        with pytest.raises(Unknown):
            await ports.lease.renew(term)
    assert (await ports.lease.renew(term)).epoch == term.epoch


async def test_a_duplicated_command_is_delivered_twice_and_a_delayed_one_later() -> None:
    """The wire may repeat and delay what the store hands on; the unit has to tell."""
    community = MemoryCommunity()
    master, unit = community.connect("E001"), community.connect("E002")
    term = await master.lease.acquire("E001")
    assert term is not None
    line = community.lines["E002"]

    def order(seq: int) -> Command:
        return Command(epoch=term.epoch, seq=seq, boot="b", refresh=1, name=CommandName.WAIT)

    async with unit.commands.inbox("E002") as inbox:
        line.fail_next("command", Fault(FaultKind.DUPLICATED))
        line.fail_next("command", Fault(FaultKind.DELAYED, 5.0))
        for seq in (1, 2, 3):
            await master.commands.send("E002", order(seq), term)
        assert [(await anext(inbox)).seq for _ in range(3)] == [1, 1, 3]
        assert (await anext(inbox)).seq == 2


async def test_a_rewound_store_hands_out_revisions_again() -> None:
    """After going back in time the store shows the old values, and views notice without being told of a change."""
    community = MemoryCommunity()
    ports = community.connect("E001")
    await ports.ctl.write(Write("grid", b"old"))
    kept = community.snapshot()
    newer = await ports.ctl.write(Write("grid", b"new"))
    async with ports.ctl.watch() as view:
        await view.wait_fresh()
        community.rewind(kept)
        await asyncio.sleep(0.1)
        assert view.get("grid").value == b"old"
        assert view.revision < newer
        assert await ports.ctl.write(Write("deal.1", b"x")) == newer


async def test_a_lost_store_has_another_identity() -> None:
    """A store that begins anew is empty and says that it is another one."""
    community = MemoryCommunity()
    ports = community.connect("E001")
    await ports.ctl.write(Write("grid", b"x"))
    async with ports.ctl.watch() as view:
        await view.wait_fresh()
        before = view.store_id
        community.lose()
        await asyncio.sleep(0.1)
        assert view.fresh
        assert view.store_id != before
        assert view.entries() == {}


async def test_a_stopped_store_is_an_outage_and_forgets_presence_only() -> None:
    """While the store is down every call is an outage; back again it has its files, not its memory."""
    community = MemoryCommunity()
    ports = community.connect("E001")
    await ports.ctl.write(Write("grid", b"x"))
    await ports.unit.write(Write("E001", b"here", time_limit_s=20))
    community.stop()
    with pytest.raises(Outage):
        await ports.ctl.get("grid")
    late = community.connect("E002")
    assert not late.link.connected
    community.start()
    assert (await late.ctl.get("grid")).value == b"x"
    assert (await late.unit.get("E001")).value is None


async def test_a_full_store_refuses_writes() -> None:
    """A used-up quota refuses buckets and streams alike."""
    community = MemoryCommunity()
    ports = community.connect("E001")
    community.ctl.full = community.logs["ERRLOG"].full = True
    with pytest.raises(Refused, match="full"):
        await ports.ctl.write(Write("grid", b"x"))
    with pytest.raises(Refused, match="full"):
        await ports.streams.append("ERRLOG", "E001", b"e", message_id="m")


async def test_a_stream_drops_its_oldest_messages() -> None:
    """A stream keeps to its bound; a reader continues with what is still there."""
    community = MemoryCommunity()
    community.logs["ERRLOG"].max_bytes = 30
    ports = community.connect("E001")
    for n in range(6):
        await ports.streams.append("ERRLOG", f"E{n}", b"0123456789", message_id=str(n))
    reader = ports.streams.read("ERRLOG")
    assert [(await anext(reader)).seq for _ in range(3)] == [4, 5, 6]
    assert await ports.streams.last("ERRLOG", "E0") is None
    await reader.aclose()  # type: ignore[attr-defined]  # the twin's is a generator


async def test_random_faults_are_the_same_for_the_same_seed() -> None:
    """Two wires with the same seed and rates fail in the same calls."""

    def pattern(seed: int) -> list[bool]:
        line = Line()
        line.fail_randomly({("write", Fault(FaultKind.LOST)): 0.3}, random.Random(seed))
        return [line.fault_for("write") is not None for _ in range(200)]

    assert pattern(1) == pattern(1) != pattern(2)
    assert 30 < sum(pattern(1)) < 90


async def test_the_ideal_converter_does_what_it_is_told() -> None:
    """Mode, set-points and signs come back as they were set; a stop overtakes a queue of other requests."""
    line = Line()
    device = MemoryDevice(line)
    await device.set_mode(ConverterMode.DISCHARGE, 350.0, 2.0, 0.0)
    meter = (await device.read()).document["dcdc"]["meter"]
    assert (meter["vg"], meter["ig"]) == (350.0, -2.0)
    line.latency_s = 1.0
    slow = [asyncio.create_task(device.read()) for _ in range(3)]
    await asyncio.sleep(0.1)
    began = asyncio.get_running_loop().time()
    stopped = await device.stop(0.0)
    assert asyncio.get_running_loop().time() - began == pytest.approx(1.0)
    assert stopped.document["dcdc"]["status"]["status"] == ConverterMode.WAIT.code
    await asyncio.gather(*slow)


async def test_a_guard_holds_back_the_device_write() -> None:
    """What the guard raises stops the set before it leaves."""
    device = MemoryDevice(Line())

    def guard() -> None:
        raise Refused("old epoch")

    with pytest.raises(Refused, match="old epoch"):
        await device.set_current(1.0, guard=guard)
    assert device.requests == []


def test_epochs_compare_by_number_then_identity() -> None:
    """A higher number is newer, and the same number with another id is foreign."""
    mine = Epoch(number=3, term_id="a")
    assert mine.relation_to(None).value == "newer"
    assert Epoch(number=4, term_id="b").relation_to(mine).value == "newer"
    assert Epoch(number=2, term_id="a").relation_to(mine).value == "older"
    assert Epoch(number=3, term_id="a").relation_to(mine).value == "same"
    assert Epoch(number=3, term_id="b").relation_to(mine).value == "foreign"
