"""How a unit carries out what it obeys."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from apis_rules.charts.unit import Announced, Ordered, ReadStatus, SetMode, UnitBrain, UnitSettings
from apis_rules.documents.reading import load_hw_config, load_policy
from apis_rules.ports.types import CommandName, ConverterMode
from apis_rules.resources import data_dir
from tests.charts.unit.world import BRAIN, WALK_SETTINGS, WRITES, World, epoch

N = CommandName
CAPACITY = "2.3 A"

TABLE: list[tuple[str, CommandName, dict[str, Any], list[str], str]] = [
    ("waiting", N.CHARGE, {"grid_current_a": 2.0}, ["set CHARGE 350 V 1 A droop 0", "set 2 A"], "charging"),
    ("waiting", N.DISCHARGE, {"grid_current_a": 0.5}, ["set DISCHARGE 380 V 0.5 A droop 0"], "discharging"),
    ("waiting", N.WAIT, {}, ["set WAIT"], "waiting"),
    ("charging", N.CHARGE, {"grid_current_a": 2.3}, ["set 2 A", "set 2.3 A"], "charging"),
    ("charging", N.CURRENT, {"grid_current_a": 0.2}, ["set 0.2 A"], "charging"),
    ("discharging", N.CURRENT, {"grid_current_a": 2.3}, ["set 2 A", "set 2.3 A"], "discharging"),
    ("charging", N.WAIT, {}, ["set 0 A", "set WAIT"], "waiting"),
    ("discharging", N.SCRAM, {}, ["set WAIT"], "waiting"),
    ("discharging", N.SCRAM, {"exclude_voltage_reference": True}, ["set WAIT"], "waiting"),
    ("holding", N.SCRAM, {"exclude_voltage_reference": True}, [], "holding"),
    ("drooping", N.SCRAM, {"exclude_voltage_reference": True}, [], "drooping"),
    ("holding", N.SCRAM, {}, ["set WAIT"], "waiting"),
    ("holding", N.WAIT, {}, ["set 330 V droop 0", "set 310 V droop 0", "set WAIT"], "waiting"),
    ("drooping", N.WAIT, {}, ["set WAIT"], "waiting"),
    ("holding", N.VOLTAGE_REFERENCE, {}, [f"set VOLTAGE_REFERENCE 350 V {CAPACITY} droop 0"], "holding"),
    ("holding", N.VOLTAGE, {"grid_voltage_v": 375.0}, ["set 370 V droop 0", "set 375 V droop 0"], "holding"),
    ("holding", N.DROOP, {"droop_ratio": 0.02}, ["set 350 V droop 0.02"], "drooping"),
    ("drooping", N.DROOP, {"droop_ratio": 0.0}, ["set 350 V droop 0"], "holding"),
    (
        "holding",
        N.AUTHORIZE,
        {"voltages_v": (360.0, 340.0)},
        ["set 360 V droop 0", "set 340 V droop 0", "set 350 V droop 0"],
        "holding",
    ),
    ("holding", N.WILL_HAND_OVER, {}, ["set 350 V droop 0.039"], "drooping"),
    (
        "waiting",
        N.WILL_TAKE_OVER,
        {"grid_voltage_v": 345.0},
        [f"set VOLTAGE_REFERENCE 345 V {CAPACITY} droop 0.039"],
        "drooping",
    ),
    ("waiting", N.WILL_TAKE_OVER, {}, [f"set VOLTAGE_REFERENCE 350 V {CAPACITY} droop 0.039"], "drooping"),
    ("charging", N.WILL_TAKE_OVER, {}, [f"set VOLTAGE_REFERENCE 350 V {CAPACITY} droop 0.039"], "drooping"),
    ("drooping", N.DID_HAND_OVER, {}, ["set WAIT"], "waiting"),
    ("waiting", N.DID_HAND_OVER, {}, ["set WAIT"], "waiting"),
    (
        "drooping",
        N.DID_HAND_OVER,
        {"mode": ConverterMode.DISCHARGE, "grid_current_a": 2.0},
        ["set DISCHARGE 380 V 2 A droop 0"],
        "discharging",
    ),
    ("drooping", N.DID_TAKE_OVER, {}, ["set 350 V droop 0"], "holding"),
    ("holding", N.DID_TAKE_OVER, {}, ["set 350 V droop 0"], "holding"),
]


@pytest.mark.parametrize(("state", "name", "params", "writes", "after"), TABLE)
def test_a_command_becomes_these_writes(
    state: str, name: CommandName, params: dict[str, Any], writes: list[str], after: str
) -> None:
    """Each command is written in this order, at most one step at a time, and ends verified in this state."""
    world = World().reach(state)
    written = len(world.converter.writes)
    outcome = world.obey(name, **params)
    assert outcome.ok, outcome.failed
    assert world.converter.writes[written:] == writes
    assert world.unit.state == after
    assert outcome.status is not None


def test_the_grid_is_energised_only_where_it_is_dead() -> None:
    """The unit looks before it energises: a bus that carries a voltage already is refused, and nothing is written."""
    world = World(bus_v=321.0).reach("waiting")
    assert world.obey(N.VOLTAGE_REFERENCE).failed == "energised"
    assert world.converter.writes == []
    world.converter.bus_v = 320.0
    assert world.obey(N.VOLTAGE_REFERENCE).ok


def test_another_mode_in_the_answer_fails_the_command() -> None:
    """A converter that stays in WAIT fails the command at once; the outcome shows it."""
    world = World().reach("waiting")
    world.converter.obeys = False
    outcome = world.obey(N.CHARGE, grid_current_a=1.0)
    assert outcome.failed == "mode"
    assert outcome.status is not None
    assert outcome.status.status.mode is ConverterMode.WAIT


def test_the_other_direction_in_the_answer_fails_the_command() -> None:
    """A converter that discharges when it is told to charge shares the operation mode and fails all the same."""
    world = World().reach("waiting")
    world.order(N.CHARGE, grid_current_a=1.0)
    request = world.pending(WRITES)
    assert request is not None
    world.converter.mode = ConverterMode.DISCHARGE
    world.converter.obeys = False
    world.answer(request)
    world.run()
    assert world.outcomes[-1].failed == "mode"


@pytest.mark.parametrize("name", [N.CHARGE, N.DISCHARGE])
def test_the_wrong_direction_is_seen(name: CommandName) -> None:
    """Charge and discharge share one operation mode; the current's sign tells them apart."""
    world = World().reach("waiting")
    world.converter.wrong_sign = True
    assert world.obey(name, grid_current_a=1.0).failed == "checkpoint"


