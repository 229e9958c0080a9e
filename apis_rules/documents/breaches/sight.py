"""What the rules between keys look through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from apis_rules.documents.document import Document, Path, dotted

if TYPE_CHECKING:
    from apis_rules.documents.diagnostics import Findings


@dataclass(frozen=True, slots=True)
class Sight:
    """A document under examination; what is missing or of the wrong type is someone else's finding, here it is None.

    ``error`` and ``warning`` note something at the value of a path, ``key_error`` and ``key_warning`` at its key.
    """

    document: Document
    findings: Findings

    def number(self, key: str, default: float | None = None) -> float | None:
        """Return the number at *key*; *default* where nothing stands there."""
        value = self.document.get(at(key))
        if value is None:
            return default
        return value if isinstance(value, int | float) and not isinstance(value, bool) else None

    def flag(self, key: str, *, default: bool) -> bool:
        """Return the flag at *key*; *default* where there is none."""
        value = self.document.get(at(key))
        return value if isinstance(value, bool) else default

    def text(self, key: str, default: str = "") -> str:
        """Return the text at *key*; *default* where there is none."""
        value = self.document.get(at(key))
        return value if isinstance(value, str) else default

    def mapping(self, path: Path) -> dict[str, Any]:
        """Return the object at *path*; an empty one where there is none."""
        value = self.document.get(path)
        return value if isinstance(value, dict) else {}

    def texts(self, path: Path) -> list[tuple[Path, str]]:
        """Return the texts of the list at *path*, each with its path."""
        value = self.document.get(path)
        items = enumerate(value) if isinstance(value, list) else ()
        return [((*path, index), item) for index, item in items if isinstance(item, str)]

    def error(self, path: Path, code: str, message: str, hint: str = "") -> None:
        """Note an error at the value."""
        self.findings.error(self.document.location(path), code, message, hint)

    def key_error(self, path: Path, code: str, message: str, hint: str = "") -> None:
        """Note an error at the key."""
        self.findings.error(self.document.key_location(path), code, message, hint)

    def warning(self, path: Path, code: str, message: str, hint: str = "") -> None:
        """Note a warning at the value."""
        self.findings.warning(self.document.location(path), code, message, hint)

    def key_warning(self, path: Path, code: str, message: str, hint: str = "") -> None:
        """Note a warning at the key."""
        self.findings.warning(self.document.key_location(path), code, message, hint)

    def in_order(self, low: str, high: str, *, code: str = "AR205", equal: bool = False) -> None:
        """Note where the value of *high* is below that of *low*, or unless *equal* not above it."""
        below, above = self.number(low), self.number(high)
        if below is None or above is None or below < above or (equal and below == above):
            return
        wanted = "must not be below" if equal else "must be above"
        self.error(at(high), code, f"{high} is {above:g}, but {wanted} {low}, which is {below:g}")

    def no_repeats(self, path: Path) -> None:
        """Note what a list names twice."""
        seen: set[str] = set()
        for at, text in self.texts(path):
            if text in seen:
                self.error(at, "AR218", f"{text} stands twice in {dotted(path)}", "keep one of them")
            seen.add(text)


def at(key: str) -> Path:
    """Return the path of a dotted key."""
    return tuple(key.split("."))
