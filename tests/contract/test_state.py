"""Shared state: conditions, batches, time limits, views (contract in ``apis_rules.ports.state``)."""

from __future__ import annotations

import asyncio

import pytest

from apis_rules.errors import Conflict, Outage
from apis_rules.ports.state import At, Write
from tests.contract.bench import Bench

pytestmark = pytest.mark.anyio
LIMIT_S = 10


async def until(condition, within_s: float = LIMIT_S) -> None:
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.01)


async def test_a_write_is_read_back_with_its_revision(bench: Bench) -> None:
    """What was acknowledged is what the next read shows, with the revision that the write returned."""
    async with bench.connect("E001") as ports:
        revision = await ports.ctl.write(Write("grid", b"dead"))
        entry = await ports.ctl.get("grid")
        assert (entry.value, entry.revision) == (b"dead", revision)


async def test_an_unknown_key_is_absent_at_revision_zero(bench: Bench) -> None:
    """A key that was never written is absent, and its condition is revision 0."""
    async with bench.connect("E001") as ports:
        entry = await ports.ctl.get("deal.none")
        assert (entry.value, entry.revision) == (None, 0)
        await ports.ctl.write(Write("deal.none", b"1", entry.at))


async def test_revisions_of_a_bucket_only_grow(bench: Bench) -> None:
    """Each write gets a higher revision than every write before it, whatever its key."""
    async with bench.connect("E001") as ports:
        revisions = [await ports.ctl.write(Write(f"deal.{n % 3}", b"x")) for n in range(9)]
        assert revisions == sorted(set(revisions))


async def test_a_stale_condition_changes_nothing(bench: Bench) -> None:
    """A write on condition of a revision that is no longer the last one is refused and not done."""
    async with bench.connect("E001") as one, bench.connect("E002") as two:
        first = await one.ctl.write(Write("grid", b"1"))
        await two.ctl.write(Write("grid", b"2", At("grid", first)))
        with pytest.raises(Conflict):
            await one.ctl.write(Write("grid", b"3", At("grid", first)))
        assert (await one.ctl.get("grid")).value == b"2"


async def test_only_one_of_two_creators_wins(bench: Bench) -> None:
    """Of several writers that all found a key absent, exactly one is acknowledged."""
    async with bench.connect("E001") as one, bench.connect("E002") as two:

        async def create(ports, name: bytes) -> bool:
            try:
                await ports.ctl.write(Write("lock.E009", name, At("lock.E009", 0)))
            except Conflict:
                return False
            return True

        won = await asyncio.gather(*(create(p, n) for p, n in ((one, b"1"), (two, b"2"), (one, b"3"), (two, b"4"))))
        assert won.count(True) == 1


async def test_a_condition_on_another_key_fences_a_write(bench: Bench) -> None:
    """A write may depend on a key that it does not write, and is refused once that key has changed."""
    async with bench.connect("E001") as ports:
        fence = await ports.ctl.write(Write("gm.epoch", b"1"))
        await ports.ctl.write(Write("grid", b"a", At("gm.epoch", fence)))
        await ports.ctl.write(Write("gm.epoch", b"2"))
        with pytest.raises(Conflict):
            await ports.ctl.write(Write("grid", b"b", At("gm.epoch", fence)))
        assert (await ports.ctl.get("grid")).value == b"a"


async def test_a_batch_is_all_or_nothing(bench: Bench) -> None:
    """A deal and both locks are written together, or, when one condition fails, none of them."""
    async with bench.connect("E001") as ports:
        taken = await ports.ctl.write(Write("lock.E002", b"taken"))
        with pytest.raises(Conflict):
            await ports.ctl.write(
                Write("deal.1", b"d"),
                Write("lock.E001", b"l", At("lock.E001", 0)),
                Write("lock.E002", b"l", At("lock.E002", taken - 1 if taken > 1 else 7)),
            )
        assert (await ports.ctl.get("deal.1")).value is None
        assert (await ports.ctl.get("lock.E001")).value is None
        last = await ports.ctl.write(
            Write("deal.1", b"d"),
            Write("lock.E001", b"l", At("lock.E001", 0)),
            Write("lock.E002", b"l", At("lock.E002", taken)),
        )
        assert [(await ports.ctl.get(k)).value for k in ("deal.1", "lock.E001", "lock.E002")] == [b"d", b"l", b"l"]
        assert (await ports.ctl.get("lock.E002")).revision == last


async def test_a_batch_may_be_fenced_by_a_key_outside_it(bench: Bench) -> None:
    """One part's condition on the epoch holds back the whole batch of a master whose term is over."""
    async with bench.connect("E001") as ports:
        fence = At("gm.epoch", await ports.ctl.write(Write("gm.epoch", b"1")))
        await ports.ctl.write(Write("deal.1", b"a", fence), Write("lock.E001", b"a"))
        await ports.ctl.write(Write("gm.epoch", b"2"))
        with pytest.raises(Conflict):
            await ports.ctl.write(Write("deal.1", b"b", fence), Write("lock.E001", None))
        assert (await ports.ctl.get("lock.E001")).value == b"a"


