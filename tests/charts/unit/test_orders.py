"""Which commands a unit obeys."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apis_rules.charts.unit import (
    Acknowledge,
    Announced,
    Decline,
    Ordered,
    Refreshed,
    UnitMemory,
)
from apis_rules.ports.types import CommandName, ConverterMode
from tests.charts.unit.world import WRITES, World, epoch

STOPS = (CommandName.WAIT, CommandName.SCRAM)


def test_an_older_epoch_is_refused() -> None:
    """A command of a master whose epoch is below the highest seen is refused, a stop too, and nothing is written."""
    world = World().reach("holding")
    world.give(Refreshed(epoch(5), 1, ()))
    written = len(world.converter.writes)
    for name in (CommandName.VOLTAGE, *STOPS):
        assert world.order(name, term=epoch(4), grid_voltage_v=340.0) == [f"report 4/{world.seq} old epoch"]
    assert len(world.converter.writes) == written


def test_the_same_number_of_another_term_is_refused() -> None:
    """A command with the present epoch's number and another term's id shows a store that was lost; it is refused."""
    world = World().reach("charging")
    assert world.order(CommandName.WAIT, term=epoch(1, "other")) == [f"report 1/{world.seq} foreign epoch"]
    assert world.give(Announced(epoch(1, "other"))) == ["decline 1: foreign epoch"]
    assert world.give(Refreshed(epoch(1, "other"), 9, ())) == ["decline 1: foreign epoch"]


def test_a_lower_number_is_refused_even_where_it_was_never_seen() -> None:
    """A start that arrives after a later stop is refused: the stop's number is above it."""
    world = World().reach("waiting")
    start = world.command(CommandName.CHARGE, grid_current_a=1.0)
    world.obey(CommandName.WAIT)
    assert world.give(Ordered(start)) == ["report 1/1 old seq"]
    assert world.shows == "wait"


def test_the_same_command_again_brings_the_stored_outcome() -> None:
    """A master that missed an outcome asks again and gets it; nothing is written a second time."""
    world = World().reach("waiting")
    command = world.command(CommandName.CHARGE, grid_current_a=1.0)
    world.give(Ordered(command))
    world.run()
    outcome, written = world.outcomes[-1], len(world.converter.writes)
    world.give(Ordered(command))
    assert world.outcomes[-1] == outcome
    assert len(world.converter.writes) == written


def test_the_fenced_twin_of_a_stop_is_not_obeyed_again() -> None:
    """A stop comes on two paths; the second one finds it open or ended and writes nothing."""
    world = World().reach("charging")
    stop = world.command(CommandName.SCRAM)
    assert "set WAIT" in world.give(Ordered(stop))
    assert world.give(Ordered(stop)) == []
    world.run()
    assert world.give(Ordered(stop)) == [f"report 1/{stop.seq} ok"]
    assert world.converter.writes.count("set WAIT") == 1


def test_another_boot_is_refused_stops_aside() -> None:
    """A command made for an earlier start of this unit is refused; a stop is obeyed whatever it was made for."""
    world = World().reach("charging")
    other = world.command(CommandName.CURRENT, grid_current_a=2.0).model_copy(update={"boot": "before"})
    assert world.give(Ordered(other)) == [f"report 1/{other.seq} other boot"]
    stop = world.command(CommandName.WAIT).model_copy(update={"boot": "before"})
    assert "set 0 A" in world.give(Ordered(stop))


@pytest.mark.parametrize(("age", "obeyed"), [(0, True), (1, True), (2, False), (3, False)])
def test_two_refreshes_old_is_too_old(age: int, obeyed: bool) -> None:
    """A command whose refresh number is two behind the last seen is refused; one behind is taken."""
    world = World().reach("charging")
    for _ in range(5):
        world.refresh()
    command = world.command(CommandName.CURRENT, grid_current_a=2.0)
    answer = world.give(Ordered(command.model_copy(update={"refresh": command.refresh - age})))
    assert ("set 2 A" in answer) is obeyed
    assert (answer == [f"report 1/{command.seq} too old"]) is not obeyed


def test_one_open_command() -> None:
    """A second command is refused as busy without using up its number: it is obeyed when it comes again later."""
    world = World().reach("charging")
    world.order(CommandName.CURRENT, grid_current_a=2.0)
    second = world.command(CommandName.CURRENT, grid_current_a=0.5)
    assert world.give(Ordered(second)) == [f"report 1/{second.seq} busy"]
    world.run()
    world.give(Ordered(second))
    world.run()
    assert world.outcomes[-1].ok
    assert world.converter.target_a == 0.5


