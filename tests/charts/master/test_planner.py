"""The planner against a small world: whole deals, from a dead bus to the last record."""

from __future__ import annotations

import pytest

from apis_rules.ports.types import ConverterMode
from tests.charts.master.world import World, make_deal


def test_a_first_deal_runs_from_a_dead_bus_to_its_record():
    """One deal raises the voltage, is authorized, flows, ends within 2 % of its amount and leaves everything off."""
    world = World()
    world.create(make_deal("d1", "E001", "E002"))
    world.run_until(lambda w: "d1" in w.stream and not w.deals, 150)
    world.run_until(lambda w: w.grid.state == "dead", 10)
    record = world.stream["d1"][0]
    assert record.cumulate_amount_wh == pytest.approx(50, rel=0.02)
    assert record.charge_unit_amount_wh == pytest.approx(world.units["E002"].energy_wh, rel=0.01)
    assert all(u.mode is ConverterMode.WAIT for u in world.units.values())
    assert not world.active.units
