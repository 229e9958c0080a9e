"""The planner against a small world: whole deals, from a dead bus to the last record."""

from __future__ import annotations

import pytest

from tests.charts.master.house import WAIT
from tests.charts.master.world import World, make_deal


def test_a_first_deal_runs_from_a_dead_bus_to_its_record() -> None:
    """One deal raises the voltage, is authorized, flows, ends within 2 % of its amount and leaves everything off."""
    world = World()
    world.create(make_deal("d1", "E001", "E002"))
    world.run_until(lambda w: w.ended, 150)
    record = world.stream["d1"][0]
    assert record.cumulate_amount_wh == pytest.approx(50, rel=0.02)
    assert record.charge_unit_amount_wh == pytest.approx(world.houses["E002"].energy_wh, rel=0.01)
    assert record.discharge_unit_amount_wh == pytest.approx(world.houses["E001"].energy_wh, rel=0.01)
    assert all(h.mode is WAIT for h in world.houses.values())
    assert world.commands == [
        "E002 voltageReference 350 V",
        "E002 voltageReferenceAuthorization 370/330/360 V",
        "E001 discharge 1 A",
        "E001 wait",
        "E002 wait",
    ]
    assert not world.problems


def test_the_voltage_is_handed_over_when_its_deal_ends_first() -> None:
    """With another deal running the voltage moves to one of its units in four steps and is never gone."""
    world = World()
    world.create(make_deal("d1", "E001", "E002"))
    world.run_until(lambda w: w.state_of("d1") == "started")
    world.create(make_deal("d2", "E003", "E004"))
    world.run_until(lambda w: w.state_of("d2") == "started")
    world.run_until(lambda w: w.grid.holder == "E004" and w.grid.state == "held")
    assert world.bus_v == pytest.approx(350, abs=4)
    handed = [c for c in world.commands if "Over" in c]
    assert handed == [
        "E002 voltageReferenceWillHandOver",
        "E004 voltageReferenceWillTakeOver 350 V",
        "E002 voltageReferenceDidHandOver",
        "E004 voltageReferenceDidTakeOver",
    ]
    world.run_until(lambda w: w.ended)
    for deal_id, unit_id in (("d1", "E002"), ("d2", "E004")):
        booked = world.stream[deal_id][0].cumulate_amount_wh
        assert booked == pytest.approx(50, rel=0.02)
        assert booked == pytest.approx(world.true_wh[deal_id, unit_id], rel=0.01)
