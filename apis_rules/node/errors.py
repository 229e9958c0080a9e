"""Errors of this node (specification 10): what is raised here is told to everyone; what concerns this unit is answered.

An event has a category, an extent and a level by its entry in the catalogue. Events about a unit are answered by that
unit, events about the community by the Grid Master; how, the reaction table says. A warning is told and kept, no more.
Every event is kept in a durable stream: what nobody has answered, a later Grid Master does. Another unit's name is
believed only from a Grid Master, by the epoch that the event carries.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from apis_rules.charts.master import Reaction, ReactionKind
from apis_rules.decide.outcomes import Action
from apis_rules.errors import Outage, Refused, Unknown
from apis_rules.node import messages
from apis_rules.node.community_stop import CommunityStop
from apis_rules.node.unit_clock import format_unit_time, format_utc
from apis_rules.ports.types import EpochRelation, ErrorEvent, Extent, Level
from apis_rules.ports.unique import new_uuid

if TYPE_CHECKING:
    from apis_rules.charts.master import Problem
    from apis_rules.decide.outcomes import RaiseError
    from apis_rules.node.board import Board
    from apis_rules.node.catalogue import Catalogue
    from apis_rules.node.records import Records
    from apis_rules.ports.bundle import CommunityPorts
    from apis_rules.ports.types import Category, Epoch

log = logging.getLogger(__name__)

STREAM: Final = "ERRLOG"
KEPT_SHOWN: Final = 20
KEPT_WAITING: Final = 200
RETRY_S: Final = 1.0
QUIET_S: Final = 5.0
"""The same error of the same unit is answered again only after this time."""

GONE_S: Final = 20.0
"""An error that was not raised for so long has gone; when it comes again, it is told at once."""

LONGEST_QUIET_S: Final = 300.0
"""An error that stays is told again after twice the time each time, at the latest after this."""

LOOKED_BACK: Final = 2000
"""So many events of the stream at most are looked through at the start for community errors without an answer."""


class Actions(Protocol):
    """What the reactions to this unit's errors do; the runtime offers it."""

    async def stop_deals(self, reason: str) -> None:
        """Ask for the end of this unit's deals, and wait for it within the policy's limit."""

    async def stop_local(self, reason: str) -> None:
        """Bring the converter to WAIT."""

    async def resign(self) -> None:
        """Be master no longer while this unit has an error."""

    async def reset(self) -> None:
        """Forget what only this process knows: places kept free, negotiations."""

    async def begin_term(self) -> None:
        """Where this node is master: end the term, so that the next one begins from the records, by a new epoch."""

    async def shut_down(self, reason: str) -> None:
        """End this node."""


@dataclass(slots=True)
class _Standing:
    """An error that is there: when it was answered and told last, and how long it is not told again."""

    answered_s: float
    told_s: float
    quiet_s: float = QUIET_S


class _Row(asyncio.PriorityQueue[tuple[bool, int, ErrorEvent]]):
    """Events that wait for their reactions, FATAL first.

    Attributes:
        fatal: a FATAL one waits.
    """

    def __init__(self) -> None:
        super().__init__()
        self.fatal = asyncio.Event()
        self._count = itertools.count()

    def add(self, event: ErrorEvent) -> None:
        fatal = event.level is Level.FATAL
        self.put_nowait((not fatal, next(self._count), event))
        if fatal:
            self.fatal.set()

    async def take(self) -> ErrorEvent:
        event = (await self.get())[2]
        self.fatal.clear()
        return event


