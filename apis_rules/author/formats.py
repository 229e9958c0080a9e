"""The forms in which verbs print rows."""

from __future__ import annotations

from typing import Final

FORMATS: Final = ("table", "json", "jsonl", "csv")
"""For people; one JSON value; one JSON object per line; comma-separated values under a line of names."""
