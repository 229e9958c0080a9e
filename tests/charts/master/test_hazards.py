"""The hazards that the lease and the rules of stopping close, each with its times as arguments."""

from __future__ import annotations

import pytest

from apis_rules.charts.master import Reaction, ReactionKind
from apis_rules.charts.unit import Faulted
from apis_rules.ports.types import Command, CommandName, CommandParams, OperationMode
from tests.charts.master.house import TIMES, VR, WAIT
from tests.charts.master.store import make_deal
from tests.charts.master.trouble import READ_AFTER_S, WH_PER_AS
from tests.charts.master.world import World, shipped_settings

SCRAM_DELAY_S = shipped_settings().scram_delay_s


def two_deals(**changes: object) -> World:
    """E001 → E002, which holds the voltage, and E003 → E004, both started."""
    world = World(settings=shipped_settings(**changes))
    world.create(make_deal("d1", "E001", "E002"))
    world.run_until(lambda w: w.state_of("d1") == "started")
    world.create(make_deal("d2", "E003", "E004"))
    world.run_until(lambda w: w.state_of("d2") == "started")
    world.run(1.0)
    world.commands.clear()
    return world


def off(world: World, *unit_ids: str) -> bool:
    return all(world.houses[u].mode is WAIT for u in unit_ids)


def assert_closed(world: World) -> None:
    """Everything ends, each deal in one record."""
    world.mode = OperationMode.STOP
    world.touch()
    world.run_until(lambda w: w.ended, 60)
    assert {i: len(r) for i, r in world.stream.items()} == dict.fromkeys(world.switched, 1)


@pytest.mark.parametrize("new_master_after_s", [0.5, 4.0, 8.0])
def test_master_and_holder_die_at_once(new_master_after_s: float) -> None:
    """The voltage stays as long as the holder's own time; before that the parties are stopped, in order."""
    world = two_deals()
    world.kill_master()
    world.houses["E002"].kill()
    died_s = world.now_s
    world.run(new_master_after_s)
    world.new_term()
    world.run_until(lambda w: off(w, "E001", "E003", "E004"), TIMES["absence_s"] + TIMES["drain_s"])
    assert world.houses["E002"].mode is VR, "nobody needs the voltage before it goes"
    assert world.now_s - died_s <= new_master_after_s + TIMES["absence_s"] + TIMES["drain_s"]
    assert world.grid.state in ("draining", "releasing")
    world.run(2.0)
    assert world.deals.keys() == {"d1"}, "the dead unit's deal stays open until its converter is confirmed"
    world.houses["E002"].start()
    world.run_until(lambda w: w.ended, 20)
    assert {i: len(r) for i, r in world.stream.items()} == {"d1": 1, "d2": 1}


@pytest.mark.parametrize("away_s", [4.0, 9.0])
def test_a_holder_that_is_cut_off_for_less_than_the_absence_time_is_waited_for(away_s: float) -> None:
    """Others' deals go on meanwhile, nothing new begins, and all goes on when the holder is back."""
    world = two_deals()
    world.houses["E002"].reachable = False
    world.run(3.0)
    world.create(make_deal("d3", "E001", "E004"))
    world.run(away_s - 3.0)
    assert {world.state_of("d1"), world.state_of("d2")} == {"started"}
    assert world.state_of("d3") == "created"
    world.houses["E002"].reachable = True
    world.run(3.0)
    assert {world.state_of("d1"), world.state_of("d2"), world.state_of("d3")} == {"started"}
    assert_closed(world)


@pytest.mark.parametrize("step", ["joining", "warming_up"])
def test_a_party_that_dies_while_a_command_to_it_is_open_is_away_since_its_last_answer(step: str) -> None:
    """The absence time and the command's run side by side: others' deals are drained when both are over."""
    world = World()
    world.create(make_deal("d1", "E001", "E002"))
    world.run_until(lambda w: w.state_of("d1") == "started")
    world.create(make_deal("d2", "E003", "E004"))
    world.run_until(lambda w: w.state_of("d2") == step)
    world.houses["E004" if step == "joining" else "E003"].kill()
    died_s = world.now_s
    world.run_until(lambda w: off(w, "E001"), 60)
    assert world.now_s - died_s <= max(TIMES["absence_s"], world.settings.command_limit_s) + TIMES["drain_s"]


