"""A device driver for tests: real HTTP on loopback, each answer as the test scripts it, every request noted."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import parse_qsl, urlsplit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable


@dataclass(frozen=True)
class Answer:
    """What comes back.

    Attributes:
        body: a JSON value, or bytes as they are.
        after: waited for before the answer leaves; None answers at once.
        silent: nothing comes back; the connection stays open until the client gives up.
        cut: the connection is closed without an answer.
    """

    body: Any = None
    status: int = 200
    after: asyncio.Event | None = None
    silent: bool = False
    cut: bool = False


Script: TypeAlias = "Callable[[str, dict[str, str]], Answer | Awaitable[Answer]]"


@dataclass
class ScriptedDriver:
    """Answers what ``script(path, query)`` says."""

    script: Script
    port: int = 0
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    open_now: int = 0
    open_most: int = 0
    arrived: asyncio.Condition = field(default_factory=asyncio.Condition)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.requests]

    async def wait_for(self, count: int) -> None:
        """Return when *count* requests have arrived in all."""
        async with asyncio.timeout(10), self.arrived:
            await self.arrived.wait_for(lambda: len(self.requests) >= count)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open_now += 1
        self.open_most = max(self.open_most, self.open_now)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            url = urlsplit(head.split(b" ", 2)[1].decode())
            query = dict(parse_qsl(url.query, keep_blank_values=True))
            scripted = self.script(url.path, query)
            async with self.arrived:
                self.requests.append((url.path, query))
                self.arrived.notify_all()
            answer = scripted if isinstance(scripted, Answer) else await _unless_gone(scripted, reader)
            if answer.after:
                await answer.after.wait()
            if answer.silent:
                await reader.read()  # until the client gives up
            elif not answer.cut:
                body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
                writer.write(b"HTTP/1.0 %d X\r\nContent-Type: application/json\r\n\r\n" % answer.status + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client went away, which some tests want
        finally:
            self.open_now -= 1
            writer.close()


async def _unless_gone(scripted: Awaitable[Answer], reader: asyncio.StreamReader) -> Answer:
    """Return the answer; one that never comes ends when the client gives up."""
    answering, gone = asyncio.ensure_future(scripted), asyncio.ensure_future(reader.read())
    await asyncio.wait({answering, gone}, return_when=asyncio.FIRST_COMPLETED)
    for task in (answering, gone):
        task.cancel()
    await asyncio.gather(answering, gone, return_exceptions=True)
    return Answer(cut=True) if answering.cancelled() else answering.result()


@asynccontextmanager
async def scripted_driver(script: Script) -> AsyncIterator[ScriptedDriver]:
    """Serve *script* on a free port of loopback."""
    driver = ScriptedDriver(script)
    server = await asyncio.start_server(driver.serve, "127.0.0.1", 0)
    driver.port = server.sockets[0].getsockname()[1]
    try:
        yield driver
    finally:
        server.close()
        await server.wait_closed()