class Errors:
    """One node's errors.

    Attributes:
        shown: the last events that were raised or heard, newest last.
    """

    def __init__(self, catalogue: Catalogue, ports: CommunityPorts, board: Board) -> None:
        self.shown: deque[ErrorEvent] = deque(maxlen=KEPT_SHOWN)
        self._catalogue = catalogue
        self._ports = ports
        self._board = board
        self._untold: deque[ErrorEvent] = deque(maxlen=KEPT_WAITING)
        self._local, self._global = _Row(), _Row()
        self._some = asyncio.Event()
        self._all_told = asyncio.Event()
        self._all_told.set()
        self._standing: dict[tuple[str, str, Level, str], _Standing] = {}
        self._seen: deque[str] = deque(maxlen=KEPT_WAITING)
        self._local_until_s = float("-inf")
        self._actions: Actions | None = None
        self.stop = CommunityStop(ports, board)

    def attach(self, actions: Actions) -> None:
        """Learn who performs reactions."""
        self._actions = actions

    # Raising.

    def raise_event(self, rule: str, detail: str, subject: str = "") -> None:
        """Raise the entry *rule* of the catalogue about this unit; about another *subject* it is another error."""
        self._raise(self._catalogued(rule, detail), subject)

    def raise_found(self, rule: str, outcome: RaiseError, message: str, deal_id: str) -> None:
        """Raise what a rule file found about this unit."""
        event = self._event(rule, outcome.category, outcome.extent, outcome.level, message)
        self._raise(event.model_copy(update={"deal_id": deal_id or None}))

    def raise_found_by_master(self, rule: str, outcome: RaiseError, message: str, epoch: Epoch) -> None:
        """Raise what a rule file found about the community, in the Grid Master's term's name."""
        event = self._event(rule, outcome.category, outcome.extent, outcome.level, message)
        self._raise(event.model_copy(update={"epoch": epoch}))

    def raise_problem(self, problem: Problem, epoch: Epoch) -> None:
        """Raise what the Grid Master's planner found, in its term's name."""
        event = self._catalogued(problem.rule, problem.detail)
        self._raise(event.model_copy(update={"unit_id": problem.unit_id, "deal_id": problem.deal_id, "epoch": epoch}))

    def _catalogued(self, rule: str, detail: str) -> ErrorEvent:
        entry = self._catalogue.entry(rule)
        outcome = entry.outcome
        return self._event(rule, outcome.category, outcome.extent, outcome.level, entry.sentence(detail))

    def _event(self, rule: str, category: Category, extent: Extent, level: Level, message: str) -> ErrorEvent:
        unit_id = self._board.identity.unit_id
        return ErrorEvent(
            event_id=new_uuid().hex,
            rule=rule,
            unit_id=unit_id,
            reported_by=unit_id,
            category=category,
            extent=extent,
            level=level,
            message=message,
            date_time=self._time(),
            date_time_utc=format_utc(self._ports.clock.utc_s()),
        )

    def note(self, text: str) -> None:
        """Log something that repeats itself or is put right by itself; it is no event."""
        log.debug("%s", text)

    def _raise(self, event: ErrorEvent, subject: str = "") -> None:
        now_s = self._ports.clock.now_s()
        key = (event.rule, event.unit_id, event.level, subject)
        standing = self._standing.get(key)
        if standing is not None and now_s - standing.answered_s < QUIET_S:
            return
        if standing is None or now_s - standing.answered_s > GONE_S:
            standing = self._standing[key] = _Standing(now_s, now_s)
            self._tell(event)
        elif now_s - standing.told_s >= standing.quiet_s:
            standing.told_s, standing.quiet_s = now_s, min(2 * standing.quiet_s, LONGEST_QUIET_S)
            self._tell(event)
        standing.answered_s = now_s
        self._take(event)

    def _tell(self, event: ErrorEvent) -> None:
        self._untold.append(event)
        self._some.set()
        self._all_told.clear()
        self.shown.append(event)
        self._log(event)

    # Hearing and answering.

    def _hear(self, event: ErrorEvent) -> None:
        """Take an event that another node has told; a second copy counts once."""
        if event.event_id in self._seen:
            return
        if not self._by_right(event):
            log.warning("left out: %s says of %s: %s", event.reported_by, event.unit_id, event.message)
            return
        self.shown.append(event)
        self._log(event)
        self._take(event)

    def _by_right(self, event: ErrorEvent) -> bool:
        """Return whether a member says this of itself, or a Grid Master in the name of a term that there was."""
        if event.reported_by not in self._board.documents.policy.member_unit_ids:
            return False
        if event.epoch is None:
            return event.reported_by == event.unit_id
        # A term that has just begun or ended is a term; what was told in an earlier one may be read later.
        return event.epoch.relation_to(self._board.records.epoch()) is not EpochRelation.FOREIGN

    def _take(self, event: ErrorEvent) -> None:
        self._seen.append(event.event_id)
        if event.level is not Level.WARN:
            if event.extent is Extent.GLOBAL:
                self._stop_community(event)
                self._global.add(event)
            elif event.unit_id == self._board.identity.unit_id:
                sustaining_s = self._board.documents.policy.user.error_sustaining_s
                self._local_until_s = self._ports.clock.now_s() + sustaining_s
                self._local.add(event)
        self._board.changed("errors")

    def _log(self, event: ErrorEvent) -> None:
        level = {Level.WARN: logging.WARNING, Level.ERROR: logging.ERROR, Level.FATAL: logging.CRITICAL}[event.level]
        if event.extent is Extent.LOCAL and self._board.identity.unit_id not in (event.unit_id, event.reported_by):
            level = logging.DEBUG  # what concerns another unit alone, its own node logs
        log.log(level, "(%s:%s) %s", event.kind, event.unit_id, event.message)

    @property
    def local_present(self) -> bool:
        """Whether this unit has an error, or had one within the sustaining time."""
        return not self._local.empty() or self._ports.clock.now_s() < self._local_until_s

    @property
    def community_sustaining(self) -> bool:
        """Whether the community has an error, or had one within the sustaining time."""
        return not self._global.empty() or self.stop.sustaining

    @property
    def reaction(self) -> Reaction | None:
        """The stop of the community that is demanded and not yet done."""
        return self.stop.reaction

    def reaction_done(self) -> None:
        """Learn that the community stands still, or that its records show the stop."""
        self.stop.done()

    async def run(self) -> None:
        """Tell, hear and answer until cancelled."""
        async with asyncio.TaskGroup() as tasks, self._ports.bus.listen(messages.ERRORS) as heard:
            tasks.create_task(self._keep_telling())
            tasks.create_task(self._answer(self._local))
            tasks.create_task(self._answer(self._global))
            tasks.create_task(self._follow())
            tasks.create_task(self.stop.run())
            async for event in messages.heard(ErrorEvent, heard):
                self._hear(event)

    async def _follow(self) -> None:
        """Read the stream: a community error counts although it was told when this node did not hear it."""
        streams = self._ports.streams
        async for message in streams.read(STREAM, await self._first_unanswered()):
            try:
                event = messages.read_message(ErrorEvent, message.body)
            except Refused as refused:
                log.warning("a kept event is left out: %s", refused)
                continue
            if event.extent is Extent.GLOBAL and event.level is not Level.WARN:
                self._hear(event)
                self.stop.answered(message.seq)

    async def _first_unanswered(self) -> int:
        await self._board.records.wait_fresh()
        sustain = self._board.records.sustain()
        while True:
            try:
                last = await self._ports.streams.last_seq(STREAM)
            except (Outage, Unknown, Refused):
                await asyncio.sleep(RETRY_S)
            else:
                return max(sustain.answered_seq if sustain else 0, last - LOOKED_BACK) + 1

    async def until_told(self, within_s: float) -> None:
        """Return when everything that was raised has left, or when time is out: the log of this node has it anyway."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._all_told.wait()

    async def _keep_telling(self) -> None:
        """Tell everyone, and keep every event in the stream, through outages."""
        while True:
            await self._some.wait()
            self._some.clear()
            while self._untold:
                event = self._untold[0]
                try:
                    await self._ports.bus.broadcast(messages.ERRORS, event.to_json())
                    await self._ports.streams.append(STREAM, event.unit_id, event.to_json(), message_id=event.event_id)
                except (Outage, Unknown, Refused):
                    await asyncio.sleep(RETRY_S)
                    continue
                if self._untold and self._untold[0] is event:
                    self._untold.popleft()
            self._all_told.set()

    async def _answer(self, row: _Row) -> None:
        """React to one event after the other; what is FATAL interrupts what is not, since it does all of that too."""
        while True:
            event = await row.take()
            async with asyncio.TaskGroup() as tasks:
                reacting = tasks.create_task(self._react_to(event))
                fatal = tasks.create_task(row.fatal.wait())
                await asyncio.wait((reacting, fatal), return_when=asyncio.FIRST_COMPLETED)
                fatal.cancel()
                if event.level is not Level.FATAL:
                    reacting.cancel()

    async def _react_to(self, event: ErrorEvent) -> None:
        for action in self._catalogue.reactions(event):
            await self._react(action, event)

    def _stop_community(self, event: ErrorEvent) -> None:
        """What does not wait for the reactions to an earlier event."""
        for action in self._catalogue.reactions(event):
            if action in (Action.SCRAM, Action.DRAIN):
                self.stop.demand(Reaction(ReactionKind(action), event.message))
            elif action is Action.MODE_STOP:
                self.stop.stop_mode(event.message)

    async def _react(self, action: Action, event: ErrorEvent) -> None:
        if self._actions is None:
            raise RuntimeError("nobody performs reactions")
        if action in (Action.RESET_ALL, Action.SHUT_DOWN_ALL):
            await self._until_still()
        match action:
            case Action.STOP_DEALS:
                await self._actions.stop_deals(event.message)
            case Action.STOP_LOCAL:
                await self._actions.stop_local(event.message)
            case Action.RESIGN:
                await self._actions.resign()
            case Action.RESET_LOCAL:
                await self._actions.reset()
            case Action.RESET_ALL:
                await self._actions.reset()
                await self._actions.begin_term()
            case Action.SHUT_DOWN | Action.SHUT_DOWN_ALL:
                await self._actions.shut_down(event.message)
            case Action.SCRAM | Action.DRAIN | Action.MODE_STOP | Action.LOG:
                return  # the community stops already; what is logged is in the log already

    async def _until_still(self) -> None:
        """Return when the bus is dead and the deals have ended: a node that shuts down with all others goes last.

        Where that cannot be seen, after the longest time that a holder goes on without a master.
        """
        records, changes = self._board.records, self._board.changes()
        try:
            async with asyncio.timeout(self._board.documents.times["holder_dead_man_s"]):
                while self.reaction or records.grid()[0].state != "dead" or _any_switched(records):
                    await anext(changes)
        except TimeoutError:
            log.warning("the community was not seen to stand still")

    def _time(self) -> str:
        return format_unit_time(self._board.unit_time_s())


def _any_switched(records: Records) -> bool:
    return any(deal.switched for deal, _ in records.deals().values())
