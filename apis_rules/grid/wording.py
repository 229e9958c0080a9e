"""What pydantic finds wrong in a fault or a topology, in words for whoever wrote it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_WORDS: Final = {
    "missing": "is missing",
    "extra_forbidden": "is no key of this",
    "model_type": "an object with keys was expected",
    "dict_type": "an object with keys was expected",
    "tuple_type": "a list was expected",
}


def sentence(detail: ErrorDetails) -> str:
    """Return one error of pydantic's as a short sentence that names the key."""
    message = _WORDS.get(detail["type"]) or detail["msg"].removeprefix("Value error, ").replace(
        "Input should", "should"
    )
    where = ".".join(map(str, detail["loc"]))
    if not where:
        return message
    return f"{where} {message}" if message.startswith(("is ", "should ")) else f"{where}: {message}"