def test_a_holder_that_is_cut_off_for_good_outlives_those_who_need_its_voltage() -> None:
    """After the absence time the bus is drained; the holder goes by itself when its own time is over."""
    world = two_deals()
    world.houses["E002"].reachable = False
    since_s = world.now_s
    world.run_until(lambda w: off(w, "E001", "E003", "E004"), TIMES["absence_s"] + TIMES["drain_s"])
    assert world.now_s - since_s >= TIMES["absence_s"] - 2.5
    assert world.houses["E002"].mode is VR
    world.run_until(lambda w: off(w, "E002"), TIMES["holder_dead_man_s"])
    world.run_until(lambda w: not w.deals, 10)
    assert len(world.stream) == 2
    assert "E002" in world.active.units, "it was never confirmed"
    world.create(make_deal("d3", "E001", "E004"))
    world.run(5.0)
    assert world.state_of("d3") == "created", "nothing is energised while a unit is unaccounted for"
    world.houses["E002"].reachable = True
    world.run_until(lambda w: w.state_of("d3") == "started", 30)


@pytest.mark.parametrize("silent", ["E001", "E002", "E003"])
@pytest.mark.parametrize("moment_s", [0.0, 0.5])
def test_a_scram_in_the_first_moment_of_a_term_while_a_party_is_silent(silent: str, moment_s: float) -> None:
    """Both phases are over within the scram's delay and a second, for whoever can be reached."""
    world = two_deals()
    world.kill_master()
    world.houses[silent].reachable = False
    world.run(0.5)
    world.new_term()
    world.run(moment_s)
    world.reaction = Reaction(ReactionKind.SCRAM, "HARDWARE:GLOBAL:ERROR")
    world.touch()
    reached = [u for u in world.houses if u != silent]
    parties = [u for u in reached if u != "E002"]
    world.run_until(lambda w: off(w, *parties), 1.0)
    world.run_until(lambda w: off(w, *reached), SCRAM_DELAY_S + 1.0)
    world.houses[silent].reachable = True
    world.run_until(lambda w: w.ended, 30)
    assert all(record.scram_reason for (record,) in world.stream.values())


@pytest.mark.parametrize("step_s", [0.02, 0.06, 0.1, 0.15])
def test_a_new_epoch_during_a_stepping_command(step_s: float) -> None:
    """The old order ends at its next write, before the new master raises anything; the deal then goes on or ends."""
    world = World()
    world.houses["E001"].device_s = 0.05
    world.create(make_deal("d1", "E001", "E002", current_a=2.0))
    world.run_until(lambda w: w.state_of("d1") == "warming_up")
    world.run(step_s)
    world.kill_master()
    world.new_term()
    world.run_until(lambda w: w.state_of("d1") == "started", 20)
    assert world.houses["E001"].target_a == pytest.approx(2.0)
    assert_closed(world)


@pytest.mark.parametrize("broken_after_s", [0.0, 0.05, 0.3])
@pytest.mark.parametrize("step", ["announcing", "taking", "settling", "yielding", "straightening"])
@pytest.mark.parametrize("who", ["master", "old holder", "new holder"])
def test_a_hand_over_broken_after_each_step(step: str, who: str, broken_after_s: float) -> None:
    """Whoever is lost at whatever step, the voltage is carried on or taken away in order, and every deal is closed."""
    world = two_deals()
    world.ask_stop("d1", "E001")
    world.run_until(lambda w: w.grid.state == step)
    world.run(broken_after_s)
    match who:
        case "master":
            world.kill_master()
            world.run(1.0)
            world.new_term()
            world.run_until(lambda w: w.grid.state == "held" and w.grid.holder == "E004", 15)
            assert world.state_of("d2") == "started"
        case "old holder":
            world.houses["E002"].kill()
        case _:
            world.houses["E004"].kill()
    world.run(TIMES["hand_over_s"] + TIMES["drain_s"] + TIMES["absence_s"])
    for house in world.houses.values():
        if house.record is None:
            house.start()
    assert_closed(world)


def test_a_reading_from_before_a_term_does_not_show_that_the_new_holder_does_not_hold() -> None:
    """A master that begins in the middle of a hand-over knows the new holder from before it took over."""
    world = two_deals()
    before = world.houses["E004"].data
    world.ask_stop("d1", "E001")
    world.run_until(lambda w: w.grid.state == "straightening")
    world.kill_master()
    world.new_term()
    holder = world.houses["E004"]
    holder.data, holder.read_at_s = before, world.now_s - 0.5
    plan = world.planner.plan(world.picture(), world.now_s)
    assert not plan.problems
    assert not [put for put in plan.puts if put.key == "grid"]


