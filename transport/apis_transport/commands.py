"""``ports.commands.Commands``: fenced writes that the server hands on, and plain messages beside them."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from pydantic import ValidationError

from apis_rules.errors import Conflict, Fenced, PortError
from apis_rules.ports.feed import Feed
from apis_rules.ports.state import Write
from apis_rules.ports.types import Command, Outcome, WireModel
from apis_transport.background import background_tasks

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from nats.aio.msg import Msg

    from apis_rules.ports.lease import Term
    from apis_rules.ports.state import SharedState
    from apis_transport.connection import Connection
    from apis_transport.names import Names

_log = logging.getLogger(__name__)

KEY: Final = "cmd."
"""Key of a unit's last command in ``ctl``, before its id. What is written below it, the server republishes."""

_RETRY_S: Final = 0.2

Model = TypeVar("Model", bound=WireModel)


@dataclass(frozen=True, slots=True)
class NatsCommands:
    """Both ends of the command path. Made by ``open_community``."""

    connection: Connection
    names: Names
    ctl: SharedState

    async def send(self, unit_id: str, command: Command, term: Term) -> int:
        """Hand *command* to the unit through the store; return the revision of the write."""
        try:
            return await self.ctl.write(Write(KEY + unit_id, command.to_json(), term.fence))
        except Conflict as error:
            raise Fenced(f"the term {term.epoch.number} is over") from error

    async def send_stop(self, unit_id: str, command: Command) -> None:
        """Send a command that only takes energy away as a plain message."""
        if not command.name.stops:
            raise ValueError(f"{command.name} does not only take energy away")
        await self.connection.publish(self.names.stop(unit_id), command.to_json())

    async def report(self, outcome: Outcome) -> None:
        """Tell the community what became of a command."""
        await self.connection.publish(self.names.outcome(outcome.unit_id), outcome.to_json())

    @asynccontextmanager
    async def outcomes(self) -> AsyncIterator[AsyncIterator[Outcome]]:
        """Subscribe to the outcomes of all units."""
        feed: Feed[Outcome] = Feed()

        def receive(message: Msg) -> None:
            _put(feed, Outcome, message.data)

        async with self.connection.subscribe(self.names.outcomes, receive):
            yield feed

    @asynccontextmanager
    async def inbox(self, unit_id: str) -> AsyncIterator[AsyncIterator[Command]]:
        """Subscribe to the commands for one unit, the last fenced one first where there is one."""
        inbox = _Inbox(self, unit_id)
        async with (
            self.connection.subscribe(self.names.accepted(unit_id), inbox.accepted),
            self.connection.subscribe(self.names.stop(unit_id), inbox.stopped),
            background_tasks() as tasks,
        ):
            tasks.create_task(inbox.catch_up_for_ever(), name=f"inbox of {unit_id}")
            yield inbox.feed


class _Inbox:
    def __init__(self, commands: NatsCommands, unit_id: str) -> None:
        self.feed: Feed[Command] = Feed()
        self._connection = commands.connection
        self._ctl = commands.ctl
        self._key = KEY + unit_id
        self._generation = -1
        self._revision = 0

    def accepted(self, message: Msg) -> None:
        """Take what the server republished after it had passed the fence."""
        revision = int((message.headers or {}).get("Nats-Sequence", 0))
        if revision == 0:
            _log.warning("%s: not from the store, ignored", message.subject)
        elif message.data:
            self._take(revision, message.data)

    def stopped(self, message: Msg) -> None:
        """Take a plain stop. Whatever else comes on this way is ignored."""
        command = _read(Command, message.data)
        if command is not None and command.name.stops:
            self.feed.put(command)
        elif command is not None:
            _log.warning("%s: %s is no stop, ignored", message.subject, command.name)

    async def catch_up_for_ever(self) -> None:
        """At the start and after every loss of the connection, read what may have been missed."""
        changed = asyncio.Event()
        with self._connection.on_change(changed.set):
            while True:
                changed.clear()
                if self._connection.connected and not await self._catch_up():
                    await asyncio.sleep(_RETRY_S)
                else:
                    await changed.wait()

    async def _catch_up(self) -> bool:
        generation = self._connection.generation
        try:
            entry = await self._ctl.get(self._key)
        except PortError as error:
            _log.debug("%s: %s", self._key, error)
            return False
        if entry.value is not None:
            self._take(entry.revision, entry.value, generation)
        return True

    def _take(self, revision: int, value: bytes, generation: int | None = None) -> None:
        generation = self._connection.generation if generation is None else generation
        # A store that went back begins with lower revisions, on a new connection only.
        if revision == self._revision or (generation == self._generation and revision < self._revision):
            return
        self._generation, self._revision = generation, revision
        _put(self.feed, Command, value)


def _put(feed: Feed[Model], kind: type[Model], value: bytes) -> None:
    item = _read(kind, value)
    if item is not None:
        feed.put(item)


def _read(kind: type[Model], value: bytes) -> Model | None:
    try:
        return kind.from_json(value)
    except ValidationError as error:
        _log.error("a message that is no %s was ignored: %s", kind.__name__, error)
        return None
