"""The connection to the servers: one client at a time, a new one after every loss, and nothing sent late.

What is sent while there is no connection raises ``Outage`` at once and is forgotten. The client library would keep it
and deliver it when it reconnects, so its own reconnecting is switched off: a lost client is thrown away with whatever
it still held, and the subscriptions are made again on the next one. This also brings back a client that the server
closed for good (expired rights).
"""

from __future__ import annotations

import asyncio
import logging
import random
import re
import secrets
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

import nats.errors
from nats.aio.client import Client

from apis_rules.errors import Outage, PortError, Refused, Unknown
from apis_transport.background import background_tasks
from apis_transport.credentials import load_credentials
from apis_transport.errors import CannotOpen
from apis_transport.server_checks import address, check_url, check_version, explain, unreachable

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from nats.aio.msg import Msg
    from nats.aio.subscription import Subscription

    Receive: TypeAlias = Callable[[Msg], None]

_log = logging.getLogger(__name__)
_draw = random.SystemRandom()

CONNECT_TIMEOUT_S: Final = 1
_LOOK_S: Final = 0.5
SETTLE_LIMIT_S: Final = 1.0
_ECHO: Final = "echo"
_NOBODY: Final = "503"
_DENIED: Final = re.compile(r'permissions violation for publish to "([^"]+)"', re.IGNORECASE)
PINGS_OUTSTANDING: Final = 2


class NobodyListens(Outage):
    """There is no one on that subject: nobody serves it, or the store has no leader."""


@dataclass(slots=True, eq=False)
class _Listener:
    subject: str
    receive: Receive
    client: Client | None = None
    subscription: Subscription | None = None


@dataclass(slots=True, eq=False)
class _Question:
    subject: str
    answer: asyncio.Future[Msg]

    def fail(self, error: PortError) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)


