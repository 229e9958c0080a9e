"""What the faults that hold at this moment do to the physics: one value, made anew whenever they change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from apis_rules.grid.faults import FaultKind
from apis_rules.grid.meters import column
from apis_rules.grid.network import Sources

if TYPE_CHECKING:
    from apis_rules.grid.converter import Bools
    from apis_rules.grid.faults import FaultBoard
    from apis_rules.grid.network import Floats, Ints

_FOREIGN_OHM: Final = 0.5
_FOREIGN_LIMIT_A: Final = 10.0


@dataclass(slots=True)
class Effects:
    """Per unit, in the order of the grid's units, what its faults do; and what faults of lines do.

    Attributes:
        version: of the board that this was made from.
        offset: errors of the meters, shape (units, meters), drift included up to the last ``drift``.
        drifting: whether an offset grows.
        foreign: voltage sources that are none of the units'.
    """

    version: int
    offset: Floats
    dead: Bools
    heavy: Bools
    light: Bools
    permitted: Bools
    least_c: Floats
    open_lines: frozenset[str]
    line_capacity_a: dict[str, float]
    foreign: Sources
    _growing: list[tuple[int, int, float]]  # unit, meter, per second

    @classmethod
    def of(cls, board: FaultBoard, unit_ids: tuple[str, ...], nodes: Ints, offset: Floats) -> Effects:
        """Return the effects of what is active on *board*; *nodes* and *offset* are those of the units."""
        number = {unit_id: k for k, unit_id in enumerate(unit_ids)}
        units = len(unit_ids)
        active = [p for p in board.planned() if p.from_s <= board.now_s]
        of_units = [(p, number[p.fault.unit]) for p in active if p.fault.unit in number]

        def those(kind: FaultKind) -> Bools:
            return np.isin(np.arange(units), [k for p, k in of_units if p.fault.kind is kind])

        sources = [(k, p.fault.value or 0.0) for p, k in of_units if p.fault.kind is FaultKind.FOREIGN_SOURCE]
        count = len(sources)
        effects = cls(
            version=board.version,
            offset=offset.copy(),
            dead=those(FaultKind.DEAD_BATTERY),
            heavy=those(FaultKind.HEAVY_ALARM),
            light=those(FaultKind.LIGHT_ALARM),
            permitted=~those(FaultKind.PERMISSION_WITHDRAWN),
            least_c=np.full(units, -np.inf),
            open_lines=frozenset(p.fault.line for p in active if p.fault.line and p.fault.kind is FaultKind.LINE_OPEN),
            line_capacity_a={
                p.fault.line: p.fault.value or 0.0
                for p in active
                if p.fault.line and p.fault.kind is FaultKind.LINE_CAPACITY
            },
            foreign=Sources(
                node=np.array([nodes[k] for k, _ in sources], dtype=np.intp),
                conductance_s=np.full(count, 1.0 / _FOREIGN_OHM),
                v0=np.array([v for _, v in sources], dtype=np.float64),
                low_a=np.full(count, -_FOREIGN_LIMIT_A),
                high_a=np.full(count, _FOREIGN_LIMIT_A),
            ),
            _growing=[
                (k, column(p.fault.meter), p.fault.per_s)
                for p, k in of_units
                if p.fault.kind is FaultKind.SENSOR_DRIFT and p.fault.meter and p.fault.per_s
            ],
        )
        for planned, unit in of_units:
            fault = planned.fault
            if fault.kind is FaultKind.OVER_TEMPERATURE and fault.value is not None:
                effects.least_c[unit] = max(effects.least_c[unit], fault.value)
            if fault.kind is FaultKind.SENSOR_DRIFT and fault.meter:
                effects.offset[unit, column(fault.meter)] += (fault.value or 0.0) + fault.per_s * (
                    board.now_s - planned.from_s
                )
        return effects

    @property
    def drifting(self) -> bool:
        """Whether an offset grows with time."""
        return bool(self._growing)

    def drift(self, dt_s: float) -> None:
        """Let the growing offsets grow for *dt_s*."""
        for unit, meter, per_s in self._growing:
            self.offset[unit, meter] += per_s * dt_s
