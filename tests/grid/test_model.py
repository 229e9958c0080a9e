"""Faults, meters, time and state of the modelled grid."""

from __future__ import annotations

import dataclasses
import random
import statistics

import pytest
from pydantic import ValidationError

from apis_rules.grid.answers import driver_dcdc, emulator_unit
from apis_rules.grid.faults import Fault, FaultKind
from apis_rules.grid.houses import GeneratedHouses, HouseSettings
from apis_rules.grid.meters import fits, quantised
from apis_rules.grid.model import Grid
from apis_rules.grid.settings import community, with_more_units
from tests.grid.builders import CHARGE, DISCHARGE, REFERENCE, WAIT, energised, ideal


def _played(reads: int) -> tuple[object, ...]:
    # One story of commands and faults; in between, somebody looks *reads* times a second.
    grid = Grid(community(4, seed=11))
    commands = [
        (0.0, lambda: grid.set_mode("E001", REFERENCE, 350.0, 2.3, 0.0)),
        (70.05, lambda: grid.set_mode("E002", CHARGE, 350.0, 1.0, 0.0)),
        (71.33, lambda: grid.faults.add(Fault(kind=FaultKind.SENSOR_DRIFT, unit="E002", meter="ig", per_s=0.001))),
        (100.7, lambda: grid.set_current("E002", 2.0)),
        (140.2, lambda: grid.set_mode("E001", WAIT, 350.0, 0.0, 0.0)),
        (200.0, lambda: None),
    ]
    now = 0.0
    for at, command in commands:
        while reads and now + 1 / reads < at:
            now += 1 / reads
            grid.advance(now)
            grid.meter("E002")
        grid.advance(at, exact=True)
        command()
        now = at
    return tuple((dataclasses.astuple(grid.unit(u)), grid.meter(u), grid.energies(u)) for u in grid.unit_ids)


def test_runs_are_equal_to_the_last_bit_whoever_looks() -> None:
    """The same commands at the same times give the same values, whether nobody reads or somebody reads all the time."""
    assert _played(0) == _played(0) == _played(3) == _played(7)


def test_a_seed_decides_sensors_loads_and_sun() -> None:
    """Another seed gives other meters and other houses, the same seed the same."""
    readings = []
    for seed in (1, 1, 2):
        grid = Grid(community(4, seed=seed))
        grid.advance(3600.0)
        readings.append((grid.meter("E001"), grid.unit("E001").load_w))
    assert readings[0] == readings[1] != readings[2]


def test_high_acceleration_steps_coarser_and_ends_alike() -> None:
    """At factor 600 the steps are longer, yet state of charge and voltage agree within 0.5 %."""
    ends = []
    for acceleration in (1.0, 600.0):
        grid = Grid(ideal())
        grid.pace(acceleration)
        grid.set_mode("E001", REFERENCE, 350.0, 2.3, 0.0)
        grid.advance(600.0, exact=True)
        grid.set_mode("E002", CHARGE, 350.0, 1.0, 0.0)
        grid.advance(4 * 3600.0, exact=True)
        ends.append([grid.unit("E002").rsoc_percent, grid.unit("E002").grid_voltage_v])
    assert ends[0] == pytest.approx(ends[1], rel=5e-3)


def test_alarms_show_and_a_trip_ends_the_mode() -> None:
    """A heavy alarm is reported while the converter goes on; a trip puts it to WAIT until the alarm is cleared."""
    grid = energised(ideal())
    grid.set_mode("E002", CHARGE, 350.0, 1.0, 0.0)
    grid.advance(grid.now_s + 1.0)
    grid.faults.add(Fault(kind=FaultKind.HEAVY_ALARM, unit="E002", for_s=5.0))
    grid.advance(grid.now_s + 1.0)
    assert (grid.unit("E002").alarm, grid.unit("E002").mode) == ("Heavy alarm", CHARGE)
    grid.advance(grid.now_s + 6.0)
    assert grid.unit("E002").alarm == "No alarm"
    grid.faults.add(Fault(kind=FaultKind.TRIP, unit="E002"))
    grid.advance(grid.now_s + 1.0)
    assert (grid.unit("E002").alarm, grid.unit("E002").mode) == ("Heavy alarm", WAIT)
    grid.set_mode("E002", CHARGE, 350.0, 1.0, 0.0)
    assert grid.unit("E002").mode is WAIT
    grid.clear_alarm("E002")
    grid.set_mode("E002", CHARGE, 350.0, 1.0, 0.0)
    assert grid.unit("E002").mode is CHARGE


