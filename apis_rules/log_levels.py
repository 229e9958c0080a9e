"""The levels of the action log (specification 9.1): names of java.util.logging, numbers of ``logging``.

FATAL and ERROR are written as SEVERE, DEBUG as FINE, TRACE as FINEST. Nothing is written at CONFIG or FINER; as a
threshold each of them lets through what is above it.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

LogLevel: TypeAlias = Literal["OFF", "SEVERE", "WARNING", "INFO", "CONFIG", "FINE", "FINER", "FINEST", "ALL"]

TRACE: Final = 5
"""Level of each request to a driver, for ``log``; below ``DEBUG``."""

OFF: Final = logging.CRITICAL + 1

THRESHOLDS: Final[Mapping[LogLevel, int]] = {
    "OFF": OFF,
    "SEVERE": logging.ERROR,
    "WARNING": logging.WARNING,
    "INFO": logging.INFO,
    "CONFIG": logging.INFO,
    "FINE": logging.DEBUG,
    "FINER": logging.DEBUG,
    "FINEST": TRACE,
    "ALL": TRACE,
}
"""From which level of ``logging`` on an output takes a line; from the strictest to the most generous."""


def level_name(number: int) -> LogLevel:
    """Return the name under which a line of this level of ``logging`` is written."""
    if number >= logging.ERROR:
        return "SEVERE"
    if number >= logging.WARNING:
        return "WARNING"
    if number >= logging.INFO:
        return "INFO"
    return "FINE" if number >= logging.DEBUG else "FINEST"


def stricter(one: LogLevel, other: LogLevel) -> LogLevel:
    """Return the level that lets less through."""
    order = list(THRESHOLDS)
    return min(one, other, key=order.index)
