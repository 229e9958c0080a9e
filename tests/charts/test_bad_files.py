"""One mistake per file; what is to be found stands in the file's first lines: line, column, code, sentence."""

from __future__ import annotations

import re
from itertools import takewhile
from pathlib import Path

import pytest

from apis_rules.charts import bindings, walks
from apis_rules.documents.diagnostics import Findings
from apis_rules.documents.document import Document
from apis_rules.documents.load import load_document, parse_document
from apis_rules.errors import InputError

BAD = Path(__file__).parent.parent / "files" / "bad"
CHARTS = sorted((BAD / "charts").glob("*.yaml"))
WALKS = sorted((BAD / "walk-files").glob("*.yaml"))


NAMED_OTHERWISE = "named-otherwise"
"""The file here that is called like its mistake; the others are read as if they were called like their chart."""


def document_of(path: Path, findings: Findings) -> Document:
    text = path.read_text(encoding="utf-8")
    chart = re.search(r"^chart: (\w+)", text, re.MULTILINE)
    if path.parent.name != "charts" or path.stem == NAMED_OTHERWISE or chart is None:
        return load_document(path, findings)
    return parse_document(text, f"{chart[1]}.yaml", findings)


def found_in(path: Path) -> list[str]:
    findings = Findings()
    check = bindings.check_document if path.parent.name == "charts" else walks.check_document
    try:
        check(document_of(path, findings), findings)
    except InputError as error:
        findings.extend(error.diagnostics)
    return [f"# {d.location.line}:{d.location.column}: {d.code} {d.severity}: {d.message}" for d in findings.sorted()]


@pytest.mark.parametrize("path", [*CHARTS, *WALKS], ids=lambda p: f"{p.parent.name}/{p.stem}")
def test_the_mistake_is_found_where_it_is(path: Path, pytestconfig: pytest.Config) -> None:
    """A wrong chart or walk is reported with code, line, column and one sentence, and nothing else is."""
    text = path.read_text(encoding="utf-8").splitlines()
    expected = list(takewhile(lambda line: line.startswith("# "), text))
    found = found_in(path)
    if pytestconfig.getoption("--rewrite") and found != expected:
        path.write_text("\n".join([*found, *text[len(expected) :]]) + "\n", encoding="utf-8")
        pytest.fail(f"{path.name} was written anew")
    assert found == expected
    assert len(found) == 1


def test_there_are_enough_of_them() -> None:
    """Every code of a chart that can be met in a file is met in one; no fewer than 25 charts are broken."""
    codes = {line.split()[2] for path in [*CHARTS, *WALKS] for line in found_in(path)}
    own = {code for code in bindings_codes() if code != "AR432"}
    assert own <= codes
    assert len(CHARTS) >= 25


def bindings_codes() -> set[str]:
    from apis_rules.documents.codes import sections

    return {code for code in sections() if code.startswith("AR4")}
