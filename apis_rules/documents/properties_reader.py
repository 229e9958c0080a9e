"""Java's .properties files with positions: one flat object of texts.

``#`` and ``!`` begin comments, ``=``, ``:`` or a space ends a key, a backslash at its end continues a line.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from apis_rules.documents.diagnostics import Location
from apis_rules.documents.document import Document, Path, Place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from apis_rules.documents.diagnostics import Findings

_KEY: Final = re.compile(r"(?P<key>(?:\\.|[^\\=:\s])*)(?P<between>\s*[=:]?\s*)(?P<value>.*)", re.DOTALL)
_ESCAPE: Final = re.compile(r"\\(u[0-9A-Fa-f]{4}|.?)", re.DOTALL)
_CONTROL: Final = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}


def parse_properties(text: str, file: str, findings: Findings) -> Document:
    """Read *text*. A key given twice and an escape that is none go to *findings*; the last of two keys counts."""
    value: dict[str, str] = {}
    places: dict[Path, Place] = {(): Place(Location(file, 1, 1))}
    for line, columns, logical in _logical_lines(text):
        found = _KEY.fullmatch(logical)
        if found is None:
            raise AssertionError("every line is a key and a value")

        def place(start: int, end: int, line: int = line, columns: list[tuple[int, int]] = columns) -> Location:
            at = columns[start] if start < len(columns) else (line, columns[-1][1] + 1)
            last = columns[end - 1] if end > start else at
            return Location(file, at[0], at[1], last[0], last[1] + (end > start))

        key = _unescape(found["key"], place(*found.span("key")), findings)
        key_place = place(*found.span("key"))
        if key in value:
            first = places[(key,)].key
            findings.error(
                key_place, "AR113", f"the key {key!r} is given twice, first in line {first.line if first else 0}",
                "keep one of them",
            )  # fmt: skip
        value_place = place(*found.span("value"))
        value[key] = _unescape(found["value"], value_place, findings)
        places[(key,)] = Place(value_place, key_place)
    return Document(file, value, places)


def _logical_lines(text: str) -> Iterator[tuple[int, list[tuple[int, int]], str]]:
    """Yield number, place of each character, and text of each line that is no comment, continuations joined."""
    lines = iter(enumerate(re.split(r"\r\n|\r|\n", text), 1))
    for first, begun in lines:
        stripped = begun.lstrip(" \t\f")
        if not stripped or stripped[0] in "#!":
            continue
        number, written, logical, columns = first, begun, "", []
        while True:
            part = written.lstrip(" \t\f")
            start = len(written) - len(part) + 1
            goes_on = (len(part) - len(part.rstrip("\\"))) % 2 == 1
            part = part[:-1] if goes_on else part
            logical += part
            columns += [(number, start + i) for i in range(len(part))]
            if not goes_on:
                break
            following = next(lines, None)
            if following is None:
                break
            number, written = following
        if logical:
            yield first, columns, logical


def _unescape(text: str, place: Location, findings: Findings) -> str:
    def meant(found: re.Match[str]) -> str:
        escape = found[1]
        if len(escape) == 5:
            return chr(int(escape[1:], 16))
        if escape == "u":
            findings.error(place, "AR240", "a \\u is not followed by four hexadecimal digits", "write \\u00e9")
        return _CONTROL.get(escape, escape)

    return _ESCAPE.sub(meant, text)
