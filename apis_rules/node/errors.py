"""Errors of this node (specification 10): what is raised here is told to everyone; what concerns this unit is answered.

An event has a category, an extent and a level by its entry in the catalogue. Events about a unit are answered by that
unit, events about the community by the Grid Master; how, the reaction table says. A warning is told and kept, no more.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from typing import TYPE_CHECKING, Final, Protocol

from apis_rules.charts.master import Reaction, ReactionKind
from apis_rules.decide.outcomes import Action
from apis_rules.errors import Outage, Refused, Unknown
from apis_rules.node import messages
from apis_rules.node.records import MODE, SUSTAIN, ModeRecord, Sustain
from apis_rules.node.unit_clock import format_unit_time, format_utc
from apis_rules.ports.state import Write
from apis_rules.ports.types import ErrorEvent, Extent, Level, OperationMode
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
"""The same error of the same unit is told again only after this time."""


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

    async def shut_down(self, reason: str) -> None:
        """End this node."""


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
        self._unanswered: asyncio.Queue[ErrorEvent] = asyncio.Queue()
        self._some = asyncio.Event()
        self._all_told = asyncio.Event()
        self._all_told.set()
        self._last_told_s: dict[tuple[str, str], float] = {}
        self._seen: deque[str] = deque(maxlen=KEPT_WAITING)
        self._local_until_s = float("-inf")
        self._actions: Actions | None = None
        self.reaction: Reaction | None = None
        self._tasks: asyncio.TaskGroup | None = None

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
        key = (event.rule, f"{event.unit_id}:{event.level}:{subject}")
        if now_s - self._last_told_s.get(key, float("-inf")) < QUIET_S:
            return
        self._last_told_s[key] = now_s
        self._untold.append(event)
        self._some.set()
        self._all_told.clear()
        self._take(event)

    # Hearing and answering.

    def _take(self, event: ErrorEvent) -> None:
        """Take an event that was raised here or heard; a second copy counts once."""
        if event.event_id in self._seen:
            return
        self._seen.append(event.event_id)
        self.shown.append(event)
        log.log(self._log_level(event), "(%s:%s) %s", event.kind, event.unit_id, event.message)
        if event.level is Level.WARN:
            return
        own = event.unit_id == self._board.identity.unit_id
        by_right = event.reported_by == event.unit_id or event.epoch is not None
        if event.extent is Extent.LOCAL and own and by_right:
            self._local_until_s = self._ports.clock.now_s() + self._board.documents.policy.user.error_sustaining_s
            self._unanswered.put_nowait(event)
        elif event.extent is Extent.GLOBAL:
            self._unanswered.put_nowait(event)
        self._board.changed("errors")

    def _log_level(self, event: ErrorEvent) -> int:
        """Return at which level an event is logged here; what concerns another unit alone, its own node logs."""
        if event.extent is Extent.LOCAL and self._board.identity.unit_id not in (event.unit_id, event.reported_by):
            return logging.DEBUG
        return {Level.WARN: logging.WARNING, Level.ERROR: logging.ERROR, Level.FATAL: logging.CRITICAL}[event.level]

    @property
    def local_present(self) -> bool:
        """Whether this unit has an error, or had one within the sustaining time."""
        return not self._unanswered.empty() or self._ports.clock.now_s() < self._local_until_s

    @property
    def community_sustaining(self) -> bool:
        """Whether the community has an error, or had one within the sustaining time."""
        sustain = self._board.records.sustain()
        return self.reaction is not None or (sustain is not None and self._ports.clock.utc_s() < sustain.until_utc_s)

    async def run(self) -> None:
        """Tell, hear and answer until cancelled."""
        async with asyncio.TaskGroup() as tasks, self._ports.bus.listen(messages.ERRORS) as heard:
            self._tasks = tasks
            tasks.create_task(self._tell())
            tasks.create_task(self._answer())
            async for event in messages.heard(ErrorEvent, heard):
                self._take(event)

    async def until_told(self, within_s: float) -> None:
        """Return when everything that was raised has left, or when time is out: the log of this node has it anyway."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._all_told.wait()

    async def _tell(self) -> None:
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

    async def _answer(self) -> None:
        """React to one event after the other, FATAL first."""
        while True:
            waiting = [await self._unanswered.get()]
            while not self._unanswered.empty():
                waiting.append(self._unanswered.get_nowait())
            for event in sorted(waiting, key=lambda e: e.level is not Level.FATAL):
                for action in self._catalogue.reactions(event):
                    await self._react(action, event)

    async def _react(self, action: Action, event: ErrorEvent) -> None:
        actions = self._actions
        if actions is None:
            raise RuntimeError("nobody performs reactions")
        match action:
            case Action.STOP_DEALS:
                await actions.stop_deals(event.message)
            case Action.STOP_LOCAL:
                await actions.stop_local(event.message)
            case Action.RESIGN:
                await actions.resign()
            case Action.RESET_LOCAL | Action.RESET_ALL:
                await actions.reset()
            case Action.SHUT_DOWN:
                await actions.shut_down(event.message)
            case Action.SHUT_DOWN_ALL:
                await self._until_still()
                await actions.shut_down(event.message)
            case Action.SCRAM | Action.DRAIN | Action.MODE_STOP:
                self._react_together(action, event)
            case Action.LOG:
                return  # it is in the log already

    def _react_together(self, action: Action, event: ErrorEvent) -> None:
        """What the community does; the Grid Master's records carry it."""
        if action in (Action.SCRAM, Action.DRAIN):
            self._demand(Reaction(ReactionKind(action), event.message))
        elif action is Action.MODE_STOP and self._board.is_master:
            self._write(MODE, ModeRecord(mode=OperationMode.STOP, reason=event.message).to_json())

    def _demand(self, reaction: Reaction) -> None:
        """Let the community stop. Every node remembers it until it is done: the master may die over it."""
        if self.reaction is None or reaction.kind is ReactionKind.SCRAM:
            self.reaction = reaction
        if self._board.is_master:
            until_utc_s = self._ports.clock.utc_s() + self._board.documents.policy.grid_master.error_sustaining_s
            self._write(SUSTAIN, Sustain(until_utc_s=until_utc_s, reason=reaction.reason).to_json())
        self._board.changed("records")

    def reaction_done(self) -> None:
        """Learn that the community stands still, or that its records show the stop: the sustaining time goes on."""
        if self.reaction is not None:
            self.reaction = None
            self._board.changed("errors")

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

    def _write(self, key: str, value: bytes) -> None:
        if self._tasks is None:
            raise RuntimeError("nobody serves errors")
        self._tasks.create_task(self._write_at_last(key, value))

    async def _write_at_last(self, key: str, value: bytes) -> None:
        while True:
            try:
                await self._ports.ctl.write(Write(key, value))
            except (Outage, Unknown):
                await asyncio.sleep(RETRY_S)
            except Refused:
                log.exception("%s not written", key)
                return
            else:
                return

    def _time(self) -> str:
        return format_unit_time(self._board.unit_time_s())


def _any_switched(records: Records) -> bool:
    return any(deal.switched for deal, _ in records.deals().values())
