from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apis_rules.decide.spans import EVERYTHING, Spans

bounds = st.one_of(st.integers(-6, 6), st.sampled_from([-math.inf, math.inf]))
sets = st.lists(st.tuples(bounds, bounds), max_size=4).map(lambda spans: Spans.of(*spans))


@given(sets, sets, st.integers(-8, 8))
def test_set_operations_agree_with_membership(a: Spans, b: Spans, x: int) -> None:
    """Union, intersection and difference contain exactly the numbers that logic says."""
    assert (x in (a | b)) == (x in a or x in b)
    assert (x in (a & b)) == (x in a and x in b)
    assert (x in (a - b)) == (x in a and x not in b)


@given(sets, sets)
def test_equal_sets_are_equal_values(a: Spans, b: Spans) -> None:
    """However a set was put together, the same numbers give the same value."""
    assert (a - b) | (a & b) == a
    assert EVERYTHING - (EVERYTHING - a) == a


@given(sets)
def test_a_witness_is_a_member_nearest_to_zero(a: Spans) -> None:
    """The witness lies in the set, and no non-negative member is smaller."""
    if not a:
        with pytest.raises(ValueError, match="no member"):
            a.witness  # noqa: B018 - the property itself raises
        return
    assert a.witness in a
    assert not any(x in a for x in range(max(a.witness, 0)))
    if a.witness < 0:
        assert not any(x in a for x in range(a.witness + 1, 10))
