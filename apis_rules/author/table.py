"""A table for a terminal: as wide as its content, the same whether it is looked at or piped."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def format_table(header: Sequence[str], rows: Sequence[Sequence[object]], right: Sequence[int] = ()) -> str:
    """Return lines with columns two spaces apart, the header underlined; columns in *right* are set flush right."""
    table = [list(header), *(["" if cell is None else str(cell) for cell in row] for row in rows)]
    widths = [max(_width(row[i]) for row in table) for i in range(len(header))]
    table.insert(1, ["-" * width for width in widths])
    lines = []
    for row in table:
        cells = []
        for i, (cell, width) in enumerate(zip(row, widths, strict=True)):
            space = " " * (width - _width(cell))
            cells.append(space + cell if i in right else cell + space)
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)