@dataclass(slots=True, eq=False)
class Connection:
    """To one of *urls*, whichever answers. Made by ``open_connection``."""

    urls: Sequence[str]
    name: str
    ping_s: float
    tls: ssl.SSLContext | None = None
    credentials: Mapping[str, str] = field(default_factory=dict)
    generation: int = 0
    """How many clients there have been: whoever compares two values knows that something may have been missed."""
    closing: bool = False
    _client: Client | None = None
    _replies: str = ""
    _asked: dict[str, _Question] = field(default_factory=dict)
    _listeners: set[_Listener] = field(default_factory=set)
    _watchers: list[Callable[[], None]] = field(default_factory=list)
    _lost: asyncio.Event = field(default_factory=asyncio.Event)
    _failure: Exception | None = None

    def __post_init__(self) -> None:
        # The client's own requests wait in a way that can swallow a cancellation.
        self._replies = self.new_inbox()
        self._listeners.add(_Listener(f"{self._replies}.*", self._answered))

    @property
    def connected(self) -> bool:
        """Whether a client believes that it is connected; a frozen server is noticed after two pings."""
        return self._client is not None and self._client.is_connected

    async def request(
        self, subject: str, body: bytes, within_s: float, headers: Mapping[str, str] | None = None
    ) -> Msg:
        """Ask and return the first answer.

        Raises:
            NobodyListens: there is no subscriber.
            Outage: not connected; it will not be sent later.
            Refused: the body is too large, or this user has no right to send on *subject*.
            Unknown: no answer in time, or the connection was lost before one came.
        """
        token = secrets.token_hex(8)
        question = self._asked[token] = _Question(subject, asyncio.get_running_loop().create_future())
        try:
            await self.publish(subject, body, headers, reply=f"{self._replies}.{token}")
            async with asyncio.timeout(within_s):
                return await question.answer
        except TimeoutError:
            raise Unknown(f"no answer on {subject} within {within_s:g} s") from None
        finally:
            del self._asked[token]

    async def publish(
        self, subject: str, body: bytes, headers: Mapping[str, str] | None = None, reply: str = ""
    ) -> None:
        """Send without an answer.

        Raises:
            Outage: not connected; it will not be sent later.
            Refused: the body is too large.
        """
        client = self._current()
        try:
            await client.publish(subject, body, reply=reply, headers=dict(headers) if headers else None)
        except nats.errors.MaxPayloadError:
            raise Refused(f"a message of {len(body)} bytes is too large for this server") from None
        except nats.errors.Error as error:
            raise Outage(f"not connected: {error}") from error

    async def settle(self) -> None:
        """Return when the server has handled everything sent so far, or is not there to do so."""
        with suppress(PortError):
            await self.request(f"{self._replies}.{_ECHO}", b"", SETTLE_LIMIT_S)

    def new_inbox(self) -> str:
        """Return a subject of our own for answers."""
        return f"_INBOX_{self.name}.{secrets.token_hex(8)}"

    @asynccontextmanager
    async def subscribe(self, subject: str, receive: Receive, *, confirmed: bool = True) -> AsyncIterator[None]:
        """Hand every message on *subject* to *receive* while the context is open, over reconnections.

        *confirmed*: where there is a connection, the server knows of the subscription when the context is entered.
        """
        listener = _Listener(subject, receive)
        self._listeners.add(listener)
        try:
            if self._client is not None:
                with suppress(nats.errors.Error):  # the next client subscribes anew
                    await self._attach(self._client, listener)
                if confirmed:
                    await self.settle()
            yield
        finally:
            self._listeners.discard(listener)
            if listener.subscription is not None:
                with suppress(nats.errors.Error):  # it went with its client
                    await listener.subscription.unsubscribe()

    @contextmanager
    def on_change(self, tell: Callable[[], None]) -> Iterator[None]:
        """Call *tell* at each connection and each loss while the context is open."""
        self._watchers.append(tell)
        try:
            yield
        finally:
            self._watchers.remove(tell)

    async def run(self) -> None:
        """Keep connected until cancelled. Raises what went wrong inside a receiver: that is a bug."""
        try:
            while not self.closing:
                await self._until_lost()
                if self._failure is not None:
                    raise self._failure
                self._drop()
                await self._reconnect()
        finally:
            client, self._client = self._client, None
            if client is not None:
                await _close(client)

    async def _until_lost(self) -> None:
        # A client that fails while it closes, as with bytes left for a server that was killed, never says that it has.
        while not self._lost.is_set() and self._client is not None and not self._client.is_closed:
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S):
                    await self._lost.wait()

    async def connect_first(self, within_s: float) -> None:
        """Connect for the first time, so that what can never work is said at once.

        Raises:
            CannotOpen: a URL, the credentials or a server's version will not do, or nothing answers for *within_s*.
        """
        last: CannotOpen | None = None
        try:
            async with asyncio.timeout(within_s):
                while True:
                    for url in _draw.sample(list(self.urls), len(self.urls)):
                        try:
                            await self._connect(url)
                        except CannotOpen as error:
                            if error.code != "AR512":
                                raise
                            last = error
                        else:
                            return
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise last or unreachable(self.urls[0], "no answer in time") from None

    async def _reconnect(self) -> None:
        while not self.closing:
            for url in _draw.sample(list(self.urls), len(self.urls)):
                try:
                    await self._connect(url)
                except CannotOpen as error:
                    # A server that refuses us today may be restarted with other rights tomorrow.
                    level = logging.DEBUG if error.code == "AR512" else logging.WARNING
                    _log.log(level, "%s", error)
                else:
                    return
            # Many nodes lose one server together and must not return in one instant.
            await asyncio.sleep(_draw.uniform(0.1, 0.5))

    async def _connect(self, url: str) -> None:
        where = address(url)
        client = Client()
        opening = True

        async def on_error(error: Exception) -> None:
            if opening:
                raise error
            self._note(error, where)

        async def on_close() -> None:
            if self._client is client:
                self._lost.set()

        try:
            async with asyncio.timeout(2 * CONNECT_TIMEOUT_S):
                await client.connect(
                    url,
                    name=self.name,
                    error_cb=on_error,
                    closed_cb=on_close,
                    allow_reconnect=False,
                    pending_size=0,
                    connect_timeout=CONNECT_TIMEOUT_S,
                    ping_interval=self.ping_s,  # type: ignore[arg-type]  # declared int, used as a delay
                    max_outstanding_pings=PINGS_OUTSTANDING,
                    inbox_prefix=f"_INBOX_{self.name}",
                    tls=self.tls,
                    **self.credentials,  # type: ignore[arg-type]  # one of two paths
                )
                check_version(client, where)
                await self._attach_all(client)
            opening = False
        except (nats.errors.Error, OSError, TimeoutError) as error:
            raise explain(url, error) from error
        finally:
            if opening:
                await _close(client)
        self._lost.clear()
        self._client = client
        self.generation += 1
        if not client.is_connected:  # lost again while it subscribed
            self._lost.set()
        self._tell()

    async def _attach(self, client: Client, listener: _Listener) -> None:
        receive = listener.receive

        async def receive_later(message: Msg) -> None:
            receive(message)

        listener.client = client
        listener.subscription = await client.subscribe(listener.subject, cb=receive_later)

    async def _attach_all(self, client: Client) -> None:
        # More may come while these are made.
        while missing := [listener for listener in self._listeners if listener.client is not client]:
            for listener in missing:
                await self._attach(client, listener)
            await client.flush(timeout=CONNECT_TIMEOUT_S)

    def _answered(self, message: Msg) -> None:
        token = message.subject.rpartition(".")[2]
        if token == _ECHO:
            token = message.reply.rpartition(".")[2]
        question = self._asked.get(token)
        if question is None or question.answer.done():
            return
        if message.headers and message.headers.get("Status") == _NOBODY:
            question.fail(NobodyListens(f"nobody listens on {question.subject}"))
        else:
            question.answer.set_result(message)

    def _note(self, error: Exception, where: str) -> None:
        if isinstance(error, nats.errors.Error | OSError):
            _log.info("%s: %s", where, error)
            # The server says it beside the message, in small letters, and never answers the question.
            denied = _DENIED.search(str(error))
            for question in self._asked.values():
                if denied and question.subject.lower() == denied[1].lower():
                    question.fail(Refused(f"this user has no right to send on {question.subject}"))
        else:
            self._failure = error
            self._lost.set()

    def _drop(self) -> None:
        self._client = None
        for question in self._asked.values():
            question.fail(Unknown("the connection was lost before an answer came"))
        self._tell()

    def _tell(self) -> None:
        for tell in list(self._watchers):
            tell()

    def _current(self) -> Client:
        if self._client is None or not self._client.is_connected:
            raise Outage("not connected")
        return self._client


@asynccontextmanager
async def open_connection(
    urls: Sequence[str],
    name: str,
    *,
    ping_s: float = 1.0,
    within_s: float = 5.0,
    tls: ssl.SSLContext | None = None,
    credentials: Path | None = None,
) -> AsyncIterator[Connection]:
    """Connect and stay connected while the context is open.

    Raises:
        CannotOpen: AR511 not a URL, AR512 nothing answers, AR513 credentials, AR514 server too old.
    """
    for url in urls:
        check_url(url)
    user = {} if credentials is None else load_credentials(credentials)
    connection = Connection(list(urls), name, ping_s, tls, user)
    await connection.connect_first(within_s)
    async with background_tasks() as tasks:
        tasks.create_task(connection.run(), name="connection")
        await asyncio.sleep(0)  # one that is cancelled before its first step would leave the client open
        try:
            yield connection
        finally:
            # While it connects, the client can swallow the cancellation that follows.
            connection.closing = True


async def _close(client: Client) -> None:
    # A frozen server's full socket would keep the client waiting while it flushes; what it holds is to be lost anyway.
    with suppress(nats.errors.Error, OSError, TimeoutError):
        async with asyncio.timeout(0.5):
            await client.close()
