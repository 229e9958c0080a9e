"""``apis-rules draw``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from apis_rules.charts.bindings import MODULES, bundled_chart
from apis_rules.charts.draw import draw_mermaid, draw_page
from apis_rules.cli import main
from apis_rules.resources import data_dir

if TYPE_CHECKING:
    from pathlib import Path

NAMES = [name for name in MODULES if (data_dir("statecharts") / f"{name}.yaml").is_file()]


@pytest.mark.parametrize("name", NAMES)
def test_a_chart_is_printed_as_mermaid_text(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """By its name or by its file: a state diagram on the standard output."""
    assert main(["draw", name]) == 0
    by_name = capsys.readouterr().out
    assert by_name == draw_mermaid(bundled_chart(name))
    assert by_name.startswith("stateDiagram-v2\n")
    assert main(["draw", str(data_dir("statecharts") / f"{name}.yaml")]) == 0
    assert capsys.readouterr().out == by_name


def test_the_ending_says_what_is_written(tmp_path: Path) -> None:
    """Mermaid text, a page of Markdown."""
    assert main(["draw", "node", "--out", str(tmp_path / "node.md")]) == 0
    assert (tmp_path / "node.md").read_text("utf-8") == draw_page(bundled_chart("node"))
    assert main(["draw", "node", "--out", str(tmp_path / "node.mmd")]) == 0
    assert (tmp_path / "node.mmd").read_text("utf-8") == draw_mermaid(bundled_chart("node"))


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_has_every_state_and_every_transition(name: str, tmp_path: Path) -> None:
    """The SVG names each state and group, and has a numbered line for each transition."""
    pytest.importorskip("matplotlib")
    path, chart = tmp_path / "chart.svg", bundled_chart(name)
    assert main(["draw", name, "--out", str(path)]) == 0
    text = path.read_text("utf-8")
    numbers = sum(len(answers) for state in chart.declared for answers in state.answers.values())
    assert all(f">{number} " in text for number in range(1, numbers + 1))
    assert f">{numbers + 1} " not in text
    for state in chart.declared:
        assert f">{state.name}" in text


def test_a_picture_changes_only_with_its_chart(tmp_path: Path) -> None:
    """The same chart gives the same bytes."""
    pytest.importorskip("matplotlib")
    first, second = tmp_path / "1.svg", tmp_path / "2.svg"
    for path in (first, second):
        assert main(["draw", "node", "--out", str(path)]) == 0
    assert first.read_bytes() == second.read_bytes()


def test_a_picture_needs_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without matplotlib one sentence says what to install; the text needs nothing."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main(["draw", "node", "--out", str(tmp_path / "node.svg")]) == 2
    assert capsys.readouterr().err == "apis-rules draw: a picture needs matplotlib: pip install 'apis-rules[draw]'\n"
    assert main(["draw", "node"]) == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nod"], "<argument CHART>: AR101 error: there is no chart called 'nod'\n    did you mean node?\n"),
        (["node", "--out", "node.png"], "<argument --out>: AR101 error: 'node.png' has no ending that can be drawn\n"),
        (["node", "--out", "nowhere/node.md"], "nowhere/node.md: AR104 error: cannot be written to: No such file"),
        (["lamp.yaml"], "lamp.yaml: AR102 error: there is no such file\n"),
    ],
)
def test_what_cannot_be_drawn_is_refused(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown chart, an unknown ending and a missing file exit 2 with their place."""
    assert main(["draw", *arguments]) == 2
    assert capsys.readouterr().err.startswith(said)