async def test_a_batch_reaches_a_view_whole(bench: Bench) -> None:
    """A view shows every part of a batch, each as a change with its own revision in order."""
    async with bench.connect("E001") as ports, ports.ctl.watch("deal.", "lock.") as view:
        await asyncio.wait_for(view.wait_fresh(), LIMIT_S)
        changes = view.changes()
        last = await ports.ctl.write(Write("deal.1", b"d"), Write("lock.E001", b"l"), Write("lock.E002", b"l"))
        async with asyncio.timeout(LIMIT_S):
            seen = [await anext(changes) for _ in range(3)]
        assert [e.key for e in seen] == ["deal.1", "lock.E001", "lock.E002"]
        assert [e.revision for e in seen] == [last - 2, last - 1, last]


async def test_a_deleted_key_is_absent_and_keeps_a_revision(bench: Bench) -> None:
    """Deleting is a change: the key is absent, and its new revision is the condition of the next write."""
    async with bench.connect("E001") as ports:
        first = await ports.ctl.write(Write("lock.E001", b"l"))
        deleted = await ports.ctl.write(Write("lock.E001", None, At("lock.E001", first)))
        entry = await ports.ctl.get("lock.E001")
        assert entry.value is None
        assert entry.revision == deleted > first
        with pytest.raises(Conflict):
            await ports.ctl.write(Write("lock.E001", b"again", At("lock.E001", first)))
        await ports.ctl.write(Write("lock.E001", b"again", entry.at))


async def test_a_value_expires_after_its_time_limit(bench: Bench) -> None:
    """A value with a time limit is gone after it, and its condition is what the read then returns."""
    async with bench.connect("E001") as ports:
        loop = asyncio.get_running_loop()
        began = loop.time()
        written = await ports.ctl.write(Write("gm.lease", b"x", time_limit_s=1))
        async with asyncio.timeout(LIMIT_S):
            while (entry := await ports.ctl.get("gm.lease")).value is not None:
                await asyncio.sleep(0.02)
        assert 0.9 <= loop.time() - began <= 2.5
        assert entry.revision != written
        with pytest.raises(Conflict):
            await ports.ctl.write(Write("gm.lease", b"y", At("gm.lease", written)))
        await ports.ctl.write(Write("gm.lease", b"y", entry.at))


async def test_writing_again_moves_or_ends_the_time_limit(bench: Bench) -> None:
    """The time limit is that of the last write: renewed values live on, and one written without a limit stays."""
    async with bench.connect("E001") as ports:
        await ports.ctl.write(Write("renewed", b"x", time_limit_s=1), Write("kept", b"x", time_limit_s=1))
        await ports.ctl.write(Write("kept", b"x"))
        for _ in range(4):
            await asyncio.sleep(0.4)
            await ports.ctl.write(Write("renewed", b"x", time_limit_s=1))
        assert (await ports.ctl.get("renewed")).value == b"x"
        assert (await ports.ctl.get("kept")).value == b"x"


@pytest.mark.parametrize("limit", [0, -1, 1.5])
async def test_a_time_limit_is_whole_seconds_from_one(bench: Bench, limit: float) -> None:
    """A time limit that a store would round or ignore is refused before anything is sent."""
    async with bench.connect("E001") as ports:
        with pytest.raises(ValueError, match="whole seconds"):
            await ports.ctl.write(Write("a", b"x", time_limit_s=limit))  # type: ignore[arg-type]  # the mistake itself
        assert (await ports.ctl.get("a")).value is None


async def test_an_empty_batch_and_a_key_twice_are_refused(bench: Bench) -> None:
    """Mistakes of the caller are ``ValueError`` and write nothing."""
    async with bench.connect("E001") as ports:
        with pytest.raises(ValueError, match="nothing"):
            await ports.ctl.write()
        with pytest.raises(ValueError, match="once"):
            await ports.ctl.write(Write("a", b"1"), Write("a", b"2"))


async def test_keys_lists_what_is_present(bench: Bench) -> None:
    """``keys`` shows present keys below a prefix, sorted, acknowledged writes of others included."""
    async with bench.connect("E001") as one, bench.connect("E002") as two:
        await one.ctl.write(Write("deal.b", b"1"), Write("deal.a", b"1"), Write("dealer", b"1"), Write("deal.c", b"1"))
        await two.ctl.write(Write("deal.c", None))
        assert list(await two.ctl.keys("deal.")) == ["deal.a", "deal.b"]
        assert list(await one.ctl.keys("dealer")) == ["dealer"]
        assert set(await one.ctl.keys()) >= {"deal.a", "deal.b", "dealer"}


