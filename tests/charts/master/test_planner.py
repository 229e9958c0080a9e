"""The planner against a small world: whole deals, from a dead bus to the last record."""

from __future__ import annotations

from typing import Any

import pytest

from apis_rules.charts.master import ManualOrder, MasterPlan, Reaction, ReactionKind
from apis_rules.ports.types import CommandName, CommandParams, Direction, OperationMode
from tests.charts.master.house import WAIT
from tests.charts.master.store import make_deal
from tests.charts.master.world import World, shipped_settings


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
    world.create(make_deal("d2", "E003", "E004", amount_wh=80))
    world.run_until(lambda w: w.state_of("d2") == "started")
    world.run_until(lambda w: w.grid.holder == "E004" and w.grid.state == "held")
    assert world.bus.voltage_v == pytest.approx(350, abs=4)
    handed = [c for c in world.commands if "Over" in c]
    assert handed == [
        "E002 voltageReferenceWillHandOver",
        "E004 voltageReferenceWillTakeOver 350 V",
        "E002 voltageReferenceDidHandOver",
        "E004 voltageReferenceDidTakeOver",
    ]
    world.run_until(lambda w: w.ended)
    for deal_id, unit_id, wanted_wh in (("d1", "E002", 50), ("d2", "E004", 80)):
        booked = world.stream[deal_id][0].cumulate_amount_wh
        assert booked == pytest.approx(wanted_wh, rel=0.02)
        assert booked == pytest.approx(world.bus.true_wh[deal_id, unit_id], rel=0.01)


@pytest.mark.parametrize(("holder_rsoc", "first"), [(70.0, "E003"), (40.0, "E004")])
@pytest.mark.parametrize("side", list(Direction))
def test_a_holder_whose_battery_is_full_need_not_take_what_a_drain_leaves_over(
    side: Direction, holder_rsoc: float, first: str
) -> None:
    """Beside a holder without deals the side stops first whose partner its battery can carry for a moment."""
    world = World(settings=shipped_settings(reference_side=side))
    world.create(make_deal("d1", "E001", "E002"))
    world.run_until(lambda w: w.state_of("d1") == "started")
    world.create(make_deal("d2", "E003", "E004"))
    world.run_until(lambda w: w.state_of("d2") == "started")
    world.houses[world.grid.holder or ""].rsoc = holder_rsoc
    world.run(3.0)
    world.commands.clear()
    world.mode = OperationMode.STOP
    world.touch()
    world.run_until(lambda w: w.ended, 30)
    stopped = [c.split()[0] for c in world.commands if c.endswith("wait")]
    assert next(u for u in stopped if u in ("E003", "E004")) == first
    assert stopped[0] in ("E001", "E002"), "the holder's own deal first"


@pytest.mark.parametrize(("own_a", "other_a"), [(1.0, 1.0), (1.0, 2.0), (2.0, 1.0), (2.0, 2.0)])
@pytest.mark.parametrize(("side", "rsoc"), [(Direction.DISCHARGE, 95.0), (Direction.CHARGE, 5.0)])
def test_all_deals_stop_at_once_beside_a_holder_that_can_only_go_on_as_it_does(
    side: Direction, rsoc: float, own_a: float, other_a: float
) -> None:
    """When all leave in one round a full battery behind the voltage takes nothing, an empty one gives nothing."""
    world = World(settings=shipped_settings(reference_side=side))
    world.create(make_deal("d1", "E001", "E002", current_a=own_a))
    world.run_until(lambda w: w.state_of("d1") == "started")
    world.create(make_deal("d2", "E003", "E004", current_a=other_a))
    world.run_until(lambda w: w.state_of("d2") == "started")
    holder = world.grid.holder or ""
    assert holder == ("E001" if side is Direction.DISCHARGE else "E002")
    world.houses[holder].rsoc = rsoc
    world.run(3.0)
    carried_a = []
    account = world.bus._account

    def watch(piece_s: float, deals: Any) -> None:
        carried_a.append(world.bus.currents_a()[holder])
        account(piece_s, deals)

    world.bus._account = watch  # type: ignore[method-assign]
    for deal_id, unit_id in (("d1", "E001"), ("d1", "E002"), ("d2", "E003"), ("d2", "E004")):
        world.ask_stop(deal_id, unit_id)
    world.run_until(lambda w: w.ended, 30)
    assert len(carried_a) > 5
    if side is Direction.DISCHARGE:
        assert max(carried_a) <= 1e-6
    else:
        assert min(carried_a) >= -1e-6


