"""Every mistake in ``tests/files/bad/documents`` is found, at its place, and nothing else is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from apis_rules.author.check import check_paths
from apis_rules.documents.diagnostics import Findings
from apis_rules.documents.load import load_document

BAD = Path(__file__).parents[1] / "files" / "bad" / "documents"
EXPECTED: dict[str, list[Any]] = load_document(BAD / "expected.yaml", Findings()).value


@pytest.mark.parametrize("name", EXPECTED)
def test_a_mistake_is_found_at_its_place(name: str) -> None:
    """The one mistake in each file gives one diagnostic: the expected code, line and column, with something to do."""
    code, line, column, *inside = EXPECTED[name]
    path = BAD / name
    found = check_paths([path]).diagnostics
    assert [(d.location.file, d.code, d.location.line, d.location.column) for d in found] == [
        (str(path / inside[0]) if inside else str(path), code, line, column)
    ], "\n".join(map(str, found))


def test_every_bad_file_is_expected_to_fail() -> None:
    """No file lies here without an expectation, so that none is a mistake only in its name."""
    names = {path.name for path in BAD.iterdir()} - {"expected.yaml"}
    assert names == set(EXPECTED)
    assert len(names) >= 40
