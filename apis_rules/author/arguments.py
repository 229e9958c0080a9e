"""Values given on the command line: read strictly, refused with one sentence."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any, Final

from apis_rules.documents.diagnostics import Diagnostic, Location, Severity
from apis_rules.errors import InputError

if TYPE_CHECKING:
    from typing import NoReturn

_TIME: Final = re.compile(r"(?:\d{4}/\d{2}/\d{2}-)?([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?(?:\.\d+)?", re.ASCII)


def refuse(argument: str, message: str, hint: str = "") -> NoReturn:
    """Raise the ``InputError`` of an argument that cannot be used."""
    raise InputError([Diagnostic(Location(f"<argument {argument}>"), "AR101", Severity.ERROR, message, hint)])


def time_of_day(text: str) -> int | None:
    """Return the seconds since midnight of ``HH:MM[:SS]`` or of a unit's ``yyyy/MM/dd-HH:mm:ss``; else None."""
    found = _TIME.fullmatch(text)
    if found is None:
        return None
    hours, minutes, seconds = found.groups(default="0")
    return int(hours) * 3600 + int(minutes) * 60 + int(seconds)


def clock(time_s: float) -> str:
    """Write seconds since midnight as ``HH:MM:SS``; the end of the day is ``24:00:00``."""
    minutes, seconds = divmod(int(time_s), 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}"


def time_argument(argument: str, text: str) -> int:
    """Read a time of day given as *argument*."""
    time_s = time_of_day(text)
    if time_s is None:
        refuse(argument, f"{text!r} is no time of day", "write HH:MM:SS, from 00:00:00 to 23:59:59")
    return time_s


def energy_argument(argument: str, text: str) -> int:
    """Read the energy in a battery, rounded down to whole Wh, given as *argument*."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= MAX_WH:
        refuse(argument, f"{text!r} is no energy in a battery", f"write Wh, from 0 to {MAX_WH:.0f}")
    return math.floor(value)


MAX_WH: Final = 1e9
"""No battery holds more; a larger number is a mistake, and all arithmetic below it is exact."""


def object_argument(argument: str, text: str) -> dict[str, Any]:
    """Read a JSON object given as *argument*."""
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        refuse(argument, f"this is not JSON: {error}", 'quote it for the shell: \'{"type": "charge"}\'')
    if not isinstance(value, dict):
        refuse(argument, "a JSON object is needed, in braces")
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")
