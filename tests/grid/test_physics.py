"""Laws that hold in every state of the modelled grid."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st

from apis_rules.grid.ledger import LineEnergies, UnitEnergies
from apis_rules.grid.model import Grid
from apis_rules.grid.network import Network, Sources
from apis_rules.grid.settings import BatterySettings, ConverterSettings, community
from apis_rules.grid.topology import Line, Topology
from tests.grid.builders import CHARGE, DISCHARGE, NO_LEAK, REFERENCE, WAIT, energised, ideal, random_tree

if TYPE_CHECKING:
    from apis_rules.ports.types import ConverterMode

CURRENTS = st.lists(st.tuples(st.sampled_from([WAIT, CHARGE, DISCHARGE]), st.floats(0.0, 2.3)), min_size=1, max_size=12)


def _loaded(currents: list[tuple[ConverterMode, float]], seed: int, droop: float = 0.0) -> Grid:
    units = len(currents) + 1
    grid = energised(ideal(units, topology=random_tree(units, seed), rsoc_percent=[60.0]))
    grid.set_voltage("E001", 350.0, droop)
    for unit_id, (mode, current_a) in zip(grid.unit_ids[1:], currents, strict=True):
        grid.set_mode(unit_id, mode, 380.0 if mode is DISCHARGE else 350.0, current_a, 0.0)
    grid.advance(grid.now_s + 5.0)
    return grid


@limits(max_examples=60)
@given(currents=CURRENTS, seed=st.integers(0, 10_000))
def test_currents_sum_to_zero(currents: list[tuple[ConverterMode, float]], seed: int) -> None:
    """What flows into a node flows out of it, and all converters together take as much as they give."""
    grid = _loaded(currents, seed)
    at_node = dict.fromkeys(grid.settings.topology.nodes, 0.0)
    for line in grid.lines():
        at_node[line.start] -= line.current_a
        at_node[line.end] += line.current_a
    for unit_id in grid.unit_ids:
        at_node[grid.unit(unit_id).node] -= grid.unit(unit_id).grid_current_a
    assert max(abs(a) for a in at_node.values()) < 1e-7
    assert abs(float(grid.unit_current_a.sum())) < 1e-7


@limits(max_examples=60)
@given(currents=CURRENTS, seed=st.integers(0, 10_000))
def test_a_line_drops_the_voltage_by_current_times_resistance(
    currents: list[tuple[ConverterMode, float]], seed: int
) -> None:
    """Between the ends of each line lies its current times its resistance."""
    grid = _loaded(currents, seed)
    volts = grid.node_voltage_v
    for line, settings in zip(grid.lines(), grid.settings.topology.lines, strict=True):
        assert volts[line.start] - volts[line.end] == pytest.approx(
            line.current_a * settings.resistance_ohm, rel=1e-9, abs=1e-12
        )


@limits(max_examples=60)
@given(currents=CURRENTS, seed=st.integers(0, 10_000), droop=st.sampled_from([0.0, 0.002, 0.005]))
def test_voltages_agree_with_an_independent_nodal_solution(
    currents: list[tuple[ConverterMode, float]], seed: int, droop: float
) -> None:
    """On a random tree the voltages are those of walking the tree: currents from the leaves, drops from the root."""
    grid = _loaded(currents, seed, droop)
    lines = grid.settings.topology.lines  # each line's start is nearer to E001, and lines come in order of their ends
    beyond = {unit_id: grid.unit(unit_id).current_set_a for unit_id in grid.unit_ids}
    sign = {WAIT: 0.0, CHARGE: 1.0, DISCHARGE: -1.0}
    beyond = {u: sign[m] * beyond[u] for u, m in zip(grid.unit_ids[1:], grid.modes()[1:], strict=True)} | {"E001": 0.0}
    for line in reversed(lines):
        beyond[line.start] += beyond[line.end]
    ohm = ConverterSettings().output_resistance_ohm + droop * 380.0 / 7.8125
    expected = {"E001": 350.0 - ohm * beyond["E001"]}
    for line in lines:
        expected[line.end] = expected[line.start] - line.resistance_ohm * beyond[line.end]
    for node, volts in grid.node_voltage_v.items():
        assert volts == pytest.approx(expected[node], abs=1e-4)


def _balances(grid: Grid) -> tuple[list[float], float, float]:
    # What is left of each unit's and of the lines' balance in Wh, and what has moved in all.
    of_units, moved, from_units = [], 0.0, 0.0
    for unit_id in grid.unit_ids:
        e = grid.energies(unit_id)
        given_wh = e.pv_wh + e.mains_wh + e.grid_in_wh
        taken = e.grid_out_wh + e.load_wh + e.supply_loss_wh + e.converter_loss_wh + e.battery_loss_wh + e.stored_wh
        of_units.append(given_wh - taken)
        moved += e.pv_wh + e.mains_wh + e.grid_out_wh
        from_units += e.grid_out_wh - e.grid_in_wh
    lines = grid.line_energies()
    return of_units, from_units + lines.foreign_wh - lines.line_loss_wh - lines.leak_wh - lines.capacitance_wh, moved


def test_energy_of_a_day_is_conserved() -> None:
    """After a day of houses, trade, ramps and stops every Wh is accounted for within 0.1 %."""
    grid = Grid(community(6, seed=1))
    grid.pace(100.0)  # steps of 0.5 s and 5 s: the balance holds for any
    start = {u: grid.unit(u).rsoc_percent for u in grid.unit_ids}
    for hour in range(0, 24, 3):
        grid.set_mode("E001", REFERENCE, 350.0, 2.3, 0.0)
        grid.advance(hour * 3600 + 90.0, exact=True)
        grid.set_mode("E002", CHARGE, 350.0, 1.0 + hour % 2 * 0.5, 0.0)
        grid.set_mode("E003", DISCHARGE, 380.0, 1.0, 0.0)
        grid.advance((hour + 2) * 3600.0, exact=True)
        for unit_id in ("E002", "E003", "E001"):
            grid.set_mode(unit_id, WAIT, 350.0, 0.0, 0.0)
        grid.advance((hour + 3) * 3600.0, exact=True)
    units, lines, moved = _balances(grid)
    assert moved > 10_000
    assert max(map(abs, units)) < 0.001 * moved / len(units)
    assert abs(lines) < 0.001 * sum(grid.energies(u).grid_out_wh for u in grid.unit_ids)
    for unit_id in grid.unit_ids:
        grown_wh = (grid.unit(unit_id).rsoc_percent - start[unit_id]) * 48.0
        assert grid.energies(unit_id).stored_wh == pytest.approx(grown_wh, abs=1.0)


def test_every_energy_is_moved_by_something() -> None:
    """The day above uses every row of the ledger, so that no balance holds by being empty."""
    grid = Grid(community(4))
    grid.set_mode("E001", REFERENCE, 350.0, 2.3, 0.0)
    grid.advance(90.0)
    grid.set_mode("E002", CHARGE, 350.0, 1.0, 0.0)
    grid.set_rsoc("E003", 100.0)
    grid.pace(100.0)
    grid.advance(8 * 3600.0)
    for entry in fields(UnitEnergies):
        assert any(getattr(grid.energies(u), entry.name) for u in grid.unit_ids), entry.name
    for entry in fields(LineEnergies):
        assert getattr(grid.line_energies(), entry.name) or entry.name == "foreign_wh", entry.name


def test_power_balance_closes_at_each_moment() -> None:
    """While energy is shared, what one converter gives is what the other gets plus the loss of the lines."""
    grid = energised(ideal(rsoc_percent=[60.0]))
    grid.set_mode("E002", CHARGE, 350.0, 2.0, 0.0)
    grid.advance(grid.now_s + 5.0)
    power = grid.unit_voltage_v * grid.unit_current_a
    lost = sum(
        line.current_a**2 * settings.resistance_ohm
        for line, settings in zip(grid.lines(), grid.settings.topology.lines, strict=True)
    )
    assert lost > 0.5
    assert -power[0] == pytest.approx(power[1] + lost, rel=1e-6)


def test_battery_side_pays_the_losses_of_the_mode() -> None:
    """Charging, the battery gets what the line gives less the loss; discharging, it gives the loss on top."""
    grid = energised(ideal(rsoc_percent=[60.0]))
    grid.set_mode("E002", CHARGE, 350.0, 1.0, 0.0)
    grid.set_mode("E003", DISCHARGE, 380.0, 1.0, 0.0)
    grid.advance(grid.now_s + 5.0)
    for unit_id, loss_w in (("E001", 55.0), ("E002", 71.0), ("E003", 55.0), ("E004", 4.5)):
        meter = grid.meter(unit_id)
        assert meter.wb == pytest.approx(meter.wg - loss_w, abs=1e-6)
        assert meter.wb == pytest.approx(meter.vb * meter.ib)


@limits(max_examples=60)
@given(ratios=st.tuples(st.floats(0.02, 0.2), st.floats(0.02, 0.2)), load_a=st.floats(0.2, 3.0))
def test_droop_shares_current_as_its_rates_say(ratios: tuple[float, float], load_a: float) -> None:
    """Two references on lines without resistance to speak of carry a load in inverse proportion to their droop."""
    lines = (Line("E001", "E003", 1e-6), Line("E003", "E002", 1e-6))
    converter = replace(NO_LEAK, output_resistance_ohm=1e-6)
    grid = Grid(
        community(3, ideal_sensors=True, converter=converter, topology=Topology.of_lines(lines), rsoc_percent=[60.0])
    )
    for unit_id, ratio in zip(("E001", "E002"), ratios, strict=True):
        grid.set_mode(unit_id, REFERENCE, 350.0, 50.0, ratio)
    grid.advance(5.0)
    grid.set_mode("E003", CHARGE, 350.0, load_a, 0.0)
    grid.advance(grid.now_s + 10.0)
    first, second = -grid.unit_current_a[:2]
    assert first + second == pytest.approx(load_a, abs=1e-5)
    assert first * ratios[0] == pytest.approx(second * ratios[1], rel=1e-3)
    assert grid.unit("E003").grid_voltage_v == pytest.approx(350.0 - first * ratios[0] * 380.0 / 7.8125, abs=1e-3)


def test_a_dead_line_rises_by_its_ramp_and_decays_by_its_time_constant() -> None:
    """From 0 V to 350 V takes 60 s of unit time, evenly; left alone the voltage falls as exp(-t / RC)."""
    grid = Grid(community(4, ideal_sensors=True))
    grid.set_mode("E001", REFERENCE, 350.0, 2.3, 0.0)
    for share in (0.25, 0.5, 0.75, 1.0):
        grid.advance(60.0 * share)
        assert grid.unit("E004").grid_voltage_v == pytest.approx(350.0 * share, abs=0.1)
    grid.advance(70.0)
    grid.set_mode("E001", WAIT, 350.0, 0.0, 0.0)
    converter = ConverterSettings()
    for after_s in (1.0, 5.0, 10.0, 20.0):
        grid.advance(70.0 + after_s)
        falls = math.exp(-after_s / (converter.leak_ohm * converter.capacitance_f))
        assert grid.unit("E001").grid_voltage_v == pytest.approx(350.0 * falls, rel=0.015)


def test_a_ramp_ends_with_the_command_that_ends_it() -> None:
    """A reference put back to WAIT in its ramp leaves a line that only decays, and charges nothing later."""
    grid = Grid(community(4))
    grid.set_mode("E001", REFERENCE, 350.0, 2.3, 0.0)
    grid.advance(20.0)
    before = grid.unit("E001").grid_voltage_v
    grid.set_mode("E001", WAIT, 350.0, 0.0, 0.0)
    grid.advance(90.0)
    assert 0 <= grid.unit("E001").grid_voltage_v <= before


def test_a_charger_without_a_reference_takes_nothing() -> None:
    """On a dead line a current-controlled converter carries no current, whatever is set."""
    grid = Grid(ideal())
    grid.set_mode("E002", CHARGE, 350.0, 1.0, 0.0)
    grid.advance(10.0)
    assert grid.unit_current_a.tolist() == [0.0, 0.0, 0.0, 0.0]


def test_a_discharger_without_a_reference_stays_below_its_voltage_limit() -> None:
    """When the holder of the voltage goes away, a feeding converter drives the line to its own limit and no further."""
    grid = energised(ideal())
    grid.set_mode("E003", DISCHARGE, 380.0, 1.0, 0.0)
    grid.advance(grid.now_s + 5.0)
    grid.set_mode("E001", WAIT, 350.0, 0.0, 0.0)
    grid.advance(grid.now_s + 5.0)
    assert grid.unit("E003").grid_voltage_v == pytest.approx(380.0, abs=0.1)
    assert abs(grid.unit("E003").grid_current_a) < 1e-6


def test_a_full_battery_takes_and_an_empty_one_gives_nothing() -> None:
    """A converter whose battery is full stops charging, one whose battery is empty stops discharging."""
    grid = energised(ideal(rsoc_percent=[60.0]))
    grid.set_mode("E002", CHARGE, 350.0, 1.0, 0.0)
    grid.set_mode("E003", DISCHARGE, 380.0, 1.0, 0.0)
    grid.set_rsoc("E002", 100.0)
    grid.set_rsoc("E003", 0.0)
    grid.advance(grid.now_s + 2.0)
    assert grid.unit_current_a.tolist() == pytest.approx([0.0, 0.0, 0.0, 0.0], abs=1e-6)


def test_battery_loses_in_its_resistance_and_in_charging() -> None:
    """A battery charged and discharged by the same power at its terminals ends lower by its losses."""
    from apis_rules.grid.battery import Batteries

    settings = BatterySettings(resistance_ohm=0.05, charge_efficiency=0.98)
    batteries = Batteries.of([settings])
    open_v = np.array([51.0])
    for power_w in (1000.0, -1000.0):
        current = batteries.current_a(open_v, np.array([power_w]))
        assert float(((open_v + 0.05 * current) * current)[0]) == pytest.approx(power_w)
        stored = float(batteries.stored_w(open_v, current)[0])
        lost = power_w - stored
        assert lost == pytest.approx(
            0.05 * float(current[0]) ** 2 + (0.02 * 51.0 * float(current[0]) if power_w > 0 else 0.0), rel=1e-6
        )


@limits(max_examples=60)
@given(
    data=st.data(),
    nodes=st.integers(1, 30),
    devices=st.integers(1, 40),
    dt_s=st.sampled_from([0.1, 1.0, 60.0]),
)
def test_any_mix_of_devices_finds_its_balance(data: st.DataObject, nodes: int, devices: int, dt_s: float) -> None:
    """Sources of any steepness and limits, on any tree, from any voltage: the currents of every node cancel."""
    draw = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    names = [f"n{k}" for k in range(nodes)]
    lines = [Line(names[int(draw.integers(k))], names[k], float(draw.uniform(0.01, 2))) for k in range(1, nodes)]
    topology = Topology(tuple(names), tuple(lines))
    network = Network(topology, draw.uniform(1e-7, 1e-3, nodes), draw.uniform(0, 1e-4, nodes))
    limit = draw.uniform(0, 20, devices)
    sources = Sources(
        draw.integers(0, nodes, devices),
        10.0 ** draw.uniform(-2, 2, devices),
        draw.uniform(0, 400, devices),
        -limit * draw.integers(0, 2, devices),
        limit * draw.integers(0, 2, devices),
    )
    before = draw.uniform(0, 400, nodes)
    v, current = network.step(before, dt_s, sources)
    clipped = np.clip(sources.conductance_s * (v[sources.node] - sources.v0), sources.low_a, sources.high_a)
    assert current == pytest.approx(clipped, abs=1e-9)
    left = network.leak_s * v + network.capacitance_f * (v - before) / dt_s
    left += np.bincount(sources.node, current, nodes)
    for a, b, current_a in zip(network.start, network.end, network.line_currents(v), strict=True):
        left[a] += current_a
        left[b] -= current_a
    assert np.abs(left).max() < 1e-8


def test_large_and_small_grids_are_solved_alike() -> None:
    """The sparse way of large grids finds what the dense way of small ones finds, with the same lines."""
    units = 60
    small = ideal(units, topology=random_tree(units, 3), rsoc_percent=[60.0])
    spare = [Line("E001", f"X{k}", 1.0) for k in range(10)]  # idle nodes that make the grid a large one
    large = replace(small, topology=Topology.of_lines([*small.topology.lines, *spare]))
    volts = []
    for settings in (small, large):
        grid = energised(settings)
        for k, unit_id in enumerate(grid.unit_ids[1:]):
            grid.set_mode(unit_id, CHARGE if k % 2 else DISCHARGE, 350.0 if k % 2 else 380.0, 1.0 + k % 3 / 10, 0.0)
        grid.advance(grid.now_s + 5.0)
        volts.append(grid.unit_voltage_v)
    assert volts[0] == pytest.approx(volts[1], abs=1e-6)
