"""The *grid master* (specification 3.2, 7): in one node at a time, commands all converters.

Whether this node is the master is decided by ``statecharts/grid_master.yaml``; what the master does next, by the pure
planner over ``grid.yaml`` and ``deal.yaml``. Here stand the lease, the messages and the order in which a plan is
performed: what stops leaves at once; then the records are written, in this term's name; then commands leave.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from apis_rules.charts.grid_master import (
    Announce,
    AskForLease,
    BeginTerm,
    Mastership,
    ReleaseLease,
    ReportAmnesia,
    Seen,
    Situation,
    StopActing,
    StopCommunity,
    mastership_facts,
    successor_of,
)
from apis_rules.charts.lease import Strategy, acts_until_s, claim_wait_s, find_amnesia, rank_candidates
from apis_rules.charts.lease import must_outrank as outranked
from apis_rules.charts.master import Memory, Picture, ReactionKind, Stored, UnitLimits
from apis_rules.errors import Conflict, Fenced, Outage, Refused, Unknown
from apis_rules.node import messages
from apis_rules.node.neighbours import Neighbours
from apis_rules.node.records import MODE, ModeRecord
from apis_rules.node.unit_clock import format_utc
from apis_rules.ports.state import At, Write
from apis_rules.ports.types import OperationMode

if TYPE_CHECKING:
    import random
    from collections.abc import Coroutine, Mapping, Sequence

    from apis_rules.charts.machine import Machine, Timers
    from apis_rules.charts.master import MasterPlan, Send
    from apis_rules.charts.master.planner import Planner
    from apis_rules.node.board import Board
    from apis_rules.node.continuity import Continuity
    from apis_rules.node.errors import Errors
    from apis_rules.node.global_safety import GlobalSafety
    from apis_rules.node.supervision import Progress
    from apis_rules.ports.bundle import CommunityPorts
    from apis_rules.ports.lease import LeaseState, Term
    from apis_rules.ports.types import DealRecord, Epoch

DEALLOG: Final = "DEALLOG"
CARRIER: Final = "gm.pass"
"""A key of its own carries the fence of a batch whose other parts depend on their own revisions."""

MASTER_KEY: Final = "master"
"""In the bucket of what units say of themselves."""

PUBLISHED_LIFE_S: Final = 20
READ_PAUSE_S: Final = 0.1
WATCH_S: Final = 0.5
"""A unit that is in play is read again when its last reading is so old."""

SCRAMMING_GRID: Final = frozenset({"stopping_parties", "stopping_voltage", "falling"})
DRAINING_GRID: Final = SCRAMMING_GRID | {"draining", "releasing"}
"""States of the grid record from which it only goes on to a dead bus, at once or in order."""

LEASE_REQUESTS: Final = 4
"""Taking the lease is so many requests to the store, one after the other."""

UNDER_WAY: Final = float("inf")
OWN_WATCH_S: Final = 1.5
"""The master reads its own unit so often in any case: a bus it has watched is known to be dead before a deal asks."""

READ_LIMIT_S: Final = 7.0
ANNOUNCE_LIMIT_S: Final = 5.0
"""A unit that is carrying out an older command, or was started anew, is asked again after this time."""

LONGEST_PAUSE_S: Final = 1.0
READY_S: Final = 10.0
"""A unit to which mastership may be offered was read within this time."""


@dataclass(slots=True)
class Reign:
    """What lives as long as a term.

    Attributes:
        refresh: number of the last refresh.
        renewed: whether the last renewal was acknowledged in time.
        own_revision: of the last batch written in this term; the picture must contain it.
    """

    term: Term
    started_s: float
    tasks: list[asyncio.Task[None]]
    memory: Memory = field(default_factory=Memory)
    plan: MasterPlan | None = None
    refresh: int = 0
    renewed: bool = True
    own_revision: int = 0
    recorded: frozenset[str] = frozenset()
    fenced: bool = False


class GridMaster:
    """One node's share in the mastership, and the Grid Master itself while this node is it."""

    def __init__(
        self,
        machine: Machine[Mastership],
        planner: Planner,
        ports: CommunityPorts,
        board: Board,
        errors: Errors,
        safety: GlobalSafety,
        continuity: Continuity,
        progress: Progress,
        times: Any,
        source: random.Random,
    ) -> None:
        self._machine = machine
        self._planner = planner
        self._ports = ports
        self._board = board
        self._errors = errors
        self._safety = safety
        self._continuity = continuity
        self._progress = progress
        self._times = times
        self._random = source
        self._mastership = Mastership()
        self._timers: Timers = machine.start_timers(self._mastership.state, ports.clock.now_s())
        hardware = board.documents.hw_config
        self.neighbours = Neighbours(
            UnitLimits(
                hardware.grid_current_capacity_a,
                hardware.grid_current_allowance_a,
                hardware.efficient_battery_grid_voltage_ratio,
            )
        )
        self._reign: Reign | None = None
        self._lease: LeaseState | None = None
        self._free_since_s: float | None = None
        self._wake = asyncio.Event()
        self._tasks: asyncio.TaskGroup | None = None
        self._reading: dict[str, float] = {}
        self._read_again: set[str] = set()
        self._announcing: set[str] = set()
        self._halted = False
        self._paused = False
        self._idle = asyncio.Event()
        self._idle.set()

    def exchange_planner(self, planner: Planner) -> None:
        """Go by other settings from the next pass on."""
        self._planner = planner

    @property
    def plan(self) -> MasterPlan | None:
        """The last plan of this term, None where this node is not the master."""
        return self._reign.plan if self._reign else None

    async def run(self) -> None:
        """Serve until cancelled."""
        async with (
            asyncio.TaskGroup() as tasks,
            self._ports.bus.serve(self._board.identity.unit_id, messages.TAKE_OVER, self._offered),
            self._ports.commands.outcomes() as outcomes,
        ):
            self._tasks = tasks
            tasks.create_task(self._watch_lease())
            tasks.create_task(self._watch_board())
            tasks.create_task(self._hear_outcomes(outcomes))
            await self._loop()

    def halt(self) -> None:
        """Be master no longer, so that another candidate need not wait; this node does not take the lease again."""
        self._halted = True
        self._wake.set()

    async def until_halted(self, within_s: float) -> None:
        """Return when the lease is given back, or when time is out: then it ends by itself."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._idle.wait()

    def pause_candidacy(self) -> None:
        """Give the lease back now; after an error of this unit another one shall be master, until it is over."""
        self._paused = True
        self._wake.set()

    # The mastership.

    async def _loop(self) -> None:
        while True:
            self._progress.beat()
            self._wake.clear()
            now_s = self._ports.clock.now_s()
            deadline = self._machine.next_deadline(self._timers)
            if deadline is not None and deadline.at_s <= now_s:
                await self._advance(deadline.event)
            elif self._reign is None:
                await self._advance("halt" if self._halted else "look")
            else:
                await self._pass(self._reign)
            await self._pause()

    async def _pause(self) -> None:
        """Wait for a change, or for the next moment at which something is due."""
        now_s = self._ports.clock.now_s()
        until_s = now_s + LONGEST_PAUSE_S
        if self._reign is not None and self._reign.plan is not None:
            until_s = min(until_s, self._reign.plan.next_deadline_s)
            if self._reign.plan.refresh:
                until_s = min(until_s, now_s + WATCH_S)
        if self._reign is None and self._free_since_s is not None:
            until_s = min(until_s, now_s + 0.1)
        deadline = self._machine.next_deadline(self._timers)
        if deadline is not None:
            until_s = min(until_s, deadline.at_s)
        try:
            async with asyncio.timeout(max(0.01, until_s - now_s)):
                await self._wake.wait()
        except TimeoutError:
            return

    async def _advance(self, event: str) -> None:
        """Put an event to the mastership's chart and perform what follows."""
        situation, seen = self._situation()
        facts = mastership_facts(self._mastership, situation, self._times)
        plan = self._machine.advance(self._mastership, event, facts, seen)
        self._mastership = plan.record
        self._timers = self._machine.move_timers(self._timers, plan, situation.now_s)
        for command in plan.commands:
            match command:
                case StopActing():
                    self._end_term()
                case ReleaseLease():
                    await self._release()
                case AskForLease(highest_reported):
                    await self._acquire(highest_reported)
                case BeginTerm() | Announce():
                    # The term began when the lease was granted; whom to announce it to, the planner says.
                    pass
                case StopCommunity():
                    await self._stop_community()
                case ReportAmnesia(reason):
                    self._errors.raise_event("amnesia", reason)
                case _:
                    raise TypeError(f"the chart of the mastership asks for {command!r}")

    def _situation(self) -> tuple[Situation, Seen]:
        now_s = self._ports.clock.now_s()
        reign = self._reign
        plan = reign.plan if reign else None
        reported = {u.unit_id: u.epoch for u in self.neighbours if u.epoch is not None}
        amnesia = self._amnesia(reign.term.epoch, reported) if reign else None
        successor = self._successor(now_s)
        situation = Situation(
            now_s=now_s,
            sent_at_s=reign.term.sent_at_s if reign else None,
            free_since_s=self._free_since_s,
            claim_wait_s=self._claim_wait_s(),
            may_claim=self._may_claim(),
            holder_answered=plan.holder_answered if plan else False,
            all_answered=plan.all_answered if plan else False,
            picture_current=self._picture_complete(reign) if reign else False,
            grid_agrees=plan.grid_agrees if plan else False,
            successor_ready=successor is not None,
            busy=plan.busy if plan else False,
            store_went_back=amnesia is not None,
            must_outrank=outranked(reign.term.epoch, reported.values()) if reign else False,
        )
        highest = max((e.number for e in reported.values()), default=0)
        return situation, Seen(now_s, successor or "", amnesia or "", highest)

    def _amnesia(self, own: Epoch, reported: Mapping[str, Epoch]) -> str | None:
        records = self._board.records
        if not records.fresh:
            return None
        return find_amnesia(own, records.revision, self._continuity.seen_revision, reported)

    def _may_claim(self) -> bool:
        board = self._board
        member = board.identity.unit_id in board.documents.policy.member_unit_ids
        if self._paused and not self._errors.local_present:
            self._paused = False
        free = not (self._halted or self._paused or board.observing)
        return member and free and "master" in board.allowed and board.records.fresh

    def _preferred(self) -> tuple[str, ...]:
        selection = self._board.documents.policy.grid_master.grid_master_selection
        holder = self._board.records.grid()[0].holder
        fixed = (selection.fixed_unit_id,) if selection.fixed_unit_id else ()
        return rank_candidates(Strategy(selection.strategy), holder, (*fixed, *selection.candidate_unit_ids))

    def _claim_wait_s(self) -> float:
        # Who is present only the master knows. A preferred unit that is not there costs the others a short wait.
        members = self._board.documents.policy.member_unit_ids
        return claim_wait_s(self._board.identity.unit_id, self._preferred(), members, self._times)

    def _successor(self, now_s: float) -> str | None:
        if self._reign is None:
            return None
        ready = [
            u.unit_id for u in self.neighbours if u.acknowledged and now_s - u.read_at_s < 2 * LONGEST_PAUSE_S + 1.0
        ]
        own = self._board.identity.unit_id
        return successor_of(self._mastership, own, self._preferred(), ready, now_s)

    async def _acquire(self, highest_reported: int) -> None:
        try:
            with self._progress.waiting(LEASE_REQUESTS * self._times.limit_s):
                term = await self._ports.lease.acquire(self._board.identity.unit_id, highest_reported)
        except (Outage, Unknown, Refused):
            await self._advance("unanswered")
            return
        if term is None:
            await self._advance("refused")
            return
        self._begin_term(term)
        await self._advance("granted")

    def _begin_term(self, term: Term) -> None:
        self.neighbours.begin_term()
        self._safety.begin_term()
        self._announcing.clear()
        self._reign = Reign(term, self._ports.clock.now_s(), [])
        self._reign.tasks.append(self._start(self._renew(self._reign)))
        self._reign.tasks.append(self._start(self._collect(self._reign)))
        self._idle.clear()
        self._board.is_master = True
        self._board.changed("master")

    def _end_term(self) -> None:
        if self._reign is None:
            return
        for task in self._reign.tasks:
            task.cancel()
        self._reading.clear()
        self._read_again.clear()
        self._released = self._reign.term
        self._reign = None
        self._board.is_master = False
        self._board.changed("master")

    async def _release(self) -> None:
        with contextlib.suppress(Outage, Unknown, Refused):  # the lease ends by its time limit
            await self._ports.lease.release(self._released)
        self._idle.set()

    async def _stop_community(self) -> None:
        record = ModeRecord(mode=OperationMode.STOP, reason="shared state was lost or went back", amnesia=True)
        try:
            await self._ports.ctl.write(Write(MODE, record.to_json()))
        except (Outage, Unknown, Refused) as error:
            # The store is still behind what this node has seen, so the next pass comes here again.
            self._errors.note(f"mode stop not written: {error}")
        else:
            self._continuity.accept()

    async def _offered(self, body: bytes) -> bytes:
        """A master that resigns says so; the watch on the lease would tell it as well, a little later."""
        self._wake.set()
        return body

    async def _watch_lease(self) -> None:
        async for state in self._ports.lease.changes():
            self._lease = state
            if state.holder is not None:
                self._free_since_s = None
            elif self._free_since_s is None:
                self._free_since_s = self._ports.clock.now_s()
            self._wake.set()

    async def _watch_board(self) -> None:
        async for what in self._board.changes():
            if what == "records":
                self._wake.set()
                self._look_at_reaction()

    def _look_at_reaction(self) -> None:
        """Where another node is master, what its records show of a stop is enough: whoever follows goes on with it."""
        records = self._board.records
        reaction = self._errors.reaction
        if self._reign is not None or reaction is None or not records.fresh:
            return
        state = records.grid()[0].state
        stopping = SCRAMMING_GRID if reaction.kind is ReactionKind.SCRAM else DRAINING_GRID
        if state in stopping or (state == "dead" and not records.active()[0].units):
            self._errors.reaction_done()

    # The lease task: renews, and with each acknowledged renewal refreshes the units.

    async def _renew(self, reign: Reign) -> None:
        while True:
            await asyncio.sleep(self._times.renewal_s)
            if not self._progress.alive:
                # A master whose loop stands still must lose its lease.
                continue
            try:
                async with asyncio.timeout(2 * self._times.limit_s):
                    reign.term = await self._ports.lease.renew(reign.term)
            except Fenced:
                reign.fenced = True
                self._wake.set()
                return
            except (Outage, Unknown, Refused, TimeoutError):
                reign.renewed = False
                self._wake.set()
                continue
            reign.renewed = True
            self._send_refreshes(reign)
            self._wake.set()

    def _send_refreshes(self, reign: Reign) -> None:
        reign.refresh += 1
        for unit_id, deal_ids in (reign.plan.refresh if reign.plan else {}).items():
            refresh = messages.Refresh(epoch=reign.term.epoch, number=reign.refresh, deal_ids=tuple(deal_ids))
            self._start(self._refresh(unit_id, refresh))

    async def _refresh(self, unit_id: str, refresh: messages.Refresh) -> None:
        try:
            await self._ports.bus.ask(unit_id, messages.REFRESH, refresh.to_json(), self._times.limit_s)
        except (Outage, Unknown, Refused):
            return  # the next renewal brings the next one; a unit without any ends by itself

    # A pass of the master.

    async def _pass(self, reign: Reign) -> None:
        if reign.fenced:
            await self._advance("fenced")
            return
        if self._halted or self._paused:
            await self._advance("halt")
            return
        situation, _ = self._situation()
        if situation.store_went_back:
            await self._advance("amnesia")
            return
        await self._advance("pass")
        if self._reign is not reign:
            return
        picture = self._picture(reign)
        plan = self._planner.plan(picture, self._ports.clock.now_s())
        reign.plan = plan
        await self._perform(reign, plan)

    def _picture_complete(self, reign: Reign) -> bool:
        records = self._board.records
        return records.fresh and records.epoch() == reign.term.epoch and records.revision >= reign.own_revision

    def _picture(self, reign: Reign) -> Picture:
        records, clock = self._board.records, self._ports.clock
        grid, active, mode = records.grid(), records.active(), records.mode()
        return Picture(
            complete=self._picture_complete(reign),
            epoch=reign.term.epoch,
            term_started_s=reign.started_s,
            act_until_s=acts_until_s(reign.term.sent_at_s, self._times),
            refresh=reign.refresh,
            grid=Stored(*grid),
            active=Stored(*active),
            mode=self._board.community_mode,
            utc=format_utc(clock.utc_s()),
            local_s=self._board.unit_time_s(),
            units={unit.unit_id: unit.picture() for unit in self.neighbours},
            deals={i: Stored(*deal) for i, deal in records.deals().items()},
            locks={i: Stored(*lock) for i, lock in records.locks().items()},
            stop_requests={
                deal_id: {unit_id: Stored(request.reason, revision) for unit_id, (request, revision) in by_unit.items()}
                for deal_id, by_unit in records.stop_requests().items()
            },
            renewed=reign.renewed,
            amnesia=bool(mode and mode.amnesia),
            sustaining=self._errors.community_sustaining,
            reaction=self._errors.reaction,
            recorded=reign.recorded,
            draws=tuple(self._random.random() for _ in range(16)),
            memory=reign.memory,
        )

    async def _perform(self, reign: Reign, plan: MasterPlan) -> None:
        for stop in plan.stops:
            self._start(self._send_stop(stop))
        self._read(reign, plan)
        self._announce(reign, plan.announce)
        for problem in plan.problems:
            self._errors.raise_problem(problem, reign.term.epoch)
        if plan.puts and not await self._put(reign, plan):
            reign.memory = plan.memory_if_refused
            return
        reign.memory = plan.memory
        for send in plan.sends:
            if self._ports.clock.now_s() >= acts_until_s(reign.term.sent_at_s, self._times):
                return
            self._progress.beat()
            await self._send(reign, send)
        for record in plan.appends:
            self._progress.beat()
            await self._append(reign, record)
        if plan.still:
            self._errors.reaction_done()

    async def _put(self, reign: Reign, plan: MasterPlan) -> bool:
        """Write the records of a plan in one step; return whether they are known to be written."""
        carrier = Write(CARRIER, json.dumps({"epoch": reign.term.epoch.number}).encode(), reign.term.fence)
        parts = [Write(p.key, p.value, At(p.key, p.revision)) for p in plan.puts]
        try:
            reign.own_revision = await self._ports.ctl.write(carrier, *parts)
        except (Conflict, Outage, Unknown, Refused) as error:
            # Somebody else wrote one of them, or nobody knows: the next picture shows what is true.
            self._errors.note(f"records not written: {error}")
            return False
        return True

    async def _send_stop(self, stop: Send) -> None:
        try:
            await self._ports.commands.send_stop(stop.unit_id, stop.command)
        except Outage:
            self._errors.note(f"{stop} not sent: not connected")

    async def _send(self, reign: Reign, send: Send) -> None:
        try:
            await self._ports.commands.send(send.unit_id, send.command, reign.term)
        except Fenced:
            reign.fenced = True
            self._wake.set()
        except (Outage, Unknown, Refused) as error:
            # The planner sends it again with the same number.
            self._errors.note(f"{send} not sent: {error}")

    async def _append(self, reign: Reign, record: DealRecord) -> None:
        try:
            await self._ports.streams.append(
                DEALLOG, record.deal_id, record.to_json(), message_id=record.deal_id, expected_last=0
            )
        except Conflict:
            pass  # it is there already, written by this term or an earlier one
        except (Outage, Unknown, Refused) as error:
            self._errors.note(f"record of deal {record.deal_id} not stored yet: {error}")
            return
        reign.recorded |= {record.deal_id}
        self._wake.set()

    # Readings and announcements.

    def _read(self, reign: Reign, plan: MasterPlan) -> None:
        """Ask for what the plan wants now, and keep the readings of all units in play young."""
        now_s = self._ports.clock.now_s()
        # What is being read was asked for before the plan wished for it: it may show what was before a switch.
        self._read_again.update(u for u in plan.reads if self._reading.get(u) == UNDER_WAY)
        old = [u for u in plan.refresh if now_s - self.neighbours.of(u).read_at_s >= WATCH_S]
        own = self._board.identity.unit_id
        if now_s - self.neighbours.of(own).read_at_s >= OWN_WATCH_S:
            old.append(own)
        for unit_id in dict.fromkeys([*plan.reads, *old]):
            ended_s = self._reading.get(unit_id, float("-inf"))
            if ended_s != UNDER_WAY:
                self._reading[unit_id] = UNDER_WAY
                reign.tasks.append(self._start(self._read_one(unit_id, ended_s + READ_PAUSE_S - now_s)))
        reign.tasks = [t for t in reign.tasks if not t.done()]

    async def _read_one(self, unit_id: str, pause_s: float) -> None:
        await asyncio.sleep(max(0.0, pause_s))
        self._read_again.discard(unit_id)
        await self._ask_for_reading(unit_id)
        while unit_id in self._read_again:
            self._read_again.discard(unit_id)
            await self._ask_for_reading(unit_id)
        self._reading[unit_id] = self._ports.clock.now_s()

    async def _ask_for_reading(self, unit_id: str) -> None:
        asked_at_s = self._ports.clock.now_s()
        try:
            body = await self._ports.bus.ask(
                unit_id, messages.DATA, messages.DataWanted(fresh=True).to_json(), READ_LIMIT_S
            )
            # Read after it was asked; how long the answer took nobody knows, and a process may be suspended meanwhile.
            report = messages.read_message(messages.UnitReport, body)
            self.neighbours.take_report(report, asked_at_s)
        except (Outage, Unknown, Refused):
            return  # it stays unread, which the planner sees by the age of its last reading
        finally:
            self._wake.set()

    async def _collect(self, reign: Reign) -> None:
        """Ask all members for their data, again and again (specification 12.1), and tell what the master waits for."""
        master = self._board.documents.policy.grid_master
        while True:
            await self._publish(reign)
            expected = len(self._board.documents.policy.member_unit_ids)
            asked_at_s = self._ports.clock.now_s()
            try:
                answers = await self._ports.bus.gather(
                    messages.DATA, messages.DataWanted().to_json(), master.data_collection_timeout_s, expected
                )
            except Outage:
                answers = []
            for body in answers:
                try:
                    # An answer may lie here until all have come or time is out, so its age counts from the question.
                    report = messages.read_message(messages.UnitReport, body)
                    self.neighbours.take_report(report, asked_at_s - report.age_s)
                except Refused as error:
                    self._errors.note(f"an answer is left out: {error}")
            if self._picture_complete(reign):
                self._safety.look(self.neighbours, reign.term.epoch)
            self._wake.set()
            await asyncio.sleep(master.data_collection_period_s)

    async def _publish(self, reign: Reign) -> None:
        report = messages.MasterReport(
            unit_id=self._board.identity.unit_id,
            epoch=reign.term.epoch.number,
            waiting=reign.plan.waiting if reign.plan else (),
        )
        with contextlib.suppress(Outage, Unknown, Refused):  # for displays only; it is published again
            await self._ports.unit.write(Write(MASTER_KEY, report.to_json(), time_limit_s=PUBLISHED_LIFE_S))

    def _announce(self, reign: Reign, unit_ids: Sequence[str]) -> None:
        for unit_id in unit_ids:
            if unit_id not in self._announcing:
                self._announcing.add(unit_id)
                reign.tasks.append(self._start(self._announce_to(unit_id, reign.term.epoch)))

    async def _announce_to(self, unit_id: str, epoch: Epoch) -> None:
        body = messages.Announcement(epoch=epoch, owner=self._board.identity.unit_id).to_json()
        try:
            answer = messages.read_message(
                messages.AnnouncementAnswer,
                await self._ports.bus.ask(unit_id, messages.ANNOUNCE, body, ANNOUNCE_LIMIT_S),
            )
        except (Outage, Unknown, Refused):
            await asyncio.sleep(READ_PAUSE_S)
            return
        else:
            if self._reign is not None and self._reign.term.epoch == epoch:
                self.neighbours.take_acknowledgement(answer, self._ports.clock.now_s())
        finally:
            self._announcing.discard(unit_id)
            self._wake.set()

    async def _hear_outcomes(self, outcomes: Any) -> None:
        async for outcome in outcomes:
            if self._reign is not None and outcome.epoch == self._reign.term.epoch:
                self.neighbours.take_outcome(outcome, self._ports.clock.now_s())
                self._wake.set()

    def _start(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        if self._tasks is None:
            raise RuntimeError("the grid master is not running")
        return self._tasks.create_task(coroutine)
