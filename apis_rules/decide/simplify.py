"""Conditions made smaller without changing what they mean: known values folded in, nested groups flattened.

``ALWAYS`` and ``NEVER`` are what is left of a condition whose result no longer depends on any fact.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from apis_rules.decide.explain import explain, value_of
from apis_rules.decide.tree import (
    All,
    AnyOf,
    Arithmetic,
    Call,
    Comparison,
    Condition,
    Constant,
    Expression,
    Member,
    Name,
    push_down_not,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from apis_rules.decide.facts import Value
    from apis_rules.documents.diagnostics import Location

ALWAYS: Final = All(())
NEVER: Final = AnyOf(())


def simplify(condition: Condition, known: Mapping[str, Value | None] | None = None) -> Condition:
    """Return an equal condition without ``Not``, with the facts in *known* replaced by their values.

    A fact that is None in *known* is missing for good: what is compared with it never holds.
    """
    return _simplify(push_down_not(condition), known or {})


def names_in(node: Condition | Expression) -> Iterator[Name]:
    """Yield every mention of a fact, in the order of the file."""
    match node:
        case Name():
            yield node
        case Constant():
            return
        case Arithmetic(_, left, right) | Comparison(left, _, right):
            yield from names_in(left)
            yield from names_in(right)
        case Member(subject):
            yield from names_in(subject)
        case Call(_, parts) | All(parts) | AnyOf(parts):
            for part in parts:
                yield from names_in(part)
        case _:
            yield from names_in(node.part)


def fold(expression: Expression, known: Mapping[str, Value | None]) -> Expression | None:
    """Return *expression* with the known facts folded in; None where it is missing for good."""
    match expression:
        case Name(name, location):
            if name not in known:
                return expression
            value = known[name]
            return None if value is None else Constant(value, location)
        case Constant():
            return expression
        case Arithmetic(operator, left, right, location):
            first, second = fold(left, known), fold(right, known)
            if first is None or second is None:
                return None
            return _computed(Arithmetic(operator, first, second, location), (first, second))
        case Call(function, arguments, location):
            folded = tuple(fold(a, known) for a in arguments)
            kept = tuple(a for a in folded if a is not None)
            return _computed(Call(function, kept, location), kept) if len(kept) == len(folded) else None


def _computed(expression: Arithmetic | Call, parts: tuple[Expression, ...]) -> Expression | None:
    if not all(isinstance(p, Constant) for p in parts):
        return expression
    value = value_of(expression, {}, {})
    return None if value is None else Constant(value, expression.location)


def _simplify(node: Condition, known: Mapping[str, Value | None]) -> Condition:
    match node:
        case All(parts, location):
            return _grouped(All, NEVER, parts, location, known)
        case AnyOf(parts, location):
            return _grouped(AnyOf, ALWAYS, parts, location, known)
        case Comparison(left, operator, right, location):
            first, second = fold(left, known), fold(right, known)
            if first is None or second is None:
                return NEVER
            if isinstance(first, Constant) and not isinstance(second, Constant):
                first, operator, second = second, operator.mirrored, first
            return _decided(Comparison(first, operator, second, location), first, second)
        case Member(subject, values, negated, location):
            folded = fold(subject, known)
            return NEVER if folded is None else _decided(Member(folded, values, negated, location), folded)
        case _:  # pragma: no cover - push_down_not leaves no Not
            raise AssertionError(node)


def _grouped(
    group: type[All | AnyOf],
    decides: Condition,
    parts: tuple[Condition, ...],
    location: Location,
    known: Mapping[str, Value | None],
) -> Condition:
    flat = tuple(dict.fromkeys(_flattened(group, parts, known)))
    if decides in flat:
        return decides
    return flat[0] if len(flat) == 1 else group(flat, location)


def _flattened(
    group: type[All | AnyOf], parts: tuple[Condition, ...], known: Mapping[str, Value | None]
) -> Iterator[Condition]:
    for part in parts:
        simple = _simplify(part, known)
        if isinstance(simple, group):
            yield from simple.parts
        else:
            yield simple


def _decided(leaf: Comparison | Member, *sides: Expression) -> Condition:
    if not all(isinstance(side, Constant) for side in sides):
        return leaf
    return ALWAYS if explain(leaf, {}, {}).holds else NEVER
