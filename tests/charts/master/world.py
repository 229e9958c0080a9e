"""A small pure world for the planner: converters on one bus, a store with revisions, a stream of records, one master.

Time goes in small steps. A command takes a moment; a reading is taken at least once a second and whenever one is
wanted. Whatever a test forbids is checked at every step (``World.check``).
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from apis_rules.charts.master import (
    Heard,
    ManualOrder,
    MasterPlan,
    MasterSettings,
    Memory,
    Picture,
    Planner,
    Reaction,
    ReactionKind,
    Stored,
    UnitLimits,
    UnitPicture,
)
from apis_rules.charts.master.energy import format_time, parse_time
from apis_rules.documents.reading import load_policy
from apis_rules.ports.types import (
    ActiveRecord,
    Command,
    CommandName,
    ConverterMode,
    Deal,
    DealRecord,
    Direction,
    Epoch,
    GridRecord,
    Lock,
    LockEntry,
    OperationMode,
    Outcome,
    UnitData,
)
from apis_rules.resources import data_dir

TIMES = {"absence_s": 10.0, "drain_s": 5.0, "hand_over_s": 12.0, "holder_dead_man_s": 20.0}
DEAD_MAN_S = 12.0
START_UNIT_S = parse_time("2026/01/01-12:00:00")
EFFICIENCY = 0.97
TICK_S = 0.05

WAIT, VR = ConverterMode.WAIT, ConverterMode.VOLTAGE_REFERENCE
CC = {CommandName.CHARGE: ConverterMode.CHARGE, CommandName.DISCHARGE: ConverterMode.DISCHARGE}


def shipped_settings(**changes: Any) -> MasterSettings:
    """The bundled policy's numbers, with *changes*."""
    policy = load_policy(Path(data_dir("rules")) / "policy.json").model.to_document()
    settings = MasterSettings.from_documents(policy, TIMES)
    return dataclasses.replace(settings, **{"large_units": frozenset(), **changes})


def make_deal(deal_id: str, discharge: str, charge: str, *, current_a: float = 1.0, amount_wh: int = 50) -> Deal:
    """A deal as its creator stores it."""
    record = DealRecord(
        unit_id=charge,
        negotiation_id=f"n-{deal_id}",
        request_unit_id=discharge,
        accept_unit_id=charge,
        request_date_time="2026/01/01-12:00:00",
        accept_date_time="2026/01/01-12:00:00",
        request_deal_grid_current_a=current_a,
        accept_deal_grid_current_a=current_a,
        type=Direction.DISCHARGE,
        charge_unit_id=charge,
        discharge_unit_id=discharge,
        deal_grid_current_a=current_a,
        request_amount_wh=amount_wh,
        accept_amount_wh=amount_wh,
        deal_amount_wh=amount_wh,
        deal_id=deal_id,
        create_date_time=f"2026/01/01-12:00:{len(deal_id):02d}",
    )
    return Deal(state="created", record=record)


@dataclass
class Unit:
    """A unit with its converter; as much of the unit side as the master can see."""

    unit_id: str
    rsoc: float = 60.0
    capacity_a: float = 2.3
    sensor_a: float = 0.0
    rate: float = 1.0
    mode: ConverterMode = WAIT
    target_v: float = 0.0
    current_a: float = 0.0
    droop: float = 0.0
    alive: bool = True
    reachable: bool = True
    boot: str = "b1"
    highest: Epoch | None = None
    last_seq: int = 0
    last_refresh: int = 0
    refreshed_s: float = 0.0
    outcomes: dict[tuple[int, int], Outcome] = field(default_factory=dict)
    heard: list[Heard] = field(default_factory=list)
    busy: tuple[Command, float] | None = None
    fail_next: list[str] = field(default_factory=list)
    silent_next: int = 0
    acknowledged: Epoch | None = None
    data: UnitData | None = None
    read_at_s: float = float("-inf")
    unit_time_s: float | None = None
    energy_wh: float = 0.0
    seen: list[str] = field(default_factory=list)

    @property
    def up(self) -> bool:
        return self.alive and self.reachable


