"""What must not go wrong: each hazard with its times as arguments."""

from __future__ import annotations

from itertools import pairwise

import pytest

from apis_rules.charts.unit import (
    Announced,
    Answered,
    Faulted,
    ManualChanged,
    Ordered,
    ReadAll,
    ReadStatus,
    Refreshed,
    Stop,
    StopLocal,
    Struck,
    VoltageGoing,
)
from apis_rules.ports.types import CommandName, ConverterMode
from tests.charts.unit.test_execution import TABLE
from tests.charts.unit.world import WALK_SETTINGS, WRITES, World, epoch

N = CommandName
D, H = WALK_SETTINGS.dead_man_s, WALK_SETTINGS.holder_dead_man_s


def test_a_new_epoch_during_a_stepping_command() -> None:
    """The step that is under way ends; the next one never leaves; then, and not before, the new master is told."""
    world = World().reach("waiting")
    world.order(N.CHARGE, grid_current_a=2.3)
    mode = world.pending(WRITES)
    assert mode is not None
    world.give(Announced(epoch(2)))
    assert not any(line.startswith("acknowledge") for line in world.told)
    del world.under_way[mode]
    world.converter.mode, world.converter.target_a = ConverterMode.CHARGE, 1.0  # it was sent before the announcement
    world.give(Answered(mode, world.converter.document(), None, world.now_s))
    assert world.pending(WRITES) is None
    world.run()
    world.pass_time(0.5)
    assert world.told.index("acknowledge 2") > world.told.index(f"report 1/{world.seq} aborted")
    assert world.converter.target_a == 1.0


@pytest.mark.parametrize("state", ["charging", "discharging"])
def test_a_scram_in_the_first_moment_of_a_term(state: str) -> None:
    """A scram of an epoch that was never announced stops the converter at once, in both phases."""
    for first in (True, False):
        world = World().reach(state)
        assert "set WAIT" in world.order(N.SCRAM, term=epoch(8), seq=0, exclude_voltage_reference=first)
        world.run()
        assert world.shows == "wait"
        assert world.outcomes[-1].ok


def test_the_first_phase_of_a_scram_leaves_the_voltage_the_second_takes_it() -> None:
    """The holder of a hand-over or of a ramp stops in the second phase only; its open command ends in the first."""
    world = World().reach("holding")
    world.order(N.AUTHORIZE, voltages_v=(360.0, 340.0))
    world.order(N.SCRAM, exclude_voltage_reference=True)
    world.run()
    assert [o.failed for o in world.outcomes[-2:]] == [None, "aborted"]
    assert world.unit.state == "holding"
    assert world.obey(N.SCRAM).ok
    assert world.shows == "wait"


@pytest.mark.parametrize("lands_after_s", [0.5, 2.0, 4.9])
def test_a_write_that_lands_after_its_process_died(lands_after_s: float) -> None:
    """After a restart WAIT is confirmed only when the last write of the process before can no longer land."""
    world = World().reach("waiting")
    world.order(N.CHARGE, grid_current_a=1.0)
    request = world.pending(WRITES)
    assert request is not None
    late = world.under_way[request][0]
    started_s = world.now_s
    world.start()
    world.pass_time(lands_after_s)
    assert not world.unit.confirmed_wait
    world.converter.perform(late)
    world.pass_time(8.0 - lands_after_s)
    assert world.shows == "wait"
    assert world.unit.confirmed_wait
    confirmed = [o for o in world.outcomes if o.failed == "interrupted"]
    assert len(confirmed) == 1
    assert world.now_s - started_s >= WALK_SETTINGS.request_timeout_s


@pytest.mark.parametrize("lands_after_s", [0.1, 3.0, 4.9])
def test_a_lost_write_that_lands_after_the_stop(lands_after_s: float) -> None:
    """A stop that overtook a write is confirmed only after that write is settled; it is written again until then."""
    world = World().reach("waiting")
    world.order(N.CHARGE, grid_current_a=1.0)
    request = world.pending(WRITES)
    assert request is not None
    world.order(N.WAIT)
    stop = world.pending(Stop)
    assert stop is not None
    world.answer(stop)
    late = world.lose(request)
    world.pass_time(lands_after_s)
    assert not world.unit.confirmed_wait
    world.converter.perform(late)
    world.pass_time(8.0 - lands_after_s)
    assert world.shows == "wait"
    assert world.unit.confirmed_wait
    assert [o.failed for o in world.outcomes[-2:]] == ["aborted", None]


