"""Kinds of arguments of the command line: readers that refuse in one sentence what is out of range."""

from __future__ import annotations

import argparse
import re
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """Return a reader of whole numbers from *least* to *most*."""

    def read(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,10}", text) or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {least} to {most}")
        return int(text)

    return read


def number(least: float, most: float) -> Callable[[str], float]:
    """Return a reader of numbers from *least* to *most*."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is no number from {least:g} to {most:g}")
        return value

    return read


def percents(text: str) -> list[float]:
    """Read ``92,27,68``: numbers from 0 to 100."""
    return [number(0, 100)(part) for part in text.split(",")]


def moment(text: str) -> datetime:
    """Read a time of the units' clock, which has no zone."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no time like 2020-01-01T08:00:00") from None
    if found.tzinfo is not None:
        raise argparse.ArgumentTypeError("the units' clock has no time zone: leave it out")
    return found