@pytest.mark.parametrize("slow", ["E001", "E002", "E001 E002 E003 E004"])
@pytest.mark.parametrize("device_s", [0.4, 1.0])
def test_drivers_that_take_their_time_delay_a_deal_and_end_nothing(slow: str, device_s: float) -> None:
    """Readings that a step waits for count however long they take, and while another unit's is waited for."""
    world = World()
    for unit_id in slow.split():
        world.houses[unit_id].device_s = device_s
    world.create(make_deal("d1", "E001", "E002"))
    world.run_until(lambda w: w.ended, 200)
    record = world.stream["d1"][0]
    assert record.abort is None
    assert record.cumulate_amount_wh == pytest.approx(50, rel=0.1)


@pytest.mark.parametrize("next_after_s", [0.4, 0.7, 1.2])
def test_a_switch_is_looked_at_before_the_next_one_changes_the_power_again(next_after_s: float) -> None:
    """The holder carries what another deal's stop leaves over; a deal that stops right after is booked with it."""
    world = World()
    world.create(make_deal("d1", "E001", "E002", current_a=2.0))
    world.run_until(lambda w: w.state_of("d1") == "started")
    world.create(make_deal("d2", "E004", "E003", current_a=2.0))
    world.run_until(lambda w: w.state_of("d2") == "started")
    world.run(1.0)
    world.ask_stop("d2", "E003")
    world.run_until(lambda w: "d2" not in w.deals)
    world.run(next_after_s)
    world.ask_stop("d1", "E002")
    world.run_until(lambda w: w.ended)
    booked_wh = world.stream["d1"][0].charge_unit_amount_wh
    moved_in_s = 2.0 * 350 * world.houses["E002"].rate / 3600
    assert booked_wh == pytest.approx(world.bus.true_wh["d1", "E002"], abs=0.1 * moved_in_s)


@pytest.mark.parametrize("scram_after_s", [0.3, 0.7, 1.1, 1.6])
def test_a_scram_while_an_outcome_is_lost_counts_what_flowed_until_then(scram_after_s: float) -> None:
    """Where a meter shows that a command took effect, its power lasts until the next command leaves."""
    world = World()
    world.create(make_deal("d1", "E002", "E004"))
    world.run_until(lambda w: w.state_of("d1") == "started")
    world.create(make_deal("d2", "E003", "E001"))
    world.run_until(lambda w: w.deals["d2"].open_unit_id == "E003")
    world.houses["E003"].mute_next = 9
    world.run_until(lambda w: ("d2", "E003") in w.bus.true_wh)
    world.run(scram_after_s)
    world.reaction = Reaction(ReactionKind.SCRAM, "HARDWARE:GLOBAL:ERROR")
    world.touch()
    world.run_until(lambda w: not w.deals)
    record = world.stream["d2"][0]
    moved_in_s = 350 * world.houses["E003"].rate / 3600
    assert record.charge_unit_amount_wh == pytest.approx(world.bus.true_wh["d2", "E001"], abs=0.2 * moved_in_s)
    assert record.discharge_unit_amount_wh == pytest.approx(world.bus.true_wh["d2", "E003"], abs=0.2 * moved_in_s)


@pytest.mark.parametrize("sensor_a", [-0.1, -0.04, 0.05, 0.12])
def test_a_sensors_error_is_compensated(sensor_a: float) -> None:
    """The unit at which energy is not counted is trimmed until the voltage reference shows the deal's current."""
    world = World()
    world.houses["E002"].sensor_a = sensor_a
    world.create(make_deal("d1", "E001", "E002"))
    world.run_until(lambda w: w.state_of("d1") == "started")
    shown_a = world.houses["E002"].grid_current_a() + sensor_a
    assert shown_a == pytest.approx(1.0, abs=world.settings.drift_allowance_a)
    assert world.houses["E001"].target_a == pytest.approx(1.0 - sensor_a, abs=world.settings.drift_allowance_a)
    assert world.deals["d1"].record.charge_unit_compensated_grid_current_a == pytest.approx(1.0, abs=0.03)


