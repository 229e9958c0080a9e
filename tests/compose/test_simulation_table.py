"""The table of a simulation, as a page to look at: ``pytest tests/compose/test_simulation_table.py --rewrite``."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from apis_rules.compose.simulation.invariants import Violation
from apis_rules.compose.simulation.outcome import Outcome, UnitBalance, self_sufficiency
from apis_rules.compose.simulation.setup import prepare
from apis_rules.compose.simulation.summary import sum_up_simulation, table
from apis_rules.compose.simulation.trouble import Happened
from apis_rules.compose.sites import bundled_site
from apis_rules.grid.ledger import UnitEnergies

GOLDEN = Path(__file__).parent / "golden" / "simulation.txt"
NOTHING = UnitEnergies(*[0.0] * len(dataclasses.fields(UnitEnergies)))


def balance(
    unit_id: str, *, pv: float, load: float, mains: float, alone: float, given: float, taken: float
) -> UnitBalance:
    lost = load / 4
    shared = dataclasses.replace(
        NOTHING, pv_wh=pv, load_wh=load, supply_loss_wh=lost, mains_wh=mains, grid_out_wh=given, grid_in_wh=taken
    )
    by_itself = dataclasses.replace(NOTHING, pv_wh=pv, load_wh=load, supply_loss_wh=lost, mains_wh=alone)
    return UnitBalance(unit_id, shared, by_itself, rsoc_percent=63.24, rsoc_alone_percent=100.0, deals=12)


def outcome(*violations: Violation) -> Outcome:
    setup = prepare([bundled_site()], units=3, until_s=86_400.0, acceleration=10.0, seed=7)
    return Outcome(
        setup,
        units=(),
        grid=(),
        deals=(),
        errors=(),
        happened=(Happened(3600.0, "kill E002"),),
        violations=violations,
        balances=(
            balance("E001", pv=16_000, load=4_000, mains=1_400, alone=1_400, given=9_250.4, taken=0),
            balance("E002", pv=0, load=8_000, mains=2_500, alone=12_500, given=0, taken=9_040.6),
            balance("E003", pv=12_345.6, load=4_000, mains=1_000, alone=1_500, given=104, taken=98),
        ),
        left="",
        rested=not violations,
    )


def test_the_table_is_as_it_was(pytestconfig: pytest.Config) -> None:
    """Each house beside itself alone, all together, and in capitals what must never happen: as the kept page has it."""
    fine = table(sum_up_simulation(outcome()))
    violation = Violation(3601.5, 360.15, "E001 and E003 hold the voltage together")
    broken = table(sum_up_simulation(outcome(violation)))
    found = f"{fine}\n\n{broken}\n"
    if pytestconfig.getoption("--rewrite"):
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_text(found, encoding="utf-8")
    assert found == GOLDEN.read_text(encoding="utf-8")


def test_self_sufficiency() -> None:
    """What of load and losses the mains did not give; nothing used is all one's own."""
    used = dataclasses.replace(NOTHING, load_wh=800.0, supply_loss_wh=200.0, mains_wh=250.0)
    assert self_sufficiency(used) == pytest.approx(0.75)
    assert self_sufficiency(dataclasses.replace(used, mains_wh=1500.0)) == pytest.approx(-0.5)
    assert self_sufficiency(NOTHING) == 1.0


def test_all_together_is_no_mean_of_shares() -> None:
    """The last row weighs houses by what they use: 4.9 of 20 kWh from the mains, 15.4 without sharing."""
    last = sum_up_simulation(outcome())["rows"][-1]
    assert last["selfSufficiencyPercent"] == 75.5
    assert last["selfSufficiencyAlonePercent"] == 23.0
