from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apis_rules.decide.amounts import DealLimits, remaining_wh

amounts = st.integers(-10, 5000)
limits = st.builds(
    DealLimits,
    amount_min_wh=st.integers(0, 200),
    amount_max_wh=st.integers(0, 500),
    amount_unit_wh=st.integers(1, 120),
)


@given(limits, amounts, amounts)
def test_a_deal_is_the_largest_allowed_multiple_of_the_unit(policy: DealLimits, request: int, accept: int) -> None:
    """A deal is the largest multiple of the unit that both sides and the maximum allow, else nothing."""
    deal = policy.deal_amount_wh(request, accept)
    bound = min(request, accept, policy.amount_max_wh)
    if deal is None:
        best = bound // policy.amount_unit_wh * policy.amount_unit_wh
        assert best < policy.amount_min_wh or best <= 0
    else:
        assert deal % policy.amount_unit_wh == 0
        assert bound - policy.amount_unit_wh < deal <= bound
        assert deal >= policy.amount_min_wh


def test_an_offer_of_exactly_the_minimum_counts() -> None:
    """With minimum = maximum = 50 an offer of 50 is made and gives a deal of 50; 49 is neither."""
    policy = DealLimits(amount_min_wh=50, amount_max_wh=50, amount_unit_wh=50)
    assert policy.offers(50)
    assert not policy.offers(49)
    assert policy.deal_amount_wh(50, 3600) == 50
    assert policy.deal_amount_wh(99, 3600) == 50
    assert policy.deal_amount_wh(49, 3600) is None


def test_rounding_down_may_end_below_the_minimum() -> None:
    """Where the unit does not divide the minimum, an offer above it can still make no deal."""
    assert DealLimits(amount_min_wh=50, amount_max_wh=500, amount_unit_wh=40).deal_amount_wh(70, 70) is None


def test_nothing_is_not_a_deal() -> None:
    """Without a minimum there is still no deal about 0 Wh."""
    assert DealLimits(amount_min_wh=0, amount_max_wh=500, amount_unit_wh=50).deal_amount_wh(30, 30) is None


@pytest.mark.parametrize("nominal_wh", [4800, 5000, 7, 1200])
def test_remaining_energy_is_rounded_down_without_binary_noise(nominal_wh: int) -> None:
    """For every tenth of a percent the whole Wh equal exact arithmetic."""
    for tenths in range(1001):
        exact = Fraction(nominal_wh) * tenths / 1000
        assert remaining_wh(tenths / 10, nominal_wh) == exact.__floor__()
