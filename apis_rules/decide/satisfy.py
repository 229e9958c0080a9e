"""For which facts a condition holds: whether there are any, an example, and the range of one fact.

The condition is split into alternatives; in each, texts and flags are tried from the few values that matter, and the
comparisons of numbers are a system of linear inequalities, solved exactly (Fourier and Motzkin) in fractions. ``abs``,
``min``, ``max`` and ``!=`` become alternatives. A product or quotient of two facts is not linear: it counts as a number
of its own, which can only make more possible, and an example found that way is tried out before it is believed.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Final, TypeAlias

from apis_rules.decide.explain import explain
from apis_rules.decide.intervals import LINE, Interval, IntervalSet
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
    Not,
    Operator,
)
from apis_rules.decide.writing import format_condition

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from apis_rules.decide.facts import Value

Domain: TypeAlias = Interval | tuple[str, ...]
"""What a fact can be at all: numbers within an interval, or one of some texts."""

MAX_ALTERNATIVES: Final = 20_000
MAX_INEQUALITIES: Final = 3_000


class Undecided(Exception):  # named for what happened, like the rest of the tree of exceptions
    """The question is beyond this method: too many alternatives, or an answer that hangs on a product of facts."""


def find_witness(
    condition: Condition, kinds: Mapping[str, FactKind], domains: Mapping[str, Domain] | None = None
) -> dict[str, Value] | None:
    """Return facts for which *condition* holds, or None where there are none.

    The fact mentioned first gets the smallest value that it can have, then the next.

    Args:
        condition: any condition; ``All((a, b))`` asks whether a and b overlap.
        kinds: the kinds of the facts.
        domains: what facts can be; a text without a domain can also be one that no condition names.

    Raises:
        Undecided: neither an example nor a proof that there is none was found.
    """
    unproven = False
    for alternative in _alternatives(condition, kinds, domains or {}):
        values = alternative.solve()
        if values is None:
            continue
        if explain(condition, values, kinds).holds and _inside(values, domains or {}):
            return values
        unproven = True
    if unproven:
        raise Undecided(f"no example found for {format_condition(condition)!r}, and no proof that there is none")
    return None


def find_gap(
    conditions: Sequence[Condition], kinds: Mapping[str, FactKind], domains: Mapping[str, Domain] | None = None
) -> dict[str, Value] | None:
    """Return facts, all known, for which none of *conditions* holds, or None where one always does."""
    return find_witness(All(tuple(Not(c) for c in conditions)), kinds, domains)


def range_of(
    fact: str, condition: Condition, kinds: Mapping[str, FactKind], domains: Mapping[str, Domain] | None = None
) -> IntervalSet:
    """Return every value of the number *fact* for which *condition* holds with some values of the other facts.

    Where a product of facts is compared, the range may be too wide, never too narrow.
    """
    parts = (alternative.project(fact) for alternative in _alternatives(condition, kinds, domains or {}))
    return IntervalSet.of(part for part in parts if part is not None)


@dataclass(frozen=True, slots=True)
class _Inequality:
    """Sum of coefficient x name <= bound, or < bound."""

    terms: tuple[tuple[str, Fraction], ...]
    bound: Fraction
    strict: bool

    @property
    def coefficients(self) -> dict[str, Fraction]:
        return dict(self.terms)


@dataclass(frozen=True, slots=True)
class _Linear:
    terms: Mapping[str, Fraction]
    constant: Fraction = Fraction(0)

    def plus(self, other: _Linear, factor: Fraction = Fraction(1)) -> _Linear:
        terms = dict(self.terms)
        for name, coefficient in other.terms.items():
            terms[name] = terms.get(name, Fraction(0)) + factor * coefficient
        return _Linear({n: c for n, c in terms.items() if c}, self.constant + factor * other.constant)

    def times(self, factor: Fraction) -> _Linear:
        return _Linear({}).plus(self, factor)

    def below(self, other: _Linear, *, strict: bool) -> _Inequality:
        difference = self.plus(other, Fraction(-1))
        return _Inequality(tuple(sorted(difference.terms.items())), -difference.constant, strict)


_Case: TypeAlias = tuple[tuple[_Inequality, ...], _Linear]


@dataclass(slots=True)
class _Alternative:
    """Comparisons that must all hold."""

    order: list[str]
    inequalities: list[_Inequality] = field(default_factory=list)
    discrete: list[Comparison | Member] = field(default_factory=list)
    kinds: Mapping[str, FactKind] = field(default_factory=dict)
    domains: Mapping[str, Domain] = field(default_factory=dict)

    def solve(self) -> dict[str, Value] | None:
        chosen = self._choose()
        if chosen is None:
            return None
        steps = _eliminate(self._bounded(), self._numbers())
        if steps is None:
            return None
        values: dict[str, Fraction] = {}
        for name, inequalities in reversed(steps):
            values[name] = _interval(name, inequalities, values).smallest()
        numbers = {n: float(v) for n, v in values.items() if n in self.kinds}
        return {n: (numbers | chosen)[n] for n in self.order if n in numbers or n in chosen}

    def project(self, fact: str) -> Interval | None:
        if self._choose() is None:
            return None
        numbers = [n for n in self._numbers() if n != fact]
        steps = _eliminate(self._bounded(), [fact, *numbers])
        return None if steps is None else _interval(fact, steps[-1][1], {})

    def _numbers(self) -> list[str]:
        mentioned = dict.fromkeys(n for i in self.inequalities for n, _ in i.terms)
        facts = [n for n in self.order if self.kinds[n] is FactKind.NUMBER]
        return facts + [n for n in mentioned if n not in self.kinds]

    def _bounded(self) -> list[_Inequality]:
        bounds = []
        for name in self._numbers():
            domain = self.domains.get(name)
            if isinstance(domain, Interval):
                one = Fraction(1)
                if domain.high is not None:
                    bounds.append(_Inequality(((name, one),), domain.high, domain.high_open))
                if domain.low is not None:
                    bounds.append(_Inequality(((name, -one),), -domain.low, domain.low_open))
        return [*self.inequalities, *bounds]

    def _choose(self) -> dict[str, Value] | None:
        """Find texts and flags: first each fact alone, then the pairs that are compared."""
        names = [n for n in self.order if self.kinds[n] is not FactKind.NUMBER]
        options = [[v for v in self._options(n) if self._suits({n: v})] for n in names]
        for count, values in enumerate(itertools.product(*options)):
            if count > MAX_ALTERNATIVES:
                raise Undecided(f"more than {MAX_ALTERNATIVES} combinations of texts and flags")
            chosen = dict(zip(names, values, strict=True))
            if self._suits(chosen):
                return chosen
        return None

    def _suits(self, values: Mapping[str, Value]) -> bool:
        asked = [leaf for leaf in self.discrete if all(n in values for n in _facts_of(leaf))]
        return all(explain(leaf, values, self.kinds).holds for leaf in asked)

    def _options(self, name: str) -> Iterable[Value]:
        if self.kinds[name] is FactKind.FLAG:
            return (False, True)
        domain = self.domains.get(name)
        if isinstance(domain, tuple):
            return domain
        named = dict.fromkeys(text for leaf in self.discrete for text in _texts_of(leaf))
        others = [f"another text {i}" for i in range(1, 1 + sum(k is FactKind.TEXT for k in self.kinds.values()))]
        return (*named, *others)


def _alternatives(
    condition: Condition, kinds: Mapping[str, FactKind], domains: Mapping[str, Domain]
) -> Iterator[_Alternative]:
    simple = simplify(condition)
    order = list(dict.fromkeys(n for n in _facts_of(simple)))
    count = 0
    for leaves in _split(simple):
        discrete = [leaf for leaf in leaves if _is_discrete(leaf, kinds)]
        numeric = [_cases_of(leaf) for leaf in leaves if not _is_discrete(leaf, kinds)]
        for chosen in itertools.product(*numeric):
            count += 1
            if count > MAX_ALTERNATIVES:
                raise Undecided(f"{format_condition(condition)!r} has more than {MAX_ALTERNATIVES} alternatives")
            yield _Alternative(order, [i for case in chosen for i in case], discrete, kinds, domains)


def _split(node: Condition) -> Iterator[tuple[Comparison | Member, ...]]:
    match node:
        case AnyOf(parts):
            for part in parts:
                yield from _split(part)
        case All(parts):
            if not parts:
                yield ()
                return
            for first in _split(parts[0]):
                for rest in _split(All(parts[1:])):
                    yield (*first, *rest)
        case Comparison() | Member():
            yield (node,)
        case Not():  # pragma: no cover - simplify leaves none
            raise AssertionError(node)


def _is_discrete(leaf: Comparison | Member, kinds: Mapping[str, FactKind]) -> bool:
    subject = leaf.subject if isinstance(leaf, Member) else leaf.left
    return kind_of(subject, kinds) is not FactKind.NUMBER


def _facts_of(node: Condition | Expression) -> Iterator[str]:
    return (n.name for n in names_in(node))


def _texts_of(leaf: Comparison | Member) -> Iterator[str]:
    values = (
        leaf.values
        if isinstance(leaf, Member)
        else [s.value for s in (leaf.left, leaf.right) if isinstance(s, Constant)]
    )
    return (v for v in values if isinstance(v, str))


def _cases_of(leaf: Comparison | Member) -> list[tuple[_Inequality, ...]]:
    if isinstance(leaf, Comparison):
        return _comparison_cases(leaf.left, leaf.operator, leaf.right)
    equal = [_comparison_cases(leaf.subject, Operator.EQ, Constant(v)) for v in leaf.values]
    if not leaf.negated:
        return [case for cases in equal for case in cases]
    apart = [_comparison_cases(leaf.subject, Operator.NE, Constant(v)) for v in leaf.values]
    return [tuple(i for case in cases for i in case) for cases in itertools.product(*apart)]


def _comparison_cases(left: Expression, operator: Operator, right: Expression) -> list[tuple[_Inequality, ...]]:
    return [
        (*needs, *also, *extra)
        for (needs, first), (also, second) in itertools.product(_linear(left), _linear(right))
        for extra in _compared(first, operator, second)
    ]


def _compared(a: _Linear, operator: Operator, b: _Linear) -> list[tuple[_Inequality, ...]]:
    below, above = a.below(b, strict=True), b.below(a, strict=True)
    at_most, at_least = a.below(b, strict=False), b.below(a, strict=False)
    cases: dict[Operator, list[tuple[_Inequality, ...]]] = {
        Operator.LT: [(below,)],
        Operator.LE: [(at_most,)],
        Operator.GT: [(above,)],
        Operator.GE: [(at_least,)],
        Operator.EQ: [(at_most, at_least)],
        Operator.NE: [(below,), (above,)],
    }
    return cases[operator]


def _linear(node: Expression) -> list[_Case]:
    match node:
        case Constant(value):
            return [((), _Linear({}, Fraction(value)))]
        case Name(name):
            return [((), _Linear({name: Fraction(1)}))]
        case Call(function, arguments):
            return _called(function, [_linear(a) for a in arguments])
        case Arithmetic(operator, left, right):
            pairs = itertools.product(_linear(left), _linear(right))
            return [((*n1, *n2), _combined(node, operator, a, b)) for (n1, a), (n2, b) in pairs]


def _combined(node: Arithmetic, operator: str, left: _Linear, right: _Linear) -> _Linear:
    if operator == "+":
        return left.plus(right)
    if operator == "-":
        return left.plus(right, Fraction(-1))
    if operator == "*" and not (left.terms and right.terms):
        return right.times(left.constant) if not left.terms else left.times(right.constant)
    if operator == "/" and not right.terms and right.constant:
        return left.times(1 / right.constant)
    # Not linear: a number of its own, called by its own text, so that equal products are equal.
    return _Linear({format_condition(node): Fraction(1)})


def _called(function: str, arguments: list[list[_Case]]) -> list[_Case]:
    zero = _Linear({})
    if function == "abs":
        cases: list[_Case] = []
        for needs, value in arguments[0]:
            cases.append(((*needs, zero.below(value, strict=False)), value))
            cases.append(((*needs, value.below(zero, strict=True)), value.times(Fraction(-1))))
        return cases
    best = arguments[0]
    for following in arguments[1:]:
        merged: list[_Case] = []
        for (n1, a), (n2, b) in itertools.product(best, following):
            low, high = (a, b) if function == "min" else (b, a)
            merged.append(((*n1, *n2, low.below(high, strict=False)), a))
            merged.append(((*n1, *n2, high.below(low, strict=True)), b))
        best = merged
    return best


def _eliminate(inequalities: Sequence[_Inequality], order: Sequence[str]) -> list[tuple[str, list[_Inequality]]] | None:
    """Eliminate the names from the last to the first; None where the system has no solution."""
    steps = []
    current = list(dict.fromkeys(inequalities))
    for name in reversed(order):
        with_name = [i for i in current if name in i.coefficients]
        rest = [i for i in current if name not in i.coefficients]
        steps.append((name, with_name))
        uppers = [i for i in with_name if i.coefficients[name] > 0]
        lowers = [i for i in with_name if i.coefficients[name] < 0]
        current = list(dict.fromkeys([*rest, *(_cancelled(name, u, w) for u in uppers for w in lowers)]))
        if len(current) > MAX_INEQUALITIES:
            raise Undecided(f"more than {MAX_INEQUALITIES} inequalities")
        if any(not i.terms and (i.bound < 0 or (i.strict and i.bound == 0)) for i in current):
            return None
        current = [i for i in current if i.terms]
    return steps


def _cancelled(name: str, upper: _Inequality, lower: _Inequality) -> _Inequality:
    up, down = upper.coefficients[name], -lower.coefficients[name]
    total = _Linear(upper.coefficients).times(1 / up).plus(_Linear(lower.coefficients), 1 / down)
    return _Inequality(
        tuple(sorted(total.terms.items())), upper.bound / up + lower.bound / down, upper.strict or lower.strict
    )


def _interval(name: str, inequalities: Iterable[_Inequality], values: Mapping[str, Fraction]) -> Interval:
    result = LINE.intervals[0]
    for inequality in inequalities:
        coefficients = inequality.coefficients
        own = coefficients.pop(name)
        bound = (inequality.bound - sum(c * values[n] for n, c in coefficients.items())) / own
        if own > 0:
            result &= Interval(None, bound, high_open=inequality.strict)
        else:
            result &= Interval(bound, None, low_open=inequality.strict)
    return result


def _inside(values: Mapping[str, Value], domains: Mapping[str, Domain]) -> bool:
    numbers = ((values[n], d) for n, d in domains.items() if n in values and isinstance(d, Interval))
    return all(not isinstance(v, str) and v in d for v, d in numbers)
