"""Rules exchanged while they are used: all of the new or all of the old, and back."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from apis_rules.decide.decision import compile_rules
from apis_rules.decide.folder import load_rule_folder
from apis_rules.decide.reload import RulesInForce, RuleSources
from apis_rules.decide.ruleset import Evaluator, Ruleset
from apis_rules.errors import InputError
from apis_rules.resources import data_dir
from tests.decide.shipped import QUESTIONS, constants, example

ROOT = Path(__file__).resolve().parents[2]
RULES = """\
question: local-safety
facts: {{tmp_c: $.unit.dcdc.meter.tmp}}
rules:
  - id: hot
    when: tmp_c > {limit}
    outcome: {{error: "HARDWARE:LOCAL:ERROR"}}
    message: at {{tmp_c}}
"""
AT_46 = {"unit": {"dcdc": {"meter": {"tmp": 46}}}}


@pytest.fixture
def folder(tmp_path):
    """Return a folder with one rule file."""
    (tmp_path / "hot.yaml").write_text(RULES.format(limit=45))
    return tmp_path


def ids(rules, document=AT_46):
    """Return the rules that hold."""
    return [hit.rule.id for hit in rules.decide("local-safety", document, 0.0).hits]


def test_new_rules_take_over_and_decisions_name_their_hash(folder):
    """After a reload the new limit decides, under a new hash; nothing changed is no change."""
    with RulesInForce() as rules:
        first = rules.put_folder(folder, None, {})
        assert (first.accepted, first.changed, first.findings) == (True, ("local-safety",), ())
        before = rules.decide("local-safety", AT_46, 0.0)
        assert before.rules_hash == rules.hashes["local-safety"]
        assert rules.put_folder(folder, None, {}).changed == ()
        (folder / "hot.yaml").write_text(RULES.format(limit=50))
        assert rules.put_folder(folder, None, {}).changed == ("local-safety",)
        after = rules.decide("local-safety", AT_46, 0.0)
        assert (len(before.hits), len(after.hits)) == (1, 0)
        assert after.rules_hash not in ("", before.rules_hash)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "AR105"),
        (RULES.format(limit="45 and"), "AR250"),
        (RULES.format(limit="hihg_c"), "AR251"),
        (RULES.format(limit=45).replace("rules:", "rule:"), "AR200"),
        (RULES.format(limit=f"1 and tmp_c in ({', '.join(map(str, range(99)))})"), "AR255"),
    ],
)
def test_a_file_that_fails_its_check_never_replaces_one_in_force(folder, text, code):
    """The rules before go on deciding, and what is wrong is reported."""
    with RulesInForce() as rules:
        rules.put_folder(folder, None, {})
        in_force = rules.hashes
        (folder / "hot.yaml").write_text(text)
        result = rules.put_folder(folder, None, {})
        assert (result.accepted, result.changed) == (False, ())
        assert code in [d.code for d in result.findings]
        assert rules.hashes == in_force
        assert ids(rules) == ["hot"]


def test_one_bad_file_keeps_all_of_them_as_they_were(folder):
    """A good change beside a bad one is not put in force alone."""
    with RulesInForce() as rules:
        rules.put_folder(folder, None, {})
        (folder / "hot.yaml").write_text(RULES.format(limit=50))
        (folder / "other.yaml").write_text(RULES.format(limit="?").replace("local-safety", "hard-limits"))
        assert not rules.put_folder(folder, None, {}).accepted
        assert ids(rules) == ["hot"]
        (folder / "other.yaml").write_text(RULES.format(limit=1).replace("local-safety", "hard-limits"))
        assert rules.put_folder(folder, None, {}).changed == ("hard-limits", "local-safety")
        (folder / "other.yaml").unlink()
        assert rules.put_folder(folder, None, {}).changed == ("hard-limits",)
        with pytest.raises(KeyError):
            rules.decide("other", AT_46, 0.0)


def test_a_ruleset_that_fails_its_trial_keeps_all_of_them_as_they_were(folder, monkeypatch):
    """Rules that the engine sees differently are found in the child process; the good ones beside them wait as well."""
    with RulesInForce() as rules:
        rules.put_folder(folder, None, {})
        (folder / "hot.yaml").write_text(RULES.format(limit=50))
        (folder / "other.yaml").write_text(RULES.format(limit=60).replace("local-safety", "hard-limits"))
        # The engine gets the same definition for both: right for one, wrong for the other.
        definition = compile_rules(load_rule_folder(folder)["local-safety"], {}).rulesets[0].chunks
        monkeypatch.setattr(Ruleset, "chunks", definition)
        result = rules.put_folder(folder, None, {})
        assert (result.accepted, result.changed) == (False, ())
        assert [(d.code, d.location.file) for d in result.findings] == [("AR266", str(folder / "other.yaml"))]
        assert ids(rules) == ["hot"]
        assert list(rules.hashes) == ["local-safety"]


def test_rollback_brings_back_what_was_before(folder):
    """One step back, and the same step forward again; without a step there is nothing to go back to."""
    with RulesInForce(trial=False) as rules:
        rules.put_folder(folder, None, {})
        with pytest.raises(LookupError):
            rules.rollback()
        (folder / "hot.yaml").write_text(RULES.format(limit=50))
        rules.put_folder(folder, None, {})
        assert ids(rules) == []
        assert rules.rollback().changed == ("local-safety",)
        assert ids(rules) == ["hot"]
        rules.rollback()
        assert ids(rules) == []


def test_a_new_policy_rebuilds_the_rules_that_are_the_same(folder):
    """Values of the policy are folded in, so a policy that differs is a change of the rules."""
    high = "high_c: {path: $.policy.gridVoltageAllowanceV, default: 1}"
    text = RULES.format(limit="high_c").replace("facts: {", f"facts: {{{high}, ")
    (folder / "hot.yaml").write_text(text)
    with RulesInForce(trial=False) as rules:
        rules.put_folder(folder, None, {"policy": {"gridVoltageAllowanceV": 45}})
        assert ids(rules) == ["hot"]
        assert rules.put_folder(folder, None, {"policy": {"gridVoltageAllowanceV": 50}}).changed == ("local-safety",)
        assert ids(rules) == []


def test_own_files_stand_in_front_of_the_bundled_ones(tmp_path):
    """A file of the same name replaces the bundled one; all others stay."""
    own = tmp_path / "own"
    own.mkdir()
    (own / "local-safety.yaml").write_text(RULES.format(limit=99))
    files = load_rule_folder(data_dir("rules"), own)
    assert files["local-safety"].file == str(own / "local-safety.yaml")
    assert set(files) == set(QUESTIONS)


def test_own_hard_limits_only_tighten(tmp_path):
    """An own file of hard limits adds rules; the bundled ones stay, and their ids and facts cannot be taken."""
    own = tmp_path / "hard-limits.yaml"
    text = RULES.format(limit=30).replace("local-safety", "hard-limits").replace("id: hot", "id: H01-mine")
    own.write_text(text)
    both = load_rule_folder(data_dir("rules"), tmp_path)["hard-limits"]
    bundled = load_rule_folder(data_dir("rules"))["hard-limits"]
    assert {r.id for r in both.rules} == {*(r.id for r in bundled.rules), "H01-mine"}
    assert both.content_hash != bundled.content_hash
    with RulesInForce(Evaluator.PURE) as rules:
        rules.put(RuleSources({"hard-limits": both}, constants()))
        assert [h.rule.id for h in rules.decide("hard-limits", example(), 0.0).hits] == ["H01-mine"]
    for wrong in (text.replace("H01-mine", "H01"), text.replace("tmp_c", "grid_v")):
        own.write_text(wrong)
        with pytest.raises(InputError) as caught:
            load_rule_folder(data_dir("rules"), tmp_path)
        assert [d.code for d in caught.value.diagnostics] == ["AR264"]


def test_two_files_for_one_question_are_refused(folder):
    """Which of them would count is not left to chance."""
    (folder / "again.yaml").write_text(RULES.format(limit=1))
    with pytest.raises(InputError, match="AR264"):
        load_rule_folder(folder)


def test_memory_stays_flat_over_decisions_and_swaps():
    """Thousands of decisions and hundreds of exchanged rule sets leave the memory as it was after the first of them."""
    command = [sys.executable, "-X", "faulthandler", "-m", "tests.decide.memory"]
    sizes = ["--decisions", "20000", "--swaps", "200", "--trials", "5"]
    done = subprocess.run([*command, *sizes], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    grown = [float(mb) for mb in re.findall(r"grew by (-?[\d.]+) MB", done.stdout)]
    assert len(grown) == 2
    assert max(grown) < 1.5, done.stdout
