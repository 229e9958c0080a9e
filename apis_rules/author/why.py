"""Why a scenario decides as it does at one state: each comparison of each rule, and by how much it holds or fails.

Amounts are whole Wh and times whole seconds, so a margin is the number of them that could change without another
result, or that would have to change for another.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from apis_rules.author.arguments import clock
from apis_rules.decide.explain import Explanation, explain
from apis_rules.decide.intent import scenario_facts
from apis_rules.decide.scenario import FACTS, Question
from apis_rules.decide.tree import AnyOf, Comparison, Constant, Name, Operator
from apis_rules.decide.writing import format_condition

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apis_rules.decide.intent import Asker, CompiledScenario
    from apis_rules.decide.scenario import ScenarioRule

_UNITS = {"remaining_wh": "Wh", "time_s": "s"}


@dataclass(frozen=True, slots=True)
class Reason:
    """One comparison.

    Attributes:
        margin: whole Wh or seconds by which it holds (>= 0) or fails (< 0); None where there is no distance.
        unit: of the margin.
    """

    comparison: str
    holds: bool
    margin: int | None
    unit: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Why:
    """One rule at one state.

    Attributes:
        reasons: every comparison that decided, in the order of the rule; for a rule that does not hold, the one that
            kept it from holding.
    """

    rule: ScenarioRule
    holds: bool
    reasons: tuple[Reason, ...]

    @property
    def distance(self) -> tuple[bool, int]:
        """How far the rule is from holding: by time of day, or else in Wh."""
        reason = self.reasons[0]
        return reason.unit == "s", abs(reason.margin or 0)


def explain_rules(
    scenario: CompiledScenario, time_s: int, remaining_wh: int, asker: Asker | None = None
) -> dict[Question, list[Why]]:
    """Return per question its rules, the one that holds first, then the others from near to far."""
    facts = scenario_facts(time_s, remaining_wh, asker)
    found: dict[Question, list[Why]] = {question: [] for question in Question}
    for rule in scenario.rules:
        explanation = explain(rule.when, facts, FACTS)
        blocker = explanation.blocker()
        leaves = explanation.decisive() if blocker is None else (blocker,)
        # Where a limit is the bound of its band, one comparison stands there twice.
        reasons = tuple(dict.fromkeys(_reason(leaf) for leaf in leaves))
        found[rule.question].append(Why(rule, explanation.holds, reasons))
    for whys in found.values():
        whys.sort(key=lambda why: (not why.holds, why.distance if why.reasons and not why.holds else (False, 0)))
    return found


def sentence(whys: Sequence[Why]) -> str:
    """Return in one line why a question is answered as it is: the rule that holds, or what the nearest one lacks."""
    if not whys:
        return "the scenario has no rule for it"
    first = whys[0]
    if first.holds:
        tight = min((r for r in first.reasons if r.margin is not None and r.unit == "Wh"), key=_margin, default=None)
        return f"{first.rule.name}" + (f": {tight.sentence}" if tight else "")
    return f"none; {first.rule.name}: {first.reasons[0].sentence}"


def sentences(scenario: CompiledScenario, time_s: int, remaining_wh: int | None, asker: Asker | None) -> dict[str, str]:
    """Return one line for the request and each accept of a state."""
    if remaining_wh is None:
        return dict.fromkeys(("request", "accept_charge", "accept_discharge"), "the energy is not known")
    whys = explain_rules(scenario, time_s, remaining_wh, asker)
    return {str(q).replace(".", "_"): sentence(found) for q, found in whys.items() if q is not Question.STATUS}


def reason_document(why: Why, reason: Reason) -> dict[str, Any]:
    """Return one comparison as a row."""
    return {
        "question": str(why.rule.question),
        "rule": why.rule.name,
        "rule_holds": why.holds,
        "comparison": reason.comparison,
        "holds": reason.holds,
        "margin": reason.margin,
        "unit": reason.unit,
        "place": str(why.rule.location),
    }


def _margin(reason: Reason) -> int:
    return reason.margin or 0


def _reason(leaf: Explanation) -> Reason:
    text = format_condition(leaf.condition)
    match leaf.condition:
        case Comparison(Name(fact), operator, Constant(bound)) if fact in _UNITS and leaf.margin is not None:
            # A strict comparison of whole numbers needs one more: below 1440 are 1439 and less.
            margin = int(leaf.margin) - (operator in (Operator.LT, Operator.GT))
            return Reason(text, leaf.holds, margin, _UNITS[fact], _sentence(fact, leaf, operator, bound, margin))
    return Reason(text, leaf.holds, None, "", _partner_sentence(leaf, text))


def _sentence(fact: str, leaf: Explanation, operator: Operator, bound: float | str, margin: int) -> str:
    value, limit = int(float(leaf.left or 0)), int(float(bound))
    if fact == "time_s":
        wanted = "before" if operator is Operator.LT else "at or after"
        return f"{clock(value)} is {'' if leaf.holds else 'not '}{wanted} {clock(limit)}"
    words = {Operator.GE: "at least", Operator.GT: "above", Operator.LT: "below"}[operator]
    if leaf.holds:
        return f"{value} Wh is {words} {limit} Wh, {margin} Wh to spare"
    return f"{value} Wh is {-margin} Wh too {'much' if operator is Operator.LT else 'little'} to be {words} {limit} Wh"


def _partner_sentence(leaf: Explanation, text: str) -> str:
    match leaf.condition:
        case Comparison(Name("asked_by"), _, Constant(partner)):
            return f"asked by {leaf.left or 'nobody known'}; only {partner} is wanted"
        case Comparison(Name("asks_for_other"), _, _):
            return "the request is for this unit too" if leaf.holds else "the request names another unit"
        case AnyOf(()):
            return "it is never in effect: what stands before it in the file covers it"
    return text