def test_overvoltage_and_heat_trip_by_themselves() -> None:
    """Above its grid overvoltage threshold, or too hot, an active converter trips."""
    for fault in (
        Fault(kind=FaultKind.FOREIGN_SOURCE, unit="E003", value=420.0),
        Fault(kind=FaultKind.OVER_TEMPERATURE, unit="E001", value=80.0),
    ):
        grid = energised(ideal(), limit_a=1.0)
        grid.faults.add(fault)
        grid.advance(grid.now_s + 2.0)
        assert (grid.unit("E001").mode, grid.unit("E001").alarm) == (WAIT, "Heavy alarm")


def test_an_overloaded_reference_warns() -> None:
    """A reference that carries more than its set-point shows a light alarm, and no more than its overload limit."""
    grid = energised(ideal(), limit_a=1.0)
    grid.set_mode("E002", CHARGE, 350.0, 1.5, 0.0)
    grid.advance(grid.now_s + 2.0)
    assert grid.unit("E001").alarm == "Light alarm"
    grid.set_current("E002", 3.0)
    grid.advance(grid.now_s + 2.0)
    assert grid.unit("E001").grid_current_a == pytest.approx(-2.0, abs=1e-6)
    assert grid.unit("E001").grid_voltage_v < 300.0


def test_a_sensor_that_drifts_moves_the_true_current() -> None:
    """The shown current stays at the set-point, the true one moves away by the drift."""
    grid = energised(ideal())
    grid.set_mode("E002", CHARGE, 350.0, 1.0, 0.0)
    grid.faults.add(Fault(kind=FaultKind.SENSOR_DRIFT, unit="E002", meter="ig", value=0.05, per_s=0.001))
    grid.advance(grid.now_s + 100.0)
    assert grid.meter("E002").ig == pytest.approx(1.0, abs=1e-6)
    assert grid.unit("E002").grid_current_a == pytest.approx(1.0 - 0.05 - 0.1, abs=2e-3)


def test_a_stuck_mode_takes_set_points_only() -> None:
    """While stuck, the mode stays though the command was taken."""
    grid = energised(ideal())
    grid.faults.add(Fault(kind=FaultKind.STUCK_MODE, unit="E001"))
    grid.set_mode("E001", WAIT, 350.0, 0.0, 0.0)
    grid.advance(grid.now_s + 1.0)
    assert grid.unit("E001").mode is REFERENCE


def test_a_dead_battery_carries_nothing() -> None:
    """A dead battery shows a voltage out of range, and its converter neither gives nor takes."""
    grid = energised(ideal())
    grid.set_mode("E003", DISCHARGE, 380.0, 1.0, 0.0)
    grid.faults.add(Fault(kind=FaultKind.DEAD_BATTERY, unit="E003"))
    grid.advance(grid.now_s + 2.0)
    assert grid.unit("E003").grid_current_a == pytest.approx(0.0, abs=1e-9)
    assert grid.meter("E003").vb < 32.0


def test_lines_can_be_cut_and_lose_capacity() -> None:
    """A cut line leaves the units behind it without voltage; a lower capacity shows in the line's state."""
    grid = energised(ideal())
    grid.set_mode("E004", CHARGE, 350.0, 1.0, 0.0)
    grid.faults.add(Fault(kind=FaultKind.LINE_CAPACITY, line="E001-E002", value=0.5))
    grid.advance(grid.now_s + 2.0)
    first = grid.lines()[0]
    assert (first.capacity_a, first.current_a) == (0.5, pytest.approx(1.0, abs=1e-6))
    grid.faults.add(Fault(kind=FaultKind.LINE_OPEN, line="E002-E003"))
    grid.advance(grid.now_s + 5.0)
    assert grid.unit("E002").grid_voltage_v == pytest.approx(350.0, abs=0.1)
    assert grid.unit("E004").grid_voltage_v < 290.0
    assert grid.lines()[1].open


def test_permission_and_unknown_batteries() -> None:
    """A withdrawn permission is status 0 in the v2 answer and stands in the emulator's only while it is withdrawn."""
    grid = Grid(community(2))
    assert "battery_operation_status" not in emulator_unit(grid, "E001", grid.clock())["emu"]
    grid.faults.add(Fault(kind=FaultKind.PERMISSION_WITHDRAWN, unit="E001"))
    grid.advance(1.0)
    assert not grid.unit("E001").permitted
    assert emulator_unit(grid, "E001", grid.clock())["emu"]["battery_operation_status"] == 0


def test_a_restart_puts_clock_and_converters_back() -> None:
    """After a restart the units' clock begins again, everything is in WAIT and charged as at the start."""
    grid = energised(ideal())
    grid.set_rsoc("E002", 80.0)
    grid.faults.add(Fault(kind=FaultKind.RESTART, after_s=10.0))
    grid.advance(grid.now_s + 30.0)
    assert grid.modes() == (WAIT,) * 4
    assert (grid.clock() - grid.settings.start).total_seconds() == pytest.approx(20.0, abs=1.1)
    assert grid.unit("E002").rsoc_percent == pytest.approx(grid.settings.units[1].rsoc_percent, abs=0.1)