def test_a_checkpoint_has_as_many_tries_as_the_policy_says() -> None:
    """A set-point that is not reached is looked at three times, a wait apart, and no more."""
    world = World().reach("waiting")
    world.order(N.CHARGE, grid_current_a=1.0)
    request = world.pending(SetMode)
    assert request is not None
    world.answer(request)
    world.converter.wrong_sign = True
    looked = []
    while world.unit.job:
        look = world.pending(ReadStatus)
        if look is None:
            world.sleep_until(world.due_s)
        else:
            looked.append(round(world.now_s, 3))
            world.answer(look)
    assert looked == [1000.0, 1000.1, 1000.2]


def test_a_current_during_the_authorization_shows_a_second_source() -> None:
    """A held voltage that follows but carries a current while no deal runs fails the authorization."""
    world = World().reach("holding")
    world.order(N.AUTHORIZE, voltages_v=(360.0, 340.0))
    document = world.converter.document

    def with_current() -> dict[str, Any]:
        shown = document()
        shown["dcdc"]["meter"]["ig"] = -0.4
        return shown

    world.converter.document = with_current  # type: ignore[method-assign] # the second source is not in the model
    world.run()
    assert world.outcomes[-1].failed == "checkpoint"
    assert world.converter.writes[-1] == "set 360 V droop 0"


def test_steps_are_counted_from_the_own_set_point() -> None:
    """A converter that reports a set-point far off cannot make the unit step for ever: each write is its own plan."""
    world = World().reach("charging")
    world.converter.obeys = False  # it goes on reporting 1 A
    written = len(world.converter.writes)
    outcome = world.obey(N.CURRENT, grid_current_a=2.3)
    assert world.converter.writes[written:] == ["set 2 A", "set 2.3 A"]
    assert outcome.failed == "checkpoint"


def test_a_hard_limit_stops_the_write() -> None:
    """The guard is asked with the last reading before each write; what it names fails the command, stops aside."""

    def limits(document: Any, write: Any) -> str | None:
        too_much = isinstance(write, WRITES) and getattr(write, "grid_current_a", 0) > 1.5
        return "H01" if too_much and document["dcdc"]["meter"]["vg"] == 350.0 else None

    world = World(UnitBrain(WALK_SETTINGS, limits)).reach("waiting")
    outcome = world.obey(N.CHARGE, grid_current_a=2.3)
    assert outcome.failed == "device: hard limit: H01"
    assert world.converter.writes == ["set CHARGE 350 V 1 A droop 0"]
    assert world.obey(N.WAIT).ok


