"""The *grid master* (specification 3.2, 7): in one node at a time, commands all converters.

Whether this node is the master is decided by ``statecharts/grid_master.yaml``; here stand the lease, who is preferred
and when a term begins and ends. What a master does in its term is ``reign``.
"""

from __future__ import annotations

import asyncio
import contextlib
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
from apis_rules.charts.lease import Strategy, claim_wait_s, find_amnesia, rank_candidates
from apis_rules.charts.lease import must_outrank as outranked
from apis_rules.charts.master import ReactionKind, UnitLimits
from apis_rules.errors import Outage, Refused, Unknown
from apis_rules.node import messages
from apis_rules.node.inquiries import WATCH_S
from apis_rules.node.neighbours import Neighbours
from apis_rules.node.records import MODE, ModeRecord
from apis_rules.node.reign import Office, Reign
from apis_rules.ports.state import Write
from apis_rules.ports.types import OperationMode

if TYPE_CHECKING:
    import random
    from collections.abc import AsyncIterator, Mapping

    from apis_rules.charts.machine import Machine, Timers
    from apis_rules.charts.master import MasterPlan
    from apis_rules.charts.master.planner import Planner
    from apis_rules.node.board import Board
    from apis_rules.node.changes import What
    from apis_rules.node.continuity import Continuity
    from apis_rules.node.errors import Errors
    from apis_rules.node.global_safety import GlobalSafety
    from apis_rules.node.supervision import Progress
    from apis_rules.ports.bundle import CommunityPorts
    from apis_rules.ports.lease import LeaseState, Term
    from apis_rules.ports.types import Epoch, Outcome

SCRAMMING_GRID: Final = frozenset({"stopping_parties", "stopping_voltage", "falling"})
DRAINING_GRID: Final = SCRAMMING_GRID | {"draining", "releasing"}
"""States of the grid record from which it only goes on to a dead bus, at once or in order."""

LEASE_REQUESTS: Final = 4
"""Taking the lease is so many requests to the store, one after the other."""

LONGEST_PAUSE_S: Final = 1.0
READY_S: Final = 2 * LONGEST_PAUSE_S + 1.0
"""A unit to which mastership may be offered was read within this time."""


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
        self._continuity = continuity
        self._progress = progress
        self._times = times
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
        self._office = Office(ports, board, errors, safety, self.neighbours, progress, times, source)
        self._reign: Reign | None = None
        self._ended: Term | None = None
        self._lease: LeaseState | None = None
        self._free_since_s: float | None = None
        self._wake = asyncio.Event()
        self._tasks: asyncio.TaskGroup | None = None
        self._halted = False
        self._paused = False
        self._idle = asyncio.Event()
        self._idle.set()

    def exchange(self, planner: Planner, machine: Machine[Mastership]) -> None:
        """Go by other settings from the next pass on."""
        self._planner, self._machine = planner, machine
        self._wake.set()

    @property
    def plan(self) -> MasterPlan | None:
        """The last plan of this term, None where this node is not the master."""
        return self._reign.plan if self._reign else None

    async def run(self) -> None:
        """Serve until cancelled."""
        async with (
            asyncio.TaskGroup() as tasks,
            self._ports.bus.serve(self._board.identity.unit_id, messages.TAKE_OVER, self._offered),
            self._ports.bus.serve(self._board.identity.unit_id, messages.DIRECT, self._ordered),
            self._ports.commands.outcomes() as outcomes,
        ):
            self._tasks = tasks
            self._board.on_change(self._hear_board, "records", "deals", "others", "errors")
            tasks.create_task(self._watch_lease())
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
            elif self._halted or self._paused or self._reign.is_due(self._planner):
                await self._pass(self._reign)
            else:
                self._reign.keep_young()
            await self._pause()

    async def _pause(self) -> None:
        """Wait for a change, or for the next moment at which something is due."""
        now_s = self._ports.clock.now_s()
        until_s = now_s + LONGEST_PAUSE_S
        if self._reign is not None and self._reign.plan is not None:
            until_s = min(until_s, self._reign.due_at_s)
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

    async def _advance(self, event: str, at: tuple[Situation, Seen] | None = None) -> None:
        """Put an event to the mastership's chart and perform what follows. *at*: the situation, where it is known."""
        situation, seen = at or self._situation()
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
            claim_wait_s=self._claim_wait_s() if self._free_since_s is not None else 0.0,
            may_claim=self._may_claim(),
            holder_answered=plan.holder_answered if plan else False,
            all_answered=plan.all_answered if plan else False,
            picture_current=reign.picture_complete if reign else False,
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
        free = not (self._halted or self._paused)
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
        ready = [u.unit_id for u in self.neighbours if u.acknowledged and now_s - u.read_at_s < READY_S]
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
        if self._tasks is None:
            raise RuntimeError("the grid master is not running")
        self._reign = Reign(term, self._office, self._tasks, self._wake.set)
        self._reign.begin()
        self._idle.clear()
        self._board.is_master = True
        self._board.changed("master")

    def _end_term(self) -> None:
        if self._reign is None:
            return
        self._reign.end()
        self._ended = self._reign.term
        self._reign = None
        self._board.is_master = False
        self._board.changed("master")

    async def _release(self) -> None:
        if self._ended is not None:
            with contextlib.suppress(Outage, Unknown, Refused):  # the lease ends by its time limit
                await self._ports.lease.release(self._ended)
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

    async def _ordered(self, body: bytes) -> bytes:
        """Put an operator's direct command into the next plan; answer what became of it.

        Raises:
            Refused: it may not be given now, or the unit has not carried it out.
        """
        order = messages.read_message(messages.DirectOrder, body)
        if self._reign is None:
            raise Refused(f"{self._board.identity.unit_id} is not the Grid Master")
        if "direct" not in self._board.allowed:
            raise Refused(f"{self._board.identity.unit_id}, the Grid Master, is not in manual mode")
        return messages.DirectAnswer(done=await self._reign.by_hand.carry_out(order)).to_json()

    async def _watch_lease(self) -> None:
        async for state in self._ports.lease.changes():
            self._lease = state
            if state.holder is not None:
                self._free_since_s = None
            elif self._free_since_s is None:
                self._free_since_s = self._ports.clock.now_s()
            self._wake.set()

    def _hear_board(self, what: What) -> None:
        # Who only looks on has nothing to do while another's lease lives, which the watch on the lease tells.
        if self._reign is not None or self._free_since_s is not None:
            self._wake.set()
        if what != "errors":
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

    # A pass of the master.

    async def _pass(self, reign: Reign) -> None:
        if reign.fenced:
            await self._advance("fenced")
            return
        if self._halted or self._paused:
            await self._advance("halt")
            return
        at = self._situation()
        if at[0].store_went_back:
            await self._advance("amnesia", at)
            return
        await self._advance("pass", at)
        if self._reign is not reign:
            return
        await reign.take_pass(self._planner)

    async def _hear_outcomes(self, outcomes: AsyncIterator[Outcome]) -> None:
        async for outcome in outcomes:
            if self._reign is not None:
                self._reign.take_outcome(outcome)