def test_an_error_beyond_the_bound_ends_the_deal() -> None:
    """No correction goes beyond twice the sensors' allowance: such an error is a fault, and the deal is aborted."""
    world = World()
    world.houses["E002"].sensor_a = 0.5
    world.create(make_deal("d1", "E001", "E002"))
    # The authorization finds a current where none may flow; it is let through to see the compensation.
    world.run_until(lambda w: w.state_of("d1") == "ramped")
    world.houses["E002"].sensor_a = 0.0
    world.run_until(lambda w: w.state_of("d1") == "warming_up")
    world.houses["E002"].sensor_a = 0.5
    world.run_until(lambda w: "d1" in w.stream, 30)
    assert world.stream["d1"][0].abort_reason == "the current could not be compensated"
    assert world.houses["E001"].writes, "it was switched on"
    assert any("compensation_failed" in p for p in world.problems)


def test_a_second_voltage_source_is_found_and_the_deal_ends_after_its_resets() -> None:
    """An authorization that is not followed lowers the voltage and begins again, as often as resetLimit allows."""
    world = World(settings=shipped_settings(reset_limit=2))
    world.create(make_deal("d1", "E001", "E002"))
    world.run_until(lambda w: w.state_of("d1") == "ramping")
    for _ in range(2):
        world.run_until(lambda w: w.grid.state == "authorizing", 30)
        world.bus.foreign_v = 352.0
        world.run_until(lambda w: w.grid.state == "releasing", 30)
        world.bus.foreign_v = None
    world.run_until(lambda w: w.ended, 30)
    record = world.stream["d1"][0]
    assert len(record.reset or ()) == 2
    assert "resetLimit" in (record.abort_reason or "")
    assert sum("authorization_failed" in p for p in world.problems) >= 1


def test_a_bus_that_is_live_before_the_first_deal_is_an_error() -> None:
    """Somebody else's voltage is reported, and nothing is commanded."""
    world = World()
    world.bus.foreign_v = 340.0
    world.run(6.0)
    world.create(make_deal("d1", "E001", "E002"))
    world.run(6.0)
    assert any("grid_already_live" in p for p in world.problems)
    assert world.commands == []
    world.bus.foreign_v = None
    world.run_until(lambda w: w.state_of("d1") == "started", 30)


def test_a_rest_of_voltage_near_the_lower_limit_is_waited_for() -> None:
    """At min ± UVLO mask the converter is set to WAIT; the deal begins when the rest is gone."""
    world = World()
    world.bus.foreign_v = 301.0
    world.run(6.0)
    world.create(make_deal("d1", "E001", "E002"))
    world.run_until(lambda w: w.grid.state == "clearing", 10)
    world.bus.foreign_v = None
    world.run_until(lambda w: w.state_of("d1") == "started", 30)
    assert world.commands[:2] == ["E002 wait", "E002 voltageReference 350 V"]


def test_a_bus_that_stays_near_the_lower_limit_is_an_error() -> None:
    """It is waited for as long as a bus may take to fall; then the deal is aborted."""
    world = World()
    world.bus.foreign_v = 301.0
    world.run(6.0)
    world.create(make_deal("d1", "E001", "E002"))
    world.run_until(lambda w: w.grid.state == "clearing", 10)
    since_s = world.now_s
    world.run_until(lambda w: any("masked_bus" in p for p in w.problems), 10)
    assert world.now_s - since_s == pytest.approx(world.settings.drain_s, abs=0.5)


def test_a_ramp_that_takes_too_long_is_an_error() -> None:
    """The limit is on the unit clock: 180 s are 18 s where it runs ten times as fast."""
    world = World()
    world.bus.rise_v_per_s = 5.0
    world.create(make_deal("d1", "E001", "E002"))
    world.run_until(lambda w: w.grid.state == "ramping", 10)
    since_s = world.now_s
    world.run_until(lambda w: any("ramp_timeout" in p for p in w.problems), 30)
    assert world.now_s - since_s == pytest.approx(18.0, abs=1.5)
    world.run_until(lambda w: "d1" in w.stream, 30)


