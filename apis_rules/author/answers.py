"""What a scenario answers to a block of states, by one of three engines, and the rows that programs read.

An answer is, per question, the index of the one rule that holds or -1: the same for every engine, so that they can be
compared and everything after them is shared.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from apis_rules.author.states import UNKNOWN
from apis_rules.decide.engine import EngineFailure
from apis_rules.decide.intent import scenario_facts
from apis_rules.decide.ruleset import Evaluator, LiveRuleset, compile_ruleset
from apis_rules.decide.scenario import FACTS, Question

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from apis_rules.author.states import States
    from apis_rules.decide.intent import Asker, CompiledScenario
    from apis_rules.decide.ruleset import Ruleset
    from apis_rules.ports.types.negotiation import Direction

NONE: Final = -1


@dataclass(frozen=True, slots=True)
class Answers:
    """Per question and state the index into the scenario's rules, or ``NONE``."""

    rules: dict[Question, NDArray[np.int16]]


Answerer: TypeAlias = Callable[["States"], Answers]
"""Answers a block of states."""
Match: TypeAlias = Callable[["Mapping[str, object]"], "Sequence[str]"]
"""Returns the ids of the rules that hold for facts."""


@contextlib.contextmanager
def open_answerer(
    evaluator: Evaluator, scenario: CompiledScenario, asker: Asker | None, only: Direction | None = None
) -> Iterator[Answerer]:
    """Give a function that answers blocks of states.

    Args:
        evaluator: who evaluates the rules.
        scenario: compiled with partners where there is an *asker*, without where there is none.
        asker: who asks.
        only: the one direction in which accepts are asked for; None for both.

    Raises:
        Unsupported: durable-rules cannot be used on this machine.
        EngineFailure: durable-rules does not agree with the generated evaluator.
    """
    with contextlib.ExitStack() as stack:
        ask: Answerer
        if evaluator is Evaluator.VECTOR:
            ask = Vector(scenario, asker)
        else:
            match = stack.enter_context(open_match(scenario.ruleset, evaluator))
            ask = functools.partial(_answer_each, scenario, match, asker)
        yield ask if only is None else functools.partial(_answer_only, ask, Question.accept(only.opposite))


@contextlib.contextmanager
def open_match(ruleset: Ruleset, evaluator: Evaluator) -> Iterator[Match]:
    """Give a function that matches one set of facts, by durable-rules where that is the *evaluator*.

    Raises:
        Unsupported: durable-rules cannot be used on this machine.
        EngineFailure: durable-rules does not agree with the generated evaluator.
    """
    if evaluator is not Evaluator.DURABLE:
        yield ruleset.match
        return
    wrong = ruleset.trial()
    if wrong is not None:
        raise EngineFailure(wrong)
    with LiveRuleset(ruleset, dict.fromkeys(ruleset.names, False)) as live:

        def match(facts: Mapping[str, object]) -> Sequence[str]:
            matched = live.match(facts)
            if matched.alarm:
                raise EngineFailure(matched.alarm)
            return matched.hits

        yield match


def _answer_each(
    scenario: CompiledScenario,
    match: Match,
    asker: Asker | None,
    states: States,
) -> Answers:
    found = {question: np.full(len(states), NONE, dtype=np.int16) for question in Question}
    places = {rule.rule_id: (index, found[rule.question]) for index, rule in enumerate(scenario.rules)}
    times, energies = states.time_s.tolist(), states.remaining_wh.tolist()
    for row, (time_s, remaining_wh) in enumerate(zip(times, energies, strict=True)):
        if remaining_wh != UNKNOWN:
            for hit in match(scenario_facts(time_s, remaining_wh, asker)):
                index, answers = places[hit]
                answers[row] = index
    return Answers(found)


def _answer_only(ask: Answerer, skipped: Question, states: States) -> Answers:
    answers = ask(states)
    return Answers(answers.rules | {skipped: np.full(len(states), NONE, dtype=np.int16)})


class Vector:
    """Asks the vectorised evaluator, a block of states at a time."""

    def __init__(self, scenario: CompiledScenario, asker: Asker | None) -> None:
        self._asker = asker
        self._rulesets: dict[Question, tuple[Ruleset, NDArray[np.int16]]] = {}
        for question in Question:
            rules = [(i, rule) for i, rule in enumerate(scenario.rules) if rule.question is question]
            ruleset = compile_ruleset(question, [(rule.rule_id, rule.when) for _, rule in rules], FACTS)
            self._rulesets[question] = ruleset, np.array([*(i for i, _ in rules), NONE], dtype=np.int16)

    def __call__(self, states: States) -> Answers:
        """Return the answers to a block of states."""
        known = states.remaining_wh != UNKNOWN
        columns: dict[str, NDArray[Any]] = {
            "time_s": states.time_s,
            "remaining_wh": np.where(known, states.remaining_wh, np.nan),
        }
        if self._asker is not None:
            columns["asked_by"] = np.full(len(states), self._asker.unit_id)
            columns["asks_for_other"] = np.full(len(states), self._asker.for_other)
        found = {}
        for question, (ruleset, indexes) in self._rulesets.items():
            hits = ruleset.first(columns, len(states))
            found[question] = np.where(known, indexes[hits], np.int16(NONE))
        return Answers(found)