def test_dynamic_checks_are_suppressed_for_a_command_and_never_longer_than_its_time() -> None:
    """While a command is at work, after energising until the authorization, and in a hand-over; each with an end."""
    world = World().reach("waiting")
    assert not BRAIN.checks_suppressed(world.unit, world.now_s)
    world.order(N.CHARGE, grid_current_a=1.0)
    assert BRAIN.checks_suppressed(world.unit, world.now_s)
    world.run()
    assert not BRAIN.checks_suppressed(world.unit, world.now_s)

    world = World().reach("holding")
    world.converter.obeys = False
    assert world.obey(N.VOLTAGE, grid_voltage_v=370.0).failed == "checkpoint"
    assert not BRAIN.checks_suppressed(world.unit, world.now_s)

    world = World().reach("holding")
    assert BRAIN.checks_suppressed(world.unit, world.now_s + WALK_SETTINGS.ramp_up_s - 1)
    assert not BRAIN.checks_suppressed(world.unit, world.now_s + WALK_SETTINGS.ramp_up_s)
    world.obey(N.AUTHORIZE, voltages_v=(360.0,))
    assert not BRAIN.checks_suppressed(world.unit, world.now_s)
    world.obey(N.WILL_HAND_OVER)
    assert BRAIN.checks_suppressed(world.unit, world.now_s + WALK_SETTINGS.hand_over_s - 1)
    assert not BRAIN.checks_suppressed(world.unit, world.now_s + WALK_SETTINGS.hand_over_s)
    world.obey(N.DID_HAND_OVER)
    assert not BRAIN.checks_suppressed(world.unit, world.now_s)


def test_a_change_of_masters_does_not_end_the_suppression() -> None:
    """A voltage that is being raised when the master changes is not taken for a fault before the next one goes on."""
    world = World().reach("holding")
    world.order(N.AUTHORIZE, voltages_v=(360.0,))
    world.give(Announced(epoch(2)))
    world.run()
    assert world.outcomes[-1].failed == "aborted"
    assert BRAIN.checks_suppressed(world.unit, world.now_s)


def test_the_settings_come_from_the_documents() -> None:
    """The shipped policy and hwConfig, with the times of the wiring, give every number, times in seconds."""
    policy = load_policy(data_dir("rules") / "policy.json").model.to_document()
    hw_config = load_hw_config(data_dir("rules") / "hwConfig.json").model.to_document()
    times = {"dead_man_s": 12.0, "holder_dead_man_s": 20.0, "hand_over_s": 12.0}
    settings = UnitSettings.from_documents(policy, hw_config, times)
    assert settings == replace(WALK_SETTINGS, voltage_step_v=350)
    assert settings.stop_voltage_v == 310


def test_a_driver_without_mode_codes_in_its_status_is_verified_by_text_and_sign() -> None:
    """Where status answers name the operation mode only, the running state or the current tells the direction."""
    world = World().reach("waiting")
    document = world.converter.document

    def without_code() -> dict[str, Any]:
        shown = document()
        if world.converter.mode is not ConverterMode.WAIT:
            del shown["dcdc"]["status"]["status"]
        return shown

    world.converter.document = without_code  # type: ignore[method-assign] # this driver's form of the same answer
    assert world.obey(N.DISCHARGE, grid_current_a=1.0).ok
    assert world.unit.state == "discharging"
    world.converter.wrong_sign = True
    assert world.obey(N.CURRENT, grid_current_a=2.0).failed == "checkpoint"


@pytest.mark.parametrize("lost", [True, False])
def test_every_write_may_fail_or_be_lost(lost: bool) -> None:
    """Whatever write of whatever command fails or is lost, the outcome says ``device`` and the unit comes to rest."""
    for state, name, params, writes, _ in TABLE:
        if name in (N.WAIT, N.SCRAM) or writes == ["set WAIT"]:
            continue
        for fails in range(len(writes)):
            world = World().reach(state)
            world.give(Ordered(world.command(name, **params)))
            written = 0
            while world.unit.job:
                request_id = next(iter(world.under_way), None)
                if request_id is None:
                    world.sleep_until(world.due_s)
                    continue
                is_write = isinstance(world.under_way[request_id][0], WRITES)
                if is_write and written == fails and lost:
                    world.lose(request_id)
                elif is_write and written == fails:
                    world.refuse(request_id)
                else:
                    world.answer(request_id)
                written += is_write
            world.run()
            assert world.outcomes[-1].failed == ("device: no answer" if lost else "device: ERCD=fffe")
            assert world.unit.at_rest
