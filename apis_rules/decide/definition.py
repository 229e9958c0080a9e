"""Lowered conditions as definitions for durable-rules, in the corner of it that is safe.

The engine checks next to nothing of what it is given, and some of what it is given makes it crash. So only this leaves
here: comparisons of one number with a constant, or of two numbers that are both known; ``$and`` and ``$or``; finite
numbers, written so that its parser takes them; short names that are not the author's. Conditions are spread over chunks
that stay clear of its limits (64 true conditions at once, 254 properties, 15 groups in one condition).
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from apis_rules.decide.simplify import names_in
from apis_rules.decide.tree import All, AnyOf, Comparison, Condition, Constant, Name, Operator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from apis_rules.decide.lower import Lowered

MAX_WIDTH: Final = 60
"""Alternatives of one chunk that may be true at the same time; the engine's stack holds 64."""
MAX_GROUPS: Final = 15
"""``$and`` and ``$or`` in one condition."""
MAX_COLUMNS: Final = 200
"""Properties of one chunk; the engine numbers them in a byte."""
PRIME: Final = "prime"
"""A property of no fact: the rule over it tests the engine, and lets its memory be freed later."""
PRIME_FACT: Final = '{"prime":1,"id":"x"}'
_ON: Final = "on"
_SYMBOLS: Final = {
    Operator.LT: "$lt",
    Operator.LE: "$lte",
    Operator.GT: "$gt",
    Operator.GE: "$gte",
    Operator.NE: "$neq",
}


@dataclass(frozen=True, slots=True)
class Chunk:
    """One ruleset of the engine.

    Attributes:
        text: its definition, as JSON.
        columns: indexes of the columns that its facts carry.
        indexes: name of an engine's rule → index of the condition that it stands for.
    """

    text: str
    columns: tuple[int, ...]
    indexes: dict[str, int]

    def fact_writer(self) -> Callable[[tuple[float, ...]], str]:
        """Return a function that writes a row as a fact: what is missing is left out."""
        parts = [(column, f'"f{column}":') for column in self.columns]
        isnan = math.isnan
        # What the rules do not read is not sent: the engine's time grows with each property.
        start = '{"on":1,' if '{"on":1}' in self.text else "{"

        def write(row: tuple[float, ...]) -> str:
            text = start
            for column, key in parts:
                value = row[column]
                if isnan(value):
                    continue
                number = repr(value)
                if "e" in number:
                    number = _number_text(value)
                text += key + number + ","
            return text + '"id":"x"}'

        return write


def obstacle(condition: Condition) -> str | None:
    """Say why a lowered condition does not fit into the engine, or return None."""
    for branch in _branches(condition):
        if _width(branch) > MAX_WIDTH:
            return f"it has more than {MAX_WIDTH} alternatives inside an 'and'"
        if _groups(branch) > MAX_GROUPS:
            return f"it has more than {MAX_GROUPS} nested groups of 'and' and 'or'"
        if len({n.name for n in names_in(branch)}) > MAX_COLUMNS:
            return f"it compares more than {MAX_COLUMNS} values"
    return None


def compile_chunks(lowered: Lowered) -> tuple[Chunk, ...]:
    """Write the definitions of all conditions.

    Raises:
        ValueError: a condition does not fit; ask ``obstacle`` first.
    """
    chunks = []
    rules: dict[str, Any] = {}
    indexes: dict[str, int] = {}
    columns: set[int] = set()
    width = 0
    for index, branch_number, branch in _all_branches(lowered):
        if problem := obstacle(branch):
            raise ValueError(f"condition {index} does not fit into the engine: {problem}")
        own = {int(n.name[1:]) for n in names_in(branch)}
        if width + _width(branch) > MAX_WIDTH or len(columns | own) > MAX_COLUMNS:
            chunks.append(_chunk(rules, indexes, columns))
            rules, indexes, columns, width = {}, {}, set(), 0
        name = f"r{index}_{branch_number}"
        rules[name] = {"all": [{"m": _definition(branch)}], "pri": len(rules)}
        indexes[name] = index
        columns |= own
        width += _width(branch)
    if rules:
        chunks.append(_chunk(rules, indexes, columns))
    return tuple(chunks)


def _all_branches(lowered: Lowered) -> Iterator[tuple[int, int, Condition]]:
    for index, condition in enumerate(lowered.conditions):
        for number, branch in enumerate(_branches(condition)):
            yield index, number, branch


def _branches(condition: Condition) -> tuple[Condition, ...]:
    """Split an ``or`` into rules of their own: cheaper for the engine, and each stays small."""
    return condition.parts if isinstance(condition, AnyOf) else (condition,)


def _chunk(rules: dict[str, Any], indexes: dict[str, int], columns: set[int]) -> Chunk:
    with_prime = {**rules, PRIME: {"all": [{"m": {"$ex": {PRIME: 1}}}], "pri": len(rules)}}
    return Chunk(_dumps(with_prime), tuple(sorted(columns)), indexes)


def _definition(node: Condition) -> dict[str, Any]:
    match node:
        case All(()):
            return {_ON: 1}
        case All(parts):
            listed: list[dict[str, Any]] = []
            for part in map(_definition, parts):
                listed += part.get("$and", [part])
            return {"$and": listed}
        case AnyOf(parts):
            return {"$or": [_definition(p) for p in parts]}
        case Comparison(Name(left), operator, Constant(value)):
            return _leaf(left, operator, float(value))
        case Comparison(Name(left), operator, Name(right)):
            # Over a property that is not there the engine compares whatever memory holds; so both are asked for first.
            known = [{"$neq": {name: None}} for name in dict.fromkeys((left, right))]
            return {"$and": [*known, _leaf(left, operator, {"$m": right})]}
        case _:  # pragma: no cover - a lowered condition has nothing else
            raise AssertionError(node)


def _leaf(name: str, operator: Operator, right: object) -> dict[str, Any]:
    return {name: right} if operator is Operator.EQ else {_SYMBOLS[operator]: {name: right}}


def _width(node: Condition) -> int:
    """Return how many alternatives of *node* can be true at once, at most."""
    match node:
        case AnyOf(parts):
            return 1 + sum(map(_width, parts))
        case All(parts):
            return max(1, sum(_width(p) for p in parts if isinstance(p, AnyOf)))
        case _:
            return 1


def _groups(node: Condition) -> int:
    match node:
        case All(parts) | AnyOf(parts):
            return 1 + sum(map(_groups, parts))
        case Comparison(Name(), _, Name()):
            return 1
        case _:
            return 0


def _dumps(value: object) -> str:
    match value:
        case dict():
            return "{" + ",".join(f"{json.dumps(k)}:{_dumps(v)}" for k, v in value.items()) + "}"
        case list():
            return "[" + ",".join(map(_dumps, value)) + "]"
        case float():
            return _number_text(value)
        case _:
            return json.dumps(value)


def _number_text(value: float) -> str:
    """Write a float exactly; the engine's parser wants a point before the exponent."""
    text = repr(value)
    return text.replace("e", ".0e") if "e" in text and "." not in text else text
