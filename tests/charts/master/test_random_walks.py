"""Random walks: whatever happens in whatever order, what must hold holds."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import Phase, given, seed, settings
from hypothesis import strategies as st

from tests.charts.master.trouble import HAZARDS, KINDS, Trouble, starts
from tests.conftest import SHOWN

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

FIRST_SEED = int(os.environ.get("APIS_RULES_SEED", "20260101"))
STEPS = 20
RUNS = int(os.environ.get("APIS_RULES_WALKS", "2000"))
PARTS = 4
"""So many tests share the walks, each with a seed of its own, so that they can run side by side."""

ENOUGH_FOR_EVERY_HAZARD = 2000
MET: Counter[str] = Counter()
"""What all the walks of this process have met."""


def walks(runs: int, with_seed: int, met: Counter[str]) -> Callable[[], None]:
    """A hypothesis test of so many walks of 20 steps; the hazards that they meet are counted in *met*."""

    @seed(with_seed)
    @settings(max_examples=runs, database=None, phases=(Phase.explicit, Phase.generate, Phase.shrink))
    @given(
        start=st.sampled_from(sorted(starts())),
        kinds=st.lists(st.sampled_from(KINDS), min_size=STEPS, max_size=STEPS),
        chance=st.integers(0, 2**32 - 1),
    )
    def walk(start: str, kinds: list[str], chance: int) -> None:
        trouble = walk_along(start, kinds, chance)
        trouble.check_at_rest()
        met["runs"] += 1
        met.update(trouble.hazards)

    return walk


ONCE_FAILED = {
    "a stop whose record died with the master": (
        "announcing",
        ("refuse", "wait", "wish", "deal", "crash_master", *("wait",) * 15),
        7550,
    ),
    "a scram while an outcome was lost": (
        "dead",
        ("deal", "deal", "wait", "mute", *("wait",) * 3, "deal", "scram", *("wait",) * 11),
        270,
    ),
}
"""What walks of other seeds have found: how each began, what happened, its chance."""


@pytest.mark.parametrize("name", ONCE_FAILED)
def test_a_walk_that_once_failed(name: str) -> None:
    """What must hold holds at the end of each walk that has shown a fault."""
    start, kinds, chance = ONCE_FAILED[name]
    walk_along(start, kinds, chance).check_at_rest()


def walk_along(start: str, kinds: Sequence[str], chance: int) -> Trouble:
    """Let all that happen in this order and the community come to rest."""
    trouble = Trouble(start, chance)
    for kind in kinds:
        trouble.happen(kind)
    trouble.settle()
    return trouble


def check_walks(runs: int, with_seed: int, show: Callable[[str, object], None]) -> None:
    met: Counter[str] = Counter()
    walks(runs, with_seed, met)()
    lines = [f"  {met[name]:6d} x {name}" for name in sorted(HAZARDS)]
    show(SHOWN, "\n".join([f"random walks: seed {with_seed}, {met['runs']} runs of {STEPS} steps", *lines]))
    assert met["runs"] >= runs
    MET.update(met)
    if runs >= ENOUGH_FOR_EVERY_HAZARD:
        assert not [name for name in HAZARDS if not met[name]]


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("with_seed", range(FIRST_SEED, FIRST_SEED + PARTS))
def test_what_must_hold_holds(with_seed: int, record_property: Callable[[str, object], None]) -> None:
    """Whatever happens in walks of 20 random events, the safety case holds; ``APIS_RULES_WALKS`` says in how many.

    Never two voltage references outside a hand-over; no active unit without a live deal at the end; one final record
    for each deal that was switched; energy within 1 %; no command after the lease's end; epochs that only grow.
    """
    check_walks(RUNS // PARTS, with_seed, record_property)


def test_each_hazard_is_met() -> None:
    """Together the walks above meet every hazard of the safety case."""
    if MET["runs"] < ENOUGH_FOR_EVERY_HAZARD:
        pytest.skip(f"{MET['runs']} walks were made in this process: too few for every hazard")
    assert not [name for name in HAZARDS if not MET[name]]


@pytest.mark.campaign
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("with_seed", range(FIRST_SEED, FIRST_SEED + 10))
def test_what_must_hold_holds_for_long(with_seed: int, record_property: Callable[[str, object], None]) -> None:
    """The same with 20,000 walks in all, each hazard met in each tenth; ``APIS_RULES_SEED`` chooses others."""
    check_walks(2_000, with_seed, record_property)
