"""Hard limits are asked before each write."""

from __future__ import annotations

from typing import Any

import pytest

from apis_rules.charts.unit import SetCurrent, SetMode, SetVoltage, UnitBrain
from apis_rules.charts.unit.calls import Write
from apis_rules.charts.unit.limits import compile_limits
from apis_rules.decide.decision import compile_rules
from apis_rules.decide.rulefile import load_rules
from apis_rules.documents.reading import load_hw_config, load_policy
from apis_rules.ports.types import CommandName, ConverterMode
from apis_rules.resources import data_dir
from tests.charts.unit.world import WALK_SETTINGS, World

RULES = data_dir("rules")
LIMITS = compile_limits(
    compile_rules(
        load_rules(RULES / "hard-limits.yaml"),
        {
            "policy": load_policy(RULES / "policy.json").model.to_document(),
            "hwConfig": load_hw_config(RULES / "hwConfig.json").model.to_document(),
        },
    )
)
FINE = {"vg": 350.0, "ig": 1.0, "vb": 51.0, "ib": 3.0, "tmp": 25.0}
CHARGE = SetMode(ConverterMode.CHARGE, 350.0, 1.0, 0.0)


@pytest.mark.parametrize(
    ("write", "meter", "rule"),
    [
        (CHARGE, {}, None),
        (SetMode(ConverterMode.CHARGE, 350.0, 2.4, 0.0), {}, "H01"),
        (SetMode(ConverterMode.VOLTAGE_REFERENCE, 299.0, 2.3, 0.0), {}, "H02"),
        (SetVoltage(381.0, 0.0), {}, "H02"),
        (SetVoltage(380.0, 0.039), {}, None),
        (SetCurrent(2.31), {}, "H01"),
        (SetCurrent(2.3), {}, None),
        (CHARGE, {"tmp": 45.5}, "L10"),
        (SetVoltage(350.0, 0.0), {"vg": 380.5}, "L11"),
        (SetCurrent(1.0), {"vb": 31.0}, "L12"),
        (SetCurrent(1.0), {"ig": -2.4}, "L13"),
        (SetCurrent(1.0), {"ib": 20.5}, "L14"),
    ],
)
def test_a_write_beyond_a_hard_limit_is_named(write: Write, meter: dict[str, float], rule: str | None) -> None:
    """Set-points beyond capacity or range, and any write while a reading is beyond the safety range, break a rule."""
    found = LIMITS({"dcdc": {"meter": {**FINE, **meter}}}, write)
    assert (found and found.partition(":")[0]) == rule


def test_a_unit_beyond_a_limit_takes_nothing_up_and_stops_all_the_same() -> None:
    """With a hot converter a charge fails before its first write; a stop is written."""
    world = World(UnitBrain(WALK_SETTINGS, LIMITS)).reach("waiting")
    document = world.converter.document

    def hot() -> dict[str, Any]:
        shown = document()
        shown["dcdc"]["meter"]["tmp"] = 60.0
        return shown

    world.converter.document = hot  # type: ignore[method-assign] # the heat is not in the model
    world.pass_time(WALK_SETTINGS.read_period_s + 1)
    assert world.obey(CommandName.CHARGE, grid_current_a=1.0).failed == (
        "device: hard limit: L10: the converter has 60 °C, allowed 0 °C to 45 °C"
    )
    assert world.converter.writes == []
    assert world.obey(CommandName.WAIT).ok
