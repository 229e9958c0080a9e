"""The errors that the program raises by name."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from apis_rules.charts.load import load_chart
from apis_rules.decide.error_catalogue import load_errors
from apis_rules.decide.raised import RAISED
from apis_rules.resources import data_dir

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = data_dir("rules").parent / "apis_rules"
FOLDERS = ("charts/unit", "charts/master", "node")
RAISERS = {"raise_event": 0, "Tell": 0, "report": 0}
"""What raises an error, and which of its arguments is the name."""
EFFECTS = {"converter": ("tell", "problem"), "deal": ("report", "what"), "grid": ("report", "what")}
"""Chart → the effect that raises, and its argument that is the name."""


def raised_by_code() -> Iterator[str]:
    for file in sorted(
        [*PACKAGE.glob("charts/unit/*.py"), *PACKAGE.glob("charts/master/*.py"), *PACKAGE.rglob("node/*.py")]
    ):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            name = node.args[RAISERS.get(called, 0)]
            if called in RAISERS and isinstance(name, ast.Constant) and isinstance(name.value, str):
                yield name.value


def raised_by_charts() -> Iterator[str]:
    for chart, (effect, argument) in EFFECTS.items():
        yield from load_chart(data_dir("statecharts") / f"{chart}.yaml").effects[effect].arguments[argument]


def test_the_list_is_what_is_raised() -> None:
    """Every name that code or a chart raises stands in the list, and every name of the list is raised by one."""
    assert {*raised_by_code(), *raised_by_charts()} == RAISED


def test_every_raised_error_has_an_entry_that_says_when() -> None:
    """The shipped catalogue has exactly the errors that are raised, each with its condition in words."""
    entries = load_errors(data_dir("rules") / "errors.yaml")
    assert entries.keys() == RAISED
    assert [name for name, entry in entries.items() if not entry.about] == []
