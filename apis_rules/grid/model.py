"""The modelled grid: batteries, converters, houses and lines together, moved by commands, faults and time.

Pure: time is an argument, randomness a seed. Unit time is cut into ticks of a tenth of a second. While something moves,
the model steps tick by tick; once currents and voltages rest, second by second (both coarser at high acceleration, see
``Grid.pace``). Where the steps fall depends on commands and faults only, never on who reads when, so a run is
reproduced to the last bit by the same commands at the same times.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import numpy as np

from apis_rules.grid.converter import MODES, REFERENCE, WAIT
from apis_rules.grid.dynamics import Dynamics, State
from apis_rules.grid.effects import Effects
from apis_rules.grid.faults import FaultBoard, FaultKind
from apis_rules.grid.meters import Meter, Sensors
from apis_rules.grid.settings import with_more_units

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from apis_rules.grid.ledger import LineEnergies, UnitEnergies
    from apis_rules.grid.network import Floats
    from apis_rules.grid.settings import GridSettings
    from apis_rules.ports.types import ConverterMode

TICK_S: Final = 0.1
_COARSE_TICKS: Final = 10


@dataclass(frozen=True, slots=True)
class UnitState:
    """One unit as it truly is, without the errors of its meters; V, A, W, %, °C; into the unit is positive."""

    unit_id: str
    node: str
    mode: ConverterMode
    grid_voltage_v: float
    grid_current_a: float
    voltage_set_v: float
    current_set_a: float
    droop_ratio: float
    rsoc_percent: float
    battery_voltage_v: float
    battery_power_w: float
    pv_w: float
    load_w: float
    mains_w: float
    bypass: bool
    temperature_c: float
    alarm: str
    permitted: bool


@dataclass(frozen=True, slots=True)
class LineState:
    """One line: its current from start to end, and what it may carry in either direction."""

    name: str
    start: str
    end: str
    current_a: float
    capacity_a: float
    open: bool


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A moment of a grid: what it consisted of, and how it stood."""

    settings: GridSettings
    state: State


