"""From lowered conditions to Python source, for one set of facts at a time and for whole columns of them.

Both come from the same text: an expression reads the same for floats and for NumPy arrays, with a few helpers in two
versions (here and in ``apis_rules.decide.columns``), and only ``and``/``or`` become ``&``/``|``. A missing value is
NaN, over which every comparison is false in both; ``!=`` is written ``a < b or a > b`` for that reason.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

from apis_rules.decide.facts import MAX_TEXT, clean_number
from apis_rules.decide.language import LARGEST, kind_of
from apis_rules.decide.lower import OTHER_TEXT, Lowered, lower
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
    Name,
    Operator,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


Row: TypeAlias = tuple[float, ...]
"""One value per column of a ``Lowered``."""


@dataclass(frozen=True)
class Program:
    """Conditions made runnable. Make one with ``compile_conditions``."""

    lowered: Lowered

    @cached_property
    def read(self) -> Callable[[Callable[[str], object]], Row]:
        """Read the facts, given the ``get`` of a mapping, and compute the derived values."""
        function: Callable[[Callable[[str], object]], Row] = run_source(
            read_source(self.lowered), "read", _scalar_names(self)
        )
        return function

    @cached_property
    def match(self) -> Callable[[Row], list[int]]:
        """Return the indexes of the conditions that hold for a row."""
        function: Callable[[Row], list[int]] = run_source(match_source(self.lowered), "match", {})
        return function


def compile_conditions(conditions: Sequence[Condition], kinds: Mapping[str, FactKind]) -> Program:
    """Make *conditions* runnable; what they mean is said in ``apis_rules.decide.tree``."""
    return Program(lower(conditions, kinds))


def compile_condition(condition: Condition, kinds: Mapping[str, FactKind]) -> Callable[[Mapping[str, object]], bool]:
    """Return a function from facts to whether *condition* holds.

    Facts that are not declared are not looked at; values that do not fit their kind count as missing.
    """
    program = compile_conditions([condition], kinds)
    read, match = program.read, program.match
    return lambda facts: bool(match(read(facts.get)))


def compile_expression(
    expression: Expression, kinds: Mapping[str, FactKind]
) -> Callable[[Mapping[str, object]], float | None]:
    """Return a function from facts to the number that *expression* gives, or None where it is missing.

    Raises:
        ValueError: *expression* is a text or a flag.
    """
    if kind_of(expression, kinds) is not FactKind.NUMBER:
        raise ValueError(f"not a number: {expression}")
    read = Program(lower([], kinds, [expression])).read

    def value(facts: Mapping[str, object]) -> float | None:
        number = read(facts.get)[-1]
        return number if number == number else None  # noqa: PLR0124  # NaN is missing

    return value


def read_source(lowered: Lowered) -> str:
    """Return the source of ``read(get)``."""
    lines = ["def read(get):"]
    if lowered.pairs:
        lines.append("    others = {}")
    for i, (name, kind) in enumerate(lowered.facts):
        lines.append(f"    v = get({name!r})")
        if kind is FactKind.NUMBER:
            known = f"v.__class__ is float and {-LARGEST!r} < v < {LARGEST!r}"
            lines.append(f"    f{i} = v if {known} else number(v)")
        elif kind is FactKind.FLAG:
            lines.append(f"    f{i} = 1.0 if v is True else 0.0 if v is False else nan")
        else:
            lines.append(f"    f{i} = code(v, {'others' if lowered.pairs else 'None'})")
    for i, expression in enumerate(lowered.derived, len(lowered.facts)):
        lines.append(f"    f{i} = finite({_expression(expression)})")
    lines.append(f"    return ({''.join(c + ', ' for c in lowered.columns)})")
    return "\n".join(lines)


def match_source(lowered: Lowered) -> str:
    """Return the source of ``match(row)``."""
    lines = ["def match(row):", *_unpack(lowered.columns, "row"), "    hits = []"]
    for i, condition in enumerate(lowered.conditions):
        lines.append(f"    if {_condition(condition, ' and ', ' or ')}: hits.append({i})")
    return "\n".join([*lines, "    return hits"])


def masks_source(lowered: Lowered) -> str:
    """Return the source of ``masks(columns)``."""
    lines = ["def masks(columns):", *_unpack(lowered.columns[: len(lowered.facts)], "columns")]
    for i, expression in enumerate(lowered.derived, len(lowered.facts)):
        lines.append(f"    f{i} = finite({_expression(expression)})")
    results = ", ".join(_condition(c, " & ", " | ") for c in lowered.conditions)
    return "\n".join([*lines, f"    return [{results}]"])


def _unpack(columns: Sequence[str], source: str) -> list[str]:
    return [f"    {', '.join(columns)}, = {source}"] if columns else []


def _condition(node: Condition, conjunction: str, disjunction: str) -> str:
    match node:
        case All(parts):
            joined = conjunction.join(_condition(p, conjunction, disjunction) for p in parts)
            return f"({joined or 'True'})"
        case AnyOf(parts):
            joined = disjunction.join(_condition(p, conjunction, disjunction) for p in parts)
            return f"({joined or 'False'})"
        case Comparison(left, operator, right):
            first, second = _expression(left), _expression(right)
            if operator is Operator.NE:
                return f"(({first} < {second}){disjunction}({first} > {second}))"
            return f"({first} {operator} {second})"
        case _:  # pragma: no cover - a lowered condition has nothing else
            raise AssertionError(node)


def _expression(node: Expression) -> str:
    match node:
        case Name(name):
            return name
        case Constant(value):
            return f"({value!r})"
        case Arithmetic("/", left, right):
            return f"quotient({_expression(left)}, {_expression(right)})"
        case Arithmetic(operator, left, right):
            return f"({_expression(left)} {operator} {_expression(right)})"
        case Call(function, arguments):
            name = {"abs": "abs", "min": "least", "max": "greatest"}[function]
            return f"{name}({', '.join(map(_expression, arguments))})"


def run_source(source: str, name: str, names: Mapping[str, object]) -> Any:
    """Return what is called *name* in generated *source*, which sees *names*."""
    namespace = dict(names)
    # The source is made above from a checked tree; no text of an author is in it but quoted names of facts.
    exec(compile(source, f"<generated {name}>", "exec"), namespace)  # noqa: S102
    return namespace[name]


def _scalar_names(program: Program) -> dict[str, object]:
    texts = program.lowered.texts

    def code(value: object, others: dict[str, float] | None) -> float:
        if not isinstance(value, str) or len(value) > MAX_TEXT:
            return math.nan
        known = texts.get(value)
        if known is not None or others is None:
            return OTHER_TEXT if known is None else known
        return others.setdefault(value, OTHER_TEXT - len(others))

    return {
        "nan": math.nan,
        "number": _number,
        "code": code,
        "finite": _finite,
        "quotient": _quotient,
        "least": _least,
        "greatest": _greatest,
    }


def _number(value: object) -> float:
    number = clean_number(value)
    return math.nan if number is None else number


def _finite(value: float) -> float:
    return value if math.isfinite(value) else math.nan


def _quotient(left: float, right: float) -> float:
    return left / right if right != 0.0 and math.isfinite(right) else math.nan


def _least(*values: float) -> float:
    return min(values) if all(map(math.isfinite, values)) else math.nan


def _greatest(*values: float) -> float:
    return max(values) if all(map(math.isfinite, values)) else math.nan
