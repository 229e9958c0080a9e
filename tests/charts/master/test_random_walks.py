"""Random walks: whatever happens in whatever order, what must hold holds."""

from __future__ import annotations

import os
import sys
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import Phase, given, seed, settings
from hypothesis import strategies as st

from tests.charts.master.trouble import HAZARDS, KINDS, Trouble, starts

if TYPE_CHECKING:
    from collections.abc import Callable

SEED = int(os.environ.get("APIS_RULES_SEED", "20260101"))
STEPS = 20
RUNS = int(os.environ.get("APIS_RULES_WALKS", "150"))
ENOUGH_FOR_EVERY_HAZARD = 2000


def walks(runs: int, met: Counter[str]) -> Callable[[], None]:
    """A hypothesis test of so many walks of 20 steps; the hazards that they meet are counted in *met*."""

    @seed(SEED)
    @settings(max_examples=runs, database=None, phases=(Phase.explicit, Phase.generate, Phase.shrink))
    @given(
        start=st.sampled_from(sorted(starts())),
        kinds=st.lists(st.sampled_from(KINDS), min_size=STEPS, max_size=STEPS),
        chance=st.integers(0, 2**32 - 1),
    )
    def walk(start: str, kinds: list[str], chance: int) -> None:
        trouble = Trouble(start, chance)
        for kind in kinds:
            trouble.happen(kind)
        trouble.settle()
        trouble.verdict()
        met["runs"] += 1
        met.update(trouble.hazards)

    return walk


def report(met: Counter[str], capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        lines = [f"  {met[name]:6d} x {name}" for name in sorted(HAZARDS)]
        sys.stdout.write("\n".join(["", f"seed {SEED}, {met['runs']} runs of {STEPS} steps", *lines, ""]))


@pytest.mark.timeout(1200)
def test_what_must_hold_holds(capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever happens in walks of 20 random events, the safety case holds; ``APIS_RULES_WALKS`` says in how many.

    Never two voltage references outside a hand-over; no active unit without a live deal at the end; one final record
    for each deal that was switched; energy within 1 %; no command after the lease's end; epochs that only grow.
    """
    met: Counter[str] = Counter()
    walks(RUNS, met)()
    report(met, capsys)
    assert met["runs"] >= RUNS
    if RUNS >= ENOUGH_FOR_EVERY_HAZARD:
        assert not [name for name in HAZARDS if not met[name]]


@pytest.mark.campaign
@pytest.mark.timeout(14400)
def test_what_must_hold_holds_for_long(capsys: pytest.CaptureFixture[str]) -> None:
    """The same with 20,000 walks, and each hazard of the safety case is met; ``APIS_RULES_SEED`` chooses others."""
    met: Counter[str] = Counter()
    walks(10 * ENOUGH_FOR_EVERY_HAZARD, met)()
    report(met, capsys)
    assert not [name for name in HAZARDS if not met[name]]