def test_a_snapshot_puts_everything_back() -> None:
    """What was saved is what stands after it is restored, and saving takes a copy."""
    grid = energised(ideal())
    saved, before = grid.snapshot(), grid.unit("E001")
    grid.set_mode("E001", WAIT, 350.0, 0.0, 0.0)
    grid.advance(grid.now_s + 100.0)
    grid = grid.restored(saved)
    assert grid.unit("E001") == before
    grid.advance(grid.now_s + 10.0)
    assert grid.unit("E001").grid_voltage_v == pytest.approx(350.0, abs=0.1)


def test_faults_begin_and_end_at_their_times() -> None:
    """A fault holds from its beginning to its end, to the tick."""
    grid = Grid(ideal())
    grid.faults.add(Fault(kind=FaultKind.HEAVY_ALARM, unit="E001", after_s=12.3, for_s=4.5))
    seen = []
    for tick in range(300):
        grid.advance(tick / 10, exact=True)
        if grid.unit("E001").alarm == "Heavy alarm":
            seen.append(tick)
    assert seen == list(range(123, 168))


def test_a_fault_comes_in_time_though_nobody_looks() -> None:
    """While the grid rests and steps by seconds, a fault still begins and ends at its tick."""
    grid = energised(ideal())
    grid.advance(20.0, exact=True)
    grid.faults.add(Fault(kind=FaultKind.HEAVY_ALARM, unit="E001", after_s=100.3, for_s=4.4))
    seen = {}
    grid.observers.append(lambda at, _: seen.update({round(at.now_s, 1): at.unit("E001").alarm}))
    grid.advance(200.0)
    heavy = [at for at, alarm in seen.items() if alarm == "Heavy alarm"]
    assert heavy[0] == 120.3
    assert (seen[124.7], min(at for at in seen if at > heavy[-1])) == ("No alarm", 124.7)


def test_noise_is_as_large_as_declared_and_new_each_time() -> None:
    """Readings scatter around the truth by the declared noise; two moments differ, one moment does not."""
    grid = Grid(community(1, seed=6))
    noise = grid.settings.units[0].sensors.noise[0]
    offset = grid.settings.units[0].sensors.offset[0]
    shown = []
    for tick in range(1, 2000):
        grid.advance(tick / 10, exact=True)
        assert grid.meter("E001") == grid.meter("E001")
        shown.append(grid.meter("E001").vg - offset)
    assert statistics.fmean(shown) == pytest.approx(0.0, abs=0.1 * noise)
    assert statistics.stdev(shown) == pytest.approx(noise, rel=0.1)
    assert len(set(shown)) == len(shown)


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ({"kind": "slow", "unit": "E001"}, "needs value"),
        ({"kind": "slow", "value": 1}, "needs unit"),
        ({"kind": "line_open"}, "needs line"),
        ({"kind": "sensor_drift", "unit": "E001"}, "needs meter"),
        ({"kind": "sensor_drift", "unit": "E001", "meter": "ig"}, "needs value or perS"),
        ({"kind": "foreign_source", "unit": "E001", "value": -3}, "from 0 to 1000"),
        ({"kind": "foreign_source", "unit": "E001", "value": 1e308}, "from 0 to 1000"),
        ({"kind": "slow", "unit": "E001", "value": 1e308}, "from 0 to 86400"),
        ({"kind": "over_temperature", "unit": "E001", "value": 1e308}, "from 0 to 300"),
        ({"kind": "line_capacity", "line": "A-B", "value": 1e308}, "from 0 to 1000"),
        ({"kind": "sensor_drift", "unit": "E001", "meter": "vg", "value": -1e308}, "from -1000 to 1000"),
        ({"kind": "sensor_drift", "unit": "E001", "meter": "vg", "perS": 1e308}, "less than or equal to 1000"),
        ({"kind": "gremlin", "unit": "E001"}, "gremlin|Input should be"),
        ({"kind": "trip", "unit": "E001", "forS": 0}, "greater than 0"),
        ({"kind": "trip", "unit": "E001", "colour": 1}, "Extra inputs"),
    ],
)
def test_an_incomplete_fault_is_refused(fault: dict[str, object], why: str) -> None:
    """A fault that lacks what its kind needs, or has something unknown, is not taken."""
    with pytest.raises(ValidationError, match=why):
        Fault.model_validate(fault)