class Grid:
    """A community's grid.

    Attributes:
        unit_ids: in order; arrays per unit have this order.
        faults: what goes wrong, and when.
        observers: called with the grid and the length of each inner step, after it.
    """

    def __init__(self, settings: GridSettings) -> None:
        self.settings = settings
        self.unit_ids = tuple(u.unit_id for u in settings.units)
        self.faults = FaultBoard()
        self.observers: list[Callable[[Grid, float], None]] = []
        self._number = {unit_id: k for k, unit_id in enumerate(self.unit_ids)}
        self._dynamics = Dynamics(settings)
        self._sensors = Sensors([u.sensors for u in settings.units], settings.seed)
        self._effects = self._present_effects()
        self._tick = 0
        self._pace = 1
        self._seen_at: tuple[int, int] | None = None
        self._seen: dict[str, UnitState] = {}
        self._start()

    # --- time -------------------------------------------------------------------------------------------------

    def pace(self, acceleration: float) -> None:
        """Choose the inner steps for *acceleration*: a tick, or what passes in 5 ms where that is longer."""
        self._pace = max(1, round(acceleration * 0.005 / TICK_S))

    @property
    def now_s(self) -> float:
        """Unit time up to which the model has been moved, in seconds since it was made."""
        return self._tick * TICK_S

    @property
    def stamp(self) -> tuple[int, int]:
        """Equal as long as nothing that can be read has changed."""
        return self._tick, self._dynamics.changes

    def clock(self, now_s: float | None = None) -> datetime:
        """Return the units' clock at *now_s*; begins again at a restart."""
        since = (self.now_s if now_s is None else now_s) - self._state.started_tick * TICK_S
        return self.settings.start + timedelta(seconds=since)

    def advance(self, to_s: float, *, exact: bool = False) -> None:
        """Move the model up to *to_s*: to its last inner step, with *exact* (before a command) to its tick."""
        self._apply_faults()
        target = math.floor(to_s / TICK_S + 1e-6)
        while self._tick < target:
            length = self._pace * (_COARSE_TICKS if self._dynamics.at_rest else 1)
            end = (self._tick // length + 1) * length
            change_s = self.faults.next_change_s()
            if change_s < end * TICK_S:
                end = max(self._tick + 1, math.ceil(change_s / TICK_S - 1e-6))
            if end > target:
                if not exact:
                    return
                end = target
            self._step(end)

    def _step(self, end: int) -> None:
        dt_s = (end - self._tick) * TICK_S
        self._tick = end
        self._dynamics.step(dt_s, self.clock(self.now_s - dt_s / 2), self._effects)
        self.faults.move_to(self.now_s)
        self._apply_faults()
        for observer in self.observers:
            observer(self, dt_s)

    # --- commands ---------------------------------------------------------------------------------------------

    def set_mode(self, unit_id: str, mode: ConverterMode, voltage_v: float, current_a: float, droop: float) -> None:
        """Command mode and all set-points of one converter at the present tick."""
        unit, converters = self._number[unit_id], self._state.converters
        converters.voltage_set_v[unit], converters.current_set_a[unit] = voltage_v, current_a
        converters.droop_ratio[unit] = droop
        wanted = MODES.index(mode)
        if not self.faults.on(unit_id, FaultKind.STUCK_MODE) and not (converters.tripped[unit] and wanted != WAIT):
            line_v, line_a = float(self.unit_voltage_v[unit]), float(self._state.unit_a[unit])
            self._dynamics.converters.command_mode(converters, unit, wanted, line_v, line_a)
        self._dynamics.changed()

    def set_voltage(self, unit_id: str, voltage_v: float, droop: float) -> None:
        """Command voltage set-point and droop of one converter."""
        unit = self._number[unit_id]
        self._state.converters.voltage_set_v[unit] = voltage_v
        self._state.converters.droop_ratio[unit] = droop
        self._dynamics.changed()

    def set_current(self, unit_id: str, current_a: float) -> None:
        """Command the current set-point of one converter, an absolute value."""
        self._state.converters.current_set_a[self._number[unit_id]] = current_a
        self._dynamics.changed()

    def clear_alarm(self, unit_id: str) -> None:
        """Let a tripped converter leave WAIT again."""
        self._state.converters.tripped[self._number[unit_id]] = False
        self._dynamics.changed()

    def set_rsoc(self, unit_id: str, percent: float) -> None:
        """Put a battery to a state of charge."""
        unit = self._number[unit_id]
        self._state.stored_wh[unit] = self._dynamics.batteries.capacity_wh[unit] * percent / 100.0
        self._dynamics.changed()

    def override_house(self, unit_id: str, *, pv_w: float | None = None, load_w: float | None = None) -> None:
        """Fix PV or load of a house, until a restart, instead of what its source says."""
        unit = self._number[unit_id]
        self._state.overridden = True
        if pv_w is not None:
            self._state.pv_override_w[unit] = pv_w
        if load_w is not None:
            self._state.load_override_w[unit] = load_w

    def restart(self) -> None:
        """Put everything back to the start, the units' clock included. Ledger and faults stay."""
        self._start()

    def resized(self, units: int) -> Grid:
        """Return this grid with *units* units: the last ones gone, or new ones in WAIT behind the last."""
        return self._rebuilt(with_more_units(self.settings, units))

    def snapshot(self) -> Snapshot:
        """Return a copy of everything that commands and time change, for ``restored``."""
        return Snapshot(self.settings, copy.deepcopy(self._state))

    def restored(self, snapshot: Snapshot) -> Grid:
        """Return this grid as it was at *snapshot*, with the units of then; time goes on from now."""
        if snapshot.settings is not self.settings:
            return self._rebuilt(snapshot.settings).restored(snapshot)
        self._dynamics.state = copy.deepcopy(snapshot.state)
        self._dynamics.changed()
        return self

    def _rebuilt(self, settings: GridSettings) -> Grid:
        other = Grid(settings)
        other._tick, other._pace = self._tick, self._pace
        other.faults, other.observers = self.faults, self.observers
        other._effects = other._present_effects()
        other._dynamics.take_over(self._dynamics)
        return other

    # --- views ------------------------------------------------------------------------------------------------

    @property
    def unit_voltage_v(self) -> Floats:
        """True line voltage at each unit."""
        return self._dynamics.unit_voltage_v

    @property
    def unit_current_a(self) -> Floats:
        """True line current into each unit."""
        return self._state.unit_a

    @property
    def node_voltage_v(self) -> Mapping[str, float]:
        """True voltage of each node."""
        return {name: float(v) for name, v in zip(self.settings.topology.nodes, self._state.node_v, strict=True)}

    def modes(self) -> tuple[ConverterMode, ...]:
        """Return the mode of each unit."""
        return tuple([MODES[m] for m in self._state.converters.mode.tolist()])

    def has(self, unit_id: str) -> bool:
        """Tell whether there is such a unit."""
        return unit_id in self._number

    def unit(self, unit_id: str) -> UnitState:
        """Return one unit as it truly is. Raises ``KeyError`` for an unknown one."""
        if self._seen_at != self.stamp:
            self._seen_at, self._seen = self.stamp, {}
        if unit_id not in self._seen:
            self._seen[unit_id] = self._look_at(unit_id)
        return self._seen[unit_id]

    def _look_at(self, unit_id: str) -> UnitState:
        k, state = self._number[unit_id], self._state
        c, flows = state.converters, state.flows
        share = float(state.stored_wh[k] / self._dynamics.batteries.capacity_wh[k])
        return UnitState(
            unit_id=unit_id,
            node=self.settings.units[k].node,
            mode=MODES[c.mode[k]],
            grid_voltage_v=float(state.node_v[self._dynamics.node[k]]),
            grid_current_a=float(state.unit_a[k]),
            voltage_set_v=float(c.voltage_set_v[k]),
            current_set_a=float(c.current_set_a[k]),
            droop_ratio=float(c.droop_ratio[k]),
            rsoc_percent=min(100.0, max(0.0, 100.0 * share)),
            battery_voltage_v=float(state.battery_v[k]),
            battery_power_w=float(flows.battery[k]),
            pv_w=float(flows.pv[k]),
            load_w=float(flows.load[k]),
            mains_w=float(flows.mains[k]),
            bypass=bool(state.supplies.bypass[k]),
            temperature_c=float(max(c.temperature_c[k], self._effects.least_c[k])),
            alarm=self._alarm(k),
            permitted=bool(self._effects.permitted[k]),
        )

    def meter(self, unit_id: str) -> Meter:
        """Return what the meters of one unit show: truth, offset and noise."""
        k, state = self._number[unit_id], self._state
        vg_off, ig_off, vb_off, ib_off, tmp_off = self._effects.offset[k] + self._sensors.noise(self._tick)[k]
        vg = float(state.node_v[self._dynamics.node[k]] + vg_off)
        ig = float(state.unit_a[k] + ig_off)
        vb = float(state.battery_v[k] + vb_off)
        ib = float(state.flows.battery_side[k] / max(state.battery_v[k], 1.0) + ib_off)
        tmp = float(max(state.converters.temperature_c[k], self._effects.least_c[k]) + tmp_off)
        return Meter(vg, ig, vg * ig, vb, ib, vb * ib, tmp)

    def lines(self) -> tuple[LineState, ...]:
        """Return the state of each line, in order of the topology."""
        currents = self._dynamics.network.line_currents(self._state.node_v)
        return tuple(
            LineState(
                line.name,
                line.start,
                line.end,
                float(current),
                self._effects.line_capacity_a.get(line.name, line.capacity_a),
                line.name in self._effects.open_lines,
            )
            for line, current in zip(self.settings.topology.lines, currents, strict=True)
        )

    def energies(self, unit_id: str) -> UnitEnergies:
        """Return the true energies of one unit since the grid was made."""
        return self._dynamics.ledger.of_unit(self._number[unit_id])

    def battery_side_wh(self) -> Floats:
        """Return, for each unit, the energy that its converter has moved so far, both directions added up."""
        return self._dynamics.ledger.battery_side_wh()

    def line_energies(self) -> LineEnergies:
        """Return the true energies of the lines since the grid was made."""
        return self._dynamics.ledger.of_lines()

    # --- inside -----------------------------------------------------------------------------------------------

    @property
    def _state(self) -> State:
        return self._dynamics.state

    def _start(self) -> None:
        self._dynamics.state = self._dynamics.initial_state(self._tick)
        self._dynamics.changed()
        self._dynamics.move_energy(0.0, self.clock(), self._effects)

    def _apply_faults(self) -> None:
        if self.faults.version == self._effects.version:
            return
        self._effects = self._present_effects()
        self._dynamics.network.set_open(self._effects.open_lines)
        for fault in self.faults.newly_begun():
            if fault.kind is FaultKind.TRIP:
                self._dynamics.trip(np.array([u == fault.unit for u in self.unit_ids]))
            if fault.kind is FaultKind.RESTART:
                self.restart()
        self._dynamics.changed()

    def _present_effects(self) -> Effects:
        return Effects.of(self.faults, self.unit_ids, self._dynamics.node, self._sensors.offset)

    def _alarm(self, unit: int) -> str:
        converters = self._state.converters
        if converters.tripped[unit] or self._effects.heavy[unit]:
            return "Heavy alarm"
        carried = abs(float(self._state.unit_a[unit]))
        overloaded = converters.mode[unit] == REFERENCE and carried > 1.05 * converters.current_set_a[unit]
        return "Light alarm" if overloaded or self._effects.light[unit] else "No alarm"
