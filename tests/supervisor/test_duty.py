"""The duty for a converter without its node: laws over any sequence of looks, and the cases that people ask for."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apis_rules.supervisor.duty import LOOK_EVERY_S, Duty, Shown, decide_step, note_order

H, TIMEOUT = 20.0, 2.0
SHOWN = st.sampled_from(Shown)
LOOKS = st.lists(st.tuples(SHOWN, st.floats(0, TIMEOUT), st.floats(0, 3)), max_size=40)


def begin(refreshed_at_s: float | None = 0.0) -> Duty:
    return Duty(refreshed_at_s, H, TIMEOUT)


@given(LOOKS, st.none() | st.floats(-30, 30))
def test_what_is_active_without_a_node_is_ordered_to_wait(
    looks: list[tuple[Shown, float, float]], refreshed_at_s: float | None
) -> None:
    """Each look at a current, or at a mode nobody knows, orders WAIT; at WAIT or at nothing it never does."""
    duty, now_s = begin(refreshed_at_s), 0.0
    for shown, took_s, pause_s in looks:
        asked_at_s, now_s = now_s, now_s + took_s
        step = decide_step(duty, shown, asked_at_s, now_s)
        held = refreshed_at_s is not None and now_s < refreshed_at_s + H
        expected = shown in (Shown.CURRENT, Shown.OTHER) or (shown is Shown.HOLDING and not held)
        assert step.order_wait is expected
        duty, now_s = step.duty, now_s + pause_s


@given(LOOKS)
def test_the_duty_is_over_only_after_waiting_for_long_enough(looks: list[tuple[Shown, float, float]]) -> None:
    """Over means: for longer than a late write can take, every look has shown WAIT."""
    duty, now_s, seen = begin(), 0.0, []
    for shown, took_s, pause_s in looks:
        asked_at_s, now_s = now_s, now_s + took_s
        step = decide_step(duty, shown, asked_at_s, now_s)
        seen.append((asked_at_s, shown))
        lately = []
        for at_s, what in reversed(seen):
            if what is not Shown.WAIT:
                break
            lately.append(at_s)
        assert step.over is (len(lately) > 1 and lately[0] - lately[-1] > TIMEOUT)
        duty, now_s = step.duty, now_s + pause_s


@given(SHOWN, st.none() | st.floats(-30, 30), st.floats(0, 60))
def test_it_looks_again_within_a_second_and_at_the_holders_end(
    shown: Shown, refreshed_at_s: float | None, now_s: float
) -> None:
    """The next look is never later than a second, and a holder's end is not slept through."""
    step = decide_step(begin(refreshed_at_s), shown, now_s, now_s)
    assert now_s <= step.look_at_s <= now_s + LOOK_EVERY_S
    if shown is Shown.HOLDING and not step.order_wait:
        assert refreshed_at_s is not None
        assert step.look_at_s <= refreshed_at_s + H


@pytest.mark.parametrize(
    ("now_s", "hurry", "ordered"),
    [(19.9, False, False), (20.0, False, True), (3.0, True, True), (math.inf, False, True)],
)
def test_a_holder_is_left_until_its_time_is_out(now_s: float, *, hurry: bool, ordered: bool) -> None:
    """H counts from the last refresh; somebody in a hurry does not wait for it."""
    assert decide_step(begin(), Shown.HOLDING, now_s, now_s, hurry=hurry).order_wait is ordered


def test_an_order_without_an_answer_may_still_land() -> None:
    """A node that is back waits until an order of ours cannot reach the converter any more."""
    unanswered = note_order(begin(), 5.0, answered=False)
    assert unanswered.unsettled_until_s == 5.0 + TIMEOUT
    assert note_order(unanswered, 5.5, answered=True).unsettled_until_s == 5.0 + TIMEOUT
    assert note_order(begin(), 5.0, answered=True).unsettled_until_s == -math.inf