def test_nothing_is_written_before_the_number_is_on_the_disk() -> None:
    """A command that brings energy waits for the disk; one that cannot be stored is refused and may come again."""
    world = World().reach("waiting")
    world.disk_works = False
    command = world.command(CommandName.CHARGE, grid_current_a=1.0)
    assert world.give(Ordered(command)) == ["remember", f"report 1/{command.seq} not persisted"]
    assert world.converter.writes == []
    world.disk_works = True
    world.give(Ordered(command))
    world.run()
    assert world.outcomes[-1].ok


@pytest.mark.parametrize("name", STOPS)
def test_a_stop_does_not_ask_the_disk(name: CommandName) -> None:
    """A stop of a new epoch that cannot be stored is obeyed at once, with the write before the attempt to store."""
    world = World().reach("discharging")
    world.disk_works = False
    answer = world.order(name, term=epoch(7), seq=1)
    assert answer[0] in ("set 0 A", "set WAIT")
    assert answer.index("remember") > 0
    world.run()
    assert world.shows == "wait"
    assert world.outcomes[-1].ok


def test_a_crash_makes_the_open_command_interrupted() -> None:
    """After a restart the same command brings ``interrupted`` with a fresh status, and is not begun again."""
    world = World().reach("waiting")
    command = world.command(CommandName.CHARGE, grid_current_a=2.3)
    world.give(Ordered(command))
    request = world.pending(WRITES)
    assert request is not None
    world.answer(request)  # the mode is written; the steps that follow never are
    world.start()
    world.run()
    first = world.outcomes[-1]
    assert (first.seq, first.failed) == (command.seq, "interrupted")
    assert first.status is not None
    world.give(Ordered(command))
    assert world.outcomes[-1].failed == "interrupted"
    assert world.shows == "wait"


def test_a_newer_epoch_ends_the_open_command_before_it_is_acknowledged() -> None:
    """A new master is acknowledged only when the old one's command has ended, with its outcome and a fresh status."""
    world = World().reach("charging")
    old = world.command(CommandName.CURRENT, grid_current_a=2.3)
    world.give(Ordered(old))
    assert world.give(Announced(epoch(2))) == ["remember"]
    written = list(world.converter.writes)
    world.run()
    assert world.outcomes[-1].failed == "aborted"
    assert world.converter.writes == written  # the guard stopped the write that was still in the queue
    while world.under_way:
        world.answer(next(iter(world.under_way)))
    acknowledgements = [a for a in world.actions if isinstance(a, Acknowledge)]
    assert [a.epoch for a in acknowledgements] == [epoch(2)]
    outcome, status = acknowledgements[0].outcome, acknowledgements[0].status
    assert outcome is not None
    assert (outcome.seq, outcome.failed) == (old.seq, "aborted")
    assert status is not None
    assert status.meter.grid_current_a == 1.0
    assert world.actions.index(acknowledgements[0]) > world.told.index(f"report 1/{old.seq} aborted")


def test_an_epoch_that_cannot_be_stored_is_not_acknowledged() -> None:
    """An acknowledgement promises to refuse older masters over restarts; without a disk it is declined."""
    world = World().reach("charging")
    world.disk_works = False
    assert world.give(Announced(epoch(2))) == ["remember", "decline 2: not persisted"]
    assert world.order(CommandName.CURRENT, term=epoch(1), grid_current_a=2.0)[-1].endswith("old epoch")


def test_a_unit_reports_its_highest_epoch_to_a_master_that_is_behind() -> None:
    """A master whose store went back learns the highest epoch from the unit that declines it."""
    world = World().reach("waiting")
    world.give(Announced(epoch(9)))
    world.give(Announced(epoch(3)))
    declined = [a for a in world.actions if isinstance(a, Decline)]
    assert [(d.epoch, d.highest) for d in declined] == [(epoch(3), epoch(9))]


def test_what_the_chart_does_not_answer_is_not_allowed() -> None:
    """A change of mode that the chart knows no way for fails and says in which state."""
    world = World().reach("charging")
    assert world.obey(CommandName.DISCHARGE, grid_current_a=1.0).failed == "not allowed: charging"
    assert world.shows == "charge"


@pytest.mark.parametrize(
    ("name", "params", "text"),
    [
        (CommandName.CHARGE, {}, "gridCurrentA is missing"),
        (CommandName.CHARGE, {"grid_current_a": 2.4}, "gridCurrentA 2.4 is not within 0 and 2.3"),
        (CommandName.CHARGE, {"grid_current_a": -1.0}, "gridCurrentA -1 is not within 0 and 2.3"),
        (CommandName.VOLTAGE_REFERENCE, {"grid_voltage_v": 381.0}, "gridVoltageV 381 is not within 300 and 380"),
        (
            CommandName.WILL_TAKE_OVER,
            {"grid_voltage_v": 350.0, "droop_ratio": 1.5},
            "droopRatio 1.5 is not within 0 and 1",
        ),
    ],
)
def test_set_points_that_make_no_sense_are_refused(name: CommandName, params: dict[str, float], text: str) -> None:
    """Missing set-points and those beyond capacity or range fail before anything is written."""
    world = World().reach("waiting")
    assert world.obey(name, **params).failed == f"parameters: {text}"
    assert world.converter.writes == []


