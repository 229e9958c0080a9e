"""What a scenario answers to a block of states, by one of three engines, and the rows that programs read.

An answer is, per question, the index of the one rule that holds or -1: the same for every engine, so that they can be
compared and everything after them is shared.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from apis_rules.author.states import UNKNOWN
from apis_rules.decide.codegen import compile_conditions
from apis_rules.decide.intent import facts_of
from apis_rules.decide.scenario import FACTS, Question

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from apis_rules.author.states import States
    from apis_rules.decide.codegen import Program
    from apis_rules.decide.intent import Asker, CompiledScenario
    from apis_rules.ports.types.negotiation import Direction

NONE: Final = -1


@dataclass(frozen=True, slots=True)
class Answers:
    """Per question and state the index into the scenario's rules, or ``NONE``."""

    rules: dict[Question, NDArray[np.int16]]


def answer_each(scenario: CompiledScenario, asker: Asker | None, states: States) -> Answers:
    """Ask the scenario's own matcher, state by state."""
    found = {question: np.full(len(states), NONE, dtype=np.int16) for question in Question}
    questions = [rule.question for rule in scenario.rules]
    match = scenario.match
    times, energies = states.time_s.tolist(), states.remaining_wh.tolist()
    for row, (time_s, remaining_wh) in enumerate(zip(times, energies, strict=True)):
        if remaining_wh != UNKNOWN:
            for index in match(facts_of(time_s, remaining_wh, asker)):
                found[questions[index]][row] = index
    return Answers(found)


class Vector:
    """Asks the vectorised evaluator, a block of states at a time."""

    def __init__(self, scenario: CompiledScenario, asker: Asker | None) -> None:
        self._asker = asker
        self._programs: dict[Question, tuple[Program, NDArray[np.int16]]] = {}
        for question in Question:
            indexes = [i for i, rule in enumerate(scenario.rules) if rule.question is question]
            program = compile_conditions([scenario.rules[i].when for i in indexes], FACTS)
            self._programs[question] = program, np.array([*indexes, NONE], dtype=np.int16)

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
        for question, (program, indexes) in self._programs.items():
            if program.lowered.conditions and len(states):
                hits = program.first(program.columns(columns, len(states)))
                found[question] = np.where(known, indexes[hits], np.int16(NONE))
            else:
                found[question] = np.full(len(states), NONE, dtype=np.int16)
        return Answers(found)


ENGINES: Final = ("vector", "pure")

Answerer: TypeAlias = Callable[["States"], Answers]
"""Answers a block of states."""


def answerer(engine: str, scenario: CompiledScenario, asker: Asker | None, only: Direction | None = None) -> Answerer:
    """Return a function that answers blocks of states.

    Args:
        engine: one of ``ENGINES``.
        scenario: compiled with partners where there is an *asker*, without where there is none.
        asker: who asks.
        only: the one direction in which accepts are asked for; None for both.
    """
    ask = Vector(scenario, asker) if engine == "vector" else functools.partial(answer_each, scenario, asker)
    if only is None:
        return ask
    other = Question.accept(only.opposite)

    def answer(states: States) -> Answers:
        answers = ask(states)
        answers.rules[other] = np.full(len(states), NONE, dtype=np.int16)
        return answers

    return answer