@pytest.mark.parametrize("failures", [1, 3])
@pytest.mark.parametrize(("step", "goes_back"), [("announcing", True), ("taking", True), ("yielding", False)])
def test_a_step_that_the_unit_refuses(step: str, goes_back: bool, failures: int) -> None:
    """Before the third step a hand-over is taken back, from the third on it goes forward."""
    world = two_deals()
    world.ask_stop("d1", "E001")
    world.run_until(lambda w: w.grid.state == step)
    unit = world.houses[world.grid.next_holder or "" if step == "taking" else "E002"]
    unit.refuse_next = failures
    seen = []
    for _ in range(100):
        world.run(0.05)
        seen.append(world.grid.state)
    assert ("restoring" in seen) is goes_back
    assert_closed(world)


@pytest.mark.parametrize("excluded", [True, False])
@pytest.mark.parametrize("step", ["announcing", "taking", "settling", "yielding", "straightening"])
def test_a_drain_in_the_middle_of_a_hand_over_stops_the_currents_first(step: str, excluded: bool) -> None:
    """Whoever holds the voltage by then is no party with a current to be stepped; nobody's voltage goes too early."""
    world = World()
    world.create(make_deal("d1", "E001", "E002", current_a=2.0))
    world.run_until(lambda w: w.state_of("d1") == "started")
    world.create(make_deal("d2", "E004", "E003", current_a=2.0))
    world.run_until(lambda w: w.state_of("d2") == "started")
    if excluded:
        world.houses["E001"].reachable = False
        world.run(3.0)
        world.exclude("E001")
    world.ask_stop("d1", "E002")
    world.run_until(lambda w: w.grid.state == step)
    world.reaction = Reaction(ReactionKind.DRAIN, "a hazard")
    world.touch()
    world.run_until(lambda w: off(w, "E004"), TIMES["drain_s"] - 1.0)
    assert world.grid.state == "draining"
    assert world.bus.voltage_v > 300
    world.run_until(lambda w: w.ended, 20)
    assert not [p for p in world.problems if "stop_failed" in p]
    assert {i: len(r) for i, r in world.stream.items()} == {"d1": 1, "d2": 1}


def test_a_dead_party_whose_partners_stop_would_overload_the_holder() -> None:
    """The holder's own deals stop first, the living partner last; the holder stays within its limit all the time."""
    world = World()
    world.create(make_deal("d1", "E001", "E002", current_a=2.0))
    world.run_until(lambda w: w.state_of("d1") == "started")
    world.create(make_deal("d2", "E004", "E003", current_a=2.0))
    world.run_until(lambda w: w.state_of("d2") == "started")
    world.commands.clear()
    world.peak_a.clear()
    world.houses["E004"].kill()
    world.run_until(lambda w: off(w, "E001", "E003"), TIMES["absence_s"] + TIMES["drain_s"])
    assert [c for c in world.commands if "wait" in c][:2] == ["E001 wait", "E003 wait"]
    assert world.peak_a["E002"] <= 2.3 + 0.125
    world.houses["E004"].start()
    world.run_until(lambda w: w.ended, 30)


@pytest.mark.parametrize("hard", [True, False])
def test_the_holders_own_alarm(hard: bool) -> None:
    """At a hard limit it goes and everybody with it at once; any other fault is the master's: it hands over."""
    world = two_deals()
    world.houses["E002"].give(Faulted("L13", hard=hard))
    if hard:
        world.run_until(lambda w: off(w, "E001", "E002", "E003", "E004"), 1.0)
        world.run_until(lambda w: w.ended, 15)
    else:
        world.run(1.0)
        assert world.houses["E002"].mode is VR
        world.ask_stop("d1", "E002", "L25")
        world.run_until(lambda w: w.grid.holder == "E004" and w.grid.state == "held", 15)
        assert world.state_of("d2") == "started"
        assert_closed(world)


@pytest.mark.parametrize("device_s", [0.1, 0.5])
def test_a_write_that_lands_after_its_process_died(device_s: float) -> None:
    """A converter that becomes active behind everybody's back is found and put to WAIT."""
    world = World()
    world.create(make_deal("d1", "E001", "E002"))
    world.houses["E001"].device_s = device_s
    world.run_until(lambda w: w.state_of("d1") == "warming_up", 60)
    world.run_until(lambda w: w.houses["E001"].record.step is not None, 10)  # type: ignore[union-attr]  # it runs
    world.houses["E001"].kill()
    world.run(0.05)
    world.houses["E001"].start()
    world.houses["E001"].device_s = 0.03
    world.run(10.0)
    assert world.state_of("d1") in (None, "started", "scrammed")
    assert_closed(world)


