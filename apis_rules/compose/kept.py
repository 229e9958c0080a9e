"""What a community has kept in its streams: final records of deals, and decisions."""

from __future__ import annotations

import json
import logging
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from apis_rules.ports.types import DealRecord, ErrorEvent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from apis_rules.ports.streams import StreamMessage, Streams

T = TypeVar("T")

log = logging.getLogger(__name__)


async def read_understood(
    messages: AsyncIterator[StreamMessage], stream: str, read: Callable[[bytes], T]
) -> AsyncIterator[T]:
    """Yield what *read* makes of messages; one of another format, or damaged, is skipped with a warning."""
    async for message in messages:
        try:
            made = read(message.body)
        except ValueError as error:
            reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
            log.warning("message %d of %s is skipped: %s", message.seq, stream, reason)
            continue
        yield made


async def _read_kept(streams: Streams, stream: str) -> AsyncIterator[StreamMessage]:
    """Yield what is in a stream now, oldest first."""
    last = await streams.last_seq(stream)
    if last == 0:
        return
    async for message in streams.read(stream):
        yield message
        if message.seq >= last:
            return


async def load_records(streams: Streams, since: datetime | None = None) -> list[DealRecord]:
    """Return the final records of the deals that ended since a moment, oldest first."""
    records = [r async for r in read_understood(_read_kept(streams, "DEALLOG"), "DEALLOG", DealRecord.from_json)]
    if since is None:
        return records
    return [r for r in records if (at := ended_at(r)) is None or at >= since]


async def load_decisions(streams: Streams) -> list[dict[str, Any]]:
    """Return the decisions that were kept, oldest first."""
    return [d async for d in read_understood(_read_kept(streams, "DECISIONS"), "DECISIONS", _read_decision)]


async def load_errors(streams: Streams) -> list[ErrorEvent]:
    """Return the error events that were kept, oldest first."""
    return [e async for e in read_understood(_read_kept(streams, "ERRLOG"), "ERRLOG", ErrorEvent.from_json)]


def _read_decision(body: bytes) -> dict[str, Any]:
    decision = json.loads(body)
    if not isinstance(decision, dict):
        raise ValueError("not a decision")  # noqa: TRY004 - of what was read, not of an argument
    return decision


def ended_at(record: DealRecord) -> datetime | None:
    """Return when a deal was over, None where its record does not say."""
    text = record.deactivate_date_time_utc or record.stop_date_time_utc or record.create_date_time_utc
    return datetime.fromisoformat(text) if text else None
