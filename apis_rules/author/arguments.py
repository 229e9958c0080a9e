"""Values given on the command line: read strictly, refused with one sentence."""

from __future__ import annotations

import difflib
import json
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import ConfigDict, Field, ValidationError

from apis_rules.decide.choosing import Candidate
from apis_rules.documents.diagnostics import Location
from apis_rules.documents.load import ENDINGS
from apis_rules.documents.source import read_text, refusal
from apis_rules.ports.types.model import WireModel
from apis_rules.ports.types.negotiation import Direction

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import NoReturn

_TIME: Final = re.compile(r"(?:\d{4}/\d{2}/\d{2}-)?([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?(?:\.\d+)?", re.ASCII)

EXAMPLE: Final = 'like {"unitId": "E002", "type": "charge", "amountWh": 500}'
MAX_WH: Final = 1e9
"""No battery holds more; a larger number is a mistake, and all arithmetic below it is exact."""


def refuse(argument: str | Location, message: str, hint: str = "") -> NoReturn:
    """Raise the ``InputError`` of an argument that cannot be used, or of the place in a file that it names."""
    place = Location(f"<argument {argument}>") if isinstance(argument, str) else argument
    raise refusal(place, "AR101", message, hint)


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


def rules_argument(text: str | None) -> Path | None:
    """Read the folder given as ``--rules``, if any; one without any file would silently change nothing."""
    if text is None:
        return None
    folder = Path(text)
    hint = "name the folder that holds request.yaml, accept.yaml, ..."
    if not folder.is_dir():
        refuse("--rules", f"{folder} is no folder", hint)
    if not any(path.suffix in ENDINGS for path in folder.iterdir()):
        refuse("--rules", f"{folder} holds no rule file", hint)
    return folder


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


def object_argument(argument: str, text: str) -> dict[str, Any]:
    """Read a JSON object given as *argument*: itself, or the name of a file that holds it."""
    inline = text.lstrip().startswith("{")
    value = read_json(argument if inline else Location(text, 1, 1), text if inline else read_text(Path(text)))
    if not isinstance(value, dict):
        refuse(argument, "a JSON object is needed, in braces")
    return value


def read_json(argument: str | Location, text: str) -> Any:
    """Read JSON that came by way of *argument*: an option, or a file from this place on."""
    try:
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        hint = 'a shell wants it quoted: \'{"type": "charge"}\'' if isinstance(argument, str) else ""
        if isinstance(argument, Location) and isinstance(error, json.JSONDecodeError):
            argument = Location(argument.file, argument.line + error.lineno - 1, error.colno)
        refuse(argument, f"this is not JSON: {getattr(error, 'msg', error)}", hint)


def candidate_argument(argument: str | Location, value: Mapping[str, Any], unit_id: str | None = None) -> Candidate:
    """Read a request or accept in the form of its message.

    Args:
        argument: where it came from, for diagnostics.
        value: with ``type`` and ``amountWh``, optionally ``unitId``, ``pointPerWh``, ``pairUnitId``.
        unit_id: who sends it, where it does not say so itself.
    """
    try:
        message = _Message.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(map(str, first["loc"]))
        problem = "is missing" if first["type"] == "missing" else first["msg"].replace("Input should be", "must be")
        refuse(argument, f"{field} {problem}", EXAMPLE)
    for key in value:
        near = difflib.get_close_matches(key.casefold(), _KEYS, n=1, cutoff=0.85)
        if near and _KEYS[near[0]] not in value and key not in _Message.model_fields:
            refuse(argument, f"there is no key {key!r}", f"did you mean {_KEYS[near[0]]}?")
    sender = message.unit_id or unit_id
    if sender is None:
        refuse(argument, "it does not say who sends it", "add unitId")
    return Candidate(sender, message.type, message.amount_wh, message.point_per_wh, message.pair_unit_id)


class _Message(WireModel):
    model_config = ConfigDict(strict=True)

    type: Annotated[Direction, Field(strict=False)]
    amount_wh: Annotated[int, Field(ge=0, le=MAX_WH)] | None = None
    point_per_wh: Annotated[float, Field(ge=0)] | None = None
    unit_id: str | None = None
    pair_unit_id: str | None = None


_KEYS: Final = {(field.alias or name).casefold(): field.alias or name for name, field in _Message.model_fields.items()}
"""A message has other keys too; what nearly is one of these was meant to be it."""


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")