@pytest.mark.parametrize("late_s", [0.5, 1.5, 3.0])
def test_a_stop_and_an_older_start_that_arrive_in_the_wrong_order(late_s: float) -> None:
    """The unit obeys the stop, and the start that comes after it no more."""
    world = World()
    world.create(make_deal("d1", "E001", "E002"))
    world.late_next["E001"] = late_s
    world.run_until(lambda w: w.state_of("d1") == "warming_up", 60)
    world.ask_stop("d1", "E002")
    world.run(late_s + 1.0)
    assert world.overtaken == 1
    assert off(world, "E001")
    assert not [w for w in world.houses["E001"].writes if "DISCHARGE" in w]
    assert_closed(world)


def test_a_store_that_went_back() -> None:
    """What the units know is believed: everything stops, a deal that was switched gets its record."""
    world = World()
    world.create(make_deal("d1", "E001", "E002"))
    earlier = dict(world.values)
    world.run_until(lambda w: w.state_of("d1") == "started")
    assert world.deals["d1"].switched
    world.go_back(earlier)
    assert not world.deals["d1"].switched
    world.run_until(lambda w: w.ended and off(w, *w.houses), 30)
    assert len(world.stream["d1"]) == 1
    world.amnesia, world.mode = False, OperationMode.AUTONOMOUS
    world.create(make_deal("d2", "E001", "E002"))
    world.run_until(lambda w: w.state_of("d2") == "started", 30)


@pytest.mark.parametrize(("dies", "may_flow"), [("E001", False), ("E002", True)])
def test_a_deal_of_a_silent_unit_after_the_store_went_back_gets_its_record(dies: str, may_flow: bool) -> None:
    """Whether it was switched nobody can tell then: it stays open while a current may flow, and leaves a record."""
    world = World()
    world.create(make_deal("d1", "E001", "E002"))
    earlier = dict(world.values)
    world.run_until(lambda w: w.state_of("d1") == "started")
    world.houses[dies].kill()
    world.go_back(earlier)
    world.run(TIMES["absence_s"] + TIMES["drain_s"] + 10.0)
    assert (world.state_of("d1") is not None) is may_flow, "a dead holder goes on holding"
    world.houses[dies].start()
    world.run_until(lambda w: w.ended and off(w, *w.houses), 40)
    assert len(world.stream["d1"]) == 1


def test_a_deal_that_was_never_switched_leaves_no_record_after_the_store_went_back() -> None:
    """Both units say that they know of no command."""
    world = World()
    world.create(make_deal("d1", "E001", "E002"))
    world.go_back(dict(world.values))
    world.run_until(lambda w: w.ended, 10)
    assert not world.stream


@pytest.mark.parametrize("new_master_after_s", [0.5, 5.0])
def test_a_new_master_after_a_unit_died_active_and_its_deal_was_closed(new_master_after_s: float) -> None:
    """That the dead unit may be active outlives its deal and the master: nothing is energised until it is back."""
    world = World()
    world.create(make_deal("d1", "E001", "E002"))
    world.run_until(lambda w: w.state_of("d1") == "started")
    world.houses["E001"].kill()
    world.run_until(lambda w: "d1" in w.stream, 40)
    assert world.active.units.keys() == {"E001"}
    world.kill_master()
    world.run(new_master_after_s)
    world.new_term()
    world.create(make_deal("d2", "E003", "E004"))
    world.run(10.0)
    assert world.state_of("d2") == "created"
    assert any(w.startswith("unaccounted for: E001;") for w in world.last_plan.waiting)
    world.houses["E001"].start()
    world.run_until(lambda w: w.state_of("d2") == "started", 20)


def test_an_excluded_unit_blocks_nothing_and_is_counted() -> None:
    """Its last current counts in every capacity check, and its return lifts the exclusion."""
    world = World(settings=shipped_settings(sum_max_a=1.5))
    world.create(make_deal("d1", "E001", "E002"))
    world.run_until(lambda w: w.state_of("d1") == "started")
    world.houses["E001"].kill()
    world.run_until(lambda w: not w.deals and w.grid.state == "dead", 40)
    world.exclude("E001")
    world.run(1.0)
    assert world.lock("E001").excluded_current_a == 1.0
    assert "E001" not in world.active.units
    world.create(make_deal("d2", "E003", "E004"))
    world.run_until(lambda w: "d2" not in w.deals, 10)
    assert "d2" not in world.stream, "it was refused before anything was switched"
    world.houses["E001"].start()
    world.run(8.0)
    assert world.lock("E001").exclusion is None
    world.create(make_deal("d3", "E003", "E004"))
    world.run_until(lambda w: w.state_of("d3") == "started", 20)


