"""The command path in memory: a fenced write that the store hands on, and a plain message beside it."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from apis_rules.errors import Conflict, Fenced, Outage
from apis_rules.ports.feed import Feed
from apis_rules.ports.memory.faults import Fault, FaultKind
from apis_rules.ports.state import Write
from apis_rules.ports.types import Command

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

    from apis_rules.ports.lease import Term
    from apis_rules.ports.memory.bucket import Bucket
    from apis_rules.ports.memory.faults import Line
    from apis_rules.ports.state import Entry, SharedState
    from apis_rules.ports.types import Outcome

PREFIX: Final = "cmd."


@dataclass(eq=False, slots=True)
class _Inbox:
    unit_id: str
    line: Line
    feed: Feed[Command]
    seen_revision: int = 0


@dataclass(eq=False, slots=True)
class _Reader:
    line: Line
    feed: Feed[Outcome]


class Dispatch:
    """The store's side: hands each accepted write below ``cmd.`` to the unit that it names."""

    def __init__(self, ctl: Bucket) -> None:
        self._ctl = ctl
        self._inboxes: list[_Inbox] = []
        self._readers: list[_Reader] = []
        ctl.subscribe(self._written)

    @contextmanager
    def inbox(self, unit_id: str, line: Line) -> Iterator[Feed[Command]]:
        """Keep an inbox for *unit_id*; whenever its wire comes back it gets the last fenced command it has not seen."""
        inbox = _Inbox(unit_id, line, Feed(line.awake))

        def line_changed() -> None:
            if line.reachable:
                self._after_travel(line, lambda: self._hand_on(inbox, self._ctl.get(PREFIX + unit_id)))

        self._inboxes.append(inbox)
        line.on_change.append(line_changed)
        line_changed()
        try:
            yield inbox.feed
        finally:
            line.on_change.remove(line_changed)
            self._inboxes.remove(inbox)

    @contextmanager
    def outcomes(self, line: Line) -> Iterator[Feed[Outcome]]:
        """Keep a reader of outcomes."""
        reader = _Reader(line, Feed(line.awake))
        self._readers.append(reader)
        try:
            yield reader.feed
        finally:
            self._readers.remove(reader)

    def send_plain(self, unit_id: str, command: Command) -> None:
        """Let a plain message travel to *unit_id*, if it is there."""
        for inbox in [i for i in self._inboxes if i.unit_id == unit_id]:
            self._after_travel(inbox.line, partial(inbox.feed.put, command))

    def send_outcome(self, outcome: Outcome) -> None:
        """Let an outcome travel to everyone who reads them."""
        for reader in self._readers:
            self._after_travel(reader.line, partial(reader.feed.put, outcome))

    def _written(self, batch: Sequence[Entry]) -> None:
        for entry in batch:
            if entry.key.startswith(PREFIX):
                self._pass_on(entry)

    def _pass_on(self, entry: Entry) -> None:
        for inbox in [i for i in self._inboxes if entry.key == PREFIX + i.unit_id]:
            match inbox.line.fault_for("command"):
                case Fault(FaultKind.LOST):
                    inbox.seen_revision = entry.revision
                case Fault(FaultKind.DELAYED, delay_s):
                    self._after_travel(inbox.line, partial(self._hand_on, inbox, entry), delay_s)
                case Fault(FaultKind.DUPLICATED):
                    self._after_travel(inbox.line, partial(self._hand_on, inbox, entry, copies=2))
                case _:
                    self._after_travel(inbox.line, partial(self._hand_on, inbox, entry))

    def _hand_on(self, inbox: _Inbox, entry: Entry, copies: int = 1) -> None:
        if entry.value is None or entry.revision == inbox.seen_revision:
            return
        inbox.seen_revision = entry.revision
        for _ in range(copies):
            inbox.feed.put(Command.from_json(entry.value))

    def _after_travel(self, to: Line, arrive: Callable[[], None], delay_s: float = 0.0) -> None:
        def arrive_if_reachable() -> None:
            if to.reachable:
                arrive()

        asyncio.get_running_loop().call_later(to.latency_s + delay_s, arrive_if_reachable)


class MemoryCommands:
    """``Commands`` over the shared state and a dispatch in memory."""

    def __init__(self, ctl: SharedState, dispatch: Dispatch, line: Line) -> None:
        self._ctl = ctl
        self._dispatch = dispatch
        self._line = line

    async def send(self, unit_id: str, command: Command, term: Term) -> int:
        """Hand *command* to the unit through the store."""
        try:
            return await self._ctl.write(Write(PREFIX + unit_id, command.to_json(), term.fence))
        except Conflict as error:
            raise Fenced(f"the term {term.epoch.number} is over") from error

    async def send_stop(self, unit_id: str, command: Command) -> None:
        """Send a command that only takes energy away as a plain message."""
        if not command.name.stops:
            raise ValueError(f"{command.name} does not only take energy away")
        await self._leave("stop", lambda: self._dispatch.send_plain(unit_id, command))

    @asynccontextmanager
    async def outcomes(self) -> AsyncIterator[AsyncIterator[Outcome]]:
        """Subscribe to the outcomes of all units."""
        with self._dispatch.outcomes(self._line) as feed:
            yield feed

    @asynccontextmanager
    async def inbox(self, unit_id: str) -> AsyncIterator[AsyncIterator[Command]]:
        """Subscribe to the commands for one unit, the last fenced one first where there is one."""
        with self._dispatch.inbox(unit_id, self._line) as feed:
            yield feed

    async def report(self, outcome: Outcome) -> None:
        """Tell the community what became of a command."""
        await self._leave("report", lambda: self._dispatch.send_outcome(outcome))

    async def _leave(self, call: str, send: Callable[[], None]) -> None:
        await self._line.awake()
        fault = self._line.fault_for(call)
        if not self._line.connected:
            raise Outage("not connected")
        match fault:
            case Fault(FaultKind.LOST | FaultKind.ACK_LOST):
                return
            case Fault(FaultKind.DELAYED, delay_s):
                asyncio.get_running_loop().call_later(delay_s, send)
            case Fault(FaultKind.DUPLICATED):
                send()
                send()
            case _:
                send()
