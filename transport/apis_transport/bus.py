"""``ports.bus.Bus`` over plain messages."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote

from apis_rules.errors import Outage, Refused
from apis_rules.ports.feed import Feed
from apis_transport.background import background_tasks
from apis_transport.connection import NobodyListens

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from nats.aio.msg import Msg

    from apis_rules.ports.bus import Handler
    from apis_transport.connection import Connection
    from apis_transport.names import Names

MAX_BODY_BYTES: Final = 1_000_000
REFUSED: Final = "Apis-Refused"
_NO_RESPONDERS: Final = "503"


@dataclass(frozen=True, slots=True)
class NatsBus:
    """Messages without memory. Made by ``open_community``."""

    connection: Connection
    names: Names

    async def ask(self, unit_id: str, verb: str, body: bytes, within_s: float) -> bytes:
        """Ask one unit and return its answer."""
        _check(body)
        try:
            answer = await self.connection.request(self.names.question(unit_id, verb), body, within_s)
        except NobodyListens:
            raise Refused(f"{unit_id} does not answer {verb}") from None
        if answer.headers and REFUSED in answer.headers:
            raise Refused(unquote(answer.headers[REFUSED]))
        return answer.data

    async def gather(self, verb: str, body: bytes, within_s: float, expected: int | None = None) -> Sequence[bytes]:
        """Ask every node; return the answers in order of arrival."""
        _check(body)
        subject, inbox = self.names.question_to_all(verb), self.connection.new_inbox()
        answers: list[bytes] = []
        enough = asyncio.Event()

        def receive(message: Msg) -> None:
            headers = message.headers or {}
            if REFUSED not in headers and headers.get("Status") != _NO_RESPONDERS:
                answers.append(message.data)
                if expected is not None and len(answers) >= expected:
                    enough.set()

        # The question follows the subscription on the same wire, so no answer can be missed.
        async with self.connection.subscribe(inbox, receive, confirmed=False):
            await self.connection.publish(subject, body, reply=inbox)
            try:
                async with asyncio.timeout(within_s):
                    await enough.wait()
            except TimeoutError:
                pass
        return answers

    async def broadcast(self, topic: str, body: bytes) -> None:
        """Tell all listeners."""
        _check(body)
        await self.connection.publish(self.names.news(topic), body)

    @asynccontextmanager
    async def serve(self, unit_id: str, verb: str, handler: Handler) -> AsyncIterator[None]:
        """Answer ``ask(unit_id, verb)`` and ``gather(verb)`` while the context is open."""
        async with background_tasks() as tasks:

            def receive(message: Msg) -> None:
                tasks.create_task(self._answer(message, handler), name=f"{unit_id} answers {verb}")

            async with (
                self.connection.subscribe(self.names.question(unit_id, verb), receive),
                self.connection.subscribe(self.names.question_to_all(verb), receive),
            ):
                yield
            await self.connection.settle()  # whoever asks from now on is told that nobody answers

    @asynccontextmanager
    async def listen(self, topic: str) -> AsyncIterator[AsyncIterator[bytes]]:
        """Hear what is broadcast on *topic* while the context is open."""
        feed: Feed[bytes] = Feed()
        async with self.connection.subscribe(self.names.news(topic), lambda message: feed.put(message.data)):
            yield feed

    async def _answer(self, question: Msg, handler: Handler) -> None:
        headers = None
        try:
            answer = await handler(question.data)
        except Refused as refusal:
            # A header is one line of ASCII.
            answer, headers = b"", {REFUSED: quote(str(refusal), safe=" ")}
        if answer is None:
            return
        try:
            await self.connection.publish(question.reply, answer, headers)
        except Outage:
            # The asker is as far away as the server, and sees that no answer comes.
            return


def _check(body: bytes) -> None:
    if len(body) > MAX_BODY_BYTES:
        raise ValueError(f"a message holds at most {MAX_BODY_BYTES} bytes")
