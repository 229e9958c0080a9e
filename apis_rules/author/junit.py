"""A report of cases in the form that build servers read (JUnit XML)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from apis_rules.author.arguments import refuse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


def write_junit(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write one test case per row with the keys ``file``, ``line``, ``name``, ``passed``, ``message``.

    Raises:
        InputError: the file cannot be written.
    """
    failed = [row for row in rows if not row["passed"]]
    suites = ET.Element("testsuites")
    suite = ET.SubElement(
        suites, "testsuite", name="apis-rules", tests=str(len(rows)), failures=str(len(failed)), errors="0"
    )
    for row in rows:
        case = ET.SubElement(suite, "testcase", classname=str(row["file"]), name=_clean(str(row["name"])))
        case.set("file", str(row["file"]))
        case.set("line", str(row["line"]))
        if not row["passed"]:
            ET.SubElement(case, "failure", message=_clean(str(row["message"])))
    ET.indent(suites)
    try:
        ET.ElementTree(suites).write(path, encoding="utf-8", xml_declaration=True)
    except OSError as error:
        refuse("--junit", f"{path} cannot be written: {error.strerror}")


def _clean(text: str) -> str:
    """Replace what XML cannot hold: control characters and halves of surrogate pairs."""
    allowed = ("\t", "\n", "\r")
    return "".join(c if c in allowed or (c.isprintable() and not "\ud800" <= c <= "\udfff") else "?" for c in text)
