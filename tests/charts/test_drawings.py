"""The drawings in ``statecharts/drawings`` show the charts as they are."""

from __future__ import annotations

import pytest

from apis_rules.charts.bindings import MODULES, bundled_chart
from apis_rules.charts.draw import draw_mermaid, draw_page
from apis_rules.resources import data_dir

DRAWINGS = data_dir("statecharts") / "drawings"
NAMES = [name for name in MODULES if (data_dir("statecharts") / f"{name}.yaml").is_file()]


@pytest.mark.parametrize("name", NAMES)
def test_the_drawing_is_current(name: str, pytestconfig: pytest.Config) -> None:
    """The page of a chart says what its file says now; ``--rewrite`` writes it anew."""
    path, page = DRAWINGS / f"{name}.md", draw_page(bundled_chart(name))
    if pytestconfig.getoption("--rewrite"):
        path.write_text(page, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == page


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_left_out(name: str) -> None:
    """Every state, event, guard, effect and note of the file stands in the drawing or in the tables below it."""
    chart = bundled_chart(name)
    page, lines = draw_page(chart), draw_mermaid(chart).splitlines()
    for state in chart.declared:
        assert f"| `{state.name}` | {' '.join(state.about.split())}" in page
        for event, answers in state.answers.items():
            for answer in answers:
                guard = f" [{answer.guard.text}]" if answer.guard else ""
                done = ", ".join(map(str, answer.effects)) or ("" if answer.target else "nothing")
                label = f"{event}{guard}{f' / {done}' if done else ''}"
                if answer.target is not None:
                    (arrow,) = [line for line in lines if line.startswith(f"    {state.name} --> {answer.target} : ")]
                    assert label in arrow.split(" : ", 1)[1].split("<br/>")
                    continue
                for leaf in chart.leaves.values():
                    if any(t.answer is answer for t in chart.answers[leaf.name].get(event, ())):
                        (box,) = [line for line in lines if line.strip().startswith(f"{leaf.name} : <b>")]
                        assert label in box.split("<br/>")
    for note in (a.note for s in chart.declared for answers in s.answers.values() for a in answers):
        assert " ".join(note.split()) in page.replace("\\|", "|")
    for thing in (*chart.events.values(), *chart.effects.values(), *chart.facts.values(), *chart.values.values()):
        assert thing.name in page
        assert " ".join(thing.about.split()) in page
