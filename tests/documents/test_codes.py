"""Codes in the program and their texts belong together."""

from __future__ import annotations

import re

from apis_rules.documents.codes import sections
from apis_rules.resources import data_dir

PACKAGES = [data_dir("rules").parent / "apis_rules", data_dir("transport") / "apis_transport"]


def used_codes() -> set[str]:
    return {
        code
        for package in PACKAGES
        for file in package.rglob("*.py")
        for code in re.findall(r"\"(AR\d{3})\"", file.read_text(encoding="utf-8"))
    }


def test_every_code_has_a_text_and_every_text_a_code() -> None:
    """No diagnostic is without an explanation, and none is explained that cannot occur."""
    assert used_codes() == set(sections())


def test_every_text_has_its_parts() -> None:
    """Each section says what to avoid, what to prefer and why."""
    for code, (_, text) in sections().items():
        for part in ("- **Avoid**", "- **Prefer**", "- **Why**"):
            assert part in text, (code, part)
