"""A grid on a clock: the model moves up to the clock's time whenever someone looks at it or commands it.

The clock may be the machine's, or that of an asyncio loop whose time jumps; unit time runs *acceleration* times as fast
and continuously.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from apis_rules.grid.faults import Fault
    from apis_rules.grid.model import Grid


class Plant:
    """A grid and the clock that moves it.

    Args:
        grid: at its present time; it goes on from there.
        now_s: seconds that never go back, for example ``asyncio.get_running_loop().time``.
        acceleration: seconds of unit time per second of *now_s*, above 0.
    """

    def __init__(self, grid: Grid, now_s: Callable[[], float], acceleration: float = 1.0) -> None:
        self._grid = grid
        self._now_s = now_s
        self._origin_s = now_s()
        self._unit_origin_s = grid.now_s
        self._acceleration = acceleration
        grid.pace(acceleration)

    @property
    def acceleration(self) -> float:
        """Seconds of unit time per second."""
        return self._acceleration

    @acceleration.setter
    def acceleration(self, factor: float) -> None:
        if not factor > 0:
            raise ValueError("an acceleration is above 0")
        self._unit_origin_s, self._origin_s = self.unit_time_s(), self._now_s()
        self._acceleration = factor
        self._grid.pace(factor)

    def unit_time_s(self) -> float:
        """Return unit time in seconds since the grid was made."""
        return self._unit_origin_s + (self._now_s() - self._origin_s) * self._acceleration

    def clock(self) -> datetime:
        """Return the units' clock."""
        return self._grid.clock(self.unit_time_s())

    def grid_now(self) -> Grid:
        """Return the grid, moved up to now, for looking at it."""
        self._grid.advance(self.unit_time_s())
        return self._grid

    def grid_to_command(self) -> Grid:
        """Return the grid, moved up to this very tick, for changing something in it."""
        self._grid.advance(self.unit_time_s(), exact=True)
        return self._grid

    def replace_grid(self, grid: Grid) -> None:
        """Go on with another grid that stands at the same unit time."""
        self._grid = grid
        grid.pace(self._acceleration)

    def add_fault(self, fault: Fault) -> int:
        """Plan a fault from now on and return its number. Raises ``KeyError`` for a unit or line that is not there."""
        grid = self.grid_to_command()
        if fault.unit is not None:
            grid.unit(fault.unit)
        if fault.line is not None and all(line.name != fault.line for line in grid.settings.topology.lines):
            raise KeyError(fault.line)
        number = grid.faults.add(fault)
        grid.advance(grid.now_s)
        return number

    def clear_faults(self, number: int | None = None) -> bool:
        """End one fault, or all; tell whether there was any to end."""
        grid = self.grid_to_command()
        cleared = grid.faults.clear(number)
        grid.advance(grid.now_s)
        return cleared
