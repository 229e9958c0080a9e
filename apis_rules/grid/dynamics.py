"""How the state of a grid changes in one step: electricity first, then the energy that it moves.

The state is one value that commands change and that can be copied and put back; everything else here is fixed once a
grid is made.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from apis_rules.grid.battery import Batteries
from apis_rules.grid.converter import WAIT, Converters, ConverterState
from apis_rules.grid.houses import GeneratedHouses, HouseTable, Supplies
from apis_rules.grid.ledger import Ledger
from apis_rules.grid.network import Network, Sources

if TYPE_CHECKING:
    from datetime import datetime

    from apis_rules.grid.converter import Bools
    from apis_rules.grid.effects import Effects
    from apis_rules.grid.network import Floats
    from apis_rules.grid.settings import GridSettings

AMBIENT_C: Final = 24.0
_JUNCTION_F: Final = 1e-7  # of a node without a converter
_AT_REST_V: Final = 1e-5  # a change per step below this is none
_NO_LONGER_FULL: Final = 0.995  # share of the capacity
_NO_LONGER_EMPTY: Final = 0.01
_DEAD_BATTERY_V: Final = 20.0
_DAY: Final = timedelta(days=1)


@dataclass(slots=True)
class Flows:
    """Powers of the last step, W per unit."""

    pv: Floats
    load: Floats
    mains: Floats
    battery: Floats
    battery_side: Floats


@dataclass(slots=True)
class State:
    """Everything that commands and time change, the ledger aside; per unit, ``node_v`` per node.

    Attributes:
        unit_a: line current into each unit.
        overridden: whether any house is fixed to something.
        pv_override_w, load_override_w: what a house is fixed to; NaN where its source counts.
        full, empty: batteries that take, or give, nothing for the time being.
        started_tick: when the units' clock began.
    """

    converters: ConverterState
    node_v: Floats
    unit_a: Floats
    stored_wh: Floats
    supplies: Supplies
    battery_v: Floats
    flows: Flows
    overridden: bool
    pv_override_w: Floats
    load_override_w: Floats
    full: Bools
    empty: Bools
    started_tick: int


class Dynamics:
    """The physics of one grid.

    Attributes:
        node: number of each unit's node.
        changes: grows with each change from outside.
        at_rest: whether the last step left currents and voltages as they were, and nothing has been changed since.
    """

    def __init__(self, settings: GridSettings) -> None:
        self._settings = settings
        nodes = {name: k for k, name in enumerate(settings.topology.nodes)}
        self.node = np.array([nodes[u.node] for u in settings.units], dtype=np.intp)
        capacitance = np.zeros(len(nodes))
        np.add.at(capacitance, self.node, [u.converter.capacitance_f for u in settings.units])
        capacitance[capacitance == 0.0] = _JUNCTION_F
        leak = np.zeros(len(nodes))
        np.add.at(leak, self.node, [1.0 / u.converter.leak_ohm for u in settings.units])
        self.network = Network(settings.topology, capacitance, leak)
        self.converters = Converters([u.converter for u in settings.units])
        self.batteries = Batteries.of([u.battery for u in settings.units])
        self.ledger = Ledger(len(settings.units))
        self._houses = HouseTable(settings.houses or GeneratedHouses(settings.seed), [u.house for u in settings.units])
        self._thermal_s = np.array([u.converter.thermal_time_s for u in settings.units])
        self._rise_c_per_w = np.array([u.converter.temperature_rise_c_per_w for u in settings.units])
        self._limits: tuple[Floats, Floats] = (np.zeros(0), np.zeros(0))
        self._line_powers_w = np.zeros(4)  # in the order of LineEnergies
        self.state = self.initial_state(0)
        self.changes = 0
        self.changed()

    def initial_state(self, tick: int) -> State:
        """Return the state at the start: every converter in WAIT, the lines dead."""
        units = len(self._settings.units)
        stored = self.batteries.capacity_wh * np.array([u.rsoc_percent for u in self._settings.units]) / 100.0
        zero, unset = np.zeros(units), np.full(units, np.nan)
        return State(
            converters=ConverterState.at_rest(units, AMBIENT_C),
            node_v=np.zeros(self.network.size),
            unit_a=zero.copy(),
            stored_wh=stored,
            supplies=Supplies(zero > 0, zero > 0),
            battery_v=self.batteries.open_circuit_v(stored),
            flows=Flows(zero, zero, zero, zero, zero),
            overridden=False,
            pv_override_w=unset.copy(),
            load_override_w=unset.copy(),
            full=zero > 0,
            empty=zero > 0,
            started_tick=tick,
        )

    def changed(self) -> None:
        """Take notice that the state or the effects were changed from outside."""
        self.changes += 1
        self.at_rest = False
        self._loss_w = self.converters.losses_w(self.state.converters)

    def take_over(self, other: Dynamics) -> None:
        """Go on from where *other* stands, for the units and nodes that both have."""
        _copy_arrays(other.state, self.state)
        self.state.started_tick, self.state.overridden = other.state.started_tick, other.state.overridden
        self.ledger = other.ledger.resized(len(self.node))
        self.changed()

    @property
    def unit_voltage_v(self) -> Floats:
        """True line voltage at each unit."""
        return self.state.node_v[self.node]

    def trip(self, units: Bools) -> None:
        """Let converters fall to WAIT and stay there until their alarm is cleared."""
        self.state.converters.tripped |= units
        self.state.converters.mode[units] = WAIT
        self.changed()

    def step(self, dt_s: float, midway: datetime, effects: Effects) -> None:
        """Move the state by *dt_s*; *midway* is the units' clock in the middle of it."""
        self._move_electricity(dt_s, effects)
        self.move_energy(dt_s, midway, effects)
        self._trip_where_needed(effects)

    def _move_electricity(self, dt_s: float, effects: Effects) -> None:
        state = self.state
        moving = False
        if not self.at_rest:
            effects.drift(dt_s)
            moving = self.converters.follow(state.converters, dt_s) or effects.drifting
            self._wanted = self.converters.sources(state.converters, effects.offset[:, 0], effects.offset[:, 1])
        conductance, v0, low, high = self._wanted
        low, high = self._within_battery_limits(low, high, effects)
        if self.at_rest and np.array_equal(low, self._limits[0]) and np.array_equal(high, self._limits[1]):
            self._line_powers_w[2] = 0.0  # nothing changes, so the capacitances take nothing
            return
        self._limits = (low, high)
        extra = effects.foreign
        sources = Sources(self.node, conductance, v0, low, high)
        if extra.node.size:
            sources = sources.with_more(extra)
        before = state.node_v
        state.node_v, current = self.network.step(before, dt_s, sources)
        state.unit_a = current[: len(self.node)]
        foreign_w = -float(state.node_v[extra.node] @ current[len(self.node) :])
        self._line_powers_w[:] = (*self.network.powers_w(state.node_v, before, dt_s), foreign_w)
        self.at_rest = not moving and float(np.abs(state.node_v - before).max()) < _AT_REST_V

    def _trip_where_needed(self, effects: Effects) -> None:
        converters = self.state.converters
        out_of_range = (self.unit_voltage_v > self.converters.overvoltage_v) | (
            np.maximum(converters.temperature_c, effects.least_c) > self.converters.trip_temperature_c
        )
        over = out_of_range & (converters.mode != WAIT)
        if over.any():
            self.trip(over)

    def _within_battery_limits(self, low: Floats, high: Floats, effects: Effects) -> tuple[Floats, Floats]:
        state = self.state
        share = state.stored_wh / self.batteries.capacity_wh
        # Once full or empty a battery stays so until it has moved away a little: else its converter would flutter.
        state.full = (share >= 1.0) | (state.full & (share > _NO_LONGER_FULL))
        state.empty = (share <= 0.0) | (state.empty & (share < _NO_LONGER_EMPTY))
        line_v = np.maximum(self.unit_voltage_v, 1.0)
        most_w = self.converters.battery_limit_a * state.battery_v
        take = np.where(effects.dead | state.full, 0.0, (most_w + self._loss_w) / line_v)
        give = np.where(effects.dead | state.empty, 0.0, (most_w - self._loss_w) / line_v)
        return np.maximum(low, -give), np.minimum(high, take)

    def move_energy(self, dt_s: float, midway: datetime, effects: Effects) -> None:
        """Move batteries, houses and temperatures; with *dt_s* 0 only find the powers of this moment."""
        state = self.state
        pv, load = self._houses.pv_and_load_w(
            midway.date(),
            (midway + _DAY).date(),
            midway.hour * 3600 + midway.minute * 60 + midway.second + midway.microsecond / 1e6,
        )
        if state.overridden:
            pv = np.where(np.isnan(state.pv_override_w), pv, state.pv_override_w)
            load = np.where(np.isnan(state.load_override_w), load, state.load_override_w)
        state.supplies.follow(100.0 * state.stored_wh / self.batteries.capacity_wh)
        mains, supply_loss = state.supplies.mains_and_loss_w(load)
        grid_w = self.unit_voltage_v * state.unit_a
        battery_side = grid_w - self._loss_w
        open_v = self.batteries.open_circuit_v(state.stored_wh)
        most = np.where(
            effects.dead | (state.stored_wh >= self.batteries.capacity_wh),
            0.0,
            self.batteries.charge_limit_a * open_v,
        )
        least = np.where(effects.dead | (state.stored_wh <= 0.0), 0.0, -self.batteries.discharge_limit_a * open_v)
        power = battery_side + pv + mains - load - supply_loss
        # A battery that takes no more throttles the PV first; what it cannot give comes from the mains.
        curtailed = np.minimum(np.maximum(power - most, 0.0), pv)
        lacking = np.maximum(least - power, 0.0)
        power = power - curtailed + lacking
        current = self.batteries.current_a(open_v, power)
        stored = self.batteries.stored_w(open_v, current)
        state.stored_wh = state.stored_wh + stored * (dt_s / 3600.0)
        state.battery_v = np.where(effects.dead, _DEAD_BATTERY_V, open_v + self.batteries.resistance_ohm * current)
        state.flows = Flows(pv - curtailed, load, mains + lacking, power, battery_side)
        warm = AMBIENT_C + self._rise_c_per_w * self._loss_w
        converters = state.converters
        converters.temperature_c = converters.temperature_c + (warm - converters.temperature_c) * np.minimum(
            1.0, dt_s / self._thermal_s
        )
        if dt_s:
            self.ledger.add(
                dt_s,
                (
                    np.maximum(grid_w, 0.0),
                    np.maximum(-grid_w, 0.0),
                    np.maximum(battery_side, 0.0),
                    np.maximum(-battery_side, 0.0),
                    self._loss_w,
                    pv - curtailed,
                    curtailed,
                    load,
                    mains + lacking,
                    supply_loss,
                    power - stored,
                    stored,
                ),
                self._line_powers_w,
            )


def _copy_arrays(source: Any, target: Any) -> None:
    for entry in fields(source):
        old, new = getattr(source, entry.name), getattr(target, entry.name)
        if is_dataclass(old):
            _copy_arrays(old, new)
        elif isinstance(old, np.ndarray):
            kept = min(len(old), len(new))
            new = new.copy()
            new[:kept] = old[:kept]
            setattr(target, entry.name, new)