def test_an_overtaken_write_that_is_answered_lets_the_stop_follow_at_once() -> None:
    """As soon as the driver has answered the write that a stop overtook, WAIT is written after it, without a wait."""
    world = World().reach("waiting")
    world.order(N.CHARGE, grid_current_a=1.0)
    request = world.pending(WRITES)
    assert request is not None
    world.order(N.WAIT)
    while world.unit.state != "retrying":
        world.answer(next(i for i in world.under_way if i != request))
    world.under_way.pop(request)
    world.converter.mode = ConverterMode.CHARGE  # it was carried out after the stop
    assert world.give(Answered(request, world.converter.document(), None, world.now_s)) == ["set WAIT"]
    world.run()
    assert world.shows == "wait"


def test_a_look_that_finds_a_current_without_a_voltage() -> None:
    """A unit that failed at a command and looks: charging on a bus outside its range is stopped by that look."""
    world = World().reach("charging")
    world.order(N.CURRENT, grid_current_a=2.0)
    request = world.pending(WRITES)
    assert request is not None
    world.refuse(request)
    world.converter.bus_v = 200.0
    look = world.pending(ReadAll)
    assert look is not None
    assert world.answer(look)[-1] == "set WAIT"


def test_a_restart_in_the_middle_of_a_hand_over() -> None:
    """A holder with droop is found as such, and its voltage is not lowered when it is told to wait."""
    world = World().reach("drooping")
    world.start()
    world.run()
    assert world.unit.state == "drooping"
    assert world.obey(N.WAIT).ok
    assert world.converter.writes[-2:] == ["set 350 V droop 0.039", "set WAIT"]


def test_a_write_that_lands_even_later_is_noticed() -> None:
    """A converter that becomes active after WAIT was confirmed is stopped at the next reading; not in manual mode."""
    for manual in (False, True):
        world = World().reach("waiting")
        world.give(ManualChanged(manual))
        world.converter.mode = ConverterMode.DISCHARGE
        world.pass_time(WALK_SETTINGS.read_period_s + 1)
        assert (world.shows == "wait") is not manual


def test_a_stop_and_an_older_start_in_the_wrong_order() -> None:
    """The start that was ordered before the stop arrives after it, twice, and is refused."""
    world = World().reach("waiting")
    start = world.command(N.CHARGE, grid_current_a=1.0)
    stop = world.command(N.WAIT)
    world.give(Ordered(stop))
    world.give(Ordered(start))
    world.run()
    world.give(Ordered(start))
    assert world.shows == "wait"
    assert [o.failed for o in world.outcomes if o.seq == start.seq] == ["old seq", "old seq"]


@pytest.mark.parametrize(("state", "limit_s"), [("charging", D), ("discharging", D), ("holding", H), ("drooping", H)])
def test_a_partitioned_unit_stops_by_itself(state: str, limit_s: float) -> None:
    """Without a refresh a unit is in WAIT within its dead-man time and a second, and not before that time."""
    world = World().reach(state)
    last_s = world.unit.memory.refreshed_at_s
    assert last_s is not None
    world.pass_time(last_s + limit_s - 0.1 - world.now_s)
    assert world.shows != "wait"
    world.pass_time(1.1)
    assert world.shows == "wait"
    assert world.unit.confirmed_wait
    assert ("announce voltage going" in world.told) is (limit_s == H)


def test_a_refresh_restarts_the_time_and_nothing_else_does() -> None:
    """Refreshes of the newest master keep a unit going; those of an older one, readings and refusals do not."""
    world = World().reach("charging")
    world.pass_time(3 * D, refresh=True)
    assert world.shows == "charge"
    world.give(Refreshed(epoch(2), 1, ("deal",)))
    assert world.unit.deal_ids == ("deal",)
    end_s = world.now_s + D + 1
    while world.now_s < end_s:
        world.give(Refreshed(epoch(1), 999, ()))
        world.order(N.CURRENT, term=epoch(1), grid_current_a=2.0)
        world.pass_time(1.0)
    assert world.shows == "wait"


