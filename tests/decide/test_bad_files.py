"""One mistake per rule file; what is to be found stands in its first line: line, column, code, sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from apis_rules.decide.rulefile import check_document
from apis_rules.documents.codes import sections
from apis_rules.documents.diagnostics import Findings
from apis_rules.documents.load import load_document

BAD = sorted((Path(__file__).parents[1] / "files" / "bad" / "rules").glob("*.yaml"))
IN_FILES = {f"AR{number}" for number in (*range(250, 263), 268, 269, 272, 273, 275, 276)}
"""Codes of a single rule file; those after them need policy, a folder or the engine."""


def found_in(path: Path) -> list[str]:
    """Return the findings of one file as they stand in its first line."""
    findings = Findings()
    check_document(load_document(path, findings), findings)
    return [f"# {d.location.line}:{d.location.column}: {d.code} {d.severity}: {d.message}" for d in findings.sorted()]


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_the_mistake_is_found_where_it_is(path: Path, pytestconfig: pytest.Config) -> None:
    """A wrong rule file is reported with code, line, column and one sentence, and nothing else is."""
    first, rest = path.read_text(encoding="utf-8").split("\n", 1)
    found = found_in(path)
    if pytestconfig.getoption("--rewrite") and found != [first]:
        path.write_text("\n".join([*found, rest]), encoding="utf-8")
        pytest.fail(f"{path.name} was written anew")
    assert found == [first]


def test_every_code_of_a_rule_file_is_met() -> None:
    """No code of rule files is without a file that has it."""
    assert {line.split()[2] for path in BAD for line in found_in(path)} >= IN_FILES & set(sections())
