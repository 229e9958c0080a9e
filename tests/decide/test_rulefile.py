"""The form of rule files: what is read, and what is wrong where."""

from __future__ import annotations

import pytest

from apis_rules.decide.decision import Decider, compile_rules
from apis_rules.decide.listing import list_facts
from apis_rules.decide.rulefile import check_document, load_rules, read_rules
from apis_rules.decide.ruleset import Evaluator
from apis_rules.documents.diagnostics import Findings, Severity
from apis_rules.documents.load import parse_document
from apis_rules.errors import InputError
from apis_rules.resources import data_dir
from tests.decide.shipped import QUESTIONS, constants, example

GOOD = """\
question: local-safety
facts:
  tmp_c: $.unit.dcdc.meter.tmp
  high_c: {path: $.hwConfig.gridCurrentCapacityA, default: 45}
  mode: {derived: converter_mode}
rules:
  - id: hot
    when: tmp_c > high_c
    unless: mode == 'wait'
    debounce_s: high_c / 10
    outcome: {error: "HARDWARE:LOCAL:ERROR"}
    message: "{tmp_c} in mode {mode}"
"""


def read(text):
    """Read the text of a rule file; return it with what was found."""
    findings = Findings()
    return read_rules(parse_document(text, "r.yaml", findings), findings), findings.sorted()


def test_several_mistakes_are_found_at_once():
    """A second rule with the same id and an unused fact are reported together with the rest, sorted."""
    twice = GOOD + GOOD[GOOD.index("  - id") :].replace("tmp_c > high_c", "tmp_c > 'x'")
    assert [d.code for d in read(twice)[1]] == ["AR258", "AR252"]
    unused = GOOD.replace("facts:\n", "facts:\n  spare_a: $.unit.dcdc.meter.ig\n")
    assert [(d.code, d.severity) for d in read(unused)[1]] == [("AR262", Severity.WARNING)]


def test_a_missing_constant_is_told_and_its_default_is_folded_in():
    """A value of hwConfig is folded; where it is missing the default; where there is none, a warning."""
    rule_file, _ = read(GOOD)
    document = {"unit": {"dcdc": {"meter": {"tmp": 46}, "status": {"status": "0x0041"}}}}
    for hw_config, holds in (({}, True), ({"gridCurrentCapacityA": 50}, False)):
        rules = compile_rules(rule_file, {"hwConfig": hw_config})
        with Decider(rules, Evaluator.PURE) as decider:
            assert bool(decider.decide(document, 0.0).hits) is holds
        assert rules.debounces["hot"] == (5.0 if hw_config else 4.5)
    rule_file, _ = read(GOOD.replace(", default: 45", ""))
    findings = Findings()
    compile_rules(rule_file, {}, findings)
    assert [d.code for d in findings.sorted()] == ["AR263"]


def test_priority_comes_before_the_order_of_the_file():
    """Lower priority numbers are better; equal ones stay in the order of the file."""
    rule = GOOD[GOOD.index("  - id") :]
    text = GOOD + rule.replace("hot", "b") + rule.replace("id: hot", "id: a\n    priority: 5")
    rule_file, found = read(text)
    assert found == ()
    assert [r.id for r in rule_file.rules] == ["a", "hot", "b"]


def test_the_hash_is_of_the_content_not_of_the_layout():
    """Comments and spacing leave the hash as it is; any value changes it."""
    rule_file, _ = read(GOOD)
    assert read(f"# a comment\n{GOOD}")[0].content_hash == rule_file.content_hash
    assert read(GOOD.replace("45", "46"))[0].content_hash != rule_file.content_hash


def test_a_decision_names_the_hash_of_its_rules():
    """Every decision carries the content hash of the rule file."""
    rule_file, _ = read(GOOD)
    with Decider(compile_rules(rule_file, {})) as decider:
        assert decider.decide({}, 0.0).rules_hash == rule_file.content_hash


@pytest.mark.parametrize(
    "odd",
    [{}, {"unit": []}, {"unit": {"dcdc": "x"}}, {"deals": "x"}, {"units": [1]}, {"deals": [1]}, {"accepts": [2]}],
)
def test_what_rules_are_asked_about_may_be_of_any_shape(odd):
    """A document of a wrong shape has missing values, and that is all."""
    for question in QUESTIONS:
        with Decider(compile_rules(load_rules(data_dir("rules") / f"{question}.yaml"), constants())) as decider:
            decision = decider.decide(odd, 0.0)
            assert decision.alarms == ()


def test_a_file_that_is_wrong_is_refused_with_everything_that_is_wrong(tmp_path):
    """``load_rules`` raises with all findings; ``check_document`` notes the same."""
    path = tmp_path / "r.yaml"
    path.write_text(GOOD.replace("tmp_c > high_c", "tmp > high_c").replace("{tmp_c} in", "{temp_c} in"))
    with pytest.raises(InputError) as caught:
        load_rules(path)
    assert [d.code for d in caught.value.diagnostics] == ["AR251", "AR259"]
    findings = Findings()
    check_document(parse_document(path.read_text(), str(path), Findings()), findings)
    assert findings.sorted() == caught.value.diagnostics


def test_every_fact_of_the_shipped_rules_has_an_example():
    """The list of facts has path, unit and a known example for each; the catalogue is in it as a whole."""
    files = [load_rules(data_dir("rules") / f"{question}.yaml") for question in QUESTIONS]
    rows = list_facts(files, {**example(), **constants()})
    unknown = [row for row in rows if row.example == "unknown"]
    assert unknown == []
    by_source = {row.source: row for row in rows}
    assert by_source["$.unit.dcdc.meter.ig"].example == "2 A"
    assert "derived: own_direction" in by_source
    assert all(row.about or row.files for row in rows)
