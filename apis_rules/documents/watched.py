"""Files that may change while a program runs, looked at again and again.

A look costs a few calls of ``stat``; what a file holds is read only where these differ. A change is told when two looks
have found the same content, so a file that somebody is still writing is not taken for a new version.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from apis_rules.documents.load import ENDINGS
from apis_rules.documents.source import read_text
from apis_rules.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Contents: TypeAlias = "Mapping[Path, str | InputError]"
"""File → its text, or why it cannot be read."""

_YOUNG_NS: Final = 2_000_000_000
"""A file that was changed so lately may be changed again without a new time of change: its content is compared."""

_Stamp: TypeAlias = tuple[int, int, int] | None


@dataclass(frozen=True, slots=True)
class Found:
    """What was found that has not been judged yet.

    Attributes:
        looks: how many looks have found it the same, 2 or more.
    """

    contents: Contents
    looks: int


class Watch:
    """One file; or, where *place* is a folder, the documents in it."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self._stamps: dict[Path, _Stamp] = {}
        self._young = True
        self._judged: dict[Path, str] | None = None
        self._pending: dict[Path, str] | None = None
        self._looks = 0

    def look(self) -> Found | None:
        """Return what differs from what was judged last, once two looks have found it; else None. May block."""
        stamps = {path: _stamp(path) for path in files_at(self.place)}
        if stamps == self._stamps and not self._young and self._pending is None:
            return None
        self._stamps, self._young = stamps, any(_is_young(stamp) for stamp in stamps.values())
        contents = read_contents(self.place)
        signs = _signs(contents)
        if signs == self._judged:
            self._pending = None
            return None
        self._looks = self._looks + 1 if signs == self._pending else 1
        self._pending = signs
        return Found(contents, self._looks) if self._looks > 1 else None

    def forget(self) -> None:
        """Tell what the files hold once more, as if it had changed."""
        self._judged, self._pending, self._young = None, None, True

    def judge(self, contents: Contents) -> None:
        """Take *contents* as known: they are not told again."""
        self._judged = _signs(contents)
        if self._pending == self._judged:
            self._pending = None


def files_at(place: Path) -> tuple[Path, ...]:
    """Return the documents in a folder, sorted; *place* itself where it is none."""
    try:
        return tuple(sorted(p for p in place.iterdir() if p.suffix in ENDINGS)) if place.is_dir() else (place,)
    except OSError:
        return (place,)


def read_contents(place: Path) -> Contents:
    """Read the file, or all documents of the folder, at *place*."""
    contents: dict[Path, str | InputError] = {}
    for path in files_at(place):
        try:
            contents[path] = read_text(path)
        except InputError as error:
            contents[path] = error
    return contents


def _signs(contents: Contents) -> dict[Path, str]:
    return {path: content if isinstance(content, str) else f"\0{content}" for path, content in contents.items()}


def _stamp(path: Path) -> _Stamp:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _is_young(stamp: _Stamp) -> bool:
    return stamp is None or time.time_ns() - stamp[0] < _YOUNG_NS