@pytest.mark.parametrize("away_s", [0.0, 5.0, 15.0])
def test_the_holders_time_runs_on_over_a_restart(away_s: float) -> None:
    """H counts from the last refresh: a restarted holder keeps holding, and stops when that time is out."""
    world = World().reach("holding")
    world.pass_time(10, refresh=True)
    last_s = world.unit.memory.refreshed_at_s
    assert last_s is not None
    world.now_s += away_s
    world.start()
    world.run()
    assert world.unit.state == "holding"
    world.pass_time(last_s + H - 0.1 - world.now_s)
    assert world.shows == "reference"
    world.pass_time(1.1)
    assert world.shows == "wait"


def test_a_restarted_holder_goes_on_from_the_set_point_that_the_converter_shows() -> None:
    """The voltage that a hand-over keeps is the one that is really held, also after a restart."""
    world = World().reach("holding")
    world.obey(N.VOLTAGE, grid_voltage_v=345.0)
    world.start()
    world.run()
    assert world.obey(N.WILL_HAND_OVER).ok
    assert world.converter.writes[-1] == "set 345 V droop 0.039"


def test_a_machine_that_was_started_anew_has_no_last_refresh() -> None:
    """Another runtime clock says nothing about how long ago the refresh was: the holder stops at once."""
    world = World().reach("holding")
    world.start(clock_id="another")
    world.run()
    assert world.shows == "wait"
    assert "announce voltage going" in world.told


@pytest.mark.parametrize("state", ["charging", "discharging"])
def test_a_start_that_finds_a_current_stops_it(state: str) -> None:
    """A current-controlled converter that is found active at a start is put to WAIT by the first look."""
    world = World().reach(state)
    world.start()
    first = world.pending(ReadAll)
    assert first is not None
    assert "set WAIT" in world.answer(first)


@pytest.mark.parametrize("state", ["charging", "discharging"])
def test_voltage_going_stops_a_current_at_once(state: str) -> None:
    """A current-controlled unit that hears *voltage going* writes WAIT in the same step; the holder does not."""
    assert World().reach(state).give(VoltageGoing("E002"))[0] == "set WAIT"
    assert World().reach("holding").give(VoltageGoing("E002")) == []
    assert World().reach("drooping").give(VoltageGoing("E002")) == []
    assert World().reach("waiting").give(VoltageGoing("E002")) == []


@pytest.mark.parametrize("voltage_v", [0.0, 299.9, 380.1])
@pytest.mark.parametrize("state", ["charging", "discharging"])
def test_a_voltage_outside_the_range_stops_a_current_at_that_reading(state: str, voltage_v: float) -> None:
    """No debounce, no master: one reading outside the operating range and WAIT is written."""
    world = World().reach(state)
    world.converter.bus_v = voltage_v
    world.sleep_until(world.due_s)
    look = next(iter(world.under_way))
    assert "set WAIT" in world.answer(look)


def test_a_dead_bus_is_seen_while_a_charge_begins() -> None:
    """The answer to the first write counts as a reading: a charge on a dead bus is over with it."""
    world = World(bus_v=0.0).reach("waiting")
    world.order(N.CHARGE, grid_current_a=2.0)
    request = world.pending(WRITES)
    assert request is not None
    assert world.answer(request)[0] == "set WAIT"
    world.run()
    assert world.converter.writes == ["set CHARGE 350 V 1 A droop 0", "set WAIT"]


def test_a_unit_that_may_have_become_the_holder_is_spared_and_says_that_it_goes() -> None:
    """After a lost write of the voltage reference's mode the unit counts as holder until a reading shows otherwise."""
    world = World(bus_v=0.0).reach("waiting")
    world.order(N.VOLTAGE_REFERENCE)
    while (request := world.pending(WRITES)) is None:
        world.answer(next(iter(world.under_way)))
    world.lose(request)
    while world.unit.state != "blind":
        world.lose(next(iter(world.under_way)))
    assert world.order(N.SCRAM, exclude_voltage_reference=True) == [f"report 1/{world.seq} ok", "remember", "remember"]
    assert world.give(StopLocal("end")) == ["announce voltage going", "set WAIT"]