class World:
    """Everything at once; see the module."""

    def __init__(
        self, unit_ids: str = "E001 E002 E003 E004", *, settings: MasterSettings | None = None, rate: float = 10.0
    ) -> None:
        self.settings = settings or shipped_settings()
        self.planner = Planner(self.settings)
        self.units = {u: Unit(u, rate=rate) for u in unit_ids.split()}
        self.now_s = 100.0
        self.bus_v = 0.0
        self.ramp_v_per_s = 100.0
        self.fall_v_per_s = 150.0
        self.revision = 0
        self.store: dict[str, tuple[bytes, int]] = {}
        self.stream: dict[str, list[DealRecord]] = {}
        self.mode = OperationMode.AUTONOMOUS
        self.amnesia = False
        self.reaction: Reaction | None = None
        self.orders: tuple[ManualOrder, ...] = ()
        self.replies: list[Any] = []
        self.problems: list[str] = []
        self.commands: list[str] = []
        self.latency_s = 0.2
        self.refresh = 1
        self.epoch_number = 0
        self.memory = Memory()
        self.plan_at_s = 0.0
        self.dirty = True
        self.reads: set[str] = set()
        self.master_alive = True
        self.store_up = True
        self.last_plan = MasterPlan()
        self.switched: set[str] = set()
        self.started: dict[str, float] = {}
        self.true_wh: dict[tuple[str, str], float] = {}
        self.new_term()

    # -- the store ----------------------------------------------------------------------------------------------------

    def put(self, key: str, value: bytes | None) -> None:
        self.revision += 1
        if value is None:
            self.store.pop(key, None)
        else:
            self.store[key] = (value, self.revision)
        self.dirty = True

    def create(self, deal: Deal) -> None:
        """What a mediator does: the deal and both locks at once."""
        self.put(f"deal.{deal.record.deal_id}", deal.to_json())
        for direction in Direction:
            unit_id = deal.record.unit_of(direction)
            lock = self.lock(unit_id)
            entry = LockEntry(deal_id=deal.record.deal_id, direction=direction, ampere=deal.record.deal_grid_current_a)
            self.put(f"lock.{unit_id}", lock.model_copy(update={"entries": (*lock.entries, entry)}).to_json())

    def lock(self, unit_id: str) -> Lock:
        stored = self.store.get(f"lock.{unit_id}")
        return Lock.from_json(stored[0]) if stored else Lock()

    @property
    def grid(self) -> GridRecord:
        stored = self.store.get("grid")
        return GridRecord.from_json(stored[0]) if stored else GridRecord()

    @property
    def active(self) -> ActiveRecord:
        stored = self.store.get("active")
        return ActiveRecord.from_json(stored[0]) if stored else ActiveRecord()

    @property
    def deals(self) -> dict[str, Deal]:
        return {k.removeprefix("deal."): Deal.from_json(v) for k, (v, _) in self.store.items() if k.startswith("deal.")}

    def state_of(self, deal_id: str) -> str | None:
        deal = self.deals.get(deal_id)
        return None if deal is None else deal.state

    # -- the master ---------------------------------------------------------------------------------------------------

    def new_term(self) -> None:
        """Another node (or the same one, restarted) becomes master: everything in memory is lost."""
        highest = max((u.highest.number for u in self.units.values() if u.highest), default=0)
        self.epoch_number = max(self.epoch_number, highest) + 1
        self.epoch = Epoch(number=self.epoch_number, term_id=f"t{self.epoch_number}")
        self.memory = Memory()
        self.term_started_s = self.now_s
        self.dirty = True
        self.master_alive = True

    def picture(self) -> Picture:
        stops: dict[str, dict[str, Stored[str]]] = {}
        for key, (value, revision) in self.store.items():
            if key.startswith("stop."):
                _, deal_id, unit_id = key.split(".")
                stops.setdefault(deal_id, {})[unit_id] = Stored(value.decode(), revision)
        grid, active = self.store.get("grid"), self.store.get("active")
        return Picture(
            complete=True,
            epoch=self.epoch,
            term_started_s=self.term_started_s,
            act_until_s=float("inf"),
            refresh=self.refresh,
            grid=Stored(self.grid, grid[1] if grid else 0),
            active=Stored(self.active, active[1] if active else 0),
            mode=self.mode,
            utc=f"2026-01-01T{int(self.now_s) // 3600:02d}:{int(self.now_s) // 60 % 60:02d}:{self.now_s % 60:06.3f}Z",
            local_s=START_UNIT_S + self.now_s,
            units={u.unit_id: self._unit_picture(u) for u in self.units.values()},
            deals={i: Stored(d, self.store[f"deal.{i}"][1]) for i, d in self.deals.items()},
            locks={
                k.removeprefix("lock."): Stored(Lock.from_json(v), r)
                for k, (v, r) in self.store.items()
                if k.startswith("lock.")
            },
            stop_requests=stops,
            amnesia=self.amnesia,
            reaction=self.reaction,
            recorded=frozenset(self.stream),
            orders=self.orders,
            draws=(0.9, 0.1, 0.5, 0.3),
            memory=self.memory,
        )

    def _unit_picture(self, unit: Unit) -> UnitPicture:
        return UnitPicture(
            unit_id=unit.unit_id,
            limits=UnitLimits(unit.capacity_a, 0.125, 6.5),
            boot=unit.boot,
            data=unit.data,
            read_at_s=unit.read_at_s,
            unit_time_s=unit.unit_time_s,
            acknowledged=unit.acknowledged == self.epoch,
            outcomes=tuple(h for h in unit.heard if h.outcome.epoch == self.epoch)[-8:],
        )

    def plan(self) -> MasterPlan:
        plan = self.planner.plan(self.picture(), self.now_s)
        self.last_plan = plan
        self.plan_at_s = plan.next_deadline_s
        self.perform(plan)
        return plan

    def perform(self, plan: MasterPlan) -> None:
        for send in plan.stops:
            self.deliver(send.unit_id, send.command)
        if plan.puts and not self.store_up:
            self.memory = plan.memory_if_refused
            return
        for put in plan.puts:
            assert self.store.get(put.key, (b"", 0))[1] == put.revision, put.key
        for put in plan.puts:
            self.put(put.key, put.value)
        self.dirty = self.dirty and bool(plan.appends)
        for send in plan.sends:
            self.commands.append(str(send))
            self.deliver(send.unit_id, send.command)
        for record in plan.appends:
            self.stream.setdefault(record.deal_id, []) or self.stream[record.deal_id].append(record)
            self.dirty = True
        self.problems += [str(p) for p in plan.problems]
        self.replies += plan.replies
        self.orders = tuple(o for o in self.orders if o.order_id not in {r.order_id for r in plan.replies})
        for unit_id in plan.announce:
            unit = self.units[unit_id]
            if unit.up and unit.busy is None and (unit.highest is None or unit.highest.number <= self.epoch.number):
                if unit.highest != self.epoch:
                    unit.highest, unit.last_seq, unit.last_refresh = self.epoch, 0, 0
                unit.acknowledged = self.epoch
                self.read(unit)
                self.dirty = True
        for unit_id in plan.refresh:
            unit = self.units[unit_id]
            if unit.up and unit.highest == self.epoch:
                unit.refreshed_s = self.now_s
        self.reads |= set(plan.reads)
        self.memory = plan.memory

    # -- units --------------------------------------------------------------------------------------------------------

    def deliver(self, unit_id: str, command: Command) -> None:
        """One command over either path: known, old, a stop, for another boot, or to be carried out."""
        unit = self.units[unit_id]
        if not unit.up:
            return
        known = unit.outcomes.get((command.epoch.number, command.seq))
        if known is not None:
            self.hear(unit, known)
            return
        if unit.highest is None or command.epoch.number > unit.highest.number:
            unit.highest, unit.last_seq, unit.busy = command.epoch, 0, None
        open_seq = unit.busy[0].seq if unit.busy else None
        if command.epoch.number < unit.highest.number or command.seq < unit.last_seq or command.seq == open_seq:
            return
        if command.name.stops and unit.busy is not None:
            self.finish(unit, unit.busy[0], failed="aborted")
        refused = "other boot" if command.boot != unit.boot else "busy" if unit.busy is not None else None
        if refused is not None and not command.name.stops:
            self.hear(unit, self.outcome(unit, command, refused))
            return
        unit.last_seq, unit.refreshed_s = command.seq, self.now_s
        unit.busy = (command, self.now_s + self.latency_s)

    def finish(self, unit: Unit, command: Command, failed: str | None = None) -> None:
        unit.busy = None
        self.read(unit)
        outcome = self.outcome(unit, command, failed)
        unit.outcomes[command.epoch.number, command.seq] = outcome
        if unit.silent_next:
            unit.silent_next -= 1
            return
        self.hear(unit, outcome)

    def outcome(self, unit: Unit, command: Command, failed: str | None) -> Outcome:
        return Outcome(
            unit_id=unit.unit_id, epoch=command.epoch, seq=command.seq, boot=unit.boot, failed=failed, status=None
        )

    def hear(self, unit: Unit, outcome: Outcome) -> None:
        unit.heard.append(Heard(outcome, self.now_s))
        self.dirty = True

    def execute(self, unit: Unit, command: Command) -> str | None:
        """Switch the converter; the reason where that fails."""
        if unit.fail_next:
            return unit.fail_next.pop(0)
        p, name = command.params, command.name
        current_a = p.grid_current_a or 0.0
        refused = {
            CommandName.CHARGE: unit.mode not in (WAIT, ConverterMode.CHARGE),
            CommandName.DISCHARGE: unit.mode not in (WAIT, ConverterMode.DISCHARGE),
            CommandName.CURRENT: not unit.mode.current_controlled,
            CommandName.AUTHORIZE: unit.mode is not VR or sum(u.mode is VR for u in self.units.values()) > 1,
            CommandName.WILL_HAND_OVER: unit.mode is not VR,
            CommandName.DID_TAKE_OVER: unit.mode is not VR,
            CommandName.VOLTAGE: unit.mode is not VR,
        }
        if refused.get(name):
            return f"not allowed: {unit.mode.name}"
        match name:
            case CommandName.WAIT | CommandName.SCRAM:
                if not (p.exclude_voltage_reference and unit.mode is VR):
                    unit.mode, unit.current_a, unit.droop = WAIT, 0.0, 0.0
            case CommandName.VOLTAGE_REFERENCE:
                unit.mode, unit.target_v, unit.droop, unit.current_a = VR, p.grid_voltage_v or 350.0, 0.0, 0.0
            case CommandName.CHARGE | CommandName.DISCHARGE:
                unit.mode, unit.current_a = CC[name], current_a
            case CommandName.CURRENT:
                unit.current_a = current_a
            case CommandName.VOLTAGE:
                unit.target_v = p.grid_voltage_v or 0.0
            case CommandName.WILL_HAND_OVER:
                unit.droop = 0.039
            case CommandName.WILL_TAKE_OVER:
                unit.mode, unit.target_v, unit.droop, unit.current_a = VR, p.grid_voltage_v or self.bus_v, 0.039, 0.0
            case CommandName.DID_HAND_OVER:
                unit.mode, unit.current_a, unit.droop = p.mode or WAIT, current_a, 0.0
            case CommandName.DID_TAKE_OVER:
                unit.droop = 0.0
        return None

    def read(self, unit: Unit) -> None:
        """The node reads its device; the master gets it at once where it can be reached."""
        ig = self.grid_current_a(unit) + (unit.sensor_a if unit.mode is not WAIT else 0.0)
        unit.data = UnitData.model_validate(
            {
                "dcdc": {
                    "status": {"status": unit.mode.code},
                    "meter": {"vg": self.bus_v, "ig": ig, "wb": self.battery_w(unit), "vb": 52.0},
                },
                "battery": {"rsoc": unit.rsoc},
            }
        )
        unit.read_at_s = self.now_s
        unit.unit_time_s = START_UNIT_S + self.now_s * unit.rate
        self.dirty = True

    def grid_current_a(self, unit: Unit) -> float:
        """True current from the grid into the unit."""
        match unit.mode:
            case ConverterMode.CHARGE:
                return unit.current_a if self.bus_v > 50 else 0.0
            case ConverterMode.DISCHARGE:
                return -unit.current_a if self.bus_v > 50 else 0.0
            case ConverterMode.VOLTAGE_REFERENCE:
                holders = [u for u in self.units.values() if u.mode is VR]
                others = sum(self.grid_current_a(u) for u in self.units.values() if u.mode is not VR)
                return -others / len(holders)
        return 0.0

    def battery_w(self, unit: Unit) -> float:
        """True power into the battery."""
        power_w = self.bus_v * self.grid_current_a(unit)
        return power_w * EFFICIENCY if power_w > 0 else power_w / EFFICIENCY

    # -- time ---------------------------------------------------------------------------------------------------------

    def step(self, tick_s: float = TICK_S) -> None:
        self.now_s += tick_s
        self._move_bus(tick_s)
        for unit in self.units.values():
            unit.energy_wh += self.battery_w(unit) * tick_s * unit.rate / 3600
            if unit.busy is not None and self.now_s >= unit.busy[1] and unit.alive:
                command = unit.busy[0]
                if command.name is CommandName.AUTHORIZE and self.now_s < unit.busy[1] + 0.4:
                    continue
                self.finish(unit, command, self.execute(unit, command))
            limit_s = TIMES["holder_dead_man_s"] if unit.mode is VR else DEAD_MAN_S
            dropped = unit.mode.current_controlled and self.bus_v < self.settings.range_min_v
            if unit.alive and unit.mode is not WAIT and (self.now_s - unit.refreshed_s > limit_s or dropped):
                unit.mode, unit.current_a = WAIT, 0.0
            if unit.up and (unit.unit_id in self.reads or self.now_s - unit.read_at_s >= 1.0):
                self.read(unit)
        self.reads.clear()
        self._account_energy(tick_s)
        self.check()
        if self.master_alive and (self.dirty or self.now_s >= self.plan_at_s):
            for _ in range(20):
                self.dirty = False
                self.plan()
                if not self.dirty:
                    break

    def _move_bus(self, tick_s: float) -> None:
        holders = [u for u in self.units.values() if u.mode is VR]
        if holders:
            target_v = sum(u.target_v for u in holders) / len(holders)
            change_v = max(-self.fall_v_per_s * tick_s, min(self.ramp_v_per_s * tick_s, target_v - self.bus_v))
            self.bus_v += change_v
        else:
            self.bus_v = max(0.0, self.bus_v - self.fall_v_per_s * tick_s)

    def _account_energy(self, tick_s: float) -> None:
        for deal_id, deal in self.deals.items():
            charge, discharge = self.units[deal.record.charge_unit_id], self.units[deal.record.discharge_unit_id]
            flows = all(u.mode is not WAIT and abs(self.grid_current_a(u)) > 0.3 for u in (charge, discharge))
            if flows and deal.switched:
                for unit in (charge, discharge):
                    key = (deal_id, unit.unit_id)
                    wh = abs(self.battery_w(unit)) * tick_s * unit.rate / 3600
                    self.true_wh[key] = self.true_wh.get(key, 0.0) + wh

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds / TICK_S)):
            self.step()

    def run_until(self, condition: Any, limit_s: float = 120.0) -> float:
        """Run until *condition* holds; return how long it took."""
        start_s = self.now_s
        while not condition(self):
            assert self.now_s - start_s < limit_s, self.describe()
            self.step()
        return self.now_s - start_s

    # -- what must always hold ----------------------------------------------------------------------------------------

    def check(self) -> None:
        """Invariants of the safety case that can be seen from outside."""
        holding = [u for u in self.units.values() if u.mode is VR]
        assert len(holding) <= 1 or (len(holding) == 2 and all(u.droop > 0 for u in holding)), self.describe()
        for unit in self.units.values():
            if unit.mode is not WAIT:
                assert unit.unit_id in self.active.units, (
                    f"{unit.unit_id} is active, not in `active`\n{self.describe()}"
                )
            assert abs(self.grid_current_a(unit)) <= unit.capacity_a + 0.13, f"{unit.unit_id}\n{self.describe()}"
        for records in self.stream.values():
            assert len(records) == 1

    def describe(self) -> str:
        """Everything, for a failed assertion."""
        lines = [f"now {self.now_s:.2f} bus {self.bus_v:.1f} V waiting {self.last_plan.waiting}"]
        lines.append(f"grid {self.grid.state} {self.grid.to_document()}")
        lines.append(f"active {sorted(self.active.units)}")
        lines += [f"{u.unit_id} {u.mode.name} {u.current_a} A busy {u.busy} up {u.up}" for u in self.units.values()]
        lines += [
            f"{d.record.deal_id} {d.state} {json.dumps(d.detail.to_document())} {d.open_command}"
            for d in self.deals.values()
        ]
        lines += self.commands[-12:]
        lines += self.problems[-6:]
        return "\n".join(lines)


def clock_text(world: World) -> str:
    """The unit clock now, as records write it."""
    return format_time(START_UNIT_S + world.now_s * 10)
