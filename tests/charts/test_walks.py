"""The walks of ``statecharts/walks``: each from each of its starts, and what they leave out."""

from __future__ import annotations

import textwrap
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest

from apis_rules.charts.bindings import MODULES, binding_of, bundled_chart
from apis_rules.charts.walking import Coverage, run_walk, run_walks, walk_files
from apis_rules.charts.walks import load_walks
from apis_rules.errors import InputError
from apis_rules.resources import data_dir
from tests.conftest import SHOWN

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from apis_rules.charts.bindings import Binding
    from apis_rules.charts.machine import Machine
    from apis_rules.charts.walks import Walk, WalkFile

STATECHARTS = data_dir("statecharts")


@cache
def machine_of(chart: str, values: frozenset[tuple[str, float]]) -> tuple[Machine[Any], Binding[Any]]:
    """Compile a chart once for all walks with the same values; checking it proves its guards exclusive."""
    binding = binding_of(chart)
    assert binding is not None
    return binding.compile(bundled_chart(chart), dict(values)), binding


FILES = [load_walks(path) for path in walk_files([STATECHARTS])]
FORCING = "to: forcing, commands: [leave mastership, bring the converter to WAIT]"
ALL = [(file, walk, start) for file in FILES for walk in file.walks for start in walk.starts]


@pytest.mark.parametrize(("file", "walk", "start"), ALL, ids=[f"{f.chart.name}: {w.name} ({s})" for f, w, s in ALL])
def test_walk(file: WalkFile, walk: Walk, start: str) -> None:
    """Every step of the walk leads where it says, with exactly the commands that it names."""
    machine, binding = machine_of(file.chart.name, frozenset(file.values.items()))
    assert [str(f) for f in run_walk(machine, binding, walk, start, Coverage(file.chart))] == []


def test_every_transition_of_every_chart_is_walked(record_property: Callable[[str, object], None]) -> None:
    """No state and no transition of the five charts is without a walk; the coverage is printed."""
    report = run_walks([STATECHARTS])
    record_property(SHOWN, "\n".join(report.lines()))
    assert {name: c.missing_transitions + c.missing_states for name, c in report.coverage.items()} == dict.fromkeys(
        report.coverage, ()
    )
    assert set(report.coverage) == {path.stem for path in STATECHARTS.glob("*.yaml")} == set(MODULES)


def test_every_row_of_a_deals_life_is_walked() -> None:
    """The 25 steps that a deal takes in apis-main are each named by a walk, and by no name that is none of them."""
    named = {row for file in FILES for walk in file.walks for row in walk.rows}
    assert named == {f"D{number:02}" for number in range(1, 26)}


def walks(tmp_path: Path, text: str, head: str = "values: {leave_s: 12, drain_s: 5}") -> Path:
    (tmp_path / "walks").mkdir(exist_ok=True)
    path = tmp_path / "walks" / "mine.yaml"
    path.write_text(f"format: 1\nchart: node\n{head}\nwalks:\n" + textwrap.indent(textwrap.dedent(text), "  "), "utf-8")
    return path


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ("{event: terminate, to: forcing, commands: [\"ask for the end of the unit's deals\"]}",
         "leads to draining, not to forcing"),
        ("{event: terminate, to: draining}",
         "commands are ask for the end of the unit's deals; expected none"),
        ("{event: lost, to: degraded, commands: [weep]}", "commands are none; expected weep"),
        ("{event: lost, to: degraded, writes: [all]}", "writes are none; expected all"),
        ("{event: lost, to: degraded, record: {exit_code: 2}}", "the record's exit_code is None, not 2"),
        ("{event: lost, ignored: true}", "was not to be answered, but: halted: lost → degraded"),
        ("{event: restored, to: joining}", "is not answered in halted"),
    ],
)  # fmt: skip
def test_a_wrong_step_fails_its_walk(tmp_path: Path, step: str, said: str) -> None:
    """A walk fails where state, commands, writes or record come out otherwise, and says where and what came."""
    path = walks(tmp_path, f"- name: wrong\n  from: halted\n  steps:\n    - {step}\n")
    report = run_walks([path])
    assert report.failed
    assert report.lines()[0] == f"{path}:8:9: wrong (from halted), {step.split(',', maxsplit=1)[0][8:]}: {said}"
    assert report.lines()[1] == "0 walks passed, 1 failed"


def test_what_is_not_walked_is_named(tmp_path: Path) -> None:
    """The report names each transition that no walk takes, with its place in the chart."""
    text = "- name: lost\n  from: joined\n  steps:\n    - {event: lost, to: degraded}\n"
    report = run_walks([walks(tmp_path, text)])
    assert not report.failed
    chart = report.coverage["node"].chart
    assert not report.coverage["node"].complete
    lines = report.lines()
    assert lines[1] == f"node: 7 of {len(chart.leaves)} states, 6 of {len(chart.transitions)} transitions (8 %)"
    assert any(line.endswith("degraded: restored → joining") and f"{chart.file}:" in line for line in lines)
    assert "  no walk stands in forcing" in lines


def test_a_group_stands_for_its_states(tmp_path: Path) -> None:
    """A walk from a group is taken from every state in it."""
    text = f"- name: lost\n  from: [joined, degraded]\n  steps:\n    - {{event: fatal, {FORCING}}}\n"
    (walk,) = load_walks(walks(tmp_path, text)).walks
    assert walk.starts == (
        "joining", "autonomous", "heteronomous", "stopping", "halted", "manual", "degraded",
    )  # fmt: skip


def test_a_chart_of_ones_own_lies_beside_its_walks(tmp_path: Path) -> None:
    """Walks are taken through the chart in the folder above them; the bundled one serves where there is none."""
    text = f"- name: lost\n  from: autonomous\n  steps:\n    - {{event: lost, {FORCING}}}\n"
    path = walks(tmp_path, text)
    assert run_walks([path]).failed
    bundled = (STATECHARTS / "node.yaml").read_text("utf-8")
    (tmp_path / "node.yaml").write_text(bundled.replace("lost: {to: degraded}", "lost: {to: forcing}"), "utf-8")
    with pytest.raises(InputError, match="AR422"):
        run_walks([tmp_path])
    (tmp_path / "node.yaml").write_text(
        bundled.replace("lost: {to: degraded}", "lost: [{if: idle, to: degraded}, {to: forcing}]"), "utf-8"
    )
    assert not run_walks([tmp_path]).failed
