"""Random conditions and facts for the tests of everything that evaluates them."""

from __future__ import annotations

import math

from hypothesis import strategies as st

from apis_rules.decide.tree import (
    All,
    AnyOf,
    Arithmetic,
    Call,
    Comparison,
    Constant,
    FactKind,
    Member,
    Name,
    Not,
    Operator,
)

KINDS = {
    **dict.fromkeys("abcd", FactKind.NUMBER),
    **dict.fromkeys("st", FactKind.TEXT),
    **dict.fromkeys("pqr", FactKind.FLAG),
}
NUMBERS = (-2.5, -1, 0, 0.5, 1, 2, 3, 30, 47.25, 1e-05, 1440, 4800)
TEXTS = ("x", "y", "autonomous", "Grid Autonomy", "ü")
ODD = (
    *(None, math.nan, math.inf, -math.inf, 10**400, 2**60, -(2**53), 1e300, -0.0, 5e-324),
    *("30", "", "x" * 300, "\ud800", b"x", [], {}, True, False, object(), 1 + 2j),
)


def _groups(parts):
    listed = st.lists(parts, min_size=2, max_size=3).map(tuple)
    return st.one_of(st.builds(All, listed), st.builds(AnyOf, listed), st.builds(Not, parts))


def expressions():
    """Numbers: a fact, a constant, or a few of them combined."""
    atoms = st.one_of(st.sampled_from("abcd").map(Name), st.sampled_from(NUMBERS).map(Constant))

    def combine(parts):
        pair = st.tuples(parts, parts)
        return st.one_of(
            st.builds(Arithmetic, st.sampled_from("+-*/"), parts, parts),
            st.builds(Call, st.just("abs"), st.tuples(parts)),
            st.builds(Call, st.sampled_from(("min", "max")), pair),
        )

    return st.recursive(atoms, combine, max_leaves=4)


def leaves():
    """One comparison or membership."""
    equal = st.sampled_from((Operator.EQ, Operator.NE))
    text = st.one_of(st.sampled_from("st").map(Name), st.sampled_from(TEXTS).map(Constant))
    values = st.lists(st.sampled_from(NUMBERS), min_size=1, max_size=3, unique=True).map(tuple)
    texts = st.lists(st.sampled_from(TEXTS), min_size=1, max_size=3, unique=True).map(tuple)
    return st.one_of(
        st.builds(Comparison, expressions(), st.sampled_from(Operator), expressions()),
        st.builds(Comparison, st.sampled_from("st").map(Name), equal, text),
        st.builds(Comparison, st.sampled_from("pqr").map(Name), equal, st.just(Constant(value=True))),
        st.builds(Comparison, st.just(Name("p")), equal, st.just(Name("q"))),
        st.builds(Member, expressions(), values, st.booleans()),
        st.builds(Member, st.sampled_from("st").map(Name), texts, st.booleans()),
    )


def conditions():
    """Whole conditions."""
    return st.recursive(leaves(), _groups, max_leaves=6)


def facts():
    """Facts, most of them usable, some of another kind, some missing."""
    number = st.one_of(st.sampled_from(NUMBERS), st.floats(-50, 50), st.integers(-5, 5), st.sampled_from(ODD))
    text = st.one_of(st.sampled_from(TEXTS), st.text(max_size=3), st.sampled_from(ODD))
    flag = st.one_of(st.booleans(), st.sampled_from(ODD))
    by_kind = {FactKind.NUMBER: number, FactKind.TEXT: text, FactKind.FLAG: flag}
    return st.fixed_dictionaries({}, optional={name: by_kind[kind] for name, kind in KINDS.items()})
