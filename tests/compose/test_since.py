"""``--since T``."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from apis_rules.compose.since import parse_since
from apis_rules.errors import InputError

ZONE = timezone(timedelta(hours=9))
NOW = datetime(2026, 11, 25, 10, 30, tzinfo=ZONE)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2h", "2026-11-25T08:30:00+09:00"),
        ("90", "2026-11-25T10:28:30+09:00"),
        ("9:05", "2026-11-25T09:05:00+09:00"),
        ("14:00:05", "2026-11-25T14:00:05+09:00"),
        ("2026-11-24", "2026-11-24T00:00:00+09:00"),
        ("2026-11-24T14:00", "2026-11-24T14:00:00+09:00"),
        ("2026-11-24T14:00:00Z", "2026-11-24T23:00:00+09:00"),
    ],
)
def test_moments(text: str, meant: str) -> None:
    """A duration counts back from now; a time is today's; what has no zone is local."""
    assert parse_since(text, NOW) == datetime.fromisoformat(meant)


@pytest.mark.parametrize("text", ["yesterday", "25:00", "-1h", "", "9" * 30 + "d"])
def test_what_is_no_moment(text: str) -> None:
    """It is refused with examples."""
    with pytest.raises(InputError, match=r"AR101.*is no moment"):
        parse_since(text, NOW)
