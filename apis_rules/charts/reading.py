"""Reading a document whose form is fixed: every mistake is noted with its place, and reading goes on."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from apis_rules.documents.shapes import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable

    from apis_rules.documents.diagnostics import Findings, Location
    from apis_rules.documents.document import Document, Path

NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}\Z")
"""How states, events, effects and values are called."""


class Reading:
    """One document and what is wrong with it. Paths lead from the top of the document to a value."""

    def __init__(self, document: Document, findings: Findings) -> None:
        self.document = document
        self.findings = findings

    def at(self, path: Path) -> Location:
        """Return the place of the value at *path*."""
        return self.document.location(path)

    def at_key(self, path: Path) -> Location:
        """Return the place of the key at *path*."""
        return self.document.key_location(path)

    def error(self, path: Path, code: str, message: str, hint: str = "") -> None:
        """Note an error at the value."""
        self.findings.error(self.at(path), code, message, hint)

    def error_key(self, path: Path, code: str, message: str, hint: str = "") -> None:
        """Note an error at the key."""
        self.findings.error(self.at_key(path), code, message, hint)

    def mapping(self, path: Path, keys: tuple[str, ...], required: tuple[str, ...] = ()) -> dict[str, Any] | None:
        """Return the keys at *path* with their values; AR400 (none there), AR402 (unknown key), AR403 (missing key)."""
        given = self.document.get(path)
        if not isinstance(given, dict):
            self.error(path, "AR400", "keys are expected here", f"some of {', '.join(keys)}")
            return None
        for key in given:
            if key not in keys:
                self.error_key((*path, key), "AR402", f"there is no key {key!r} here", _meant(key, keys))
        for key in required:
            if key not in given:
                self.error_key(path, "AR403", f"the key {key!r} is missing")
        return given

    def members(self, path: Path) -> list[tuple[str, Any]]:
        """Return what is declared at *path* under names of its own; nothing there is fine."""
        given = self.document.get(path)
        if given is None:
            return []
        if not isinstance(given, dict):
            self.error(path, "AR400", "names with their content are expected here")
            return []
        return list(given.items())

    def text(self, path: Path) -> str:
        """Return the text at *path*, empty where there is none."""
        given = self.document.get(path)
        return given if self.is_text(given, path) else ""

    def texts(self, path: Path) -> tuple[str, ...]:
        """Return the list of words at *path*; nothing there is fine."""
        given = self.document.get(path)
        if given is None:
            return ()
        if not isinstance(given, list) or not all(isinstance(word, str) for word in given):
            self.error(path, "AR400", "a list of words is expected here")
            return ()
        return tuple(given)

    def is_text(self, given: object, path: Path) -> bool:
        """Say whether *given*, found at *path*, is a text with something in it; AR400."""
        if isinstance(given, str) and given:
            return True
        if given is not None or len(path) > 1:
            self.error(path, "AR400", "a text is expected here")
        return False

    def is_name(self, name: str, path: Path) -> bool:
        """Say whether the key at *path* is a name; AR401."""
        if NAME.match(name):
            return True
        self.error_key(path, "AR401", f"{name!r} is no name", "small letters, digits and _, a letter first")
        return False

    def known(self, name: object, known: Iterable[str], path: Path, code: str, noun: str, *, key: bool = False) -> bool:
        """Say whether *name*, found at *path*, is one of *known*; *code* where it is not."""
        names = list(known)
        if name in names:
            return True
        location = self.at_key(path) if key else self.at(path)
        self.findings.error(location, code, f"there is no {noun} called {name!r}", _meant(str(name), names))
        return False


def _meant(name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    closest = did_you_mean(name, names)
    if closest:
        return f"did you mean {closest}?"
    return f"known: {', '.join(names)}" if names else ""
