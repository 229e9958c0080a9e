"""A small pure world for the planner: houses on one bus, a store with revisions, a stream of records, one master.

Events are in a heap; between two of them the bus moves in straight lines. Whatever a test forbids is checked whenever a
converter is switched (``World.check``).
"""

from __future__ import annotations

import dataclasses
import heapq
import json
import pickle
from typing import TYPE_CHECKING, Any

from apis_rules.charts.master import (
    Heard,
    ManualOrder,
    MasterPlan,
    MasterSettings,
    Memory,
    Picture,
    Reaction,
    Stored,
    UnitLimits,
    UnitPicture,
)
from apis_rules.charts.master.planner import Planner
from apis_rules.charts.unit import Announced, Ordered, ReadWanted, Refreshed, VoltageGoing
from apis_rules.ports.types import (
    Command,
    Epoch,
    Lock,
    OperationMode,
    Outcome,
)
from tests.charts.master.bus import Bus
from tests.charts.master.house import POLICY, START_UNIT_S, TIMES, VR, WAIT, House
from tests.charts.master.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable

NET_S = 0.01
PLANNERS: dict[MasterSettings, Planner] = {}


def shipped_settings(times: dict[str, float] = TIMES, **changes: Any) -> MasterSettings:
    """The bundled policy's numbers without large units, with *changes*."""
    settings = MasterSettings.from_documents(POLICY, times)
    return dataclasses.replace(settings, **{"large_units": frozenset(), **changes})


def planner_of(settings: MasterSettings) -> Planner:
    """Charts are compiled once for each set of numbers."""
    if settings not in PLANNERS:
        PLANNERS[settings] = Planner(settings)
    return PLANNERS[settings]


