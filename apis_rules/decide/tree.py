"""The condition tree: what stands between a file and everything that evaluates, compiles, explains or analyses it.

A condition is a comparison, a membership, or ``All``/``AnyOf``/``Not`` of conditions. A comparison compares two
expressions over named facts. One meaning of the unknown holds everywhere: *a comparison or membership over a missing
value is false*, and ``Not`` is pushed down to the comparisons before anything is evaluated (``not a < b`` means
``a >= b``, which is false as well when ``a`` is missing). An expression is missing when a fact in it is missing, when
it divides by zero, or when its result is not finite.

Every node keeps the place it was read from; places do not count in equality, so that equal conditions are equal.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from apis_rules.documents.diagnostics import Location

NOWHERE: Final = Location("<made by the program>")


class FactKind(enum.StrEnum):
    """What values a fact takes."""

    NUMBER = "number"
    TEXT = "text"
    FLAG = "flag"


class Operator(enum.StrEnum):
    """How two expressions are compared. Texts and flags know equality only."""

    LT = "<"
    LE = "<="
    GT = ">"
    GE = ">="
    EQ = "=="
    NE = "!="

    @property
    def negated(self) -> Operator:
        """The operator that holds exactly where this one does not, both sides being known."""
        return _NEGATED[self]

    @property
    def mirrored(self) -> Operator:
        """The operator for exchanged sides."""
        return _MIRRORED[self]


_NEGATED = {
    Operator.LT: Operator.GE,
    Operator.LE: Operator.GT,
    Operator.GT: Operator.LE,
    Operator.GE: Operator.LT,
    Operator.EQ: Operator.NE,
    Operator.NE: Operator.EQ,
}
_MIRRORED = {
    Operator.LT: Operator.GT,
    Operator.LE: Operator.GE,
    Operator.GT: Operator.LT,
    Operator.GE: Operator.LE,
    Operator.EQ: Operator.EQ,
    Operator.NE: Operator.NE,
}


@dataclass(frozen=True, slots=True)
class Name:
    """A fact, by its name."""

    name: str
    location: Location = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Constant:
    """A number, a text or a flag that stands in the condition."""

    value: float | str | bool
    location: Location = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """Two numbers combined."""

    operator: Literal["+", "-", "*", "/"]
    left: Expression
    right: Expression
    location: Location = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Call:
    """``abs(x)``, ``min(x, ...)`` or ``max(x, ...)``."""

    function: Literal["abs", "min", "max"]
    arguments: tuple[Expression, ...]
    location: Location = field(default=NOWHERE, compare=False)


Expression: TypeAlias = Name | Constant | Arithmetic | Call


@dataclass(frozen=True, slots=True)
class Comparison:
    """``left operator right``. A flag alone, ``present``, is ``present == true``."""

    left: Expression
    operator: Operator
    right: Expression
    location: Location = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Member:
    """``subject in (a, b)``, or with *negated* ``subject not in (a, b)``; both are false for a missing subject."""

    subject: Expression
    values: tuple[float | str, ...]
    negated: bool = False
    location: Location = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class All:
    """Every part holds; with no part: always."""

    parts: tuple[Condition, ...]
    location: Location = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one part holds; with no part: never."""

    parts: tuple[Condition, ...]
    location: Location = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Not:
    """As written in a file; gone after ``push_down_not``."""

    part: Condition
    location: Location = field(default=NOWHERE, compare=False)


Condition: TypeAlias = Comparison | Member | All | AnyOf | Not


def push_down_not(condition: Condition) -> Condition:
    """Return an equal condition without ``Not``: only comparisons and memberships are negated."""
    return _push(condition, negate=False)


def _push(condition: Condition, *, negate: bool) -> Condition:
    match condition:
        case Not(part):
            return _push(part, negate=not negate)
        case All(parts, location):
            pushed = tuple(_push(p, negate=negate) for p in parts)
            return AnyOf(pushed, location) if negate else All(pushed, location)
        case AnyOf(parts, location):
            pushed = tuple(_push(p, negate=negate) for p in parts)
            return All(pushed, location) if negate else AnyOf(pushed, location)
        case Comparison(left, operator, right, location):
            return Comparison(left, operator.negated, right, location) if negate else condition
        case Member(subject, values, negated, location):
            return Member(subject, values, not negated, location) if negate else condition
