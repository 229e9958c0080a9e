"""How fast the modelled grid runs: one step of 1,000 units, and a day of 20 units at steps of one second.

Beside the step: one dense solution of as many nodal equations by NumPy, which is what a step would cost at least
without sparse matrices.

Run: python benchmarks/grid_model.py
"""

from __future__ import annotations

import statistics
import time

import numpy as np

from apis_rules.grid.model import Grid
from apis_rules.grid.settings import ConverterSettings, community
from apis_rules.ports.types import ConverterMode

STEP_LIMIT_MS, DAY_LIMIT_S = 10.0, 20.0
UNITS = 1000


def _ms(run: object, times: int) -> list[float]:
    found = []
    for _ in range(times):
        began = time.perf_counter()
        run()  # type: ignore[operator]
        found.append(1e3 * (time.perf_counter() - began))
    return found


def steps() -> None:
    """One step of a large grid that never rests: its set-points change before each."""
    grid = Grid(community(UNITS, converter=ConverterSettings(ramp_s=1.0, battery_current_limit_a=1000.0)))
    grid.set_mode("E001", ConverterMode.VOLTAGE_REFERENCE, 350.0, 500.0, 0.0)
    grid.advance(5.0)
    draw = np.random.default_rng(1)
    for k, unit_id in enumerate(grid.unit_ids[1:]):
        mode = ConverterMode.CHARGE if k % 2 else ConverterMode.DISCHARGE
        grid.set_mode(unit_id, mode, 380.0, float(draw.uniform(0.0, 2.0)), 0.0)
    now = grid.now_s

    def step() -> None:
        nonlocal now
        grid.set_current(grid.unit_ids[int(draw.integers(1, UNITS))], float(draw.uniform(0.0, 2.0)))
        now += 0.1
        grid.advance(now)

    for _ in range(20):
        step()
    found = _ms(step, 200)
    matrix = np.eye(UNITS + 1) + draw.uniform(0, 1e-3, (UNITS + 1, UNITS + 1))
    right = draw.uniform(0, 1, UNITS + 1)
    dense = _ms(lambda: np.linalg.solve(matrix, right), 10)
    median = statistics.median(found)
    print(
        f"one step of {UNITS} units       median {median:6.2f} ms, worst {max(found):6.2f} ms"
        f"   x{STEP_LIMIT_MS / median:.1f} below the limit {STEP_LIMIT_MS:g} ms"
        f"   x{statistics.median(dense) / median:.1f} faster than one dense solution"
    )


def day() -> None:
    """A day of 20 units at steps of one second, with a ramp, a deal that runs on, and a stop every four hours."""
    grid = Grid(community(20))
    counted = [0]
    grid.observers.append(lambda *_: counted.__setitem__(0, counted[0] + 1))
    began, used = time.perf_counter(), time.process_time()
    for hour in range(0, 24, 4):
        grid.set_mode("E001", ConverterMode.VOLTAGE_REFERENCE, 350.0, 2.3, 0.0)
        grid.advance(hour * 3600 + 90.0, exact=True)
        grid.set_mode("E002", ConverterMode.CHARGE, 350.0, 1.0, 0.0)
        grid.advance((hour + 3) * 3600.0, exact=True)
        for unit_id in ("E002", "E001"):
            grid.set_mode(unit_id, ConverterMode.WAIT, 350.0, 0.0, 0.0)
        grid.advance((hour + 4) * 3600.0, exact=True)
    took, cpu = time.perf_counter() - began, time.process_time() - used
    print(
        f"a day of 20 units           {took:6.2f} s in {counted[0]} steps"
        f"   x{DAY_LIMIT_S / took:.1f} below the limit {DAY_LIMIT_S:g} s"
        f"   ({cpu:.2f} s of processor time, x{DAY_LIMIT_S / cpu:.1f} below)"
    )


if __name__ == "__main__":
    steps()
    day()
