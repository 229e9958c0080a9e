"""What a community has kept in its streams: final records of deals, and decisions."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any

from apis_rules.ports.types import DealRecord, ErrorEvent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from apis_rules.ports.streams import Streams


async def read_kept(streams: Streams, stream: str) -> AsyncIterator[bytes]:
    """Yield what is in a stream now, oldest first."""
    last = await streams.last_seq(stream)
    if last == 0:
        return
    async for message in streams.read(stream):
        yield message.body
        if message.seq >= last:
            return


async def load_records(streams: Streams, since: datetime | None = None) -> list[DealRecord]:
    """Return the final records of the deals that ended since a moment, oldest first."""
    records = [DealRecord.from_json(body) async for body in read_kept(streams, "DEALLOG")]
    if since is None:
        return records
    return [r for r in records if (at := ended_at(r)) is None or at >= since]


async def load_decisions(streams: Streams) -> list[dict[str, Any]]:
    """Return the decisions that were kept, oldest first."""
    return [json.loads(body) async for body in read_kept(streams, "DECISIONS")]


async def load_errors(streams: Streams) -> list[ErrorEvent]:
    """Return the error events that were kept, oldest first."""
    return [ErrorEvent.from_json(body) async for body in read_kept(streams, "ERRLOG")]


def ended_at(record: DealRecord) -> datetime | None:
    """Return when a deal was over, None where its record does not say."""
    text = record.deactivate_date_time_utc or record.stop_date_time_utc or record.create_date_time_utc
    return datetime.fromisoformat(text) if text else None
