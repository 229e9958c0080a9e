"""What follows the end of the nodes' process, and when it counts as standing still."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apis_rules.supervisor.life import PAUSES_S, WINDOW_S, Again, Ending, Over, decide_next, is_frozen

CODES = st.integers(-31, 3)
DEATHS = st.lists(st.floats(0, 1000), max_size=12).map(sorted).map(tuple)


@given(CODES, st.booleans(), st.booleans(), DEATHS, st.integers(0, 6))
def test_it_is_started_again_only_after_a_death(
    code: int, decided: bool, asked: bool, deaths_s: tuple[float, ...], restarts: int
) -> None:
    """Never after an end that was decided, refused or asked for; never more often than allowed; at once at first."""
    recent = [at_s for at_s in deaths_s if 1000 - at_s < WINDOW_S]
    follows = decide_next(Ending(code, decided, asked), deaths_s, 1000.0, restarts)
    if decided or asked or code == 2 or len(recent) >= restarts:
        assert isinstance(follows, Over)
        assert follows.looping is (not (decided or asked or code == 2))
    else:
        assert isinstance(follows, Again)
        assert 1000.0 <= follows.at_s <= 1000.0 + PAUSES_S[-1]
        assert (follows.at_s == 1000.0) is (not recent)


@pytest.mark.parametrize(
    ("ending", "code"),
    [
        (Ending(0, decided=True, asked=False), 0),
        (Ending(1, decided=True, asked=True), 1),
        (Ending(2, decided=False, asked=False), 2),
        (Ending(-9, decided=True, asked=True), 1),
        (Ending(-9, decided=False, asked=True), 1),
        (Ending(0, decided=False, asked=True), 1),
    ],
)
def test_the_run_ends_with_the_nodes_code(ending: Ending, code: int) -> None:
    """A decided end passes its code on; an end that nobody decided is never a success."""
    assert decide_next(ending, (), 0.0, 5) == Over(code)


@given(st.floats(0, 100), st.floats(0, 100), st.floats(0.1, 30))
def test_standing_still_is_judged_by_one_that_goes_round(
    since_sign_s: float, since_look_s: float, lasts_s: float
) -> None:
    """Too old a sign of life counts, but not where this process (the whole machine) stood still as well."""
    frozen = is_frozen(100 - since_sign_s, lasts_s, 100 - since_look_s, 100.0, 0.25)
    if since_look_s > 0.51:
        assert not frozen
    if since_sign_s < lasts_s - 0.01:
        assert not frozen
    if since_look_s < 0.49 and since_sign_s > lasts_s + 0.01:
        assert frozen