async def test_a_view_begins_with_what_is_there(bench: Bench) -> None:
    """A fresh view shows everything that was acknowledged before it was opened, below its prefixes only."""
    async with bench.connect("E001") as one, bench.connect("E002") as two:
        await one.ctl.write(Write("deal.1", b"d"), Write("lock.E001", b"l"), Write("other", b"o"))
        await one.ctl.write(Write("deal.2", b"gone"))
        last = await one.ctl.write(Write("deal.2", None))
        async with two.ctl.watch("deal.", "other") as view:
            await asyncio.wait_for(view.wait_fresh(), LIMIT_S)
            assert set(view.entries()) == {"deal.1", "other"}
            assert view.get("deal.1").value == b"d"
            assert view.get("deal.2").value is None
            assert view.get("lock.E001").value is None
            assert view.revision >= last


async def test_a_view_follows_in_order(bench: Bench) -> None:
    """Changes reach a view in the order of their revisions, expiries as absence, and the picture with them."""
    async with bench.connect("E001") as one, bench.connect("E002") as two, two.ctl.watch() as view:
        await asyncio.wait_for(view.wait_fresh(), LIMIT_S)
        changes = view.changes()
        for n in range(20):
            await one.ctl.write(Write(f"deal.{n % 4}", str(n).encode()))
        await one.ctl.write(Write("gm.lease", b"x", time_limit_s=1))
        seen = []
        async with asyncio.timeout(LIMIT_S):
            async for entry in changes:
                seen.append(entry)
                if entry.key == "gm.lease" and entry.value is None:
                    break
        assert [e.revision for e in seen] == sorted(e.revision for e in seen)
        assert [e.value for e in seen if e.key.startswith("deal.")][-4:] == [b"16", b"17", b"18", b"19"]
        assert {k: e.value for k, e in view.entries("deal.").items()} == {
            f"deal.{n % 4}": str(n).encode() for n in range(16, 20)
        }
        assert view.revision == seen[-1].revision


async def test_a_view_knows_that_it_is_old(bench: Bench) -> None:
    """A view whose store is not heard of stops being fresh within 3.5 s, and takes everything again afterwards."""
    async with bench.connect("E001") as one, bench.connect("E002") as two, two.ctl.watch() as view:
        await one.ctl.write(Write("deal.1", b"before"), Write("deal.2", b"before"))
        await asyncio.wait_for(view.wait_fresh(), LIMIT_S)
        await until(lambda: view.get("deal.2").value == b"before")
        changes = view.changes()
        await bench.cut("E002")
        await until(lambda: not view.fresh, within_s=3.5)
        await one.ctl.write(Write("deal.1", b"after"), Write("deal.2", None))
        assert view.get("deal.1").value == b"before"
        await bench.restore("E002")
        await asyncio.wait_for(view.wait_fresh(), LIMIT_S)
        await until(lambda: view.get("deal.1").value == b"after")
        assert set(view.entries("deal.")) == {"deal.1"}
        async with asyncio.timeout(LIMIT_S):
            told = {(e.key, e.value) for e in [await anext(changes), await anext(changes)]}
        assert told == {("deal.1", b"after"), ("deal.2", None)}


async def test_nothing_sent_while_disconnected_arrives_later(bench: Bench) -> None:
    """A write made without a connection is an outage at once or at its limit, and is never applied afterwards."""
    async with bench.connect("E001") as one, bench.connect("E002") as two:
        await bench.cut("E002")
        with pytest.raises(Outage):
            await two.ctl.write(Write("deal.1", b"late"))
        with pytest.raises(Outage):
            await two.ctl.get("deal.1")
        await bench.restore("E002")
        await two.ctl.write(Write("deal.2", b"now"))
        assert (await one.ctl.get("deal.1")).value is None


async def test_buckets_do_not_share_keys(bench: Bench) -> None:
    """The three buckets are three histories."""
    async with bench.connect("E001") as ports:
        await ports.ctl.write(Write("E001", b"ctl"))
        await ports.unit.write(Write("E001", b"unit", time_limit_s=20))
        assert (await ports.policy.get("E001")).value is None
        assert (await ports.unit.get("E001")).value == b"unit"


async def test_the_link_says_when_it_is_lost_and_found(bench: Bench) -> None:
    """``Link.changes`` yields the state now, its loss and its return."""
    async with bench.connect("E001") as ports:
        changes = ports.link.changes()
        async with asyncio.timeout(LIMIT_S):
            assert await anext(changes) is True
            await bench.cut("E001")
            assert await anext(changes) is False
            assert not ports.link.connected
            await bench.restore("E001")
            assert await anext(changes) is True
