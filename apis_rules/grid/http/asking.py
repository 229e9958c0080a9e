"""Reading requests: every wrong one becomes one sentence in ``{"err": …}`` with status 400 or 404."""

from __future__ import annotations

import math
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import HTMLResponse, JSONResponse, Response

from apis_rules.grid.meters import fits
from apis_rules.ports.types import ConverterMode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

_MODES: Final = {int(mode.code, 16): mode for mode in ConverterMode}
# What a converter of this kind can be set to at all: its rated current, its overvoltage threshold, a whole droop.
_RANGES: Final = {"dvg": 400.0, "dig": 7.8125, "drg": 1.0}
_NOT_FOUND: Final = "<!DOCTYPE html><title>Not found</title><h1>404</h1><p>There is no such path.</p>"


class Wrong(Exception):
    """A request that cannot be served.

    Attributes:
        status: of the answer.
    """

    def __init__(self, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.status = status


async def answer_wrong(_: Request, error: Exception) -> Response:
    """Answer a request that is wrong."""
    return JSONResponse({"err": str(error)}, getattr(error, "status", 400))


async def answer_not_found(request: Request, error: Exception) -> Response:
    """Answer an unknown path, or a method that a path does not take."""
    status = getattr(error, "status_code", 404)
    if status == 405:
        return JSONResponse({"err": f"{request.method} is not for {request.url.path}"}, status)
    return HTMLResponse(_NOT_FOUND, status)


def mode_of(text: str) -> ConverterMode:
    """Return the converter mode that *text* is the hexadecimal code of. Raises ``Wrong`` in a driver's words."""
    try:
        code = int(text, 16)
    except ValueError:
        raise Wrong(f"bad value: {text}") from None
    if code not in _MODES:
        raise Wrong(f"bad value: operation mode: {code}")
    return _MODES[code]


def number_within(name: str, text: str, most: float) -> float:
    """Return the number from 0 to *most* that *text* is; infinity and NaN are no numbers."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise Wrong(f"{name} = {text} is no number")
    if not 0.0 <= number <= most:
        raise Wrong(f"{name} = {text} is out of range: 0 to {most:g}")
    return number


def register_value(name: str, text: str) -> float:
    """Return a set-point that fits into its register. Raises ``Wrong`` in the words of ``dcdc_v2``."""
    try:
        number = Decimal(text)
    except InvalidOperation as error:
        raise Wrong(str(error)) from None
    if not number.is_finite() or abs(number) > 10**9:
        raise Wrong(f"bad value: {text}")
    if not fits(name, float(number)):
        raise Wrong("ushort format requires 0 <= number <= 65535")
    return float(number)


def set_point(query: Mapping[str, str], name: str, default: float | None = None) -> float:
    """Return the set-point *name* of a ``dcdc_emulator`` request, within what a converter can be set to."""
    text = query.get(name, "")
    if not text:
        if default is None:
            raise Wrong(f"{name} is missing")
        return default
    return number_within(name, text, _RANGES[name])


def handlers() -> dict[Any, Any]:
    """Return Starlette's table of exception handlers for all applications here."""
    return {Wrong: answer_wrong, 404: answer_not_found, 405: answer_not_found}