def test_the_holders_own_fault() -> None:
    """A fault that is no hard limit is left to the master; a hard limit is announced and then stopped by itself."""
    world = World().reach("holding")
    assert world.give(Faulted("L25", hard=False)) == []
    assert world.give(Faulted("L11", hard=True)) == ["announce voltage going", "set WAIT"]
    for state in ("charging", "discharging"):
        assert World().reach(state).give(Faulted("L26", hard=False))[0] == "set WAIT"
    assert World().reach("waiting").give(Faulted("L10", hard=True)) == []


def test_an_active_converter_is_read_at_least_each_second() -> None:
    """Active: at most a second between readings; waiting: one full reading a period; a strike asks for one sooner."""
    for state, most_s in (("charging", 1.0), ("holding", 1.0), ("waiting", WALK_SETTINGS.read_period_s)):
        world = World().reach(state)
        asked = []
        end_s = world.now_s + 9
        while world.now_s < end_s:
            world.refresh() if state != "waiting" else None
            world.sleep_until(world.due_s)
            while world.under_way:
                request_id, (call, at_s) = next(iter(world.under_way.items()))
                if isinstance(call, ReadAll | ReadStatus):
                    asked.append(at_s)
                world.answer(request_id)
        assert max(b - a for a, b in pairwise(asked)) <= most_s + 1e-9
    world = World().reach("charging")
    world.give(Struck(world.now_s + 0.3))
    world.sleep_until(world.due_s)
    assert world.pending(ReadAll) is not None
    assert round(world.now_s, 3) == 1000.3


def test_a_reading_asked_for_before_a_stop_says_nothing_about_it() -> None:
    """A slow reading that began before the stop does not undo what was confirmed after it."""
    world = World().reach("charging")
    world.sleep_until(world.due_s)
    slow = next(iter(world.under_way))
    old = world.converter.document()
    sent_s = world.under_way.pop(slow)[1]
    world.now_s += 0.2
    world.order(N.SCRAM)
    stop = world.pending(Stop)
    assert stop is not None
    world.answer(stop)
    world.run()
    world.give(Answered(slow, old, None, sent_s))
    assert world.unit.state == "waiting"
    assert world.unit.shown_mode == "wait"


def test_a_program_that_ends_leaves_wait() -> None:
    """A local stop is written from any state, again until it is confirmed, by a holder with its announcement."""
    for state in ("waiting", "charging", "discharging", "holding", "drooping"):
        world = World().reach(state)
        told = world.give(StopLocal("end"))
        assert told[-1 if state != "waiting" else 0] == "set WAIT"
        world.run()
        assert world.unit.confirmed_wait


def test_a_silent_driver_is_asked_to_stop_until_it_answers() -> None:
    """WAIT that cannot be confirmed is reported as such; the unit goes on trying and tells when it has succeeded."""
    world = World().reach("charging")
    world.order(N.SCRAM)
    silent_until_s = world.now_s + 30
    while world.now_s < silent_until_s:
        while world.under_way:
            world.lose(next(iter(world.under_way)))
        world.sleep_until(world.due_s)
    assert world.outcomes[-1].failed == "not confirmed"
    assert world.unit.stopping
    world.run()
    assert world.unit.confirmed_wait
    assert world.shows == "wait"


@pytest.mark.parametrize(("state", "name", "params", "writes", "_after"), TABLE)
def test_interrupted_after_every_write(
    state: str, name: CommandName, params: dict[str, object], writes: list[str], _after: str
) -> None:
    """A process that dies after any write comes back to a safe converter and tells what it was doing.

    Safe: a current is stopped; a voltage is held on, for the master to decide; the order's outcome is ``interrupted``,
    and ordering it again as a new command, where the state allows it, ends well.
    """
    for dies_after in range(1, len(writes) + 1):
        world = World().reach(state)
        command = world.command(name, **params)
        world.give(Ordered(command))
        written = len(world.converter.writes)
        while len(world.converter.writes) - written < dies_after:
            request_id = next(iter(world.under_way), None)
            if request_id is None:
                world.sleep_until(world.due_s)
            else:
                world.answer(request_id)
        was = world.shows
        world.start()
        world.run()
        assert world.outcomes[-1].failed == "interrupted"
        assert world.outcomes[-1].seq == command.seq
        assert world.shows == ("reference" if was == "reference" else "wait")
        world.refresh()
        assert world.obey(N.WAIT).ok
        assert world.shows == "wait"
