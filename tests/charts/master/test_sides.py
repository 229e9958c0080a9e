"""Steps of switching: both sides get where they should, and the holder stays within its limit at each of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from apis_rules.charts.master.load import BusLoad
from apis_rules.charts.master.sides import (
    SMALL_A,
    Surroundings,
    confirm,
    plan_down,
    plan_up,
    side_of,
    signed_span_a,
)
from apis_rules.ports.types import CommandName, Deal, DealSide
from tests.charts.master.store import make_deal

NO_CURRENT_A = 1e-5
CURRENTS = st.floats(0.1, 8.0).map(lambda a: round(a, 2))


def at_holder(deal: Deal, around: Surroundings) -> tuple[float, float]:
    """What the holder may carry, least and most."""
    low_a, high_a = around.low_a, around.high_a
    for unit_id in deal.record.units:
        if unit_id not in around.holding and side_of(deal, unit_id).on:
            least_a, most_a = signed_span_a(deal, unit_id)
            low_a, high_a = low_a - most_a, high_a - least_a
    return low_a, high_a


@given(
    current_a=CURRENTS, limit_a=st.floats(0.3, 3.0), base=st.floats(-1, 1), reference=st.sampled_from(["E001", "E002"])
)
@example(current_a=0.5, limit_a=0.5, base=2.3e-06, reference="E001")
@example(current_a=0.5, limit_a=0.5, base=2.3e-06, reference="E002")
def test_both_sides_get_there_within_the_holders_limit(
    current_a: float, limit_a: float, base: float, reference: str
) -> None:
    """Whatever a deal's current and the holder's load, it is switched on and off without overloading the holder."""
    deal = make_deal("d1", "E001", "E002", current_a=current_a)
    detail = deal.detail.model_copy(update={"reference_unit_id": reference})
    deal = deal.model_copy(update={"detail": detail})
    around = Surroundings(holding=frozenset({"E009"}), low_a=base * limit_a, high_a=base * limit_a, limit_a=limit_a)
    steps = 0
    for up in (True, False):
        for _ in range(400):
            if up:
                deal, order = plan_up(deal, around, reference_only=False)
            else:
                deal, order = plan_down(deal, around, reference_too=True)
            if order is None:
                break
            steps += 1
            low_a, high_a = at_holder(deal, around)
            assert low_a >= -limit_a - NO_CURRENT_A
            assert high_a <= limit_a + NO_CURRENT_A
            deal = confirm(deal.model_copy(update={"open_unit_id": order.unit_id}))
        sides = [side_of(deal, u) for u in deal.record.units]
        if up:
            assert all(s.on and s.set_a == pytest.approx(current_a, abs=NO_CURRENT_A) for s in sides)
        else:
            assert not any(s.on for s in sides)
    assert steps >= 4


@given(first=CURRENTS, second=CURRENTS)
def test_a_unit_of_two_deals_is_commanded_their_sum(first: float, second: float) -> None:
    """A command carries the whole unit's current; the end of one deal leaves the other's."""
    deal = make_deal("d2", "E001", "E002", current_a=second)
    around = Surroundings(holding=frozenset({"E002"}), busy=frozenset({"E001"}), others_a={"E001": first})
    deal, order = plan_up(deal, around, reference_only=False)
    assert order is not None
    assert order.name is CommandName.CURRENT
    assert order.params.grid_current_a == pytest.approx(first + second)
    deal = confirm(deal.model_copy(update={"open_unit_id": "E001"}))
    deal = deal.model_copy(update={"detail": deal.detail.model_copy(update={"reference_unit_id": "E002"})})
    deal, order = plan_down(deal, around, reference_too=False)
    assert order is not None
    assert order.params.grid_current_a == pytest.approx(first)


def test_a_side_is_off_only_when_its_stop_is_confirmed() -> None:
    """A start without an outcome counts as carried out until a stop is."""
    deal = make_deal("d1", "E001", "E002")
    around = Surroundings(holding=frozenset({"E002"}))
    deal = deal.model_copy(update={"detail": deal.detail.model_copy(update={"reference_unit_id": "E002"})})
    deal, order = plan_up(deal, around, reference_only=False)
    assert order is not None
    assert signed_span_a(deal, "E001") == (-1.0, 0.0)
    deal, order = plan_down(deal, around, reference_too=False)
    assert order is not None
    assert order.name is CommandName.WAIT
    assert side_of(deal, "E001").on
    assert signed_span_a(deal, "E001") == (-1.0, 0.0)
    deal = confirm(deal.model_copy(update={"open_unit_id": "E001"}))
    assert not side_of(deal, "E001").on


@given(
    st.lists(
        st.tuples(st.sampled_from(["E001", "E002", "E003"]), st.sampled_from(["E004", "E005"]), CURRENTS), max_size=6
    )
)
def test_the_load_is_the_same_however_it_came_about(given_deals: list[tuple[str, str, float]]) -> None:
    """Deals added one by one, changed and taken away leave the sums of those that stay; the bus is balanced."""
    load = BusLoad([], {})
    deals = []
    for number, (discharge, charge, current_a) in enumerate(given_deals):
        deal = make_deal(f"d{number}", discharge, charge, current_a=current_a)
        side = DealSide(on=True, set_a=current_a, to_a=current_a)
        detail = deal.detail.model_copy(update={"charge": side, "discharge": side})
        deal = deal.model_copy(update={"detail": detail})
        load.add(deal)
        deals.append(deal)
    assume(deals)
    load.add(deals[0], -1)
    fresh = BusLoad(deals[1:], {})
    for unit_id in ("E001", "E002", "E003", "E004", "E005"):
        assert load.commanded_a(unit_id) == pytest.approx(fresh.commanded_a(unit_id), abs=SMALL_A)
        assert load.on(unit_id) == fresh.on(unit_id)
        own_a = sum(
            (-1 if d.record.discharge_unit_id == unit_id else 1) * d.record.deal_grid_current_a
            for d in deals[1:]
            if unit_id in d.record.units
        )
        assert load.holder_span_a({unit_id}) == pytest.approx((own_a, own_a), abs=1e-6)


def test_an_excluded_unit_may_carry_its_last_current_either_way() -> None:
    """The holder's span is wider by it, and the unit's own sides are not counted twice."""
    deal = make_deal("d1", "E001", "E002")
    side = DealSide(on=True, set_a=1.0, to_a=1.0)
    deal = deal.model_copy(update={"detail": deal.detail.model_copy(update={"discharge": side})})
    assert BusLoad([deal], {}).holder_span_a({"E009"}) == (1.0, 1.0)
    assert BusLoad([deal], {"E001": 1.0}).holder_span_a({"E009"}) == (-1.0, 1.0)


def test_a_silent_partner_is_passed_over() -> None:
    """Its stop cannot be told; the living side is brought down all the same."""
    deal = make_deal("d1", "E001", "E002")
    side = DealSide(on=True, set_a=1.0, to_a=1.0)
    detail = deal.detail.model_copy(update={"charge": side, "discharge": side, "reference_unit_id": "E002"})
    deal = deal.model_copy(update={"detail": detail})
    around = Surroundings(holding=frozenset({"E009"}), limit_a=2.3, silent=frozenset({"E001"}))
    assert plan_down(deal, around, reference_too=False)[1] is None
    order = plan_down(deal, around, reference_too=True)[1]
    assert order is not None
    assert str(order) == "E002 wait"
    tight = replace(around, low_a=1.4, high_a=1.4, limit_a=1.0)
    assert plan_down(deal, tight, reference_too=True)[1] is None, "the holder could not carry it"
