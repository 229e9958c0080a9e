"""Voltages and currents of the DC lines at one instant.

Every device on a node is a *clipped source*: it takes ``clip(conductance * (v - v0), low, high)`` from the node. A
voltage reference is a steep one around its set-point, a current-controlled converter a flat one with a fold-back at its
voltage limit, a foreign source a steep one again. All rise with the voltage, so there is exactly one solution.

One step of length *dt* is backward Euler, stable for any *dt*: at each node

    sum of line currents out + leak * v + C * (v - v_before) / dt + device currents = 0

solved by Newton's method with a line search on the (convex) energy, which reaches the solution in as many rounds as
devices change between clipped and free, most often one or two.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Callable

    from apis_rules.grid.topology import Topology

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.intp]

_DENSE_NODES: Final = 64  # up to here an inverse is faster than a sparse factorisation
_ROUNDS: Final = 100
_BALANCE_A: Final = 1e-9
_BALANCE_SHARE: Final = 1e-12  # of the steepest conductance times 1 V: no sum of floats can be closer
_FACTORS_KEPT: Final = 32


@dataclass(slots=True)
class Sources:
    """Devices as clipped sources, one entry each: the node that it is at, and its four figures."""

    node: Ints
    conductance_s: Floats
    v0: Floats
    low_a: Floats
    high_a: Floats

    def with_more(self, others: Sources) -> Sources:
        """Return these and *others* behind them."""
        return Sources(
            np.concatenate([self.node, others.node]),
            np.concatenate([self.conductance_s, others.conductance_s]),
            np.concatenate([self.v0, others.v0]),
            np.concatenate([self.low_a, others.low_a]),
            np.concatenate([self.high_a, others.high_a]),
        )


@dataclass(slots=True)
class Network:
    """Lines between nodes, with the capacitance and the leak of what is connected to each node.

    Attributes:
        start, end: node numbers of each line's ends.
        line_s: conductance of each line; 0 where it is open.
        capacitance_f, leak_s: per node.
    """

    topology: Topology
    capacitance_f: Floats
    leak_s: Floats
    start: Ints = field(init=False)
    end: Ints = field(init=False)
    line_s: Floats = field(init=False)
    _matrix: Any = field(init=False)
    _factors: dict[tuple[float, bytes], Callable[[Floats], Floats]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        number = {name: k for k, name in enumerate(self.topology.nodes)}
        self.start = np.array([number[line.start] for line in self.topology.lines], dtype=np.intp)
        self.end = np.array([number[line.end] for line in self.topology.lines], dtype=np.intp)
        self.set_open(())

    @property
    def size(self) -> int:
        """Number of nodes."""
        return len(self.topology.nodes)

    def set_open(self, names: tuple[str, ...] | frozenset[str]) -> None:
        """Open the lines called *names*, close all others."""
        self.line_s = np.array(
            [0.0 if line.name in names else 1.0 / line.resistance_ohm for line in self.topology.lines], dtype=np.float64
        )
        self._factors.clear()
        rows = np.concatenate([self.start, self.end, self.start, self.end])
        columns = np.concatenate([self.start, self.end, self.end, self.start])
        values = np.concatenate([self.line_s, self.line_s, -self.line_s, -self.line_s])
        if self.size <= _DENSE_NODES:
            matrix = np.zeros((self.size, self.size))
            np.add.at(matrix, (rows, columns), values)
            self._matrix = matrix
        else:
            from scipy.sparse import coo_array

            self._matrix = coo_array((values, (rows, columns)), shape=(self.size, self.size)).tocsc()

    def step(self, before_v: Floats, dt_s: float, sources: Sources) -> tuple[Floats, Floats]:
        """Return voltage of each node and current into each device, *dt_s* after *before_v*.

        Raises:
            ArithmeticError: no balance found; cannot happen for sources that rise with the voltage.
        """
        store_s = self.capacitance_f / dt_s
        v = before_v.copy()
        out_of_balance, current, free = self._balance(v, before_v, store_s, sources)
        steepest = max(self.line_s.max(initial=0.0), sources.conductance_s.max(initial=0.0))
        allowed_a = _BALANCE_A + _BALANCE_SHARE * steepest
        for _ in range(_ROUNDS):
            if np.abs(out_of_balance).max() < allowed_a:
                return v, current
            direction = -self._solver(dt_s, store_s, sources, free)(out_of_balance)
            reach = 1.0
            trial = v + direction
            found = self._balance(trial, before_v, store_s, sources)
            if direction @ found[0] > 0 and np.abs(found[0]).max() >= allowed_a:
                # Beyond the lowest energy along this line: go back to it, else the method may swing for ever.
                low, high = 0.0, 1.0
                for _ in range(40):
                    reach = (low + high) / 2
                    trial = v + reach * direction
                    found = self._balance(trial, before_v, store_s, sources)
                    slope = direction @ found[0]
                    if abs(slope) <= 0.1 * abs(direction @ out_of_balance):
                        break
                    low, high = (low, reach) if slope > 0 else (reach, high)
            v, (out_of_balance, current, free) = trial, found
        raise ArithmeticError(f"no balance of currents: {np.abs(out_of_balance).max():.3g} A are left")

    def line_currents(self, v: Floats) -> Floats:
        """Return the current in each line, from its start to its end."""
        result: Floats = (v[self.start] - v[self.end]) * self.line_s
        return result

    def powers_w(self, v: Floats, before_v: Floats, dt_s: float) -> tuple[float, float, float]:
        """Return what lines turn into heat, what leaks, and what the capacitances take, in a step to *v*."""
        across = v[self.start] - v[self.end]
        stored = float(v @ (self.capacitance_f * (v - before_v))) / dt_s
        return float(across @ (across * self.line_s)), float(v @ (self.leak_s * v)), stored

    def _balance(self, v: Floats, before_v: Floats, store_s: Floats, sources: Sources) -> tuple[Floats, Floats, Floats]:
        wanted = sources.conductance_s * (v[sources.node] - sources.v0)
        current = np.minimum(np.maximum(wanted, sources.low_a), sources.high_a)
        free = np.where(current == wanted, sources.conductance_s, 0.0)
        drawn = np.bincount(sources.node, current, self.size)
        return self._matrix @ v + self.leak_s * v + store_s * (v - before_v) + drawn, current, free

    def _solver(self, dt_s: float, store_s: Floats, sources: Sources, free: Floats) -> Callable[[Floats], Floats]:
        key = (dt_s, free.tobytes())
        known = self._factors.get(key)
        if known is not None:
            return known
        diagonal = self.leak_s + store_s + np.bincount(sources.node, free, self.size)
        solver: Callable[[Floats], Floats]
        if self.size <= _DENSE_NODES:
            solver = np.linalg.inv(self._matrix + np.diag(diagonal)).__matmul__
        else:
            from scipy.sparse import diags_array
            from scipy.sparse.linalg import splu

            solver = splu((self._matrix + diags_array(diagonal)).tocsc()).solve
        if len(self._factors) >= _FACTORS_KEPT:
            self._factors.clear()
        self._factors[key] = solver
        return solver
