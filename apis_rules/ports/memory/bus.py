"""Plain messages in memory: they reach who listens now, over both ends' wires."""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

from apis_rules.errors import Outage, Refused, Unknown
from apis_rules.ports.feed import Feed
from apis_rules.ports.memory.faults import FaultKind, Line

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from apis_rules.ports.bus import Handler

MAX_BODY_BYTES: Final = 1_000_000
_WORD: Final = re.compile(r"[A-Za-z0-9_-]+")

Answer: TypeAlias = bytes | Refused | None


@dataclass(eq=False, slots=True)
class _Server:
    unit_id: str
    verb: str
    handler: Handler
    line: Line
    tasks: asyncio.TaskGroup


@dataclass(eq=False, slots=True)
class _Listener:
    topic: str
    line: Line
    feed: Feed[bytes]


@dataclass(slots=True)
class Exchange:
    """Where all messages of a community meet.

    Attributes:
        servers: by verb.
        listeners: by topic.
    """

    servers: defaultdict[str, list[_Server]] = field(default_factory=lambda: defaultdict(list))
    listeners: defaultdict[str, list[_Listener]] = field(default_factory=lambda: defaultdict(list))


class MemoryBus:
    """``Bus`` over an exchange in memory."""

    def __init__(self, exchange: Exchange, line: Line) -> None:
        self._exchange = exchange
        self._line = line

    async def ask(self, unit_id: str, verb: str, body: bytes, within_s: float) -> bytes:
        """Ask one unit and return its answer."""
        _check(body, unit_id, verb)
        fault = await self._leave("ask")
        servers = [s for s in self._exchange.servers[verb] if s.unit_id == unit_id and s.line.reachable]
        if not servers:
            raise Refused(f"{unit_id} does not answer {verb}")
        answers: asyncio.Queue[Answer] = asyncio.Queue()
        if fault is not FaultKind.LOST:
            self._put_to(servers[0], body, answers.put_nowait)
        if fault is FaultKind.DUPLICATED:
            self._put_to(servers[0], body, answers.put_nowait)
        try:
            async with asyncio.timeout(within_s):
                answer = await answers.get()
                while answer is None:
                    answer = await answers.get()
        except TimeoutError:
            raise Unknown(f"{unit_id} did not answer {verb} in time") from None
        await self._line.awake()
        if isinstance(answer, Refused):
            raise answer
        return answer

    async def gather(self, verb: str, body: bytes, within_s: float, expected: int | None = None) -> Sequence[bytes]:
        """Ask every node; return the answers in order of arrival."""
        _check(body, verb)
        await self._leave("ask")
        arrived: asyncio.Queue[Answer] = asyncio.Queue()
        for server in [s for s in self._exchange.servers[verb] if s.line.reachable]:
            self._put_to(server, body, arrived.put_nowait)
        answers: list[bytes] = []
        try:
            async with asyncio.timeout(within_s):
                while expected is None or len(answers) < expected:
                    answer = await arrived.get()
                    if isinstance(answer, bytes):
                        answers.append(answer)
        except TimeoutError:
            pass
        await self._line.awake()
        return answers

    async def broadcast(self, topic: str, body: bytes) -> None:
        """Tell all listeners."""
        _check(body, topic)
        fault = await self._leave("broadcast")
        if fault is FaultKind.LOST:
            return
        for listener in list(self._exchange.listeners[topic]):
            for _ in range(2 if fault is FaultKind.DUPLICATED else 1):
                self._after_travel(listener.line, partial(listener.feed.put, body))

    @asynccontextmanager
    async def serve(self, unit_id: str, verb: str, handler: Handler) -> AsyncIterator[None]:
        """Answer ``ask(unit_id, verb)`` and ``gather(verb)`` while the context is open."""
        _check(b"", unit_id, verb)
        async with asyncio.TaskGroup() as tasks:
            server = _Server(unit_id, verb, handler, self._line, tasks)
            self._exchange.servers[verb].append(server)
            try:
                yield
            finally:
                self._exchange.servers[verb].remove(server)

    @asynccontextmanager
    async def listen(self, topic: str) -> AsyncIterator[AsyncIterator[bytes]]:
        """Hear what is broadcast on *topic* while the context is open."""
        _check(b"", topic)
        listener = _Listener(topic, self._line, Feed(self._line.awake))
        self._exchange.listeners[topic].append(listener)
        try:
            yield listener.feed
        finally:
            self._exchange.listeners[topic].remove(listener)

    async def _leave(self, call: str) -> FaultKind | None:
        """Put a message on the wire; return what is to go wrong with it."""
        await self._line.awake()
        fault = self._line.fault_for(call)
        if not self._line.connected:
            raise Outage("not connected")
        if fault is not None and fault.kind is FaultKind.DELAYED:
            await asyncio.sleep(fault.delay_s)
            await self._line.awake()
        return fault.kind if fault else None

    def _put_to(self, server: _Server, body: bytes, answer: Callable[[Answer], None]) -> None:
        def arrive() -> None:
            if server in self._exchange.servers[server.verb]:
                server.tasks.create_task(self._serve_one(server, body, answer))

        self._after_travel(server.line, arrive)

    async def _serve_one(self, server: _Server, body: bytes, answer: Callable[[Answer], None]) -> None:
        await server.line.awake()
        try:
            result: Answer = await server.handler(body)
        except Refused as refusal:
            result = refusal
        fault = server.line.fault_for("answer")
        if server.line.connected and (fault is None or fault.kind is not FaultKind.LOST):
            self._after_travel(self._line, lambda: answer(result))

    def _after_travel(self, to: Line, arrive: Callable[[], object]) -> None:
        """Let something arrive at the other end, where the wires still hold when it does."""

        def arrive_if_connected() -> None:
            # A suspended process gets it when it continues; its own awaits hold it back until then.
            if to.reachable:
                arrive()

        asyncio.get_running_loop().call_later(self._line.latency_s + to.latency_s, arrive_if_connected)


def _check(body: bytes, *words: str) -> None:
    if len(body) > MAX_BODY_BYTES:
        raise ValueError(f"a message holds at most {MAX_BODY_BYTES} bytes")
    for word in words:
        if not _WORD.fullmatch(word):
            raise ValueError(f"{word!r} is not a single word of letters, digits, _ and -")
