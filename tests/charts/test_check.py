"""The check of a chart, held against charts that are run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from apis_rules.charts import Effects, compile_chart
from apis_rules.charts.check import check_chart
from apis_rules.charts.load import read_chart
from apis_rules.charts.node import NodeLife
from apis_rules.documents.diagnostics import Findings
from apis_rules.documents.load import parse_document

if TYPE_CHECKING:
    from apis_rules.charts import Chart

GUARD = st.one_of(
    st.builds("x {} {}".format, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), st.integers(0, 4)),
    st.builds("x + y < {}".format, st.integers(0, 8)),
    st.sampled_from(["f", "not f", "w == 'a'", "w != 'a'"]),
)
GUARDS = st.lists(st.lists(GUARD, min_size=1, max_size=3).map(" and ".join), min_size=2, max_size=3)
FACTS = st.fixed_dictionaries({
    "x": st.integers(0, 4), "y": st.integers(0, 4), "f": st.booleans(), "w": st.sampled_from(["a", "b"]),
})  # fmt: skip


def chart_of(states: dict[str, dict[str, str]], final: set[str], guards: list[str]) -> Chart:
    """Make a chart: *states* is state → event → target; *guards* are those of the first state's event ``ask``."""
    lines = [
        "format: 1", "chart: node", "about: a", "events: {a: a, b: b, ask: c}", "initial: s0", "facts:",
        "  x: {kind: number, range: [0, 4]}", "  y: {kind: number, range: [0, 4]}", "  f: flag",
        "  w: {kind: text, values: [a, b]}", "states:",
    ]  # fmt: skip
    for name, edges in states.items():
        lines += [f"  {name}:", "    about: a", f"    final: {str(name in final).lower()}", "    when:"]
        lines += [f"      {event}: {{to: {target}}}" for event, target in edges.items()]
        if name == "s0":
            lines.append("      ask:")
            lines += [f"        - {{if: \"{guard}\", to: s0, note: '{i}'}}" for i, guard in enumerate(guards)]
    findings = Findings()
    chart = read_chart(parse_document("\n".join(lines), "x.yaml", findings), findings)
    assert chart is not None, findings.sorted()
    return chart


def codes_of(chart: Chart) -> list[str]:
    findings = Findings()
    check_chart(chart, findings)
    return [d.code for d in findings.sorted() if d.severity == "error"]


@given(GUARDS, st.lists(FACTS, min_size=20, max_size=20))
def test_guards_that_pass_the_check_never_hold_at_once(guards: list[str], many: list[dict[str, object]]) -> None:
    """Where the check finds no overlap, no facts fulfil two guards."""
    chart = chart_of({"s0": {}}, {"s0"}, guards)
    codes = codes_of(chart)
    if not codes:
        machine = compile_chart(chart, Effects[NodeLife](), {})
        for facts in many:
            explained = machine.explain(NodeLife("s0"), "ask", facts)
            assert len(explained) == len(guards)
            assert sum(e.holds for _, e in explained) <= 1


NAMES = ["s0", "s1", "s2", "s3"]
GRAPHS = st.fixed_dictionaries({n: st.dictionaries(st.sampled_from(["a", "b"]), st.sampled_from(NAMES)) for n in NAMES})


@given(GRAPHS, st.sets(st.sampled_from(NAMES)))
def test_reach_is_what_walking_finds(graph: dict[str, dict[str, str]], final: set[str]) -> None:
    """A state is called unreachable, or without a way to a final one, exactly where no walk of any length finds one."""

    def reach(start: str) -> set[str]:
        found = {start}
        for _ in NAMES:
            found |= {target for name in found for target in graph[name].values()}
        return found

    codes = codes_of(chart_of(graph, final, []))
    assert codes.count("AR422") == len(set(NAMES) - reach("s0"))
    assert codes.count("AR423") == sum(not reach(name) & final for name in NAMES)
