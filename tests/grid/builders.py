"""Grids for tests."""

from __future__ import annotations

import random
from dataclasses import replace

from apis_rules.grid.model import Grid
from apis_rules.grid.settings import ConverterSettings, GridSettings, SensorSettings, community
from apis_rules.grid.topology import Line, Topology
from apis_rules.ports.types import ConverterMode

WAIT, CHARGE = ConverterMode.WAIT, ConverterMode.CHARGE
DISCHARGE, REFERENCE = ConverterMode.DISCHARGE, ConverterMode.VOLTAGE_REFERENCE

NO_LEAK = ConverterSettings(leak_ohm=1e15, battery_current_limit_a=1000.0, ramp_s=1.0)


def energised(settings: GridSettings, holder: str = "E001", voltage_v: float = 350.0, limit_a: float = 50.0) -> Grid:
    """A grid whose *holder* has ramped the line up within five seconds."""
    grid = Grid(settings)
    grid.set_mode(holder, REFERENCE, voltage_v, limit_a, 0.0)
    grid.advance(5.0)
    return grid


def random_tree(units: int, seed: int) -> Topology:
    """A tree with one node per unit, any shape, lines of 0.01 to 0.08 ohm."""
    draw = random.Random(seed)
    ids = [f"E{k:03d}" for k in range(1, units + 1)]
    lines = [Line(ids[draw.randrange(k)], ids[k], draw.uniform(0.01, 0.08), 10.0) for k in range(1, units)]
    return Topology.of_lines(lines)


def with_offsets(settings: GridSettings, **offsets: tuple[float, float]) -> GridSettings:
    """The same with errors of (voltmeter, ammeter) per unit."""
    units = []
    for unit in settings.units:
        volts, amperes = offsets.get(unit.unit_id, (0.0, 0.0))
        units.append(replace(unit, sensors=SensorSettings(offset=(volts, amperes, 0.0, 0.0, 0.0))))
    return replace(settings, units=tuple(units))


def ideal(units: int = 4, **more: object) -> GridSettings:
    """The example community: true meters, no leaks, batteries that limit no converter, a ramp of one second."""
    return community(units, ideal_sensors=True, converter=NO_LEAK, **more)  # type: ignore[arg-type]