class World(Store):
    """Everything at once; see the module.

    Attributes:
        store_up: while False every batch is refused; ``forget_next`` batches are written without the master knowing.
        crash_after: so many parts of a plan are performed before the master dies (None: it does not).
        unrecorded_s: deal → when it was looked at last by its record, where the master died between a stop, which waits
            for nothing, and the record of it.
        switched, reached: deals for which a converter was commanded, and for which a unit has begun to write.
    """

    def __init__(
        self,
        unit_ids: str = "E001 E002 E003 E004",
        *,
        settings: MasterSettings | None = None,
        times: dict[str, float] = TIMES,
        rate: float = 10.0,
    ) -> None:
        super().__init__()
        self.times = tuple(sorted(times.items()))
        self.settings = settings or shipped_settings()
        self.planner = planner_of(self.settings)
        self.now_s = 100.0
        self.heap: list[tuple[float, int, str | None, str, tuple[Any, ...]]] = []
        self.ticket = 0
        self.mode = OperationMode.AUTONOMOUS
        self.amnesia = False
        self.reaction: Reaction | None = None
        self.orders: tuple[ManualOrder, ...] = ()
        self.replies: list[Any] = []
        self.problems: list[str] = []
        self.commands: list[str] = []
        self.epochs: list[int] = []
        self.acted: list[tuple[float, float]] = []
        self.highest_reported = 0
        self.refresh = 1
        self.act_until_s = float("inf")
        self.store_up = True
        self.forget_next = 0
        self.crash_after: int | None = None
        self.unrecorded_s: dict[str, float] = {}
        self.master_alive = False
        self.plan_ticket = 0
        self.plan_due_s = float("inf")
        self.plans = 0
        self.last_plan = MasterPlan()
        self.switched: set[str] = set()
        self.reached: set[str] = set()
        self.peak_a: dict[str, float] = {}
        self.late_next: dict[str, float] = {}
        self.late_until_s = 0.0
        self.late_deals: set[str | None] = set()
        self.overtaken = 0
        self.last_stop: dict[str, int] = {}
        self.forgotten_pair: set[str | None] = set()
        self.two_since_s = float("inf")
        self.two_for_long = False
        self.troubled_s = float("-inf")
        self.snapshots: list[dict[str, tuple[bytes, int]]] = []
        self.bus = Bus(self.now_s)
        self.houses = self.bus.houses = {u: House(u, self, rate=rate) for u in unit_ids.split()}
        for house in self.houses.values():
            house.start()
        self.new_term()
        self.at(self.now_s + 1.0, None, "refresh_all")

    # -- time ---------------------------------------------------------------------------------------------------------

    def at(self, at_s: float, unit_id: str | None, method: str, *arguments: Any) -> None:
        """Call *method* of a house (or of the world) at *at_s*. Events are values, so that a world can be copied."""
        self.ticket += 1
        heapq.heappush(self.heap, (max(at_s, self.now_s), self.ticket, unit_id, method, arguments))

    def copy(self) -> World:
        """A world of its own that goes on from here."""
        return thaw(self.freeze())

    def freeze(self) -> bytes:
        """Everything as bytes."""
        return pickle.dumps(self)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.planner = planner_of(self.settings)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "planner"}

    def run(self, seconds: float) -> None:
        """Let *seconds* pass."""
        end_s = self.now_s + seconds
        while self.heap and self.heap[0][0] <= end_s:
            self._next()
        self.now_s = end_s
        self.move_to_now()

    def run_until(self, condition: Callable[[World], bool], limit_s: float = 120.0) -> float:
        """Run until *condition* holds; return how long it took."""
        start_s = self.now_s
        while not condition(self):
            assert self.now_s - start_s < limit_s, f"not within {limit_s} s\n{self.describe()}"
            self._next()
        return self.now_s - start_s

    def _next(self) -> None:
        at_s, _, unit_id, method, arguments = heapq.heappop(self.heap)
        self.now_s = at_s
        self.move_to_now()
        getattr(self if unit_id is None else self.houses[unit_id], method)(*arguments)

    def move_to_now(self) -> None:
        """Let bus and batteries follow up to now."""
        self.bus.move(self.now_s, self.deals)

    @property
    def ended(self) -> bool:
        """Whether nothing is left: no deal, a dead grid, every converter that can be reached in WAIT."""
        return not self.deals and self.grid.state == "dead" and not self.active.units

    # -- the master ---------------------------------------------------------------------------------------------------

    def new_term(self) -> None:
        """Another node, or the same one again, becomes master: nothing in memory survives."""
        number = max([*self.epochs, self.highest_reported]) + 1 if self.epochs else self.highest_reported + 1
        self.epoch = Epoch(number=number, term_id=f"t{number}-{len(self.epochs)}")
        self.epochs.append(number)
        self.memory = Memory()
        self.heard: dict[str, list[Heard]] = {}
        self.unrecorded_s = {}
        self.announced_s: dict[str, float] = {}
        self.act_until_s = float("inf")
        self.last_stop = {}
        self.term_started_s = self.now_s
        self.refresh = 1
        self.master_alive = True
        self.touch()

    def kill_master(self) -> None:
        self.master_alive = False

    def go_back(self, store: dict[str, tuple[bytes, int]]) -> None:
        """The store is an earlier one. Revisions go on, so that nothing is mistaken for what it was."""
        self.kill_master()
        if self.grid.next_holder is not None:
            self.forgotten_pair = {self.grid.holder, self.grid.next_holder}
        for key in list(self.values):
            self.put(key, None)
        for key, (value, _) in store.items():
            if key.removeprefix("deal.") not in self.stream:
                self.put(key, value)
        self.amnesia = True
        self.mode = OperationMode.STOP
        self.new_term()

    def touch(self) -> None:
        """Something has changed: the master plans a moment later."""
        self._plan_at(self.now_s + NET_S)

    def _plan_at(self, at_s: float) -> None:
        if not self.master_alive or self.plan_due_s <= at_s:
            return
        self.plan_ticket += 1
        ticket = self.plan_ticket
        self.plan_due_s = at_s
        self.at(at_s, None, "plan", ticket)

    def plan(self, ticket: int) -> None:
        if ticket != self.plan_ticket:
            return
        self.plan_due_s = float("inf")
        if not self.master_alive:
            return
        plan = self.planner.plan(self.picture(), self.now_s)
        self.plans += 1
        self.last_plan = plan
        self._perform(plan)
        self._plan_at(max(plan.next_deadline_s, self.now_s + 0.02))

    def picture(self) -> Picture:
        stops: dict[str, dict[str, Stored[str]]] = {}
        for key, (value, revision) in self.values.items():
            if key.startswith("stop."):
                _, deal_id, unit_id = key.split(".")
                stops.setdefault(deal_id, {})[unit_id] = Stored(value.decode(), revision)
        return Picture(
            complete=True,
            epoch=self.epoch,
            term_started_s=self.term_started_s,
            act_until_s=self.act_until_s,
            refresh=self.refresh,
            grid=Stored(self.grid, self.revision_of("grid")),
            active=Stored(self.active, self.revision_of("active")),
            mode=self.mode,
            utc=f"2026-01-01T{int(self.now_s) // 3600:02d}:{int(self.now_s) // 60 % 60:02d}:{self.now_s % 60:06.3f}Z",
            local_s=START_UNIT_S + self.now_s,
            units={u: self._unit_picture(h) for u, h in self.houses.items()},
            deals={i: Stored(d, self.revision_of(f"deal.{i}")) for i, d in self.deals.items()},
            locks={
                key.removeprefix("lock."): Stored(self.read(key, Lock), revision)
                for key, (_, revision) in self.values.items()
                if key.startswith("lock.")
            },
            stop_requests=stops,
            amnesia=self.amnesia,
            reaction=self.reaction,
            recorded=frozenset(self.stream),
            orders=self.orders,
            draws=(0.9, 0.1, 0.5, 0.3),
            memory=self.memory,
        )

    def _unit_picture(self, house: House) -> UnitPicture:
        return UnitPicture(
            unit_id=house.unit_id,
            limits=UnitLimits(house.capacity_a, house.allowance_a, 6.5),
            boot=house.boot,
            data=house.data,
            read_at_s=house.read_at_s,
            unit_time_s=house.unit_time_s,
            acknowledged=house.acknowledged == self.epoch,
            outcomes=tuple(self.heard.get(house.unit_id, ())[-8:]),
        )

    def _perform(self, plan: MasterPlan) -> None:
        """Do what the plan says, part by part; the master may die after any part."""
        if plan.stops or plan.sends:
            self.acted.append((self.now_s, self.act_until_s))
        for send in plan.stops:
            self._deliver(send.unit_id, send.command)
        if self._dies():
            self._note_unrecorded({s.unit_id for s in plan.stops})
            return
        if plan.puts and not self.store_up:
            self.memory = plan.memory_if_refused
            return
        self._write(plan)
        if plan.puts and self.forget_next:
            self.forget_next -= 1
            self.memory = plan.memory_if_refused
            self.touch()
            return
        if plan.puts and self._dies():
            return
        for send in plan.sends:
            self.commands.append(str(send))
            self._deliver(send.unit_id, send.command)
            if self._dies():
                return
        for record in plan.appends:
            self.stream.setdefault(record.deal_id, []) or self.stream[record.deal_id].append(record)
            self.touch()
            if self._dies():
                return
        self.problems += [str(p) for p in plan.problems]
        self.replies += plan.replies
        self.orders = tuple(o for o in self.orders if o.order_id not in {r.order_id for r in plan.replies})
        for unit_id in plan.announce:
            if self.now_s - self.announced_s.get(unit_id, float("-inf")) >= 1.0:
                self.announced_s[unit_id] = self.now_s
                self._tell(unit_id, Announced(self.epoch))
        for unit_id in plan.reads:
            self._tell(unit_id, ReadWanted(full=True))
        self.memory = plan.memory

    def _note_unrecorded(self, stopped: set[str]) -> None:
        # Who holds the voltage carries what the stopped ones do not any more.
        concerned = stopped | ({self.grid.holder} if stopped else set())
        for deal_id, deal in self.deals.items():
            samples = [side.sample for side in (deal.detail.charge, deal.detail.discharge) if side.sample is not None]
            if deal.detail.flowing and samples and concerned.intersection(deal.record.units):
                house = self.houses[deal.record.charge_unit_id]
                self.unrecorded_s[deal_id] = min((s.at_s - START_UNIT_S) / house.rate for s in samples)

    def _write(self, plan: MasterPlan) -> None:
        for put in plan.puts:
            assert self.revision_of(put.key) == put.revision, put.key
        for put in plan.puts:
            self.put(put.key, put.value)
        self.switched |= {i for i, d in self.deals.items() if d.switched}

    def _dies(self) -> bool:
        if self.crash_after is None:
            return False
        self.crash_after -= 1
        if self.crash_after > 0:
            return False
        self.crash_after = None
        self.kill_master()
        return True

    def refresh_all(self) -> None:
        if self.master_alive and self.now_s < self.act_until_s:
            self.refresh += 1
            for unit_id, deal_ids in self.last_plan.refresh.items():
                self._tell(unit_id, Refreshed(self.epoch, self.refresh, deal_ids))
        self.at(self.now_s + 1.5, None, "refresh_all")

    def _deliver(self, unit_id: str, command: Command) -> None:
        """Hand a command over; one that is late may be overtaken by a stop."""
        delay_s = 0.0 if command.name.stops else self.late_next.pop(unit_id, 0.0)
        if delay_s:
            self.late_until_s = self.now_s + delay_s + 1.0
            self.late_deals.add(command.deal_id)
        self.at(self.now_s + delay_s, None, "hand_over", unit_id, command)

    def hand_over(self, unit_id: str, command: Command) -> None:
        """A command arrives."""
        self.houses[unit_id].deal_of[command.epoch.number, command.seq] = command.deal_id
        if command.name.stops:
            self.last_stop[unit_id] = command.seq
        elif command.epoch == self.epoch and command.seq < self.last_stop.get(unit_id, 0):
            self.overtaken += 1
        self._tell(unit_id, Ordered(command))

    def _tell(self, unit_id: str, event: Any) -> None:
        self.at(self.now_s + NET_S, unit_id, "get", event)

    def hear(self, house: House, outcome: Outcome, *, acknowledging: bool = False) -> None:
        """An outcome reaches the master."""
        if self.master_alive and (acknowledging or outcome.epoch == self.epoch):
            self.heard.setdefault(house.unit_id, []).append(Heard(outcome, self.now_s))
            self.touch()

    def tell_all(self, from_unit: str) -> None:
        """*Voltage going*, heard by everybody who can be reached."""
        for unit_id in self.houses:
            self._tell(unit_id, VoltageGoing(from_unit))

    # -- what must always hold ----------------------------------------------------------------------------------------

    def check(self) -> None:
        """Invariants of the safety case that can be seen from outside at any moment."""
        holding = [h for h in self.houses.values() if h.mode is VR]
        assert len(holding) <= 1 or self._hands_over(holding), f"two voltage references\n{self.describe()}"
        self._check_duration(holding)
        for unit_id, house in self.houses.items():
            self.peak_a[unit_id] = max(self.peak_a.get(unit_id, 0.0), abs(house.grid_current_a()))
            if house.mode is not WAIT and house.unit_id not in self.active.units and not self.amnesia:
                assert self.lock(house.unit_id).exclusion, f"{house.unit_id} not in `active`\n{self.describe()}"
        assert all(len(records) == 1 for records in self.stream.values())
        assert all(at_s < until_s for at_s, until_s in self.acted)
        assert self.epochs == sorted(set(self.epochs))

    def _hands_over(self, holding: list[House]) -> bool:
        """Whether these units hold the voltage together as they should: both droop, by the record or the last one."""
        pairs = ({self.grid.holder, self.grid.next_holder}, self.forgotten_pair)
        return len(holding) == 2 and {h.unit_id for h in holding} in pairs and all(h.droop > 0 for h in holding)

    def _check_duration(self, holding: list[House]) -> None:
        """Two hold the voltage for no longer than until the own time of one that is cut off meanwhile is over.

        A new master has the hand-over's time anew. A machine that is dead as a whole is nobody's to stop.
        """
        if len(holding) == 2:
            self.two_since_s = min(self.two_since_s, self.now_s)
            self.two_for_long = self.two_for_long or any(h.record is None and not h.guarded for h in holding)
            return
        since_s = max(self.two_since_s, self.term_started_s, self.troubled_s)
        limit_s = dict(self.times)["holder_dead_man_s"] + 1.0
        assert self.two_for_long or self.now_s - since_s <= limit_s, f"two for too long\n{self.describe()}"
        self.two_since_s, self.two_for_long = float("inf"), False

    def describe(self) -> str:
        """Everything, for a failed assertion."""
        lines = [f"now {self.now_s:.2f} bus {self.bus.voltage_v:.1f} V waiting {self.last_plan.waiting}"]
        lines.append(f"grid {self.grid.to_document()}")
        lines.append(f"active {sorted(self.active.units)} epoch {self.epoch} alive {self.master_alive}")
        lines += [
            f"{h.unit_id} {h.mode.name} {h.target_a} A {h.record.state if h.record else 'dead'} up {h.up} {h.told[-3:]}"
            for h in self.houses.values()
        ]
        lines += [
            f"{d.record.deal_id} {d.state} {json.dumps(d.detail.to_document())} {d.open_command}"
            for d in self.deals.values()
        ]
        lines += self.commands[-14:]
        lines += self.problems[-6:]
        return "\n".join(lines)


def thaw(frozen: bytes) -> World:
    """A world of its own, as it was frozen."""
    world: World = pickle.loads(frozen)  # noqa: S301  # our own bytes
    return world