def test_registers_hold_what_real_ones_hold() -> None:
    """Values come back in the converter's fixed-point steps, and only what fits 16 bits can be set."""
    assert quantised("dvg", 350.0) == 349.98779296875
    assert quantised("dig", 2.0) == 1.9998550415039062
    assert quantised("drg", 0.039) == 0.0389404296875
    assert quantised("wb", -4.9) == -4.8828125
    assert fits("dig", 62.0)
    assert not fits("dig", 99.0)
    assert not fits("dig", -1.0)
    grid = energised(ideal())
    assert driver_dcdc(grid, "E001")["vdis"]["dvg"] == 349.98779296875


def test_a_house_lives_by_its_formula() -> None:
    """The sun shines from six to eighteen, the evening uses most, PV never exceeds its peak."""
    houses = [HouseSettings(pv_peak_w=3000.0, load_base_w=100.0, load_peak_w=400.0)] * 3
    pv, load = GeneratedHouses(5).hours(community(1).start.date(), houses)
    assert pv.shape == load.shape == (24, 3)
    assert pv[:6].max() == pv[19:].max() == 0.0
    assert 0 < pv.max() <= 3000.0
    assert load[19].mean() > 2 * load[3].mean()


def test_a_low_battery_puts_the_house_on_the_mains() -> None:
    """At 30 % the supply goes to bypass and the battery's draw falls to some 22 W; at 35 % it comes back."""
    grid = Grid(ideal(1, rsoc_percent=[36.0]))
    grid.override_house("E001", pv_w=0.0, load_w=145.0)
    grid.advance(60.0)
    assert grid.unit("E001").battery_power_w == pytest.approx(-316.3, abs=0.5)
    grid.set_rsoc("E001", 30.0)
    grid.advance(120.0)
    assert grid.unit("E001").bypass
    assert grid.unit("E001").battery_power_w == pytest.approx(-22.0, abs=0.5)
    assert grid.unit("E001").mains_w == pytest.approx(145 + 124 + 0.06 * 145)
    grid.set_rsoc("E001", 34.9)
    grid.advance(180.0)
    assert grid.unit("E001").bypass
    grid.set_rsoc("E001", 35.1)
    grid.advance(240.0)
    assert not grid.unit("E001").bypass


def test_units_come_and_go() -> None:
    """With more units the new ones hang behind the last; with fewer the last ones go and their nodes stay."""
    settings = community(2)
    more = with_more_units(settings, 4)
    assert [u.node for u in more.units] == ["E001", "E002", "E003", "E004"]
    assert [line.name for line in more.topology.lines] == ["E001-E002", "E002-E003", "E003-E004"]
    fewer = with_more_units(more, 2)
    assert (fewer.units, fewer.topology) == (settings.units, more.topology)
    assert with_more_units(fewer, 4).topology == more.topology
    grid = energised(more)
    grid.advance(70.0)
    assert grid.unit("E004").grid_voltage_v == pytest.approx(350.0, abs=1.0)


def test_random_commands_and_faults_never_break_the_model() -> None:
    """Eight hundred random commands, faults and clears leave finite values and energies that still balance."""
    draw = random.Random(4)
    grid = Grid(community(5, seed=4))
    kinds = [k for k in FaultKind if k is not FaultKind.RESTART]
    for _ in range(800):
        unit_id = draw.choice(grid.unit_ids)
        chance = draw.random()
        if chance < 0.5:
            mode = draw.choice([WAIT, CHARGE, DISCHARGE, REFERENCE])
            grid.set_mode(unit_id, mode, draw.uniform(0, 450), draw.uniform(0, 10), draw.choice([0.0, 0.039, 1.0]))
        elif chance < 0.6:
            grid.set_current(unit_id, draw.uniform(0, 10))
        elif chance < 0.7:
            grid.set_voltage(unit_id, draw.uniform(0, 400), 0.0)
        elif chance < 0.75:
            grid.set_rsoc(unit_id, draw.choice([0.0, 20.0, 50.0, 100.0]))
        elif chance < 0.8:
            grid.clear_alarm(unit_id)
        elif chance < 0.9:
            line = draw.choice(grid.settings.topology.lines).name
            kind = draw.choice(kinds)
            grid.faults.add(Fault(kind=kind, unit=unit_id, line=line, meter="vg", value=draw.uniform(0, 400), for_s=20))
        grid.advance(grid.now_s + draw.choice([0.1, 0.5, 3.0, 30.0]), exact=True)
    values = [v for u in grid.unit_ids for v in dataclasses.astuple(grid.meter(u))]
    assert all(abs(v) < 1e5 for v in values)
    lines = grid.line_energies()
    given = sum(grid.energies(u).grid_out_wh - grid.energies(u).grid_in_wh for u in grid.unit_ids)
    assert given + lines.foreign_wh == pytest.approx(
        lines.line_loss_wh + lines.leak_wh + lines.capacitance_wh, abs=1e-3
    )
