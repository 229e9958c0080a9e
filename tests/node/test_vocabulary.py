"""What rules are told while a community trades, against what rule files may look at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from apis_rules.charts.unit.calls import SetMode
from apis_rules.charts.unit.limits import _as_fact
from apis_rules.decide.decision import NO_STRIKES
from apis_rules.decide.questions import QUESTIONS
from apis_rules.decide.reload import RulesInForce
from apis_rules.decide.rule_files import ASKED
from apis_rules.decide.vocabulary import WRITE, Astray, find
from apis_rules.ports.types import ConverterMode
from apis_rules.ports.virtual_time import run_virtual
from tests.node.world import world

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

NOT_EVERYWHERE = {"localMode", "reservedDeals", "chargeLocked", "dischargeLocked", "batteryUsers"}
"""What a node says only where it has a mode of its own or is a gateway, or a dry run."""


def places(value: Any, *path: str | int) -> Iterator[tuple[str | int, ...]]:
    """Yield the path of every value in a document."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from places(inner, *path, key)
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from places(inner, *path, index)
    else:
        yield path


def test_rules_may_look_at_whatever_a_node_tells_and_at_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over a deal, what each question is told has its place in the vocabulary, and what is promised is told."""
    told: dict[str, set[tuple[str | int, ...]]] = {question: set() for question in ASKED}
    decide = RulesInForce.decide

    def listen(self: RulesInForce, question: str, document: Any, now_s: float, strikes: Any = NO_STRIKES) -> Any:
        told[question] |= set(places(document))
        return decide(self, question, document, now_s, strikes)

    async def main() -> None:
        monkeypatch.setattr(RulesInForce, "decide", listen)
        async with world() as w:
            await w.until(lambda: w.final_records, 300, "a final record")
            node = w.houses["E001"].node
            assert node is not None
            node.services.errors.raise_event("not_confirmed", "a test of it")
            await w.until(lambda: told["reactions"], 30, "a reaction")

    run_virtual(main())
    for question, paths in told.items():
        given = QUESTIONS[question].given()
        unknown = [path for path in paths if isinstance(find(path, given), Astray)]
        assert unknown == [], question
        assert set(QUESTIONS[question].about) - {"write"} == {path[0] for path in paths}
        said = {path[1] for path in paths if path[0] == "node"}
        assert said - NOT_EVERYWHERE == set(QUESTIONS[question].node) - NOT_EVERYWHERE


def test_a_write_is_told_with_all_that_rules_may_look_at() -> None:
    """Hard limits see each set-point of a write under the name of the vocabulary."""
    assert set(_as_fact(SetMode(ConverterMode.CHARGE, 350.0, 2.0, 0.0))) == set(WRITE.keys)
