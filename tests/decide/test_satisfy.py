"""Intervals, and the question for which facts a condition holds."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apis_rules.decide.explain import explain
from apis_rules.decide.intervals import LINE, Interval, IntervalSet
from apis_rules.decide.satisfy import Undecided, find_gap, find_witness, range_of
from apis_rules.decide.tree import All
from tests.decide.test_evaluate import tree
from tests.decide.trees import KINDS, conditions, facts

ENDS = st.one_of(st.none(), st.integers(-4, 4).map(Fraction))
INTERVALS = st.builds(
    lambda low, high, a, b: Interval(
        None if low is None else Fraction(low), None if high is None else Fraction(high), a, b
    ),
    *(ENDS, ENDS, st.booleans(), st.booleans()),
)
SETS = st.lists(INTERVALS, max_size=4)
PROBES = [Fraction(n, 2) for n in range(-12, 13)]


@given(SETS, SETS)
def test_sets_of_intervals_behave_as_the_sets_of_their_numbers(left, right):
    """Union, intersection, difference and complement hold number by number; no two intervals touch."""
    a, b = IntervalSet.of(left), IntervalSet.of(right)
    for x in PROBES:
        in_a, in_b = any(x in i for i in left), any(x in i for i in right)
        assert (x in a, x in b) == (in_a, in_b)
        assert (x in (a | b), x in (a & b), x in (a - b)) == (in_a or in_b, in_a and in_b, in_a and not in_b)
        assert (x in a.complement()) is not in_a
    assert (a | a.complement()) == LINE
    assert not a & a.complement()


@given(INTERVALS)
def test_a_witness_is_inside(interval):
    """The witness of an interval that is not empty is one of its numbers."""
    if interval.empty:
        with pytest.raises(ValueError, match="no number"):
            interval.witness()
    else:
        assert interval.witness() in interval


def test_neighbouring_bands_join_without_a_gap():
    """[0, 1440) and [1440, 3360) are one band; their picture says which end belongs to it."""
    joined = IntervalSet.of([Interval.band(1440, 3360), Interval.band(0, 1440)])
    assert str(joined) == "[0, 3360)"
    assert str(joined.complement()) == "(-inf, 0) or [3360, inf)"


@pytest.mark.parametrize(
    ("text", "witness"),
    [
        ("a > 2 and a < 3", {"a": 2.5}),
        ("a >= 2 and b > a and b <= 3", {"a": 2.0, "b": 3.0}),
        ("a < b and b < c and c < a", None),
        ("a < b and b < a + 1 and a >= 1440", {"a": 1440.0, "b": 1440.5}),
        ("abs(a - 350) > 4 and a >= 347", {"a": 355.0}),
        ("abs(a - 350) > 4 and abs(a - 350) <= 4", None),
        ("max(a, b) < 1 and min(a, b) > 1", None),
        ("p and not p", None),
        ("p and s == 'x' and s != t and t in ('x', 'y')", {"p": True, "s": "x", "t": "y"}),
        ("s in ('x', 'y') and s not in ('x', 'y')", None),
        ("a in (1, 2) and a not in (1, 3)", {"a": 2.0}),
        ("a != 0 and a >= 0 and a <= 0", None),
        ("a / 2 + 1 > 3 and a <= 4", None),
        ("a * b > 1 and a * b < 1", None),
    ],
)
def test_an_example_or_the_proof_that_there_is_none(text, witness):
    """The answer is exact for linear comparisons, texts and flags, with the smallest values."""
    assert find_witness(tree(text), KINDS) == witness


def test_a_question_beyond_the_method_is_said_to_be_undecided():
    """A product of facts for which no example is found is no proof."""
    with pytest.raises(Undecided):
        find_witness(tree("a * b < 0 and a > 0 and b > 0"), KINDS)


def test_domains_bound_what_facts_can_be():
    """A gap is looked for only where facts can be."""
    bands = [tree("a < 1440"), tree("a >= 1440 and a < 3360"), tree("a > 3360")]
    domain = {"a": Interval.closed(0, 4800)}
    assert find_gap(bands, KINDS, domain) == {"a": 3360.0}
    assert find_gap([*bands, tree("a == 3360")], KINDS, domain) is None
    assert find_witness(tree("s != 'x'"), KINDS, {"s": ("x", "y")}) == {"s": "y"}
    assert find_witness(tree("s != 'x'"), KINDS, {"s": ("x",)}) is None


def test_the_range_of_one_fact_is_projected_from_the_others():
    """``range_of`` gives every value that some values of the other facts allow."""
    condition = tree("a > b and b >= 10 and a != 20 and (a < 30 or p)")
    assert str(range_of("a", condition, KINDS)) == "(10, 20) or (20, inf)"
    assert str(range_of("a", condition, KINDS, {"b": Interval.closed(12, 15)})) == "(12, 20) or (20, inf)"


@given(conditions(), facts())
def test_what_holds_for_some_facts_has_an_example_that_holds(condition, given_facts):
    """If a condition holds for any facts, an example is found (or the question is said to be undecided)."""
    try:
        witness = find_witness(condition, KINDS)
    except Undecided:
        return
    if witness is None:
        assert not explain(condition, given_facts, KINDS).holds
    else:
        assert explain(condition, witness, KINDS).holds


@given(conditions(), conditions())
def test_overlap_is_symmetric(first, second):
    """A and b overlap exactly where b and a do."""
    try:
        one, other = find_witness(All((first, second)), KINDS), find_witness(All((second, first)), KINDS)
    except Undecided:
        return
    assert (one is None) == (other is None)
