"""What outlives a deal: its log at both parties, and the decisions behind it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from apis_rules.author.replay import replay
from apis_rules.decide.declared import declared_scenario
from apis_rules.decide.intent import compile_scenario
from apis_rules.documents.reading import load_scenario
from apis_rules.ports.virtual_time import run_virtual
from tests.node.world import RULES, SMALL_DEALS, World, pair, world

ACCELERATION = 20.0


def decisions(w: World) -> list[str]:
    return [m.body.decode() for m in w.store.logs["DECISIONS"]._messages]


EVERY_KIND = {("request", True), ("request", False), ("accept", True), ("accept", False)}
"""Of decision: the question, and whether the scenario said something."""


def kinds(w: World) -> set[tuple[str, bool]]:
    found = [json.loads(line) for line in decisions(w)]
    return {(d["question"], d[d["question"]] is not None) for d in found}


async def recorded_after_three_deals() -> frozenset[str]:
    async with pair(ACCELERATION) as w:
        await w.until(lambda: len(w.final_records) >= 3, 300, "three deals")
        reigns = [h.node.services.grid_master._reign for h in w.houses.values() if h.node and h.node.services]
        (reign,) = [r for r in reigns if r is not None]
        return reign._recorded


def test_a_master_forgets_the_deals_that_have_left_the_records() -> None:
    """What it keeps in mind does not grow with the deals of its term, of which there may be years."""
    assert len(run_virtual(recorded_after_three_deals())) <= 1


async def decide_for_a_while() -> list[str]:
    async with world(4, acceleration=ACCELERATION, policy=SMALL_DEALS, rsoc=[92.0, 27.0, 91.0, 55.0]) as w:
        await w.one_deal()
        await w.until(lambda: kinds(w) == EVERY_KIND, 60, "decisions of every kind")
        return decisions(w)


@pytest.fixture(scope="module")
def kept() -> list[str]:
    """What four units have decided while they traded."""
    return run_virtual(decide_for_a_while())


def test_what_a_community_decided_is_decided_again(kept: list[str]) -> None:
    """Each request and accept that a running community has kept comes out the same from the facts beside it."""
    loaded = load_scenario(RULES / "scenario.json")
    made = list(replay(kept, "decisions", compile_scenario(declared_scenario(loaded.model, loaded.document))))
    assert [d for d in made if not d.same or not d.known] == []
    assert {(d.question, d.recorded is not None) for d in made} == EVERY_KIND


def test_a_decision_is_kept_where_it_had_an_effect_or_changed(kept: list[str]) -> None:
    """Units ask every 5 s; of the same answer to the same question only the first is kept."""
    made = [json.loads(line) for line in kept]
    assert any(d["question"] == "request" and d["dealId"] for d in made)
    seen: dict[tuple[str, ...], tuple[object, ...]] = {}
    for decision in made:
        asked = decision.get("asked") or {}
        kind = (
            decision["question"],
            decision["unitId"],
            *(str(asked.get(k)) for k in ("unitId", "type", "pairUnitId")),
        )
        outcome = (decision["rule"], decision["reason"])
        with_effect = decision.get("dealId") or (decision["question"] == "accept" and not decision["reason"])
        assert with_effect or seen.get(kind) != outcome, decision
        seen[kind] = outcome


async def away_at_the_end() -> None:
    async with pair(ACCELERATION) as w:
        deal_id = await w.one_deal()
        away = next(u for u in w.unit_ids if u != w.records.grid()[0].holder)
        await w.kill(away)
        await w.until(lambda: [r for r in w.final_records if r.deal_id == deal_id], 60, "the record")
        assert not w.houses[away].files
        w.start(away)
        await w.until(lambda: [f for f in w.houses[away].files if f.name == deal_id], 10, "the log of who was away")
        files = [{f.name: c for f, c in w.houses[u].files.items()}[deal_id] for u in w.unit_ids]
        assert files[0] == files[1] == next(r for r in w.final_records if r.deal_id == deal_id).to_json()


def test_who_was_away_when_its_deal_ended_catches_up() -> None:
    """A party that was killed before its deal ended writes the deal's log when it is back, equal to the other's."""
    run_virtual(away_at_the_end())


async def without_decisions() -> set[str]:
    async with world(2, acceleration=ACCELERATION, policy=SMALL_DEALS, rsoc=[92.0, 27.0], started=False) as w:
        documents = w.documents["E002"]
        quiet = documents.config.model_copy(update={"decision_log": False})
        w.documents = {**w.documents, "E002": replace(documents, config=quiet)}
        for unit_id in w.unit_ids:
            w.start(unit_id)
        await w.one_deal()
        return {json.loads(line)["unitId"] for line in decisions(w)}


def test_decisions_can_be_off() -> None:
    """A unit whose config says so keeps none; it trades, and others keep theirs."""
    assert run_virtual(without_decisions()) == {"E001"}


async def notes_are_damaged(content: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async with pair(ACCELERATION) as w:
        await w.until(lambda: w.final_records and not w.unwritten(), 90, "a deal log")
        house = w.houses["E001"]
        await w.kill("E001")
        written = dict(house.files)
        house.files.clear()
        for name in ("seen.json", "deallog.json"):
            await house.store.save(name, content, durable=False)
        w.start("E001")
        await w.until(lambda: written.items() <= house.files.items(), 30, "every deal log is there again")
        assert "seen.json is damaged" in caplog.text
        assert "deallog.json is damaged" in caplog.text
        await w.until(lambda: house.store.load("deallog.json") != content, 10, "a good note")
        await w.until(lambda: house.store.load("seen.json") != content, 10, "a good note")
        w.check_grid()


@pytest.mark.parametrize("content", [b"", b'{"format":1,"nex', b'{"nextSeq":0,"revision":"x"}', b"\xff\x00"])
def test_damaged_notes_count_as_lost(content: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """A power cut that leaves them half written keeps no node from starting; it says so and reads all records again."""
    run_virtual(notes_are_damaged(content, caplog))
