"""What must hold in every community at every moment, watched while one runs.

A violation names its moment by the units' clock and by the loop's, so that a run of the same seed can be stopped there
(``simulate --until``). Units that are themselves out of order, or were a moment ago, are not held to what only a
reachable converter with a working driver can keep.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from apis_rules.compose.simulation.metering import DealMeters
from apis_rules.node.records import EPOCH, parse_record
from apis_rules.ports.types import ConverterMode, Deal, Epoch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from apis_rules.compose.simulation.community import VirtualCommunity
    from apis_rules.grid.model import Grid
    from apis_rules.ports.state import Entry

NO_CURRENT_A: Final = 0.05
WITHOUT_VOLTAGE_S: Final = 1.5
"""So long a current-controlled converter may be active on a bus out of its range, in the nodes' time."""

SAME_MOMENT_S: Final = 0.2
"""Between two steps of one hand-over the grid's own step may show what no meter could."""

ENERGY_SHARE: Final = 0.01
SWITCH_S: Final = 0.5
"""What is booked may be off by this share of the true energy, and by what flows in so long of the nodes' time: nobody
knows the moment of a switch better than that, and the units' clock may run much faster."""

STORE: Final = "store"


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that must never happen has happened.

    Attributes:
        unit_time_s: seconds of the units' clock since the beginning.
        loop_s: seconds of the nodes' time.
    """

    unit_time_s: float
    loop_s: float
    what: str


class Dealless:
    """How long, in seconds of unit time, a current-controlled converter drew current while its unit had no deal.

    Attributes:
        longest_s: longest time in one piece, by unit; an excluded unit does not count.
        running_s: the time in the present piece.
    """

    def __init__(self, community: VirtualCommunity) -> None:
        self._community = community
        self._revision = -1
        self._parties: set[str] = set()
        self.running_s: dict[str, float] = {}
        self.longest_s: dict[str, float] = {}

    def __call__(self, grid: Grid, dt_s: float) -> None:
        """Look at one step."""
        if self._community.store.ctl.revision != self._revision:
            self._revision = self._community.store.ctl.revision
            records = self._community.records
            excluded = {u for u, (lock, _) in records.locks().items() if lock.exclusion is not None}
            self._parties = {u for d, _ in records.deals().values() for u in d.record.units} | excluded
        currents_a = grid.unit_current_a.tolist()
        for unit_id, mode, current_a in zip(grid.unit_ids, grid.modes(), currents_a, strict=True):
            if mode.current_controlled and abs(current_a) > NO_CURRENT_A and unit_id not in self._parties:
                self.running_s[unit_id] = self.running_s.get(unit_id, 0.0) + dt_s
                self.longest_s[unit_id] = max(self.longest_s.get(unit_id, 0.0), self.running_s[unit_id])
            else:
                self.running_s.pop(unit_id, None)


class Watch:
    """Looks at each step of the grid and at each change of the store.

    Args:
        community: whom to watch, from now on.
        ill: tells whether a unit, or the store, is or was lately out of order.
        true_meters: whether meters show the truth, so that what is booked can be held against it.

    Attributes:
        violations: in order, each kind once per unit.
    """

    def __init__(self, community: VirtualCommunity, ill: Callable[[str], bool], *, true_meters: bool = False) -> None:
        self._true_meters = true_meters
        self.violations: list[Violation] = []
        self._community = community
        self._ill = ill
        self._told: set[tuple[str, str]] = set()
        self._dealless = Dealless(community)
        self._unheld_s: dict[str, float] = {}
        self._several_s = 0.0
        self._stiff_s = 0.0
        self._epoch = 0
        self._switched: dict[str, float] = {}
        self.meters = DealMeters(community, ill, STORE)
        grid = community.plant.grid_now()
        grid.observers.append(self._look)
        community.store.ctl.subscribe(self._written)
        policy = next(iter(community.documents.values())).policy
        self._range_v = policy.operation_grid_voltage_range_v
        self._mask_v = policy.grid_uvlo_mask_v

    def _tell(self, kind: str, who: str, what: str) -> None:
        if (kind, who) not in self._told:
            self._told.add((kind, who))
            now_s = asyncio.get_running_loop().time()
            self.violations.append(Violation(self._community.plant.unit_time_s(), now_s, what))

    # The grid.

    def _look(self, grid: Grid, dt_s: float) -> None:
        modes = grid.modes()
        if all(mode is ConverterMode.WAIT for mode in modes):
            self._unheld_s.clear()
            self._dealless.running_s.clear()
            self._several_s = self._stiff_s = 0.0
            return
        self.meters(grid, dt_s)
        passed_s = dt_s / self._community.plant.acceleration
        self._look_at_holders(grid, modes, passed_s)
        self._look_at_currents(grid, modes, passed_s)
        self._dealless(grid, dt_s)
        for unit_id, unit_s in self._dealless.running_s.items():
            running_s = unit_s / self._community.plant.acceleration
            if running_s > WITHOUT_VOLTAGE_S and not self._ill(unit_id) and not self._ill(STORE):
                self._tell("dealless", unit_id, f"{unit_id} draws current without a deal for {running_s:.1f} s")

    def _look_at_holders(self, grid: Grid, modes: tuple[ConverterMode, ...], passed_s: float) -> None:
        holding = [u for u, m in zip(grid.unit_ids, modes, strict=True) if m is ConverterMode.VOLTAGE_REFERENCE]
        if len(holding) < 2:
            self._several_s = self._stiff_s = 0.0
            return
        self._several_s += passed_s
        self._stiff_s += passed_s if any(grid.unit(u).droop_ratio == 0 for u in holding) else 0.0
        times = self._community.documents[holding[0]].times
        cut_off = any(self._ill(u) for u in (*holding, STORE))
        longest_s = times["holder_dead_man_s"] + 1.0 if cut_off else times["hand_over_s"]
        who = " and ".join(holding)
        if self._several_s > longest_s:
            self._tell("holders", who, f"{who} hold the voltage together for {self._several_s:.1f} s")
        if self._stiff_s > (longest_s if cut_off else SAME_MOMENT_S):
            self._tell("stiff", who, f"{who} hold the voltage together, one without droop")

    def _look_at_currents(self, grid: Grid, modes: tuple[ConverterMode, ...], passed_s: float) -> None:
        low_v, high_v = self._range_v.min - self._mask_v, self._range_v.max + self._mask_v
        currents_a, voltages_v = grid.unit_current_a.tolist(), grid.unit_voltage_v.tolist()
        for unit_id, mode, current_a, voltage_v in zip(grid.unit_ids, modes, currents_a, voltages_v, strict=True):
            if not (mode.current_controlled and abs(current_a) > NO_CURRENT_A):
                self._unheld_s.pop(unit_id, None)
                continue
            unheld = not low_v <= voltage_v <= high_v
            self._unheld_s[unit_id] = self._unheld_s.get(unit_id, 0.0) + passed_s if unheld else 0.0
            if self._unheld_s[unit_id] > WITHOUT_VOLTAGE_S and not self._ill(unit_id):
                self._tell("unheld", unit_id, f"{unit_id} has {current_a:.2f} A at {voltage_v:.0f} V")
            hardware = self._community.documents[unit_id].hw_config
            most_a = hardware.grid_current_capacity_a + hardware.grid_current_allowance_a
            if abs(current_a) > most_a + NO_CURRENT_A:
                self._tell("limit", unit_id, f"{unit_id} carries {current_a:.2f} A of {most_a:g} A")

    # The store.

    def _written(self, batch: Sequence[Entry]) -> None:
        for entry in batch:
            self._changed(entry)

    def _changed(self, entry: Entry) -> None:
        if entry.value is None:
            return
        if entry.key == EPOCH:
            number = parse_record(EPOCH, entry.value, Epoch).number
            if number <= self._epoch and not self._ill(STORE):
                self._tell("epoch", str(number), f"epoch {number} after {self._epoch}")
            self._epoch = max(self._epoch, number)
        elif entry.key.startswith("deal."):
            deal = parse_record(entry.key, entry.value, Deal)
            if deal.switched:
                self._switched[deal.record.deal_id] = asyncio.get_running_loop().time()
        elif entry.key.startswith("lock."):
            self._look_at_lock(entry.key.removeprefix("lock."))

    def _look_at_lock(self, unit_id: str) -> None:
        directions = {e.direction for e in self._community.records.lock(unit_id).entries}
        if len(directions) > 1:
            self._tell("both ways", unit_id, f"{unit_id} charges and discharges")

    # The end.

    def close(self) -> None:
        """Look at how everything was left: to be called at rest."""
        community = self._community
        for unit_id, error in community.failures:
            self._tell("failure", unit_id, f"the node of {unit_id} was ended by {error!r}")
        grid = community.plant.grid_now()
        for unit_id in community.unit_ids:
            mode = grid.unit(unit_id).mode
            if mode is not ConverterMode.WAIT and not community.records.deals_of(unit_id) and not self._ill(unit_id):
                self._tell("end", unit_id, f"{unit_id} is left in {mode.name} without a deal")
        counted = Counter(record.deal_id for record in community.final_records)
        for deal_id, number in counted.items():
            if number > 1:
                self._tell("records", deal_id, f"deal {deal_id} has {number} final records")
        living = set(community.records.deals())
        # With a store that was lost or went back goes what it alone knew.
        kept_s = community.store_lost_at_s
        lost = [d for d, seen_s in self._switched.items() if seen_s > kept_s and d not in living and d not in counted]
        for deal_id in lost:
            self._tell("records", deal_id, f"deal {deal_id} switched a converter and has no final record")
        for line in community.unwritten():
            self._tell("files", line, f"the deal log of {line} lacks, or is not as in the stream")
        if self._true_meters:
            self._look_at_energies()

    def _look_at_energies(self) -> None:
        unit_s = SWITCH_S * self._community.plant.acceleration
        voltage_v = self._community.policy.operation_grid_voltage_v
        for record in self._community.final_records:
            switch_wh = record.deal_grid_current_a * voltage_v * unit_s / 3600.0
            if record.deal_id in self.meters.disturbed:
                continue
            for unit_id, booked_wh in (
                (record.charge_unit_id, record.charge_unit_amount_wh or 0.0),
                (record.discharge_unit_id, record.discharge_unit_amount_wh or 0.0),
            ):
                true_wh = self.meters.wh.get((record.deal_id, unit_id), 0.0)
                if abs(booked_wh - true_wh) > ENERGY_SHARE * true_wh + switch_wh:
                    what = f"{unit_id} has {booked_wh:.2f} Wh booked for {record.deal_id}, truly {true_wh:.2f} Wh"
                    self._tell("energy", record.deal_id + unit_id, what)


def plain(violations: Sequence[Violation]) -> list[dict[str, Any]]:
    """Return *violations* as rows."""
    return [{"unitTimeS": round(v.unit_time_s, 1), "loopS": round(v.loop_s, 3), "what": v.what} for v in violations]
