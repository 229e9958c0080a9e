"""Why a condition holds or not: the tree walked with the facts, each comparison with its two values and its margin.

This is also the plainest statement of what a condition means; the generated evaluators and the engine are held
against it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from apis_rules.decide.facts import Value, clean_value
from apis_rules.decide.tree import (
    All,
    AnyOf,
    Arithmetic,
    Call,
    Comparison,
    Condition,
    Constant,
    Expression,
    FactKind,
    Member,
    Name,
    Operator,
    push_down_not,
)
from apis_rules.decide.writing import format_condition, format_value

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True, slots=True)
class Explanation:
    """One node of a condition, as it came out.

    Attributes:
        condition: the node, without ``Not``: a negated comparison shows as the comparison that it means.
        holds: its result.
        parts: the explanations of its parts, for ``All`` and ``AnyOf``.
        left, right: the two values of a comparison, or the subject of a membership (right is None); None: missing.
        margin: for numbers, by how much it holds (>= 0) or fails (<= 0) in the unit of the facts; None where there is
            no distance to speak of: a missing value, texts, flags, ``All`` and ``AnyOf``.
    """

    condition: Condition
    holds: bool
    parts: tuple[Explanation, ...] = ()
    left: Value | None = None
    right: Value | None = None
    margin: float | None = None

    @property
    def text(self) -> str:
        """One line: ``remaining_wh < 1440 is false: 1500 misses 1440 by 60``."""
        written = f"{format_condition(self.condition)} is {format_value(self.holds)}"
        if not isinstance(self.condition, Comparison):
            return written if self.parts else f"{written}: the value is {_shown(self.left)}"
        left, right = _shown(self.left), _shown(self.right)
        if isinstance(self.condition.right, Constant) and self.margin is None:
            return f"{written}: the value is {left}"
        if self.margin is None:
            return f"{written}: the values are {left} and {right}"
        verb = "meets" if self.holds else "misses"
        return f"{written}: {left} {verb} {right} by {abs(self.margin):.6g}"

    def leaves(self) -> tuple[Explanation, ...]:
        """Every comparison and membership, in the order of the file."""
        return tuple(leaf for part in self.parts for leaf in part.leaves()) if self.parts else (self,)

    def decisive(self) -> tuple[Explanation, ...]:
        """Return the comparisons that made the result what it is: change none of them and it stays."""
        if not self.parts:
            return (self,)
        return tuple(leaf for part in self.parts if part.holds == self.holds for leaf in part.decisive())

    def blocker(self) -> Explanation | None:
        """Return the one comparison that kept the condition from holding; None where it holds.

        Of several failed alternatives it is that of the nearest, of several failed requirements the first.
        """
        if self.holds:
            return None
        if not self.parts:
            return self
        failed = [b for part in self.parts if (b := part.blocker()) is not None]
        return failed[0] if isinstance(self.condition, All) else min(failed, key=_distance)


def explain(condition: Condition, facts: Mapping[str, object], kinds: Mapping[str, FactKind]) -> Explanation:
    """Evaluate *condition* over *facts*, node by node; values that do not fit their kind count as missing."""
    return _walk(push_down_not(condition), facts, kinds)


def value_of(expression: Expression, facts: Mapping[str, object], kinds: Mapping[str, FactKind]) -> Value | None:
    """Return the value of *expression*, or None where it is missing."""
    match expression:
        case Constant(value):
            return value
        case Name(name):
            return clean_value(facts.get(name), kinds[name])
        case Arithmetic(operator, left, right):
            return _combined(operator, _number(left, facts, kinds), _number(right, facts, kinds))
        case Call(function, arguments):
            values = [_number(a, facts, kinds) for a in arguments]
            known = [v for v in values if v is not None]
            return _FUNCTIONS[function](known) if len(known) == len(values) else None


_FUNCTIONS: Final[dict[str, Callable[[list[float]], float]]] = {"abs": lambda v: abs(v[0]), "min": min, "max": max}


def _walk(node: Condition, facts: Mapping[str, object], kinds: Mapping[str, FactKind]) -> Explanation:
    match node:
        case All(parts):
            walked = tuple(_walk(p, facts, kinds) for p in parts)
            return Explanation(node, all(p.holds for p in walked), walked)
        case AnyOf(parts):
            walked = tuple(_walk(p, facts, kinds) for p in parts)
            return Explanation(node, any(p.holds for p in walked), walked)
        case Member(subject, values, negated):
            value = value_of(subject, facts, kinds)
            return Explanation(node, value is not None and (value in values) is not negated, left=value)
        case Comparison(left, operator, right):
            first, second = value_of(left, facts, kinds), value_of(right, facts, kinds)
            return _compared(node, first, operator, second)
        case _:  # pragma: no cover - push_down_not leaves no Not
            raise AssertionError(node)


def _compared(node: Comparison, left: Value | None, operator: Operator, right: Value | None) -> Explanation:
    if left is None or right is None:
        return Explanation(node, holds=False, left=left, right=right)
    if isinstance(left, str | bool) or isinstance(right, str | bool):
        return Explanation(node, (left == right) is (operator is Operator.EQ), left=left, right=right)
    apart = right - left
    margin = {
        Operator.LT: apart,
        Operator.LE: apart,
        Operator.GT: -apart,
        Operator.GE: -apart,
        Operator.EQ: -abs(apart),
        Operator.NE: abs(apart),
    }[operator]
    return Explanation(node, _HOLDS[operator](left, right), left=left, right=right, margin=margin + 0.0)


_HOLDS: Final[dict[Operator, Callable[[float, float], bool]]] = {
    Operator.LT: lambda a, b: a < b,
    Operator.LE: lambda a, b: a <= b,
    Operator.GT: lambda a, b: a > b,
    Operator.GE: lambda a, b: a >= b,
    Operator.EQ: lambda a, b: a == b,
    Operator.NE: lambda a, b: a != b,
}


def _number(expression: Expression, facts: Mapping[str, object], kinds: Mapping[str, FactKind]) -> float | None:
    value = value_of(expression, facts, kinds)
    return None if value is None or isinstance(value, str) else value


def _combined(operator: str, left: float | None, right: float | None) -> float | None:
    if left is None or right is None or (operator == "/" and right == 0):
        return None
    # Floats, also of whole constants: Python's whole numbers know no overflow, the other evaluators' do.
    first, second = float(left), float(right)
    if operator == "+":
        result = first + second
    elif operator == "-":
        result = first - second
    else:
        result = first * second if operator == "*" else first / second
    return result if math.isfinite(result) else None


def _shown(value: Value | None) -> str:
    return "missing" if value is None else format_value(value)


def _distance(leaf: Explanation) -> float:
    return math.inf if leaf.margin is None else abs(leaf.margin)
