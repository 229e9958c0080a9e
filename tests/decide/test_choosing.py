"""Choosing among accepts against the rule as it is written (specification 6.3)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from apis_rules.decide.choosing import Candidate, Strategy, choose_accept
from apis_rules.ports.types.negotiation import Direction

directions = st.sampled_from(Direction)
prices = st.sampled_from([None, 8.0, 10.0, 12.5])
units = st.sampled_from(["E002", "E003", "E004"])
requests = st.builds(
    Candidate,
    unit_id=st.just("E001"),
    direction=directions,
    amount_wh=st.just(100),
    point_per_wh=prices,
    pair_unit_id=st.one_of(st.none(), units),
)
accepts = st.lists(
    st.builds(
        Candidate,
        unit_id=units,
        direction=directions,
        amount_wh=st.sampled_from([None, 0, 50, 100]),
        point_per_wh=prices,
    ),
    max_size=5,
)


def expected(strategy: Strategy, request: Candidate, offered: list[Candidate]) -> int | None:
    """Keep the better of two, one after the other: the first answer stays where nothing is better."""
    best: int | None = None
    for index, accept in enumerate(offered):
        if accept.direction is request.direction or accept.amount_wh is None:
            continue
        if request.pair_unit_id is not None and accept.unit_id != request.pair_unit_id:
            continue
        if strategy is Strategy.AMOUNT:
            if accept.amount_wh > 0 and (best is None or accept.amount_wh > (offered[best].amount_wh or 0)):
                best = index
            continue
        own, asked = request.point_per_wh, accept.point_per_wh
        if own is None or asked is None:
            continue
        gain = own - asked if request.direction is Direction.CHARGE else asked - own
        if gain < 0:
            continue
        if best is not None:
            price = offered[best].point_per_wh or 0.0
            best_gain = own - price if request.direction is Direction.CHARGE else price - own
            if (gain, accept.amount_wh) <= (best_gain, offered[best].amount_wh or 0):
                continue
        best = index
    return best


@given(st.sampled_from(Strategy), requests, accepts)
def test_the_best_accept_is_taken(strategy: Strategy, request: Candidate, offered: list[Candidate]) -> None:
    """Price, then amount, then who answered first; never the same direction, another partner or no amount."""
    assert choose_accept(strategy, request, offered) == expected(strategy, request, offered)


def test_without_a_price_of_its_own_a_requester_takes_nothing_where_prices_count() -> None:
    """A missing own price is no deal under pointAndAmount, and does not matter under amount."""
    request = Candidate("E001", Direction.CHARGE, 100)
    seller = Candidate("E002", Direction.DISCHARGE, 100, 1.0)
    assert choose_accept(Strategy.POINT_AND_AMOUNT, request, [seller]) is None
    assert choose_accept(Strategy.AMOUNT, request, [seller]) == 0
