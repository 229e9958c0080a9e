"""Three nodes, a store and time: the chart of the Grid Master under losses, suspensions, a store that goes back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from apis_rules.charts import Machine, bundled_chart, compile_chart
from apis_rules.charts.grid_master import (
    EFFECTS,
    Announce,
    AskForLease,
    Mastership,
    ReleaseLease,
    Seen,
    Situation,
    StopActing,
    mastership_facts,
    successor_of,
)
from apis_rules.charts.lease import Strategy, claim_wait_s, find_amnesia, must_outrank, rank_candidates
from apis_rules.ports.types import Epoch, EpochRelation

NAMES = ["E001", "E002", "E003"]
TICK_S = 0.25
FATES = st.sampled_from(["ok", "no ack", "lost"])


@dataclass(frozen=True)
class Times:
    life_s: float = 5
    renewal_s: float = 1.5
    limit_s: float = 1
    margin_s: float = 0.5
    election_s: float = 0
    dead_man_s: float = 12


TIMES = Times()
MACHINE: Machine[Mastership] = compile_chart(
    bundled_chart("grid_master"), EFFECTS, {"margin_s": 0.5, "hand_over_s": 12}
)
ACTING = frozenset(name for name in MACHINE.chart.leaves if "stop" in MACHINE.chart.allows(name))


@dataclass
class Store:
    """The lease and the epoch, by the store's own clock; ``revision`` grows with every write."""

    owner: str | None = None
    ends_s: float = 0
    epoch: Epoch = field(default_factory=lambda: Epoch(number=0, term_id="none"))
    revision: int = 0

    def free(self, now_s: float) -> bool:
        return self.owner is None or now_s >= self.ends_s


@dataclass
class Node:
    """One node: its record and timers, and what it knows."""

    name: str
    record: Mastership = field(default_factory=Mastership)
    timers: Any = None
    epoch: Epoch | None = None
    sent_at_s: float | None = None
    renewed_at_s: float = 0
    free_since_s: float | None = None
    seen_revision: int = 0
    suspended_until_s: float = 0
    cut: bool = False
    halted: bool = False
    answered: set[str] = field(default_factory=set)


