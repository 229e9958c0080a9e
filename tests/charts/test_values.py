"""The numbers that charts take from the documents."""

from __future__ import annotations

import pytest

from apis_rules.charts import bundled_chart, chart_values
from apis_rules.charts.load import read_chart
from apis_rules.documents.diagnostics import Findings
from apis_rules.documents.load import parse_document

CHART = """
format: 1
chart: x
about: a
events: {go: a}
values:
  delay_s: policy.controller.scramVoltageReferenceDelayMsec
  allowance_v: policy.gridVoltageAllowanceV
  drain_s: wiring.times.drain_s
initial: s
states: {s: {about: a, final: true, when: {go: {if: delay_s < allowance_v and drain_s < 9}}}}
"""


def test_values_are_found_by_their_paths() -> None:
    """Milliseconds of a file become seconds; everything else stays as it is."""
    findings = Findings()
    chart = read_chart(parse_document(CHART, "x.yaml", findings), findings)
    assert chart is not None, findings.sorted()
    policy = {"controller": {"scramVoltageReferenceDelayMsec": 5000}, "gridVoltageAllowanceV": 4}
    values = chart_values(chart, {"policy": policy, "wiring": {"times": {"drain_s": 5}}})
    assert values == {"delay_s": 5.0, "allowance_v": 4.0, "drain_s": 5.0}


@pytest.mark.parametrize("drain_s", [None, True, "5"])
def test_a_value_that_is_no_number_is_refused(drain_s: object) -> None:
    """What a chart counts with is a number, and it is there."""
    with pytest.raises(ValueError, match=r"wiring\.times\.\w+ is no number"):
        chart_values(bundled_chart("node"), {"wiring": {"times": {"drain_s": drain_s, "hand_over_s": 12}}})
