"""What a modelled community consists of: values only, no behaviour.

Units: V, A, W, Wh, Ω, F, °C, seconds of unit time. A current or a power *into* a unit (charging) is positive, as its
meters show it (specification 8). The default figures are those of the converter and the houses that the field uses.
"""

from __future__ import annotations

import dataclasses
import random
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Final

from apis_rules.grid.houses import HouseSettings
from apis_rules.grid.topology import Topology

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apis_rules.grid.houses import HouseSource

START: Final = datetime(2020, 1, 1, 8)  # noqa: DTZ001  the units' clock has no zone
METERS: Final = ("vg", "ig", "vb", "ib", "tmp")


@dataclass(frozen=True, slots=True)
class BatterySettings:
    """A battery; what its voltage is at a state of charge stands in ``battery.OPEN_CIRCUIT_VOLTAGE``.

    Attributes:
        charge_efficiency: share of the energy charged that is stored; discharging loses in the resistance only.
    """

    capacity_wh: float = 4800.0
    resistance_ohm: float = 0.02
    charge_limit_a: float = 80.0
    discharge_limit_a: float = 80.0
    charge_efficiency: float = 0.985


@dataclass(frozen=True, slots=True)
class ConverterSettings:
    """A bidirectional DC/DC converter.

    Attributes:
        rated_voltage_v, rated_current_a: the base of the droop: a droop ratio of 1 would lower the voltage by the rated
            voltage at the rated current, so ``droop_ohm = ratio * rated_voltage_v / rated_current_a``.
        output_resistance_ohm: of a voltage reference without droop.
        overload_ratio: a voltage reference carries at most this multiple of its current set-point, in either direction.
        ramp_s: time of a soft start from 0 V to 350 V.
        loss_w: by mode: WAIT, CHARGE, DISCHARGE, VOLTAGE_REFERENCE.
        battery_current_limit_a, and the four thresholds: what ``dcdc.param`` reports (``cib``, ``ubv``, ``obv``,
            ``ugv``, ``ogv``). Between 10 V and 20 V below ``grid_undervoltage_v`` a charging current folds back to 0;
            above ``grid_overvoltage_v`` the converter trips.
    """

    rated_voltage_v: float = 380.0
    rated_current_a: float = 7.8125
    output_resistance_ohm: float = 0.01
    overload_ratio: float = 2.0
    ramp_s: float = 60.0
    voltage_slew_v_per_s: float = 500.0
    current_slew_a_per_s: float = 20.0
    loss_w: tuple[float, float, float, float] = (4.5, 71.0, 55.0, 55.0)
    capacitance_f: float = 20e-6
    leak_ohm: float = 500e3
    battery_current_limit_a: float = 25.0
    battery_undervoltage_v: float = 40.0
    battery_overvoltage_v: float = 59.0
    grid_undervoltage_v: float = 300.0
    grid_overvoltage_v: float = 400.0
    trip_temperature_c: float = 75.0
    temperature_rise_c_per_w: float = 0.12
    thermal_time_s: float = 600.0


@dataclass(frozen=True, slots=True)
class SensorSettings:
    """How true the meters of one converter are, per meter in the order of ``METERS``.

    The converter controls by what its own meters show: an offset of the ammeter moves the true current, not the shown
    one (specification 7.4).
    """

    offset: tuple[float, float, float, float, float] = (0.0, 0.0, 0.0, 0.0, 0.0)
    noise: tuple[float, float, float, float, float] = (0.0, 0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class UnitSettings:
    """One unit: a house with its battery and its converter, at a node of the grid."""

    unit_id: str
    node: str
    rsoc_percent: float = 50.0
    battery: BatterySettings = BatterySettings()
    converter: ConverterSettings = ConverterSettings()
    sensors: SensorSettings = SensorSettings()
    house: HouseSettings = field(default_factory=HouseSettings)


@dataclass(frozen=True, slots=True)
class GridSettings:
    """A community.

    Attributes:
        houses: where load and PV come from; None takes the generator with ``seed``.
        start: the units' clock at the beginning, local time.
    """

    units: tuple[UnitSettings, ...]
    topology: Topology
    seed: int = 0
    houses: HouseSource | None = None
    start: datetime = START


# One asks to give at once, one to take, one accepts giving, one taking: bands of specification 6.3.
_EXAMPLE_RSOC: Final = (92.0, 27.0, 68.0, 41.0)
_EXAMPLE_HOUSES: Final = (
    HouseSettings(pv_peak_w=2800.0, load_base_w=50.0, load_peak_w=80.0),
    HouseSettings(pv_peak_w=0.0, load_base_w=150.0, load_peak_w=400.0),
    HouseSettings(pv_peak_w=2400.0, load_base_w=60.0, load_peak_w=120.0),
    HouseSettings(pv_peak_w=600.0, load_base_w=130.0, load_peak_w=350.0),
)


def community(
    units: int,
    *,
    seed: int = 0,
    rsoc_percent: Sequence[float] | None = None,
    topology: Topology | None = None,
    ideal_sensors: bool = False,
    converter: ConverterSettings | None = None,
    houses: HouseSource | None = None,
    start: datetime | None = None,
) -> GridSettings:
    """Return the example community: units ``E001`` … on a common line, some with much energy and some with little.

    Args:
        units: how many.
        seed: of sensor errors, loads and clouds.
        rsoc_percent: states of charge, repeated where there are more units; without it four that trade at once.
        topology: other than the common line; units sit at the nodes that it names for them, else at its nodes in order.
        ideal_sensors: meters that show the truth.
        converter: the same for all, where it is not the usual one.
        houses: where load and PV come from, where it is not the generator.
        start: the units' clock at the beginning.
    """
    draw = random.Random(seed)  # noqa: S311  sensor errors, no secret
    ids = [f"E{k:03d}" for k in range(1, units + 1)]
    grid = topology or Topology.common_line(ids)
    places = grid.places(ids)
    charge = tuple(rsoc_percent) if rsoc_percent else _EXAMPLE_RSOC
    return GridSettings(
        units=tuple(
            UnitSettings(
                unit_id,
                places[unit_id],
                rsoc_percent=charge[k % len(charge)],
                converter=converter or ConverterSettings(),
                sensors=SensorSettings() if ideal_sensors else _drawn_sensors(draw),
                house=_EXAMPLE_HOUSES[k % len(_EXAMPLE_HOUSES)],
            )
            for k, unit_id in enumerate(ids)
        ),
        topology=grid,
        seed=seed,
        houses=houses,
        start=start or START,
    )


def _drawn_sensors(draw: random.Random) -> SensorSettings:
    return SensorSettings(
        offset=(draw.uniform(-0.1, 0.1), draw.uniform(-0.004, 0.004), draw.uniform(-0.05, 0.05), 0.0, 0.0),
        noise=(0.01, 0.0005, 0.005, 0.005, 0.02),
    )


def with_more_units(settings: GridSettings, units: int) -> GridSettings:
    """Return *settings* with *units* units: the last ones go, or new ones come behind the last, each on a line."""
    if units <= len(settings.units):
        return dataclasses.replace(settings, units=settings.units[:units])
    fresh = community(units, seed=settings.seed)
    added, last, topology = [], settings.units[-1].node, settings.topology
    for unit in fresh.units[len(settings.units) :]:
        if unit.unit_id not in topology.nodes:
            topology = topology.extended(last, unit.unit_id)
        added.append(dataclasses.replace(unit, node=unit.unit_id, rsoc_percent=50.0))
        last = unit.unit_id
    return dataclasses.replace(settings, units=(*settings.units, *added), topology=topology)
