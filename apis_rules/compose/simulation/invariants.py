"""What a running community is watched for: the measurable part of what must never happen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from apis_rules.compose.simulation.community import VirtualCommunity
    from apis_rules.grid.model import Grid

NO_CURRENT_A: Final = 0.05


class Dealless:
    """How long, in seconds of unit time, a current-controlled converter drew current while its unit had no deal.

    Attributes:
        longest_s: longest time in one piece, by unit; an excluded unit does not count.
    """

    def __init__(self, community: VirtualCommunity) -> None:
        self._community = community
        self._running_s: dict[str, float] = {}
        self._revision = -1
        self._parties: set[str] = set()
        self.longest_s: dict[str, float] = {}

    def __call__(self, grid: Grid, dt_s: float) -> None:
        """Look at one step."""
        if self._community.store.ctl.revision != self._revision:
            self._revision = self._community.store.ctl.revision
            records = self._community.records
            excluded = {u for u, (lock, _) in records.locks().items() if lock.exclusion is not None}
            self._parties = {u for d, _ in records.deals().values() for u in d.record.units} | excluded
        for unit_id, mode, current_a in zip(grid.unit_ids, grid.modes(), grid.unit_current_a, strict=True):
            if mode.current_controlled and abs(current_a) > NO_CURRENT_A and unit_id not in self._parties:
                self._running_s[unit_id] = self._running_s.get(unit_id, 0.0) + dt_s
                self.longest_s[unit_id] = max(self.longest_s.get(unit_id, 0.0), self._running_s[unit_id])
            else:
                self._running_s.pop(unit_id, None)
