"""Sentences with values and units: the unit is the ending of the fact's name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from apis_rules.decide.facts import Value

UNITS: Final = {
    "_percent": "%", "_per_wh": "/Wh", "_wh": "Wh", "_w": "W", "_ms": "ms", "_s": "s", "_a": "A", "_v": "V", "_c": "°C",
}  # fmt: skip
"""Ending of a fact's name → unit."""
_PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")


def unit_of(name: str) -> str:
    """Return the unit that the name of a fact ends with, or nothing."""
    return next((unit for ending, unit in UNITS.items() if name.endswith(ending)), "")


def show(name: str, value: Value | None) -> str:
    """Write the value of a fact for people: ``47.3 °C``, ``yes``, ``unknown``."""
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else f"{value:.6g} {unit_of(name)}".rstrip()


def fill(message: str, facts: Mapping[str, Value]) -> str:
    """Return *message* with each ``{fact}`` replaced by its value and unit."""
    return _PLACEHOLDER.sub(lambda found: show(found[1], facts.get(found[1])), message)


def placeholders(message: str) -> list[str]:
    """Return the names that *message* mentions."""
    return _PLACEHOLDER.findall(message)


def stray_brace(message: str) -> bool:
    """Whether *message* has a brace without its partner, so that a name in it stays as it is written."""
    return not {"{", "}"}.isdisjoint(_PLACEHOLDER.sub("", message))