class Community(RuleBasedStateMachine):
    """Time passes in quarter seconds. Every unit persists the highest epoch it has seen and refuses lower ones."""

    @initialize(strategy=st.sampled_from(list(Strategy)), holder=st.sampled_from([None, *NAMES]))
    def begin(self, strategy: Strategy, holder: str | None) -> None:
        self.now_s, self.store = 100.0, Store()
        self.nodes = {name: Node(name) for name in NAMES}
        self.highest: dict[str, Epoch] = {}
        self.obeyed: list[tuple[str, Epoch]] = []
        self.started: list[Epoch] = []
        self.went_back_s = -1e9
        self.preferred = rank_candidates(strategy, holder, ["E002", "E003"])
        self.faults: list[str] = []

    # --- what may happen

    @rule(
        seconds=st.sampled_from([0.25, 1, 3, 8]), faults=st.lists(st.sampled_from(["ok", "no ack", "lost"]), max_size=4)
    )
    def time_passes(self, seconds: float, faults: list[str]) -> None:
        """Let time pass; the next renewals and acquisitions go as *faults* say."""
        self.faults = list(faults)
        for _ in range(int(seconds / TICK_S)):
            self.now_s += TICK_S
            for node in self.nodes.values():
                if self.now_s >= node.suspended_until_s:
                    self.step(node)

    @rule(name=st.sampled_from(NAMES), seconds=st.sampled_from([2, 6, 20]))
    def suspend(self, name: str, seconds: float) -> None:
        self.nodes[name].suspended_until_s = self.now_s + seconds

    @rule(name=st.sampled_from(NAMES), cut=st.booleans())
    def cut_off(self, name: str, cut: bool) -> None:
        self.nodes[name].cut = cut

    @rule(name=st.sampled_from(NAMES), halted=st.booleans())
    def halt(self, name: str, halted: bool) -> None:
        node = self.nodes[name]
        node.halted = halted
        if halted and self.now_s >= node.suspended_until_s:
            self.send(node, "halt")

    @rule()
    def store_goes_back(self) -> None:
        """Restore the store from the time before the first term."""
        self.store = Store()
        self.went_back_s = self.now_s

    @rule(holder=st.sampled_from(NAMES))
    def voltage_moves(self, holder: str) -> None:
        if len(self.preferred) == 1:
            self.preferred = (holder,)

    # --- what a node does

    def step(self, node: Node) -> None:
        due = MACHINE.next_deadline(node.timers) if node.timers else None
        if due is not None and due.at_s <= self.now_s:
            self.send(node, due.event)
        if node.record.state in ACTING:
            self.renew(node)
            self.send(node, "pass")
        if node.record.state in ACTING and node.epoch is not None:
            self.look_for_amnesia(node)
        if node.record.state not in ACTING:
            free = not node.cut and self.store.free(self.now_s)
            node.free_since_s = (node.free_since_s or self.now_s) if free else None
            self.send(node, "look")
        if not node.cut:
            node.seen_revision = max(node.seen_revision, self.store.revision)
        if "start" in MACHINE.chart.allows(node.record.state):
            self.command(node)

    def present(self) -> set[str]:
        return {n.name for n in self.nodes.values() if not n.cut and not n.halted}

    def successor(self, node: Node) -> str | None:
        return successor_of(node.record, node.name, self.preferred, self.present(), self.now_s)

    def situation(self, node: Node) -> Situation:
        return Situation(
            now_s=self.now_s,
            sent_at_s=node.sent_at_s,
            free_since_s=node.free_since_s,
            claim_wait_s=claim_wait_s(node.name, self.preferred, self.present(), TIMES),
            may_claim=not node.cut and not node.halted,
            holder_answered=True,
            all_answered=node.answered == set(NAMES),
            picture_current=not node.cut,
            grid_agrees=True,
            successor_ready=self.successor(node) is not None,
            must_outrank=node.epoch is not None and must_outrank(node.epoch, self.highest.values()),
        )

    def send(self, node: Node, event: str, amnesia: str = "") -> None:
        situation = self.situation(node)
        highest = max((e.number for e in self.highest.values()), default=0)
        seen = Seen(self.now_s, self.successor(node) or "", amnesia, highest)
        plan = MACHINE.advance(node.record, event, mastership_facts(node.record, situation, TIMES), seen)
        assert plan.record.state not in ACTING or node.sent_at_s is not None or event == "granted"
        timers = node.timers or MACHINE.start_timers(node.record.state, self.now_s)
        node.record, node.timers = plan.record, MACHINE.move_timers(timers, plan, self.now_s)
        for command in plan.commands:
            self.perform(node, command)

    def perform(self, node: Node, command: object) -> None:
        match command:
            case AskForLease(highest):
                self.acquire(node, highest)
            case StopActing():
                node.sent_at_s = None
            case ReleaseLease():
                if not node.cut and self.store.owner == node.name and self.store.epoch == node.epoch:
                    self.store.owner = None
            case Announce():
                for name in NAMES:
                    self.tell(node, name)

    def tell(self, node: Node, unit: str) -> None:
        assert node.epoch is not None
        if node.epoch.relation_to(self.highest.get(unit)) in (EpochRelation.NEWER, EpochRelation.SAME):
            self.highest[unit] = node.epoch
            node.answered.add(unit)

    def command(self, node: Node) -> None:
        assert node.epoch is not None
        assert node.sent_at_s is not None
        assert self.now_s < node.sent_at_s + TIMES.life_s - TIMES.margin_s
        for unit in NAMES:
            if node.epoch.relation_to(self.highest.get(unit)) in (EpochRelation.NEWER, EpochRelation.SAME):
                self.highest[unit] = node.epoch
                self.obeyed.append((unit, node.epoch))

    def fate(self) -> str:
        return self.faults.pop(0) if self.faults else "ok"

    def acquire(self, node: Node, highest: int) -> None:
        fate = "lost" if node.cut else self.fate()
        if fate == "lost":
            self.send(node, "unanswered")
        elif not self.store.free(self.now_s):
            self.send(node, "refused")
        else:
            number = max(self.store.epoch.number, highest) + 1
            epoch = Epoch(number=number, term_id=f"{node.name}@{self.now_s}")
            self.store = Store(node.name, self.now_s + TIMES.life_s, epoch, self.store.revision + 2)
            if fate == "no ack":
                self.send(node, "unanswered")
                return
            self.started.append(epoch)
            node.epoch, node.sent_at_s, node.renewed_at_s, node.answered = epoch, self.now_s, self.now_s, set()
            self.send(node, "granted")

    def renew(self, node: Node) -> None:
        if node.sent_at_s is None or self.now_s < node.renewed_at_s + TIMES.renewal_s:
            return
        node.renewed_at_s = self.now_s
        fate = "lost" if node.cut else self.fate()
        if fate == "lost":
            return
        if self.store.owner != node.name or self.store.epoch != node.epoch or self.store.free(self.now_s):
            self.send(node, "fenced")
            return
        self.store.ends_s, self.store.revision = self.now_s + TIMES.life_s, self.store.revision + 1
        if fate == "ok":
            node.sent_at_s = self.now_s

    def look_for_amnesia(self, node: Node) -> None:
        assert node.epoch is not None
        revision = node.seen_revision if node.cut else self.store.revision
        reason = find_amnesia(node.epoch, revision, node.seen_revision, self.highest)
        if reason is not None:
            node.seen_revision = revision
            self.send(node, "amnesia", reason)

    # --- what holds

    @invariant()
    def one_acts(self) -> None:
        """No two nodes act at the same instant, unless the store itself has just been put back."""
        if not hasattr(self, "nodes") or self.now_s - self.went_back_s < TIMES.life_s:
            return
        acting = [
            n.name
            for n in self.nodes.values()
            if n.record.state in ACTING
            and n.sent_at_s is not None
            and self.now_s < n.sent_at_s + TIMES.life_s - TIMES.margin_s
        ]
        assert len(acting) <= 1, acting

    @invariant()
    def epochs_only_grow(self) -> None:
        """What a unit obeys never goes back, nor to another term of the same number."""
        last: dict[str, Epoch] = {}
        for unit, epoch in getattr(self, "obeyed", ()):
            assert epoch.relation_to(last.get(unit)) in (EpochRelation.NEWER, EpochRelation.SAME)
            last[unit] = epoch

    def teardown(self) -> None:
        """When nothing disturbs them any more, the nodes have one master, the one that the strategy wants."""
        if not hasattr(self, "nodes"):
            return
        for node in self.nodes.values():
            node.cut, node.halted, node.suspended_until_s = False, False, 0
        for _ in range(12):
            self.time_passes(8, [])
        leading = [n.name for n in self.nodes.values() if n.record.state == "leading"]
        assert len(leading) == 1
        assert not self.preferred or leading == [self.preferred[0]]


Community.TestCase.settings = settings(max_examples=60, stateful_step_count=20)
TestCommunity = Community.TestCase
