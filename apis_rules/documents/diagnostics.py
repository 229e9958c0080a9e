"""A diagnostic is a value: where, which code, how bad, one sentence, and what to do about it.

Codes are stable. Their first digit is their group: 1 file, 2 meaning, 3 analysis, 4 chart, 5 wiring, 6 device,
7 running. Every code has a section in ``codes/*.md`` (what it means, avoid, prefer), printed by
``apis-rules doc CODE``; a test holds the two together.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class Severity(enum.StrEnum):
    """How bad. Only an error makes a command fail; ``--strict`` counts warnings too."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, order=True)
class Location:
    """A place in something that was read. Lines and columns count from 1; 0 means that the whole file is meant.

    Attributes:
        file: as the user named it, or a label such as ``<argument --at>``.
        line, column: of the first character.
        end_line, end_column: just behind the last character; 0 where only the start is known.
    """

    file: str
    line: int = 0
    column: int = 0
    end_line: int = 0
    end_column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One thing that is wrong or doubtful.

    Attributes:
        code: ``AR`` and three digits.
        message: one sentence, without the place and without a full stop at its end.
        hint: what to do, or nothing.
    """

    location: Location
    code: str
    severity: Severity
    message: str
    hint: str = ""

    def __str__(self) -> str:
        text = f"{self.location}: {self.code} {self.severity}: {self.message}"
        return f"{text}\n    {self.hint}" if self.hint else text


@dataclass(slots=True)
class Findings:
    """Collects diagnostics while something is read or checked, so that all are shown at once."""

    _found: list[Diagnostic] = field(default_factory=list)

    def error(self, location: Location, code: str, message: str, hint: str = "") -> None:
        """Note something that makes the input unusable."""
        self._found.append(Diagnostic(location, code, Severity.ERROR, message, hint))

    def warning(self, location: Location, code: str, message: str, hint: str = "") -> None:
        """Note something doubtful that does not stop anything."""
        self._found.append(Diagnostic(location, code, Severity.WARNING, message, hint))

    def extend(self, diagnostics: Iterable[Diagnostic]) -> None:
        """Take over what another check found."""
        self._found.extend(diagnostics)

    @property
    def failed(self) -> bool:
        """Whether there is at least one error."""
        return any(d.severity is Severity.ERROR for d in self._found)

    def sorted(self) -> tuple[Diagnostic, ...]:
        """Everything found, by place, then code; what was found twice stands once."""
        unique = dict.fromkeys(self._found)
        return tuple(sorted(unique, key=lambda d: (d.location, d.code, d.message)))
