"""The lease (contract in ``apis_rules.ports.lease``)."""

from __future__ import annotations

import asyncio

import pytest

from apis_rules.errors import Conflict, Fenced
from apis_rules.ports.lease import LeaseState, Term
from apis_rules.ports.state import Write
from tests.contract.bench import Bench

pytestmark = pytest.mark.anyio
LIMIT_S = 15


async def acquired(lease, owner: str, highest_reported: int = 0) -> Term:
    async with asyncio.timeout(LIMIT_S):
        while (term := await lease.acquire(owner, highest_reported)) is None:
            await asyncio.sleep(0.05)
    return term


async def test_one_of_many_candidates_wins(bench: Bench) -> None:
    """However many try at once, one gets the term and everybody sees who."""
    async with bench.connect("E001") as one, bench.connect("E002") as two:
        terms = await asyncio.gather(*(p.lease.acquire(u) for p, u in ((one, "E001"), (two, "E002")) for _ in range(3)))
        won = [t for t in terms if t is not None]
        assert len(won) == 1
        assert (await one.lease.state()).holder == won[0].owner == (await two.lease.state()).holder


async def test_a_living_lease_is_never_taken(bench: Bench) -> None:
    """While the holder renews, nobody else gets the lease, over more than its life."""
    async with bench.connect("E001") as one, bench.connect("E002") as two:
        term = await acquired(one.lease, "E001")
        for _ in range(int(bench.life_s * 1.5 / 0.5)):
            await asyncio.sleep(0.5)
            term = await one.lease.renew(term)
            assert await two.lease.acquire("E002") is None


async def test_a_lease_ends_by_itself_and_the_next_epoch_is_higher(bench: Bench) -> None:
    """Without renewals the lease ends within its life, the next term has a higher number, and the old one is fenced."""
    async with bench.connect("E001") as one, bench.connect("E002") as two:
        old = await acquired(one.lease, "E001")
        began = asyncio.get_running_loop().time()
        new = await acquired(two.lease, "E002")
        waited_s = asyncio.get_running_loop().time() - began
        assert bench.life_s * 0.7 <= waited_s <= bench.life_s * 1.1 + 1
        assert new.epoch.number > old.epoch.number
        with pytest.raises(Fenced):
            await one.lease.renew(old)
        with pytest.raises(Conflict):
            await one.ctl.write(Write("grid", b"stale", old.fence))
        await two.ctl.write(Write("grid", b"new", new.fence))


async def test_a_renewal_moves_the_deadline(bench: Bench) -> None:
    """A renewal returns the moment before it was sent, and the term keeps its epoch and its fence."""
    async with bench.connect("E001") as ports:
        term = await acquired(ports.lease, "E001")
        before_s = ports.clock.now_s()
        renewed = await ports.lease.renew(term)
        assert before_s <= renewed.sent_at_s <= ports.clock.now_s()
        assert renewed.sent_at_s >= term.sent_at_s
        assert (renewed.epoch, renewed.fence) == (term.epoch, term.fence)
        assert renewed.lease_revision > term.lease_revision


async def test_a_released_lease_is_free_at_once(bench: Bench) -> None:
    """After a release another candidate gets the lease without waiting; releasing again does nothing."""
    async with bench.connect("E001") as one, bench.connect("E002") as two:
        term = await acquired(one.lease, "E001")
        await one.lease.release(term)
        assert (await two.lease.state()).holder is None
        new = await two.lease.acquire("E002")
        assert new is not None
        await one.lease.release(term)
        assert (await two.lease.state()).holder == "E002"


async def test_the_epoch_is_above_what_units_have_seen(bench: Bench) -> None:
    """The number is one above the stored one and above the highest that any unit reported."""
    async with bench.connect("E001") as ports:
        term = await acquired(ports.lease, "E001", highest_reported=41)
        assert term.epoch.number == 42
        await ports.lease.release(term)
        following = await acquired(ports.lease, "E001", highest_reported=7)
        assert following.epoch.number == 43
        assert following.epoch.term_id != term.epoch.term_id


async def test_watchers_hear_of_every_change(bench: Bench) -> None:
    """Candidates are told when the lease appears and when it ends, the latter within its life."""
    async with bench.connect("E001") as one, bench.connect("E002") as two:
        changes = two.lease.changes()
        async with asyncio.timeout(LIMIT_S):
            assert await anext(changes) == LeaseState(None, None)
            term = await acquired(one.lease, "E001")
            state = await anext(changes)
            while state != LeaseState("E001", term.epoch):
                state = await anext(changes)
            while (state := await anext(changes)).holder is not None:
                pass
        assert state.epoch == term.epoch
        await changes.aclose()  # type: ignore[attr-defined]  # the port promises an iterator; all are generators
