"""One term of a Grid Master (specification 3.2, 7): collect, plan, perform, record, until the term ends.

What to do next is the pure planner's over ``grid.yaml`` and ``deal.yaml``. Here stands the order in which a plan is
performed: what stops leaves at once; then the records are written, in this term's name; then commands leave.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from apis_rules.charts.lease import acts_until_s
from apis_rules.charts.master import Memory, Picture, Stored
from apis_rules.errors import Conflict, Fenced, Outage, Refused, Unknown
from apis_rules.node import messages
from apis_rules.node.basis import Basis
from apis_rules.node.by_hand import ByHand
from apis_rules.node.inquiries import Inquiries
from apis_rules.node.unit_clock import format_utc
from apis_rules.ports.state import At, Write
from apis_rules.ports.types import OperationMode
from apis_rules.ports.types.model import FORMAT

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Coroutine

    from apis_rules.charts.master import MasterPlan, Put, Send
    from apis_rules.charts.master.planner import Planner
    from apis_rules.node.board import Board
    from apis_rules.node.errors import Errors
    from apis_rules.node.global_safety import GlobalSafety
    from apis_rules.node.neighbours import Neighbours
    from apis_rules.node.supervision import Progress
    from apis_rules.ports.bundle import CommunityPorts
    from apis_rules.ports.lease import Term
    from apis_rules.ports.types import DealRecord, Outcome

DEALLOG: Final = "DEALLOG"
CARRIER: Final = "gm.pass"
"""A key of its own carries the fence of a batch whose other parts depend on their own revisions."""

PUBLISHED_LIFE_S: Final = 20

SHOWN_S: Final = 0.3
"""A batch that was acknowledged is waited for so long in the view before the view counts as behind."""


@dataclass(frozen=True, slots=True)
class Office:
    """What a Grid Master works with, whichever term it is."""

    ports: CommunityPorts
    board: Board
    errors: Errors
    safety: GlobalSafety
    neighbours: Neighbours
    progress: Progress
    times: Any
    source: random.Random


class Reign:
    """What a master does and remembers in one term.

    Attributes:
        term: the lease as last renewed.
        plan: the last one, None before the first pass.
        fenced: whether the store refused something because a newer term has begun.
        by_hand: what operators ask for directly.
    """

    def __init__(self, term: Term, office: Office, tasks: asyncio.TaskGroup, wake: Callable[[], None]) -> None:
        self.term = term
        self.plan: MasterPlan | None = None
        self.fenced = False
        self.by_hand = ByHand(wake)
        self._office = office
        self._group = tasks
        self._wake = wake
        self._tasks: list[asyncio.Task[None]] = []
        self._started_s = office.ports.clock.now_s()
        self._memory = Memory()
        self._refresh_number = 0
        self._renewed = True
        self._own_revision = 0
        self._written_s = float("-inf")
        self._basis: Basis | None = None
        self._own_puts: tuple[Put, ...] = ()
        self._recorded: frozenset[str] = frozenset()
        self._inquiries = Inquiries(
            term.epoch, office.board.identity.unit_id, office.ports, office.neighbours, office.errors, self._start, wake
        )

    def begin(self) -> None:
        """Renew the lease, refresh the units and collect their data from now on."""
        self._office.neighbours.begin_term()
        self._office.safety.begin_term()
        self._start(self._renew())
        self._start(self._collect())

    def end(self) -> None:
        """Ask, renew and collect no more. What is already on its way to stop a converter is not called back."""
        self.by_hand.end()
        for task in self._tasks:
            task.cancel()

    @property
    def picture_complete(self) -> bool:
        """Whether the records show this term's own last batch, and nobody else's term."""
        records = self._office.board.records
        return records.fresh and records.epoch() == self.term.epoch and records.revision >= self._own_revision

    def take_outcome(self, outcome: Outcome) -> None:
        """Take what became of a command of this term."""
        if outcome.epoch == self.term.epoch:
            self._office.neighbours.take_outcome(outcome, self._office.ports.clock.now_s())
            self.by_hand.take_outcome(outcome)
            self._wake()

    def _start(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run it for as long as the term."""
        self._tasks = [t for t in self._tasks if not t.done()]
        self._tasks.append(self._group.create_task(coroutine))

    # The lease task: renews, and with each acknowledged renewal refreshes the units.

    async def _renew(self) -> None:
        times, ports = self._office.times, self._office.ports
        while True:
            await asyncio.sleep(times.renewal_s)
            if not self._office.progress.alive:
                # A master whose loop stands still must lose its lease.
                continue
            try:
                async with asyncio.timeout(2 * times.limit_s):
                    self.term = await ports.lease.renew(self.term)
            except Fenced:
                self.fenced = True
                self._wake()
                return
            except (Outage, Unknown, Refused, TimeoutError):
                self._renewed = False
                self._wake()
                continue
            self._renewed = True
            self._send_refreshes()
            self._wake()

    def _send_refreshes(self) -> None:
        self._refresh_number += 1
        for unit_id, deal_ids in (self.plan.refresh if self.plan else {}).items():
            refresh = messages.Refresh(epoch=self.term.epoch, number=self._refresh_number, deal_ids=tuple(deal_ids))
            self._group.create_task(self._refresh(unit_id, refresh))

    async def _refresh(self, unit_id: str, refresh: messages.Refresh) -> None:
        try:
            await self._office.ports.bus.ask(unit_id, messages.REFRESH, refresh.to_json(), self._office.times.limit_s)
        except (Outage, Unknown, Refused):
            return  # the next renewal brings the next one; a unit without any ends by itself

    # Collection.

    async def _collect(self) -> None:
        """Ask all members for their data, again and again (specification 12.1), and tell what the master waits for."""
        board = self._office.board
        master = board.documents.policy.grid_master
        while True:
            await self._publish()
            await self._inquiries.collect(master.data_collection_timeout_s, len(board.documents.policy.member_unit_ids))
            if self.picture_complete:
                self._office.safety.look(self._office.neighbours, self.term.epoch)
            self._wake()
            await asyncio.sleep(master.data_collection_period_s)

    async def _publish(self) -> None:
        report = messages.MasterReport(
            unit_id=self._office.board.identity.unit_id,
            epoch=self.term.epoch.number,
            waiting=self.plan.waiting if self.plan else (),
        )
        with contextlib.suppress(Outage, Unknown, Refused):  # for displays only; it is published again
            await self._office.ports.unit.write(
                Write(messages.MASTER_KEY, report.to_json(), time_limit_s=PUBLISHED_LIFE_S)
            )

    # A pass.

    @property
    def due_at_s(self) -> float:
        """When the next pass is due though nothing changes, runtime clock."""
        if self.plan is None or self.fenced:
            return float("-inf")
        due_s = self.plan.next_deadline_s
        if self._awaits_own_batch:
            due_s = max(due_s, self._written_s + SHOWN_S)
        return min(due_s, self._acts_until_s)

    def is_due(self, planner: Planner) -> bool:
        """Whether a pass could lead to anything: a moment is due, or something has changed since the last one."""
        if self._basis is None or self._office.ports.clock.now_s() >= self.due_at_s:
            return True
        if self._awaits_own_batch:
            return False
        basis = self._look(planner)
        if basis == self._basis:
            return False
        if self._own_puts:
            # Energy that this master has booked and stored itself is nothing new to it.
            self._basis = self._basis.after(self._own_puts, self._office.board.records)
            self._own_puts = ()
        return basis != self._basis

    @property
    def _awaits_own_batch(self) -> bool:
        """Whether all that is missing in the records is this term's own last batch, which is on its way."""
        records = self._office.board.records
        return records.fresh and records.epoch() == self.term.epoch and records.revision < self._own_revision

    def _look(self, planner: Planner) -> Basis:
        """Return the versions of whatever the planner plans from, but for the time."""
        board, errors = self._office.board, self._office.errors
        return Basis.of(
            board.records,
            self.picture_complete,
            planner,
            self._office.neighbours.heard,
            self._renewed,
            self._recorded,
            self.by_hand.orders,
            board.community_mode,
            errors.community_sustaining,
            errors.reaction,
        )

    @property
    def _watches_bus(self) -> bool:
        """Whether a deal may come for which the bus must be known to be dead; never in the mode *stop*."""
        return self._office.board.community_mode is not OperationMode.STOP

    def keep_young(self) -> None:
        """Between two passes: ask units in play whose readings have aged."""
        if self.plan is not None:
            self._inquiries.keep_young(self.plan.refresh, watches_bus=self._watches_bus)

    async def take_pass(self, planner: Planner) -> None:
        """Look at everything once, and do what follows."""
        if self.picture_complete:  # a deal that has left the records is never asked for again
            self._recorded = self._recorded.intersection(self._office.board.records.deals())
        self._basis, self._own_puts = self._look(planner), ()
        self.plan = planner.plan(self._picture(), self._office.ports.clock.now_s())
        await self._perform(self.plan)

    def _picture(self) -> Picture:
        board, errors, clock = self._office.board, self._office.errors, self._office.ports.clock
        records = board.records
        grid, active, mode = records.grid(), records.active(), records.mode()
        return Picture(
            complete=self.picture_complete,
            epoch=self.term.epoch,
            term_started_s=self._started_s,
            act_until_s=self._acts_until_s,
            refresh=self._refresh_number,
            grid=Stored(*grid),
            active=Stored(*active),
            mode=board.community_mode,
            utc=format_utc(clock.utc_s()),
            local_s=board.unit_time_s(),
            units={unit.unit_id: unit.picture() for unit in self._office.neighbours},
            deals={i: Stored(*deal) for i, deal in records.deals().items()},
            locks={i: Stored(*lock) for i, lock in records.locks().items()},
            stop_requests={
                deal_id: {unit_id: Stored(request.reason, revision) for unit_id, (request, revision) in by_unit.items()}
                for deal_id, by_unit in records.stop_requests().items()
            },
            renewed=self._renewed,
            amnesia=bool(mode and mode.amnesia),
            sustaining=errors.community_sustaining,
            reaction=errors.reaction,
            recorded=self._recorded,
            orders=self.by_hand.orders,
            draws=tuple(self._office.source.random() for _ in range(16)),
            memory=self._memory,
        )

    @property
    def _acts_until_s(self) -> float:
        return acts_until_s(self.term.sent_at_s, self._office.times)

    async def _perform(self, plan: MasterPlan) -> None:
        office = self._office
        for stop in plan.stops:
            self._group.create_task(self._send_stop(stop))
        self._inquiries.read(plan.reads, plan.refresh, watches_bus=self._watches_bus)
        self._inquiries.announce(plan.announce)
        for problem in plan.problems:
            office.errors.raise_problem(problem, self.term.epoch)
        if plan.puts and not await self._put(plan):
            self._memory = plan.memory_if_refused
            return
        self._memory = plan.memory
        self.by_hand.take_plan(plan)
        for send in plan.sends:
            if office.ports.clock.now_s() >= self._acts_until_s:
                return
            office.progress.beat()
            await self._send(send)
        for record in plan.appends:
            office.progress.beat()
            await self._append(record)
        if plan.still:
            office.errors.reaction_done()

    async def _put(self, plan: MasterPlan) -> bool:
        """Write the records of a plan in one step; return whether they are known to be written."""
        carrier = Write(
            CARRIER, json.dumps({"format": FORMAT, "epoch": self.term.epoch.number}).encode(), self.term.fence
        )
        parts = [Write(p.key, p.value, At(p.key, p.revision)) for p in plan.puts]
        try:
            self._own_revision = await self._office.ports.ctl.write(carrier, *parts)
        except (Conflict, Outage, Unknown, Refused) as error:
            # Somebody else wrote one of them, or nobody knows: the next picture shows what is true.
            self._office.errors.note(f"records not written: {error}")
            return False
        self._written_s = self._office.ports.clock.now_s()
        self._own_puts = plan.puts if plan.settled else ()
        return True

    async def _send_stop(self, stop: Send) -> None:
        try:
            await self._office.ports.commands.send_stop(stop.unit_id, stop.command)
        except Outage:
            self._office.errors.note(f"{stop} not sent: not connected")

    async def _send(self, send: Send) -> None:
        try:
            await self._office.ports.commands.send(send.unit_id, send.command, self.term)
        except Fenced:
            self.fenced = True
            self._wake()
        except (Outage, Unknown, Refused) as error:
            # The planner sends it again with the same number.
            self._office.errors.note(f"{send} not sent: {error}")

    async def _append(self, record: DealRecord) -> None:
        try:
            await self._office.ports.streams.append(
                DEALLOG, record.deal_id, record.to_json(), message_id=record.deal_id, expected_last=0
            )
        except Conflict:
            pass  # it is there already, written by this term or an earlier one
        except (Outage, Unknown, Refused) as error:
            self._office.errors.note(f"record of deal {record.deal_id} not stored yet: {error}")
            return
        self._recorded |= {record.deal_id}
        self._wake()
