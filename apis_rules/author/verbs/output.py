"""How verbs print: rows as a table, JSON, JSON lines or CSV; diagnostics as lines that editors understand."""

from __future__ import annotations

import csv
import json
import sys
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Mapping, Sequence

    from apis_rules.documents.diagnostics import Diagnostic

FORMATS: Final = ("table", "json", "jsonl", "csv")


def add_format(parser: argparse.ArgumentParser) -> None:
    """Declare ``--format``."""
    parser.add_argument("--format", choices=FORMATS, default="table", help="for people (table) or for programs")


def print_rows(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], form: str) -> None:
    """Print *rows*, each with the keys *columns*, to the standard output.

    ``jsonl`` and ``csv`` are written row by row, however many there are.
    """
    if form == "json":
        json.dump([dict(row) for row in rows], sys.stdout, ensure_ascii=False, indent=2)
        print()
    elif form == "jsonl":
        for row in rows:
            print(json.dumps(dict(row), ensure_ascii=False))
    elif form == "csv":
        writer = csv.DictWriter(sys.stdout, columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    else:
        _print_table(rows, columns)


def _print_table(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table(*columns, box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*("" if row[column] is None else str(row[column]) for column in columns))
    # Into a pipe or a file nothing is cut off or wrapped.
    console = Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else 10_000)
    # Printed by us: a console ends the program by itself where the reader goes away.
    with console.capture() as captured:
        console.print(table)
    sys.stdout.write(captured.get())


def print_diagnostics(diagnostics: Sequence[Diagnostic], form: str, *, summary: str) -> None:
    """Print *diagnostics*; for people a line each, its hint below, and *summary* with the counts last."""
    if form == "table":
        for diagnostic in diagnostics:
            print(diagnostic)
        errors = sum(d.severity == "error" for d in diagnostics)
        warnings = len(diagnostics) - errors
        print(f"{summary}: {_count(errors, 'error')}, {_count(warnings, 'warning')}")
        return
    columns = ("file", "line", "column", "code", "severity", "message", "hint")
    rows = (
        {
            "file": d.location.file,
            "line": d.location.line,
            "column": d.location.column,
            "code": d.code,
            "severity": d.severity.value,
            "message": d.message,
            "hint": d.hint,
        }
        for d in diagnostics
    )
    print_rows(rows, columns, form)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"
