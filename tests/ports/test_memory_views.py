"""Views in memory: what they share, and what a gap leads to."""

from __future__ import annotations

import asyncio

from apis_rules.ports.memory import MemoryCommunity
from apis_rules.ports.state import Write
from apis_rules.ports.virtual_time import run_virtual


def test_views_that_have_heard_the_same_share_what_they_show() -> None:
    """Two nodes' tables are one object, before and after a change, and stay it while only other keys change."""

    async def main() -> None:
        community = MemoryCommunity()
        one, two = community.connect("E001"), community.connect("E002")
        community.ctl.write([Write("deal.1", b"a"), Write("lock.E001", b"l")])
        async with one.ctl.watch("deal.", "lock.") as a, two.ctl.watch("deal.", "lock.") as b:
            await asyncio.gather(a.wait_fresh(), b.wait_fresh())
            first = a.entries("deal.")
            assert first is b.entries("deal.")
            await one.ctl.write(Write("lock.E001", None))
            await asyncio.sleep(1)
            assert a.entries("deal.") is first
            assert b.entries("deal.") is first
            await one.ctl.write(Write("deal.1", b"b"))
            await asyncio.sleep(1)
            assert a.entries("deal.") is b.entries("deal.")
            assert a.entries("deal.")["deal.1"].value == b"b"
            assert first["deal.1"].value == b"a"

    run_virtual(main())


def test_a_change_that_overtakes_another_is_not_shown_before_it() -> None:
    """Where a later change arrives first, the view looks at everything and tells both, the earlier one first."""

    async def main() -> None:
        community = MemoryCommunity()
        ports, line = community.connect("E001"), community.lines["E001"]
        async with ports.ctl.watch("deal.") as view:
            await view.wait_fresh()
            changes, quick_s = view.changes(), line.latency_s
            line.latency_s = 10.0
            community.ctl.write([Write("deal.1", b"a")])
            line.latency_s = quick_s
            community.ctl.write([Write("deal.2", b"b")])
            async with asyncio.timeout(5):
                assert [(await anext(changes)).key for _ in range(2)] == ["deal.1", "deal.2"]
            assert set(view.entries("deal.")) == {"deal.1", "deal.2"}

    run_virtual(main())


def test_a_store_that_went_back_shows_no_later_revision_of_before() -> None:
    """After a rewind the same revision is of another history, and a view shows the new one's."""

    async def main() -> None:
        community = MemoryCommunity()
        ports = community.connect("E001")
        community.ctl.write([Write("deal.1", b"a")])
        snapshot = community.snapshot()
        async with ports.ctl.watch("deal.") as view:
            await view.wait_fresh()
            await ports.ctl.write(Write("deal.1", b"lost"))
            await asyncio.sleep(1)
            assert view.get("deal.1").value == b"lost"
            community.rewind(snapshot)
            community.ctl.write([Write("deal.2", b"new")])
            await asyncio.sleep(1)
            assert view.revision == 2
            assert {key: entry.value for key, entry in view.entries().items()} == {"deal.1": b"a", "deal.2": b"new"}

    run_virtual(main())