def test_a_disk_that_takes_its_time_holds_up_the_command_alone() -> None:
    """While a command waits for the disk, a second one is busy, and a stop is obeyed and ends the first unwritten."""
    world = World().reach("charging")
    world.disk_hangs = True
    first = world.command(CommandName.CURRENT, grid_current_a=2.0)
    assert world.give(Ordered(first)) == ["remember"]
    assert world.order(CommandName.CURRENT, grid_current_a=0.5) == [f"report 1/{world.seq} busy"]
    assert world.order(CommandName.WAIT)[0] == "set 0 A"
    world.disk_hangs = False
    world.finish_remembering()
    world.run()
    assert "set 2 A" not in world.converter.writes
    assert {(o.seq, o.failed) for o in world.outcomes[-2:]} == {(first.seq, "aborted"), (world.seq, None)}


def test_a_newer_epoch_while_a_command_waits_for_the_disk() -> None:
    """What was accepted from the old master and not yet begun is never begun."""
    world = World().reach("charging")
    world.disk_hangs = True
    world.order(CommandName.CURRENT, grid_current_a=2.0)
    world.give(Announced(epoch(2)))
    world.disk_hangs = False
    world.finish_remembering()
    world.run()
    assert world.outcomes[-1].failed == "aborted"
    assert "set 2 A" not in world.told


def test_a_newer_epoch_in_a_pause_between_two_looks() -> None:
    """Where nothing of the old command is under way, it ends at once."""
    world = World().reach("waiting")
    world.converter.wrong_sign = True
    world.order(CommandName.CHARGE, grid_current_a=1.0)
    while world.unit.state != "pausing":
        world.answer(next(iter(world.under_way)))
    world.give(Announced(epoch(2)))
    assert world.unit.job is None
    world.run()
    assert world.outcomes[-1].failed == "aborted"


def test_a_stop_of_the_old_master_is_finished_before_the_new_one_is_acknowledged() -> None:
    """Taking energy away goes on over a change of masters; its outcome is part of the acknowledgement."""
    world = World().reach("holding")
    world.order(CommandName.WAIT)
    world.give(Announced(epoch(2)))
    while not any(isinstance(a, Acknowledge) for a in world.actions):
        assert world.under_way or not world.unit.at_rest or not world.unit.confirmed_wait
        if world.under_way:
            world.answer(next(iter(world.under_way)))
        else:
            world.sleep_until(world.due_s)
    (acknowledgement,) = [a for a in world.actions if isinstance(a, Acknowledge)]
    assert acknowledgement.outcome is not None
    assert (acknowledgement.outcome.seq, acknowledgement.outcome.ok) == (world.seq, True)
    assert acknowledgement.status is not None
    assert acknowledgement.status.status.mode is ConverterMode.WAIT


def test_a_silent_driver_does_not_hold_up_the_acknowledgement_for_ever() -> None:
    """A converter that cannot be read is acknowledged without a status; the master then knows that it knows nothing."""
    world = World().reach("waiting")
    world.give(Announced(epoch(2)))
    (request,) = world.under_way
    world.lose(request)
    (acknowledgement,) = [a for a in world.actions if isinstance(a, Acknowledge)]
    assert acknowledgement.status is None


def test_a_refused_command_of_a_newer_epoch_still_shows_the_epoch() -> None:
    """The highest epoch is stored even where its command is refused; the older master is refused after a restart."""
    world = World().reach("waiting")
    other = world.command(CommandName.CHARGE, term=epoch(6), grid_current_a=1.0).model_copy(update={"boot": "before"})
    world.give(Ordered(other))
    world.start()
    world.run()
    assert world.order(CommandName.WAIT, term=epoch(5)) == [f"report 5/{world.seq} old epoch"]


def test_an_overtaken_refresh_counts_for_nothing() -> None:
    """A refresh that a later one has overtaken neither restarts the time nor brings back its deals."""
    world = World().reach("charging")
    world.give(Refreshed(epoch(1), 7, ("new",)))
    heard_s = world.unit.memory.refreshed_at_s
    world.now_s += 3
    world.give(Refreshed(epoch(1), 6, ("old",)))
    assert world.unit.deal_ids == ("new",)
    assert world.unit.memory.refreshed_at_s == heard_s


