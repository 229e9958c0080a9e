"""Which decisions change from one version of a scenario or rule file to another, how many, and examples.

Two scenarios are compared over every whole second of the day and every whole Wh of the battery, exactly, or over given
states; two rule files rule by rule, with facts for which one holds and the other does not.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from apis_rules.author.answers import NONE
from apis_rules.author.arguments import clock
from apis_rules.author.rows import describe_offer
from apis_rules.author.rule_analysis import whole
from apis_rules.decide.regions import regions
from apis_rules.decide.satisfy import Undecided, find_witness
from apis_rules.decide.scenario import DAY_S, Question, ScenarioRule
from apis_rules.decide.tree import All, Not
from apis_rules.decide.writing import format_condition, format_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from apis_rules.author.answers import Answerer
    from apis_rules.author.states import States
    from apis_rules.decide.intent import CompiledScenario
    from apis_rules.decide.rulefile import Rule, RuleFile

EXAMPLES: Final = 3


@dataclass(slots=True)
class Change:
    """One way in which decisions change.

    Attributes:
        question: what is decided.
        old, new: what is decided in either version.
        states: how many states it concerns; None where they cannot be counted.
        of: of how many.
        examples: the first few.
    """

    question: str
    old: str
    new: str
    states: int | None = 0
    of: int = 0
    examples: list[str] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """Return it as a row."""
        percent = None if self.states is None or not self.of else f"{100 * self.states / self.of:.4g}"
        return {
            "question": self.question,
            "old": self.old,
            "new": self.new,
            "states": self.states,
            "percent": percent,
            "examples": "; ".join(self.examples),
        }


class _Counter:
    """Collects changes by what they are."""

    def __init__(self, of: int) -> None:
        self._of = of
        self._found: dict[tuple[str, str, str], Change] = {}

    def note(self, question: str, old: str, new: str, states: int, examples: Iterable[str]) -> None:
        change = self._found.setdefault((question, old, new), Change(question, old, new, 0, self._of))
        change.states = (change.states or 0) + states
        for example in examples:
            if len(change.examples) < EXAMPLES:
                change.examples.append(example)

    def changes(self) -> list[Change]:
        """Return what changes for the most states first."""
        return sorted(self._found.values(), key=lambda c: (-(c.states or 0), c.question, c.old))


def compare_scenarios(old: CompiledScenario, new: CompiledScenario, most_wh: int) -> list[Change]:
    """Return every change of a decision between two scenarios for a battery of *most_wh* Wh, exactly."""
    counter = _Counter(DAY_S * (most_wh + 1))
    news = list(regions(new, most_wh))
    for before in regions(old, most_wh):
        for after in news:
            seconds = before.seconds & after.seconds
            start, end = max(before.energies.start, after.energies.start), min(before.energies.end, after.energies.end)
            if not seconds or start >= end:
                continue
            states = sum(int(s.end - s.start) for s in seconds) * int(end - start)
            for question in Question:
                was, becomes = _decided(before.rules.get(question)), _decided(after.rules.get(question))
                if was != becomes:
                    example = f"{clock(seconds.witness)}, {start:.0f} Wh"
                    counter.note(str(question), was, becomes, states, [example])
    return counter.changes()


def compare_over_states(
    old: tuple[CompiledScenario, Answerer], new: tuple[CompiledScenario, Answerer], blocks: Iterable[States]
) -> list[Change]:
    """Return every change of a decision between two scenarios over given states."""
    counter = _Counter(0)
    total = 0
    for states in blocks:
        total += len(states)
        was, becomes = old[1](states), new[1](states)
        for question in Question:
            before = _texts(old[0].rules, was.rules[question])
            after = _texts(new[0].rules, becomes.rules[question])
            for pair in set(zip(before.tolist(), after.tolist(), strict=True)):
                if pair[0] != pair[1]:
                    rows = np.flatnonzero((before == pair[0]) & (after == pair[1]))
                    examples = (f"{states.time(row)}, {states.remaining_wh[row]} Wh" for row in rows[:EXAMPLES])
                    counter.note(str(question), *pair, len(rows), examples)
    changes = counter.changes()
    for change in changes:
        change.of = total
    return changes


def compare_rules(old: RuleFile, new: RuleFile) -> Iterator[Change]:
    """Yield what changes from one rule file to another, rule by rule."""
    before, after = ({rule.id: rule for rule in file.rules} for file in (old, new))
    for rule_id in (*before, *(i for i in after if i not in before)):
        name = f"{new.question}/{rule_id}"
        if rule_id not in after:
            yield Change(name, _shown(before[rule_id]), "no such rule", None)
        elif rule_id not in before:
            yield Change(name, "no such rule", _shown(after[rule_id]), None)
        else:
            yield from _compare_rule(name, before[rule_id], after[rule_id], old, new)


def _compare_rule(name: str, was: Rule, becomes: Rule, old: RuleFile, new: RuleFile) -> Iterator[Change]:
    for what in ("for_each", "debounce_s", "priority", "outcome", "message"):
        before, after = getattr(was, what), getattr(becomes, what)
        if before != after:
            yield Change(f"{name} {what}", _plain(before), _plain(after), None)
    if (was.when, was.unless) == (becomes.when, becomes.unless):
        return
    kinds = {**old.kinds, **new.kinds}
    if any(old.kinds.get(fact, kind) != kind for fact, kind in new.kinds.items()):
        yield Change(name, _shown(was), _shown(becomes), None, examples=["a fact has changed its kind"])
        return
    earlier, later = whole(was), whole(becomes)
    for first, second, before, after in ((earlier, later, "holds", "does not"), (later, earlier, "does not", "holds")):
        try:
            witness = find_witness(All((first, Not(second))), kinds)
        except Undecided:
            yield Change(name, _shown(was), _shown(becomes), None, examples=["written otherwise"])
            return
        if witness is not None:
            example = ", ".join(f"{fact} = {format_value(value)}" for fact, value in witness.items())
            yield Change(name, before, after, None, examples=[example])


def _shown(rule: Rule) -> str:
    text = format_condition(rule.when)
    return text if rule.unless is None else f"{text} unless {format_condition(rule.unless)}"


def _plain(value: object) -> str:
    return "none" if value is None else str(value)


def _decided(rule: ScenarioRule | None) -> str:
    return "none" if rule is None else rule.status if rule.offer is None else describe_offer(rule.offer)


def _texts(rules: tuple[ScenarioRule, ...], indexes: np.ndarray[Any, np.dtype[np.int16]]) -> np.ndarray[Any, Any]:
    texts = np.array([*(_decided(rule) for rule in rules), "none"], dtype=object)
    return texts[np.where(indexes == NONE, len(rules), indexes)]
