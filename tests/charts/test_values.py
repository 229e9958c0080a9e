"""The numbers that charts take from the documents."""

from __future__ import annotations

import pytest

from apis_rules.charts import bundled_chart, chart_values
from apis_rules.charts.load import read_chart
from apis_rules.charts.values import times_in_force
from apis_rules.documents.diagnostics import Findings
from apis_rules.documents.load import parse_document
from apis_rules.documents.reading import load_policy
from apis_rules.documents.wiring import load_wiring
from apis_rules.resources import data_dir

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


def test_the_policys_time_limits_come_first() -> None:
    """A limit of the policy replaces the wiring's, and the holder's dead-man time follows the policy's scram delay."""
    times = load_wiring().times_of("embedded")
    plain = load_policy(data_dir("rules") / "policy.json").model
    assert times_in_force(plain, times)["drain_s"] == times.drain_s
    assert times_in_force(plain, times)["holder_dead_man_s"] == times.holder_dead_man_s(
        plain.controller.scram_voltage_reference_delay_s
    )
    limits = {"hand_over_time_limit_s": 20.0, "drain_time_limit_s": 7.0}
    own = plain.model_copy(update={"grid_master": plain.grid_master.model_copy(update=limits)})
    in_force = times_in_force(own, times)
    assert (in_force["hand_over_s"], in_force["drain_s"]) == (20, 7)


@pytest.mark.parametrize("drain_s", [None, True, "5"])
def test_a_value_that_is_no_number_is_refused(drain_s: object) -> None:
    """What a chart counts with is a number, and it is there."""
    with pytest.raises(ValueError, match=r"wiring\.times\.\w+ is no number"):
        chart_values(bundled_chart("node"), {"wiring": {"times": {"drain_s": drain_s, "hand_over_s": 12}}})