def test_several_outcomes_are_kept() -> None:
    """A master may ask for an outcome although later commands have ended meanwhile."""
    world = World().reach("waiting")
    first = world.command(CommandName.CHARGE, grid_current_a=1.0)
    world.give(Ordered(first))
    world.run()
    world.obey(CommandName.CURRENT, grid_current_a=2.0)
    world.obey(CommandName.WAIT)
    assert world.give(Ordered(first)) == [f"report 1/{first.seq} ok"]


def test_a_crash_interrupts_every_open_order() -> None:
    """A command and the stop that spared its unit may both be open; after a crash each has its outcome."""
    world = World().reach("holding")
    world.order(CommandName.AUTHORIZE, voltages_v=(360.0,))
    command = world.seq
    world.order(CommandName.SCRAM, exclude_voltage_reference=True)
    assert world.outcomes[-1].ok
    world.start()
    world.run()
    assert (world.outcomes[-1].seq, world.outcomes[-1].failed) == (command, "interrupted")


EVENTS = st.sampled_from(
    ["command", "stop", "late", "announce", "refresh", "answer", "lose", "refuse", "due", "crash", "disk"]
)


@settings(max_examples=400, deadline=None)
@given(st.lists(EVENTS, min_size=5, max_size=60), st.integers(0, 2**32))
def test_the_last_line_holds(events: list[str], seed: int) -> None:
    """Whatever arrives in whatever order, over crashes: what is obeyed only grows in epoch and number, none twice.

    Nothing of a command is written once it was passed; a stop is written in the step that obeys it, before the disk is
    asked; and before a command's first write the disk names it.
    """
    lots = random.Random(seed)
    world = World().reach("waiting")
    sent = []
    begun: list[tuple[int, int]] = []
    highest = 0
    number = 1
    for event in events:
        world.now_s += lots.random()
        before = world.unit
        match event:
            case "command" | "stop":
                number += lots.random() < 0.2
                names = (
                    STOPS
                    if event == "stop"
                    else (CommandName.CHARGE, CommandName.CURRENT, CommandName.VOLTAGE_REFERENCE)
                )
                term = epoch(lots.choice([number, max(1, number - 1)]), lots.choice(["", "", "", "foreign"]))
                command = world.command(lots.choice(names), term=term, seq=lots.randint(0, 12), grid_current_a=2.3)
                sent.append(command)
                told = world.give(Ordered(command))
                if len(world.unit.stops) > len(before.stops):
                    assert any(line.startswith("set ") for line in told[: told.index("remember")])
            case "late" if sent:
                world.give(Ordered(lots.choice(sent)))
            case "announce":
                number += 1
                world.give(Announced(epoch(number)))
            case "refresh":
                world.give(Refreshed(epoch(number), lots.randint(0, 5), ()))
            case "crash":
                world.start()
                highest = 0  # what could not be stored is gone; that nothing is begun twice holds all the same
            case "disk":
                world.disk_works = not world.disk_works
            case "due":
                world.sleep_until(world.now_s)
            case _ if world.under_way:
                request_id = lots.choice(list(world.under_way))
                call = world.under_way[request_id][0]
                if event == "answer":
                    written = len(world.converter.writes)
                    passed = world.unit.job is not None and world.unit.job.order.rank < world.unit.mark
                    world.answer(request_id)
                    if isinstance(call, WRITES) and passed:
                        assert len(world.converter.writes) == written
                elif event == "lose":
                    world.lose(request_id)
                else:
                    world.refuse(request_id)
            case _:
                pass
        memory = world.unit.memory
        assert memory.epoch is None or memory.epoch.number >= highest
        highest = memory.epoch.number if memory.epoch else 0
        job = world.unit.job
        if job and (not before.job or before.job.order != job.order):
            assert not begun or job.order.rank > begun[-1]
            begun.append(job.order.rank)
            assert world.disk is not None
            assert job.order in world.disk.open


def test_the_memory_survives_as_json() -> None:
    """What is written to the disk is read back as the same value."""
    world = World().reach("charging")
    assert world.disk is not None
    assert UnitMemory.from_json(world.disk.to_json()) == world.disk


def test_a_rule_of_the_world_itself() -> None:
    """The test's driver asks the guard before a write, so a guard that always says no lets nothing through."""
    world = World().reach("waiting")
    world.order(CommandName.CHARGE, grid_current_a=1.0)
    world.unit = replace(world.unit, mark=(99, 0))
    request = world.pending(WRITES)
    assert request is not None
    world.answer(request)
    assert world.converter.writes == []
