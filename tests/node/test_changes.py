"""What wakes the services of a node: each sign once, and none of what concerns others."""

from __future__ import annotations

import asyncio

from apis_rules.node.changes import AllChanges, Sorter
from apis_rules.node.records import DEAL, EPOCH, GRID, LOCK, MODE, STOP, SUSTAIN, WATCHED, Records
from apis_rules.ports.memory import MemoryCommunity
from apis_rules.ports.state import Entry, Write
from apis_rules.ports.virtual_time import run_virtual
from tests.charts.master.store import make_deal

OWN, OTHERS = make_deal("own", "E001", "E002"), make_deal("others", "E003", "E004")


async def sorted_names(keys: list[tuple[str, bytes | None]]) -> list[str]:
    """Return what E001 makes of changes of the records while it holds one deal of its own and sees one of others."""
    store = MemoryCommunity()
    async with store.connect("E001").ctl.watch(*WATCHED) as view:
        store.ctl.write([Write(f"{DEAL}own", OWN.to_json()), Write(f"{DEAL}others", OTHERS.to_json())])
        await view.wait_fresh()
        sorter = Sorter(Records(view), "E001")
        return [sorter.sort(Entry(key, value, 9)) for key, value in keys]


def sort(*keys: tuple[str, bytes | None]) -> list[str]:
    return run_virtual(sorted_names(list(keys)))


def test_what_is_of_all_concerns_a_unit() -> None:
    """The grid, the modes, the time after an error and the term concern every unit; so does its own lock."""
    keys = (GRID, MODE, SUSTAIN, EPOCH, f"{LOCK}E001")
    assert sort(*((key, b"") for key in keys)) == ["records"] * 5


def test_what_only_a_master_looks_at_concerns_nobody_else() -> None:
    """Another unit's lock, a party's wish to stop, and the Grid Master's own keys wake no unit."""
    keys = (f"{LOCK}E002", f"{STOP}own.E002", "active", "gm.pass", "gm.lease")
    assert sort(*((key, b"") for key in keys)) == ["others"] * 5


def test_each_change_of_an_own_deal_concerns_its_parties() -> None:
    """An own deal is one of the unit's records from its beginning to its end; another one begins and ends unseen."""
    new = make_deal("new", "E004", "E001").to_json()
    changes = sort((f"{DEAL}own", OWN.to_json()), (f"{DEAL}own", None), (f"{DEAL}new", new), (f"{DEAL}new", None))
    assert changes == ["records"] * 4


def test_of_others_deals_only_beginning_and_end_are_told() -> None:
    """A deal of others that begins or ends may leave somebody free to trade; its steps do not."""
    new = make_deal("new", "E003", "E004").to_json()
    steps = [(f"{DEAL}others", OTHERS.to_json()), (f"{DEAL}others", None)]
    assert sort(*steps, (f"{DEAL}new", new), (f"{DEAL}new", new), (f"{DEAL}new", None)) == [
        *("others", "deals"),
        *("deals", "others", "deals"),
    ]


async def woken() -> tuple[list[str], int]:
    """Return what a reader of two names hears of many changes, and how many it had to ask for."""
    board = AllChanges()
    changes, heard = board.open("records", "unit"), list[str]()

    async def read() -> None:
        async for what in changes:
            heard.append(what)

    reader = asyncio.create_task(read())
    await asyncio.sleep(0)
    for what in ("others", "records", "records", "unit", "records"):
        board.put(what)  # type: ignore[arg-type]  # the loop's variable is a str to mypy
    await asyncio.sleep(1)
    board.put("unit")
    changes.skip()
    await asyncio.sleep(1)
    first = len(heard)
    board.put("records")
    await asyncio.sleep(1)
    reader.cancel()
    return heard, first


def test_a_reader_hears_each_of_its_names_once() -> None:
    """However often something has changed meanwhile, it is told once, and what is not asked for never."""
    heard, before_the_last = run_virtual(woken())
    assert heard == ["records", "unit", "records"]
    assert before_the_last == 2, "what is skipped is looked at already"


async def forgotten() -> int:
    board = AllChanges()
    for _ in range(5):
        board.open()
    kept = board.open()
    board.put("unit")
    assert await anext(kept) == "unit"
    return len(board._readers["unit"])


def test_a_reader_that_is_gone_is_forgotten() -> None:
    """Who waits for something once leaves nothing behind."""
    assert run_virtual(forgotten()) <= 2
