"""Conditions brought into the narrow form that machines evaluate.

Numbers in columns, compared with each other or with constants; ``All`` and ``AnyOf``; nothing else.

Column ``f0``, ``f1``, ... hold the facts that are read, then the derived values: every sum, product, ``abs``, ``min``
and ``max`` of a condition is computed once, before it. A flag becomes 1 or 0. A text becomes the number of the constant
that it equals, or another one. A missing value is NaN. So the engine and the generated code never see a text, and a
name that an author chose never reaches them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from apis_rules.decide.language import kind_of
from apis_rules.decide.simplify import names_in, simplify
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
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from apis_rules.decide.facts import Value

OTHER_TEXT: Final = -1.0
"""The number of a text that no condition names, where texts are compared with constants only."""


@dataclass(frozen=True, slots=True)
class Lowered:
    """Conditions in the narrow form.

    Attributes:
        facts: the facts that are read: column ``f<i>`` holds the i-th.
        derived: the derived values, in the columns that follow, as expressions over columns.
        conditions: one for each condition given, over columns.
        texts: text constants, with their numbers.
        pairs: whether one text fact is compared with another, so that unknown texts must be told apart.
    """

    facts: tuple[tuple[str, FactKind], ...]
    derived: tuple[Expression, ...]
    conditions: tuple[Condition, ...]
    texts: Mapping[str, float]
    pairs: bool

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of all columns."""
        return tuple(f"f{i}" for i in range(len(self.facts) + len(self.derived)))


def lower(conditions: Sequence[Condition], kinds: Mapping[str, FactKind], values: Sequence[Expression] = ()) -> Lowered:
    """Bring *conditions* into the narrow form; *values* become the last derived columns, in their order."""
    simple = [simplify(c) for c in conditions]
    names = dict.fromkeys(n.name for part in (*simple, *values) for n in names_in(part))
    lowering = _Lowering(kinds, {name: f"f{i}" for i, name in enumerate(names)})
    narrow = tuple(lowering.condition(c) for c in simple)
    for value in values:
        lowering.append(value)
    facts = tuple((name, kinds[name]) for name in names)
    return Lowered(facts, tuple(lowering.derived), narrow, lowering.texts, lowering.pairs)


@dataclass(slots=True)
class _Lowering:
    kinds: Mapping[str, FactKind]
    columns: Mapping[str, str]
    derived: list[Expression] = field(default_factory=list)
    texts: dict[str, float] = field(default_factory=dict)
    pairs: bool = False
    _known: dict[Expression, Name] = field(default_factory=dict)

    def condition(self, node: Condition) -> Condition:
        match node:
            case All(parts):
                return All(tuple(self.condition(p) for p in parts))
            case AnyOf(parts):
                return AnyOf(tuple(self.condition(p) for p in parts))
            case Comparison(left, operator, right):
                if kind_of(left, self.kinds) is FactKind.TEXT and not isinstance(right, Constant):
                    self.pairs = True
                return Comparison(self._side(left), operator, self._side(right))
            case Member(subject, values, negated):
                side, operator = self._side(subject), Operator.NE if negated else Operator.EQ
                tests = tuple(Comparison(side, operator, self._constant(v)) for v in values)
                if len(tests) == 1:
                    return tests[0]
                return All(tests) if negated else AnyOf(tests)
            case _:  # pragma: no cover - simplify leaves no Not
                raise AssertionError(node)

    def append(self, value: Expression) -> None:
        self.derived.append(self._over_columns(value))

    def _side(self, expression: Expression) -> Name | Constant:
        if isinstance(expression, Constant):
            return self._constant(expression.value)
        if isinstance(expression, Name):
            return Name(self.columns[expression.name])
        if expression not in self._known:
            self._known[expression] = Name(f"f{len(self.columns) + len(self.derived)}")
            self.derived.append(self._over_columns(expression))
        return self._known[expression]

    def _constant(self, value: Value) -> Constant:
        if isinstance(value, str):
            return Constant(self.texts.setdefault(value, float(len(self.texts))))
        return Constant(float(value))

    def _over_columns(self, expression: Expression) -> Expression:
        match expression:
            case Name(name):
                return Name(self.columns[name])
            case Constant(value):
                return self._constant(value)
            case Arithmetic(operator, left, right):
                return Arithmetic(operator, self._over_columns(left), self._over_columns(right))
            case Call(function, arguments):
                return Call(function, tuple(map(self._over_columns, arguments)))