@pytest.mark.parametrize("cut_off", [True, False])
def test_a_dead_holder_that_is_excluded_is_nobodys_voltage_any_more(cut_off: bool) -> None:
    """What lives on its voltage is drained; with the bus dead the others go on, with a live one nothing begins."""
    world = two_deals()
    world.houses["E002"].kill()
    world.run(4.0)
    world.exclude("E002")
    world.run_until(lambda w: off(w, "E003", "E004") and not w.deals, TIMES["drain_s"] + 2.0)
    assert {i: r[0].unconfirmed for i, r in world.stream.items()} == {"d1": True, "d2": None}
    if cut_off:
        world.houses["E002"].mode = WAIT
    world.create(make_deal("d3", "E001", "E004"))
    world.run(25.0)
    assert (world.state_of("d3") == "started") is cut_off
    assert any("bus_not_dead" in p for p in world.problems) is not cut_off
    if cut_off:
        assert_closed(world)


def test_a_deal_of_an_excluded_unit_ends_unconfirmed() -> None:
    """An operator's word closes the deal of a unit that cannot be asked any more."""
    world = two_deals()
    world.houses["E003"].kill()
    world.run(4.0)
    world.exclude("E003")
    world.run_until(lambda w: "d2" not in w.deals, 20)
    assert world.stream["d2"][0].unconfirmed
    assert not world.lock("E003").entries
    assert world.state_of("d1") == "started"
    assert_closed(world)


@pytest.mark.parametrize("down_s", [0.3, 2.0, 8.0])
def test_a_stop_that_cannot_be_recorded_ends_the_energy_all_the_same(down_s: float) -> None:
    """A stop leaves while the store refuses everything: nothing passes through its unit any more, and is booked."""
    world = two_deals()
    world.store_up = False
    world.ask_stop("d2", "E003")
    world.run(down_s)
    assert world.houses["E003"].mode is WAIT
    assert world.houses["E004"].mode is not WAIT, "what comes after the stop waits for the record"
    assert world.state_of("d2") == "started"
    world.store_up = True
    world.touch()
    world.run_until(lambda w: "d2" not in w.deals)
    record, moved_in_s = world.stream["d2"][0], 350 * world.houses["E003"].rate / 3600
    for unit_id, booked_wh in (("E003", record.discharge_unit_amount_wh), ("E004", record.charge_unit_amount_wh)):
        assert booked_wh == pytest.approx(world.bus.true_wh["d2", unit_id], abs=0.2 * moved_in_s)


@pytest.mark.parametrize("without_s", [0.1, 1.0, 3.0])
def test_a_stop_whose_record_dies_with_the_master_counts_as_in_the_middle_of_two_looks(without_s: float) -> None:
    """A stop waits for no record. What the next master knows are two looks: it is off by half of what is between."""
    world = two_deals()
    world.ask_stop("d2", "E003")
    world.crash_after = 1
    world.run_until(lambda w: not w.master_alive)
    looked_s = world.unrecorded_s["d2"]
    world.run(without_s)
    world.new_term()
    between_s = world.now_s + READ_AFTER_S - looked_s
    world.run_until(lambda w: "d2" not in w.deals)
    record = world.stream["d2"][0]
    for unit_id, booked_wh in (("E003", record.discharge_unit_amount_wh), ("E004", record.charge_unit_amount_wh)):
        assert booked_wh == pytest.approx(world.bus.true_wh["d2", unit_id], abs=WH_PER_AS * between_s / 2)


@pytest.mark.parametrize("left_s", [0.0, 0.3])
def test_no_command_after_the_leases_end(left_s: float) -> None:
    """At the end of its lease a master is silent, whatever is half done; the next one goes on from the records."""
    world = World()
    world.create(make_deal("d1", "E001", "E002"))
    world.run_until(lambda w: w.state_of("d1") == "ramped")
    world.act_until_s = world.now_s + left_s
    world.run(left_s)
    sent = len(world.acted)
    world.run(3.0)
    assert len(world.acted) == sent
    world.new_term()
    world.run_until(lambda w: w.state_of("d1") == "started", 20)
    assert_closed(world)


def test_a_command_of_an_older_term_is_refused_by_the_unit() -> None:
    """A master that does not know that it is over cannot command: the unit is the last line."""
    world = World()
    world.create(make_deal("d1", "E001", "E002"))
    world.run_until(lambda w: w.state_of("d1") == "started")
    old = world.epoch
    world.kill_master()
    world.new_term()
    world.run(2.0)
    stale = Command(
        epoch=old,
        seq=99,
        boot=world.houses["E001"].boot,
        refresh=1,
        name=CommandName.CURRENT,
        params=CommandParams(grid_current_a=2.2),
    )
    world.hand_over("E001", stale)
    world.run(2.0)
    assert world.houses["E001"].target_a == pytest.approx(1.0)
    assert_closed(world)
