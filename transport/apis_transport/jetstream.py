"""What we ask of the server's streams, in its own protocol: a few requests with JSON, and headers on messages.

The client library's key-value layer is not used: it reads expired values as present, loses time limits when it
updates, deletes without condition where it should compare, and follows changes through outages late or not at all.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from apis_rules.errors import Conflict, Outage, Refused, Unknown
from apis_transport.connection import NobodyListens

if TYPE_CHECKING:
    from collections.abc import Mapping

    from apis_transport.connection import Connection

EXPECTED_SEQ: Final = "Nats-Expected-Last-Subject-Sequence"
EXPECTED_SUBJECT: Final = "Nats-Expected-Last-Subject-Sequence-Subject"
TIME_LIMIT: Final = "Nats-TTL"
MESSAGE_ID: Final = "Nats-Msg-Id"
OPERATION: Final = "KV-Operation"
MARKER: Final = "Nats-Marker-Reason"
BATCH_ID: Final = "Nats-Batch-Id"
BATCH_SEQUENCE: Final = "Nats-Batch-Sequence"
BATCH_COMMIT: Final = "Nats-Batch-Commit"


class StoreFull(Refused):
    """A disk or memory quota of the store is reached."""

    code = "AR516"


class NoStream(Outage):
    """The server does not know this bucket or log: not made yet, lost, or the servers are still finding it."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A message as it lies in a stream."""

    seq: int
    subject: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def gone(self) -> bool:
        """Whether it says that its key was deleted or has expired."""
        return is_gone(self.headers)


@dataclass(frozen=True, slots=True)
class Publication:
    """A message to be stored."""

    subject: str
    body: bytes
    headers: Mapping[str, str]


def is_gone(headers: Mapping[str, str]) -> bool:
    """Whether a message with these headers says that its key was deleted or has expired."""
    return headers.get(OPERATION) in {"DEL", "PURGE"} or MARKER in headers


@dataclass(frozen=True, slots=True)
class JetStream:
    """The streams behind a connection. *limit_s*: of one question."""

    connection: Connection
    limit_s: float

    async def api(
        self, call: str, body: Mapping[str, Any] | None = None, within_s: float | None = None
    ) -> dict[str, Any]:
        """Make one call of the management protocol and return its answer.

        Raises:
            Outage: not reached, no leader, no answer in time, or no such stream (``NoStream``).
            Refused: the answer is no.
        """
        payload = b"" if body is None else json.dumps(body).encode()
        try:
            answer = await self.connection.request(f"$JS.API.{call}", payload, within_s or self.limit_s)
        except Unknown as error:
            raise Outage(str(error)) from None
        document: dict[str, Any] = json.loads(answer.data)
        if "error" in document:
            raise refusal(document["error"])
        return document

    async def info(self, stream: str, subjects: str | None = None) -> dict[str, Any]:
        """Return configuration and state as the stream's leader knows them. Raises ``Outage``."""
        return await self.api(f"STREAM.INFO.{stream}", {"subjects_filter": subjects} if subjects else None)

    async def last(self, stream: str, subject: str) -> Stored | None:
        """Read the last message on *subject* from the stream's leader. Raises ``Outage``."""
        return await self._get(stream, {"last_by_subj": subject})

    async def next(self, stream: str, seq: int, pattern: str) -> Stored | None:
        """Read the first message from *seq* on whose subject matches, from the leader. Raises ``Outage``."""
        return await self._get(stream, {"seq": seq, "next_by_subj": pattern})

    async def _get(self, stream: str, query: Mapping[str, Any]) -> Stored | None:
        try:
            message = (await self.api(f"STREAM.MSG.GET.{stream}", query))["message"]
        except NoMessage:
            return None
        return Stored(
            message["seq"],
            message["subject"],
            _headers(base64.b64decode(message.get("hdrs", ""))),
            base64.b64decode(message.get("data", "")),
        )

    async def store(self, *publications: Publication) -> int:
        """Store all messages in one step, or none; return the sequence of the last one.

        Raises:
            Conflict: a condition did not hold.
            Outage: nothing was stored.
            Refused: the server said no.
            Unknown: no answer in time.
        """
        *first, last = publications
        headers = dict(last.headers)
        if first:
            batch = secrets.token_hex(8)
            for number, part in enumerate(first, 1):
                await self.connection.publish(part.subject, part.body, _in_batch(part, batch, number))
            headers = {**_in_batch(last, batch, len(publications)), BATCH_COMMIT: "1"}
        try:
            answer = await self.connection.request(last.subject, last.body, self.limit_s, headers)
        except NobodyListens:
            raise Outage("the store has no leader, or the bucket is not there") from None
        document = json.loads(answer.data)
        if "error" in document:
            raise refusal(document["error"])
        return int(document["seq"])


class NoMessage(Refused):
    """There is no such message."""


class AlreadyThere(Refused):
    """A stream of this name was made in the meantime."""


class UnderWay(Conflict):
    """Another write that concerns the same key is not decided yet."""


def refusal(error: Mapping[str, Any]) -> Refused | Outage:
    """Return the exception for an error that the server answered."""
    number, text = int(error.get("err_code", 0)), str(error.get("description", "no reason given"))
    if number == 10071:
        actual = re.search(r"(\d+)$", text)
        return Conflict(text, int(actual[1]) if actual else None)
    if number in _FULL:
        return StoreFull(f"{StoreFull.code}: the store's quota is used up ({text})")
    if number in _ANSWERS:
        return _ANSWERS[number](text)
    return Outage(text) if error.get("code") == 503 else Refused(f"{text} ({number})")


_FULL: Final = frozenset({10002, 10023, 10028, 10047, 10077, 10122})
_ANSWERS: Final[Mapping[int, type[Refused | Outage]]] = {
    10005: Outage,  # a server that shall hold a replica is not there yet; it may be a moment later
    10037: NoMessage,
    10058: AlreadyThere,
    10059: NoStream,
    10164: UnderWay,
    10158: Outage,  # a repetition whose first copy is still under way
    10176: Outage,  # a batch that lacks a part
    10199: Outage,  # a batch for which there is no room now
    10208: Outage,
    10210: Outage,
    10211: Outage,
}


def _in_batch(part: Publication, batch: str, number: int) -> dict[str, str]:
    return {**part.headers, BATCH_ID: batch, BATCH_SEQUENCE: str(number)}


def _headers(block: bytes) -> dict[str, str]:
    lines = block.decode().split("\r\n")[1:]
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
