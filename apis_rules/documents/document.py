"""What every reader of a file returns: plain values, and the place of each in the file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

    from apis_rules.documents.diagnostics import Location

Path: TypeAlias = tuple[str | int, ...]
"""The keys and indices from the top of a document to a value in it; ``()`` is the whole document."""

COMMENT: Final = "#"
"""A key that begins with this is a comment: it may stand as often as wanted and is left out when a file is read."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands, and where its key does (a list's items and the whole document have none)."""

    value: Location
    key: Location | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """A file that was read.

    Attributes:
        file: as the user named it.
        value: dicts, lists, texts, ints, floats, bools and None; numbers are finite; every dict's keys are texts.
        places: the place of every value in it, by its path.
    """

    file: str
    value: Any
    places: Mapping[Path, Place]

    def location(self, path: Path = ()) -> Location:
        """Return the place of the value at *path*; where nothing stands there, of the nearest one around it."""
        return self._nearest(path).value

    def key_location(self, path: Path) -> Location:
        """Return the place of the key at *path*, of the value where it has none; or of the nearest one around it."""
        place = self._nearest(path)
        return place.key or place.value

    def get(self, path: Path) -> Any:
        """Return the value at *path*, or None where there is none."""
        value = self.value
        for step in path:
            if isinstance(value, dict):
                value = value.get(step)
            elif isinstance(value, list) and isinstance(step, int) and step < len(value):
                value = value[step]
            else:
                return None
        return value

    def _nearest(self, path: Path) -> Place:
        while path not in self.places:
            path = path[:-1]
        return self.places[path]


def dotted(path: Path) -> str:
    """Write *path* as people do: ``mediator.deal.gridCurrentA``, ``memberUnitIds[2]``."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += f".{step}" if text else step
    return text
