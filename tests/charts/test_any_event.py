"""The charts grid_master and node under any event with any facts in any state."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from apis_rules.charts import Chart, bundled_chart, compile_chart
from apis_rules.charts.bindings import binding_of
from apis_rules.charts.machine import Machine
from apis_rules.charts.model import TIMEOUT
from apis_rules.decide.tree import FactKind

VALUES = {"margin_s": 0.5, "hand_over_s": 12.0, "leave_s": 12.0, "drain_s": 5.0}
MACHINES: dict[str, Machine[Any]] = {
    name: compile_chart(bundled_chart(name), binding.effects, VALUES)
    for name in ("grid_master", "node")
    if (binding := binding_of(name)) is not None
}


def facts_of(chart: Chart) -> st.SearchStrategy[dict[str, Any]]:
    kinds: dict[str, st.SearchStrategy[Any]] = {}
    for fact in chart.facts.values():
        if fact.kind is FactKind.NUMBER:
            kinds[fact.name] = st.sampled_from([-1.0, 0.0, 0.5, 100.0])
        elif fact.kind is FactKind.FLAG:
            kinds[fact.name] = st.booleans()
        else:
            kinds[fact.name] = st.sampled_from(fact.values)
    return st.fixed_dictionaries({}, optional=kinds)


@given(st.data())
def test_any_event_gives_a_plan(data: st.DataObject) -> None:
    """Whatever happens, known or not: a plan comes out, twice the same, in a state of the chart; no fact is needed."""
    name = data.draw(st.sampled_from(sorted(MACHINES)))
    machine, binding = MACHINES[name], binding_of(name)
    assert binding is not None
    record = binding.make_record({"state": data.draw(st.sampled_from(sorted(machine.chart.leaves)))})
    for _ in range(6):
        event = data.draw(
            st.sampled_from([*machine.chart.events, *(TIMEOUT + value for value in machine.chart.values)])
        )
        facts, context = data.draw(facts_of(machine.chart)), binding.make_context({})
        plan = machine.advance(record, event, facts, context)
        assert plan == machine.advance(record, event, facts, context)
        assert plan.state in machine.chart.leaves
        assert plan.taken is not None or (plan.record == record and not plan.commands)
        record = plan.record


@given(st.data())
def test_an_abort_is_answered_whatever_is_known(data: st.DataObject) -> None:
    """In every state with a way out each abort event is answered, with any facts and with none."""
    for name, machine in MACHINES.items():
        binding = binding_of(name)
        assert binding is not None
        facts = data.draw(facts_of(machine.chart))
        for state, answers in machine.chart.answers.items():
            for abort in machine.chart.aborts:
                plan = machine.advance(
                    binding.make_record({"state": state}), abort.name, facts, binding.make_context({})
                )
                assert (plan.taken is not None) == bool(answers)
