"""``--since T``: from when on records are shown."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from apis_rules.compose.options import parse_duration
from apis_rules.documents.diagnostics import Location
from apis_rules.documents.source import refusal

_CLOCK: Final = re.compile(r"\d{1,2}:\d{2}(:\d{2})?")
_AGO: Final = re.compile(r"\d+(\.\d+)?(ms|s|m|h|d)?")


def parse_since(text: str, now: datetime) -> datetime:
    """Return the moment that *text* means: ``2h`` (ago), ``14:00`` (today), ``2026-11-24`` or ``2026-11-24T14:00``.

    Args:
        text: as given; a time without a zone is in that of *now*.
        now: with its zone.

    Raises:
        InputError: it means none.
    """
    try:
        if _AGO.fullmatch(text):
            return (now - timedelta(seconds=parse_duration(text, "--since"))).astimezone(UTC)
        if _CLOCK.fullmatch(text):
            text = f"{now.date()}T{text.zfill(len(text) + (text.index(':') < 2))}"
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        message = f"{text!r} is no moment"
        raise refusal(
            Location("<argument --since>"), "AR101", message, "2h, 14:00, 2026-11-24, 2026-11-24T14:00"
        ) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=now.tzinfo)).astimezone(UTC)
