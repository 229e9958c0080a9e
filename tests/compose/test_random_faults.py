"""Ten hours of a community in which whatever can go wrong does, at random: nothing happens that must never happen.

A failure names its seed and its moment. `apis-rules simulate --units 4 --days 0.4167 --accelerate 60 --ideal-sensors
--faults tests/compose/data/trouble.yaml --seed N --until HH:MM:SS` goes there again.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from apis_rules.compose.simulation.run import simulate
from apis_rules.compose.simulation.setup import prepare
from apis_rules.compose.sites import bundled_site

TROUBLE = Path(__file__).parent / "data" / "trouble.yaml"
TEN_HOURS_S = 36_000.0
CI_SEEDS = range(1, 4)
CAMPAIGN_SEEDS = range(101, 121)


def check_ten_hours(seed: int) -> None:
    setup = prepare(
        [bundled_site()],
        units=4,
        until_s=TEN_HOURS_S,
        acceleration=60.0,
        seed=seed,
        faults=TROUBLE,
        ideal_sensors=True,
    )
    assert len(setup.faults) > 40, "hardly anything goes wrong"
    outcome = simulate(setup)
    history = "\n".join(f"  {h.at_s:.0f} s {h.what}" for h in outcome.happened)
    found = "\n".join(f"  {v.unit_time_s:.1f} s: {v.what}" for v in outcome.violations)
    assert not outcome.violations, f"seed {seed}:\n{found}\nafter\n{history}"
    assert outcome.rested, f"seed {seed}: not at rest\n{outcome.left}\nafter\n{history}"
    assert [d for d in outcome.deals if d.abort_reason is None], "no deal was fulfilled"


@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", CI_SEEDS)
def test_ten_hours_of_trouble(seed: int) -> None:
    """No invariant is broken, every switched deal has its one record, and in the end all converters wait."""
    check_ten_hours(seed)


@pytest.mark.timeout(600)
@pytest.mark.campaign
@pytest.mark.parametrize("seed", CAMPAIGN_SEEDS)
def test_ten_hours_of_trouble_at_length(seed: int) -> None:
    """The same for twenty seeds."""
    check_ten_hours(seed)