def test_the_voltage_moves_to_a_large_unit_when_its_deal_begins() -> None:
    """The old holder goes on in its own deal with the current that it carries, and no current is interrupted."""
    world = World(settings=shipped_settings(large_units=frozenset({"E004"})))
    world.create(make_deal("d1", "E001", "E002"))
    world.run_until(lambda w: w.state_of("d1") == "started")
    world.create(make_deal("d2", "E003", "E004"))
    world.run_until(lambda w: w.state_of("d2") == "started")
    assert world.grid.holder == "E004"
    assert "E002 voltageReferenceDidHandOver charge 1 A" in world.commands
    assert world.houses["E002"].target_a == pytest.approx(1.0)
    assert world.deals["d2"].record.is_master
    assert world.deals["d1"].record.is_master is None
    world.run_until(lambda w: w.ended, 120)
    for (record,) in world.stream.values():
        assert record.cumulate_amount_wh == pytest.approx(50, rel=0.02)


def test_a_large_unit_holds_the_voltage_of_a_first_deal() -> None:
    """Where the policy's side is no large unit and the other is, the sides are exchanged."""
    world = World(settings=shipped_settings(large_units=frozenset({"E001"})))
    world.create(make_deal("d1", "E001", "E002"))
    world.run_until(lambda w: w.state_of("d1") == "started")
    assert world.commands[0] == "E001 voltageReference 350 V"
    assert world.commands[-1] == "E002 charge 1 A"


def test_the_voltage_follows_what_is_most_efficient() -> None:
    """When the deals that run have changed, the voltage goes to the mean of the best ones, within its range."""
    world = World(settings=shipped_settings(optimises=True))
    world.create(make_deal("d1", "E001", "E002"))
    world.run_until(lambda w: w.grid.optimised_deals == ("d1",) and w.grid.state == "held", 60)
    assert world.grid.target_voltage_v == pytest.approx(52.0 * 6.5)
    assert world.commands.count("E002 voltage 338 V") == 1
    world.run(3.0)
    assert world.commands.count("E002 voltage 338 V") == 1


@pytest.mark.parametrize("rsoc", [19.0, 25.0])
def test_a_battery_that_reaches_its_limit_ends_its_deal(rsoc: float) -> None:
    """Below dischargeUnitLowerLimitRsoc the deal is aborted and says so; above it goes on."""
    world = World()
    world.create(make_deal("d1", "E001", "E002"))
    world.run_until(lambda w: w.state_of("d1") == "started")
    world.houses["E001"].rsoc = rsoc
    world.run(8.0)
    assert (world.state_of("d1") == "started") is (rsoc > 20)


def test_sides_are_switched_in_turns_where_one_alone_would_overload_the_holder() -> None:
    """A deal between large units, above the holder's capacity, is switched on and off within the holder's limit."""
    world = World()
    world.houses["E002"].capacity_a = 1.0
    world.create(make_deal("d1", "E001", "E002", current_a=0.5))
    world.run_until(lambda w: w.state_of("d1") == "started")
    world.commands.clear()
    world.create(make_deal("d2", "E003", "E004", current_a=2.0, amount_wh=40))
    world.run_until(lambda w: w.state_of("d2") == "started", 30)
    assert world.commands == ["E004 charge 1.5 A", "E003 discharge 2 A", "E004 charge 2 A"]
    world.run_until(lambda w: "d2" in w.stream, 60)
    assert world.commands[3:6] == ["E003 current 0.5 A", "E004 wait", "E003 wait"]
    assert world.stream["d2"][0].abort_reason is None
    assert world.peak_a["E002"] <= 1.0 + 0.01
    world.run_until(lambda w: w.ended, 120)


@pytest.mark.parametrize("after", range(1, 80))
def test_a_master_that_dies_after_any_part_of_any_plan(after: int) -> None:
    """The next one goes on from what is stored: the deal reaches its amount and ends in one record."""
    world = World()
    world.create(make_deal("d1", "E001", "E002", amount_wh=6))
    world.crash_after = after
    world.run_until(lambda w: not w.master_alive, 60)
    world.run(0.3)
    world.new_term()
    world.run_until(lambda w: w.ended, 60)
    (record,) = world.stream["d1"]
    assert record.abort_reason is None
    assert record.reset is None
    assert record.cumulate_amount_wh == pytest.approx(6, abs=0.6)


