"""The one table of keys: what each is, and what reads it. The table itself is ``keys.yaml`` beside this module."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Final

from apis_rules.documents.diagnostics import Findings
from apis_rules.documents.yaml_reader import parse_yaml

LATER: Final = "later"
NONE: Final = "none"


@dataclass(frozen=True, slots=True)
class Key:
    """One row.

    Attributes:
        table: ``config``, ``hwConfig``, ``scenario``, ``policy``, or a table of fields (``unitData``, …).
        path: dotted; ``*`` stands for a name of one's own.
        unit: of the value; empty where it has none.
        what: it is, in a few words.
        effect: the parts that read it; or ``later: capability``; or ``accepted, no effect: reason``.
    """

    table: str
    path: str
    unit: str
    what: str
    effect: str


@cache
def all_rows() -> tuple[Key, ...]:
    """Return the table, in its own order."""
    text = resources.files(__package__).joinpath("keys.yaml").read_text(encoding="utf-8")
    findings = Findings()
    tables = parse_yaml(text, "keys.yaml", findings).value
    if findings.failed:
        raise AssertionError(findings.sorted())
    return tuple(_row(table, path, row) for table, rows in tables.items() for path, row in rows.items())


def _row(table: str, path: str, row: dict[str, Any]) -> Key:
    if "by" in row:
        effect = ", ".join(row["by"])
    elif LATER in row:
        effect = f"later: {row[LATER]}"
    else:
        effect = f"accepted, no effect: {row[NONE]}"
    return Key(table, path, row.get("unit", ""), row["what"], effect)
