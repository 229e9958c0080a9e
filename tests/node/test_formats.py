"""Everything that is stored says in which format it is; one of another format is refused with a sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from apis_rules.decide.rule_files import bundled_rules
from apis_rules.errors import InputError
from apis_rules.node.messages import UnitReport
from apis_rules.node.reference import KEY, join_community, reference_of
from apis_rules.node.state_dir import FileStateStore
from apis_rules.ports.memory import MemoryCommunity
from apis_rules.ports.state import Write
from apis_rules.ports.types import ErrorEvent, GridRecord
from apis_rules.ports.types.model import FORMAT
from apis_rules.ports.virtual_time import run_virtual
from tests.node.world import SMALL_DEALS, world

OTHERS = pytest.mark.parametrize(("other", "word"), [(FORMAT - 1, "too new"), (FORMAT + 1, "too old")])


async def check_what_is_stored() -> None:
    async with world(2, acceleration=20.0, policy=SMALL_DEALS, rsoc=[92.0, 27.0]) as w:
        await w.until(lambda: w.final_records, 60, "a deal that is over")
        await w.operator_sets("heteronomous")
        buckets = {"ctl": w.store.ctl, "unit": w.store.unit, "policy": w.store.policy}
        stored = {f"{n}/{k}": b.get(k).value for n, b in buckets.items() for k in b.keys("")}
        for name, log in w.store.logs.items():
            stored |= {f"{name}/{m.seq}": m.body for m in log.messages()}
        for unit_id, house in w.houses.items():
            stored |= {f"{unit_id}/{name}": body for name, body in house.store._kept.items()}
        assert {key.split("/")[0] for key in stored} >= {"ctl", "unit", "policy", "DEALLOG", "E001"}
        records = {key: json.loads(body) for key, body in stored.items() if body and body[:1] == b"{"}
        assert not [key for key, record in records.items() if record.get("format") != FORMAT]


def test_what_nodes_store_carries_its_format() -> None:
    """Shared state, presence data, streams and state folders: each record has the number."""
    run_virtual(check_what_is_stored())


@OTHERS
def test_a_record_of_another_format_is_no_record(other: int, word: str) -> None:
    """Reading it fails with a sentence that says which of the two programs is too old."""
    for kind, record in ((GridRecord, GridRecord()), (ErrorEvent, None), (UnitReport, None)):
        document = record.to_document() if record else {}
        with pytest.raises(ValidationError, match=word):
            kind.from_json(json.dumps({**document, "format": other}))


async def check_that_it_may_not_join(other: int, word: str) -> None:
    store = MemoryCommunity()
    ports = store.connect("E001")
    async with world(1, started=False) as w:
        own = reference_of(w.policy, "{}", bundled_rules().of_the_community)
    written = json.loads(own.to_json()) | {"format": other}
    await ports.policy.write(Write(KEY, json.dumps(written).encode()))
    with pytest.raises(InputError, match=rf"AR704.*format {other}, this program reads {FORMAT}: .*{word}"):
        await join_community(ports.policy, own)


@OTHERS
def test_a_node_of_another_format_may_not_join(other: int, word: str) -> None:
    """A start in a community of an older or a newer format is refused."""
    run_virtual(check_that_it_may_not_join(other, word))


async def check_that_it_leaves(other: int, word: str) -> None:
    async with world(2, acceleration=20.0, policy=SMALL_DEALS, rsoc=[92.0, 27.0]) as w:
        deal_id = await w.one_deal()
        entry = w.store.policy.get(KEY)
        assert entry.value is not None
        written = json.loads(entry.value) | {"format": other}
        w.store.policy.write([Write(KEY, json.dumps(written).encode(), entry.at)])
        tasks = [house.task for house in w.houses.values()]
        await w.until(lambda: all(task is not None and task.done() for task in tasks), 60, "both leave")
        assert [task.result() for task in tasks if task is not None] == [2, 2]
        assert all(word in house.node.ended_because for house in w.houses.values())
        assert [r.deal_id for r in w.final_records if r.deal_id == deal_id]
        w.check_grid()
        w.check_still()


@OTHERS
def test_a_running_node_leaves_a_community_of_another_format(other: int, word: str) -> None:
    """When another program changes the community's reference to its format, nodes end their deals and leave with 2."""
    run_virtual(check_that_it_leaves(other, word))


@OTHERS
def test_a_state_folder_of_another_format_is_refused(tmp_path: Path, other: int, word: str) -> None:
    """It is neither read nor written; a folder without a number is of the first format, and gets it."""
    FileStateStore(tmp_path)
    assert (tmp_path / "format").read_text() == f"{FORMAT}\n"
    FileStateStore(tmp_path)
    (tmp_path / "format").write_text(f"{other}\n")
    with pytest.raises(InputError, match=rf"AR706.*{word}"):
        FileStateStore(tmp_path)


UNREADABLE = {
    "too new": json.dumps({"format": FORMAT - 1}).encode(),
    "too old": json.dumps({"format": FORMAT + 1}).encode(),
    "EOF while parsing": b'{"dealId": "d1", "half',
    "Invalid JSON": b"\xff\x00",
}


async def a_record_cannot_be_read(word: str) -> None:
    async with world(2, acceleration=20.0, policy=SMALL_DEALS, rsoc=[92.0, 27.0]) as w:
        ports = w.store.connect("another")
        await ports.streams.append("DEALLOG", "bad", UNREADABLE[word], message_id="bad")
        await w.until(lambda: len(w.events("record_not_read")) == 2, 10, "both tell it")
        assert {e.unit_id for e in w.events("record_not_read")} == {"E001", "E002"}
        assert all(word in e.message and "record 1 of DEALLOG" in e.message for e in w.events("record_not_read"))
        await w.until(lambda: all(house.files for house in w.houses.values()), 90, "the logs of the next deal")
        assert not any(house.task is None or house.task.done() for house in w.houses.values())
        w.check_grid()


@pytest.mark.parametrize("word", UNREADABLE)
def test_a_final_record_that_cannot_be_read_is_passed_over(word: str) -> None:
    """Damaged or of another format: each node says so once, goes on, and writes the logs of the deals after it."""
    run_virtual(a_record_cannot_be_read(word))