def test_manual_orders_are_for_manual_mode_and_a_dead_grid() -> None:
    """A reference by hand stands in the record; leaving manual mode sends everybody to WAIT."""
    world = World()
    order = ManualOrder("o1", "E002", CommandName.VOLTAGE_REFERENCE, CommandParams(grid_voltage_v=345.0))
    world.run(5.0)
    world.orders = (order,)
    world.touch()
    world.run(0.5)
    assert world.replies[-1].refused == "the operation mode is autonomous, not manual"
    world.mode, world.orders = OperationMode.MANUAL, (order,)
    world.touch()
    world.run(3.5)
    assert world.replies[-1].refused is None
    assert world.grid.state == "held_by_hand"
    assert world.bus.voltage_v > 50
    world.run(3.0)
    charge = ManualOrder("o2", "E001", CommandName.CHARGE, CommandParams(grid_current_a=0.5))
    again = ManualOrder("o3", "E003", CommandName.VOLTAGE_REFERENCE, CommandParams())
    world.orders = (charge, again)
    world.touch()
    world.run(1.0)
    assert {r.order_id: r.refused for r in world.replies[-2:]} == {
        "o2": None,
        "o3": "the grid is held_by_hand, not dead",
    }
    assert world.houses["E001"].target_a == pytest.approx(0.5)
    world.mode = OperationMode.AUTONOMOUS
    world.touch()
    world.run_until(lambda w: w.ended and all(h.mode is WAIT for h in w.houses.values()), 15)


def test_a_deal_that_is_about_to_end_does_not_get_the_voltage() -> None:
    """Handing over would take longer than the other deal lasts: the voltage stays where it is until that has ended."""
    world = World()
    world.create(make_deal("d1", "E001", "E002"))
    world.run_until(lambda w: w.state_of("d1") == "started")
    world.create(make_deal("d2", "E003", "E004"))
    world.run_until(lambda w: w.ended)
    assert not [c for c in world.commands if "Over" in c]
    assert {r[0].abort_reason for r in world.stream.values()} == {None}


def test_a_deal_that_ends_in_a_hand_over_to_it_leaves_the_voltage_alone() -> None:
    """Its other side stops first: no deal sends the unit that takes over to WAIT, and the voltage is never gone."""
    world = World()
    world.create(make_deal("d1", "E001", "E002"))
    world.run_until(lambda w: w.state_of("d1") == "started")
    world.create(make_deal("d2", "E003", "E004", amount_wh=80))
    world.run_until(lambda w: w.grid.state == "settling")
    world.ask_stop("d2", "E003")
    world.run_until(lambda w: w.ended)
    ended = world.commands[world.commands.index("E004 voltageReferenceWillTakeOver 350 V") :]
    assert ended.index("E003 wait") < ended.index("E004 wait")
    assert not world.problems


class Twice(World):
    """A world whose master plans once more, from what it has just stored, wherever its plan says that it need not."""

    settled = 0

    def _perform(self, plan: MasterPlan) -> None:
        super()._perform(plan)
        if not plan.settled or not plan.puts or plan.appends:
            return
        self.settled += 1
        again = self.planner.plan(self.picture(), self.now_s)
        assert [again.puts, again.stops, again.sends, again.appends, again.problems] == [()] * 5
        assert again.next_deadline_s >= plan.next_deadline_s
        assert again.waiting == plan.waiting


def test_what_a_settled_plan_has_stored_is_no_reason_to_plan_again() -> None:
    """Deals beside each other, a hand-over and a drain: from its own settled records a master draws nothing new."""
    world = Twice()
    world.create(make_deal("d1", "E001", "E002"))
    world.run_until(lambda w: w.state_of("d1") == "started")
    world.create(make_deal("d2", "E003", "E004", amount_wh=80))
    world.create(make_deal("d3", "E001", "E004"))
    world.run_until(lambda w: w.state_of("d3") == "started", 150)
    world.create(make_deal("d4", "E003", "E002"))
    world.run_until(lambda w: w.grid.holder == "E004" and w.grid.state == "held", 150)
    world.mode = OperationMode.STOP
    world.run_until(lambda w: w.ended, 150)
    assert world.settled > 20
