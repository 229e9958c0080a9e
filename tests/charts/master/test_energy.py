"""Energy on the unit clock: trapezoids, switches between two looks, clocks that are set, the moment to stop."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apis_rules.charts.master.energy import (
    advance_clock,
    book,
    format_time,
    mark_switch,
    parse_time,
    seconds_left,
)
from apis_rules.charts.master.memory import UnitClock
from apis_rules.ports.types import DealSide

NO_LEAD = {"rate": 1.0, "lead_s": 0.4}


@given(st.lists(st.tuples(st.floats(0.1, 100), st.floats(-500, 500)), min_size=1, max_size=20))
def test_trapezoids_are_the_integral_of_what_changes_evenly(steps: list[tuple[float, float]]) -> None:
    """Between two samples the power changes evenly; a straight line in many pieces is the same as in one."""
    side = book(DealSide(), 0.0, 100.0, **NO_LEAD)
    true_wh, at_s, power_w = 0.0, 0.0, 100.0
    for passed_s, next_w in steps:
        true_wh += (power_w + next_w) / 2 * passed_s / 3600
        at_s, power_w = at_s + passed_s, next_w
        side = book(side, at_s, power_w, **NO_LEAD)
    assert side.amount_wh == pytest.approx(true_wh, abs=1e-9)


@pytest.mark.parametrize("unseen_s", [0.5, 5.0, 60.0])
def test_a_switch_is_not_smeared_over_the_time_that_nobody_looked(unseen_s: float) -> None:
    """From the command on the power is the new one after its lead, be it a start or a stop."""
    stopping = mark_switch(book(DealSide(), 0.0, 360.0, **NO_LEAD), 10.0)
    assert stopping.amount_wh == pytest.approx(1.0)
    stopped = book(stopping, 10.0 + unseen_s, 0.0, **NO_LEAD)
    assert stopped.amount_wh == pytest.approx(1.0 + 360 * 0.2 / 3600)
    starting = mark_switch(book(DealSide(), 0.0, 0.0, **NO_LEAD), 10.0)
    started = book(starting, 10.0 + unseen_s, 360.0, **NO_LEAD)
    assert started.amount_wh == pytest.approx(360 * (unseen_s - 0.2) / 3600)


def test_a_second_command_before_the_next_look_marks_nothing() -> None:
    """While a switch takes effect the power is not what it was."""
    marked = mark_switch(book(DealSide(), 0.0, 360.0, **NO_LEAD), 10.0)
    assert mark_switch(marked, 20.0) is marked
    assert mark_switch(DealSide(), 20.0) == DealSide()


@given(rate=st.sampled_from([1.0, 10.0]), period_s=st.floats(0.3, 3.0), whole=st.booleans())
def test_a_clock_is_followed_at_its_own_rate(rate: float, period_s: float, whole: bool) -> None:
    """A clock of whole seconds, accelerated or not, is followed without a jump and never goes back."""
    clock, last_s = None, float("-inf")
    for n in range(40):
        at_s = n * period_s
        shown_s = 1e9 + at_s * rate
        clock, was_set = advance_clock(clock, at_s, float(int(shown_s)) if whole else shown_s)
        assert not was_set
        assert clock.unit_s >= last_s
        last_s = clock.unit_s
    assert clock is not None
    assert clock.rate == pytest.approx(rate, rel=0.1, abs=2 / (40 * period_s))


@pytest.mark.parametrize("by_s", [-3600.0, -30.0, 30.0, 86400.0])
def test_setting_a_clock_makes_and_loses_no_energy(by_s: float) -> None:
    """A jump is reported once; energy goes on at the clock's rate, and dates show what the clock shows."""
    clock = None
    for n in range(10):
        clock, was_set = advance_clock(clock, float(n), 1e9 + n)
        assert not was_set
    clock, was_set = advance_clock(clock, 10.0, 1e9 + 10 + by_s)
    assert was_set
    assert clock.at(10.0) == pytest.approx(1e9 + 10)
    assert clock.shown_at(10.0) == pytest.approx(1e9 + 10 + by_s)
    clock, was_set = advance_clock(clock, 11.0, 1e9 + 11 + by_s)
    assert not was_set
    assert clock.at(11.0) == pytest.approx(1e9 + 11)


@given(power_w=st.floats(50, 800), amount_wh=st.floats(1, 100), rate=st.sampled_from([1.0, 10.0]))
def test_a_deal_is_stopped_when_its_amount_will_be_reached(power_w: float, amount_wh: float, rate: float) -> None:
    """What flows until then, and half of what flows while a stop takes effect, adds up to the amount."""
    clock = UnitClock(0.0, 0.0, 0.0, 0.0, rate)
    side = book(DealSide(), 0.0, power_w, rate=rate, lead_s=0.4)
    left_s = seconds_left(side, amount_wh, clock, 0.0, 0.2)
    assert power_w * rate * (left_s + 0.1) / 3600 == pytest.approx(amount_wh)
    assert seconds_left(side, amount_wh, clock, left_s, 0.2) == pytest.approx(0.0, abs=1e-6)


def test_nothing_is_foretold_without_power() -> None:
    """A side that gives nothing reaches no amount."""
    clock = UnitClock(0.0, 0.0, 0.0, 0.0)
    assert seconds_left(DealSide(), 50, clock, 0.0, 0.2) == float("inf")
    assert seconds_left(book(DealSide(), 0.0, 0.0, **NO_LEAD), 50, clock, 0.0, 0.2) == float("inf")


@given(st.integers(0, 4_000_000_000))
def test_dates_go_there_and_back(seconds: int) -> None:
    """The existing form of a date, whole seconds."""
    assert parse_time(format_time(float(seconds))) == seconds


def test_a_date_has_the_existing_form() -> None:
    """``yyyy/MM/dd-HH:mm:ss``."""
    assert format_time(parse_time("2020/01/01-05:41:10") + 0.9) == "2020/01/01-05:41:10"
