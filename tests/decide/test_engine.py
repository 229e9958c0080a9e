"""durable-rules as a matcher: what reaches it, what it answers, and what happens when it does not behave."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from apis_rules.decide.definition import MAX_GROUPS, MAX_WIDTH, Chunk, compile_chunks, obstacle
from apis_rules.decide.engine import EngineFailure, Matcher
from apis_rules.decide.lower import lower
from apis_rules.decide.ruleset import LiveRuleset, compile_ruleset
from apis_rules.decide.samples import sample_rows
from apis_rules.decide.tree import All, AnyOf, Comparison, Constant, Name, Operator
from apis_rules.decide.trial import try_chunks
from tests.decide.test_evaluate import tree
from tests.decide.trees import KINDS, ODD

ROOT = Path(__file__).resolve().parents[2]


def ruleset(**conditions):
    """Return a ruleset of named conditions."""
    return compile_ruleset("test", [(name, tree(text)) for name, text in conditions.items()], KINDS)


def test_all_evaluators_agree_on_random_rules_and_facts():
    """At least 20,000 random decisions, in a process of its own: no difference and no crash."""
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-m", "tests.decide.agreement", "--decisions", "20000"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    decisions, hits = (int(done.stdout.split(word)[0].split()[-1]) for word in (" decisions", " hits"))
    assert decisions >= 20_000
    assert hits > decisions


def test_only_finite_numbers_under_names_of_ours_reach_the_engine():
    """Whatever a fact holds, the text for the engine is plain ASCII: columns, finite floats, nothing else."""
    rules = ruleset(one="a > 1e-05 and s != 'ü' and p", two="s == t or b / c > 1")
    program = rules.program
    write = rules.chunks[0].fact_writer()
    for odd in ODD:
        text = write(program.read(dict.fromkeys(KINDS, odd).get))
        assert text.isascii()
        assert not set(text) - set('{}":,.+-0123456789e fidonx'), text
    assert write(program.read({"a": 1e-05, "b": 1e-9, "c": 3.0}.get)).startswith('{"f0":1.0e-05,')
    for chunk in rules.chunks:
        assert chunk.text.isascii()


def test_odd_values_are_missing_and_never_an_error():
    """NaN, infinities, huge numbers, texts for numbers, other types: every comparison over them is false."""
    rules = ruleset(a="a > 0 or a <= 0", s="s == 'x' or s != 'x'", p="p or not p", derived="a * 2 >= a")
    with LiveRuleset(rules, dict.fromkeys(rules.names, True)) as live:
        assert live.match({}).hits == ()
        for odd in (None, "30", float("nan"), float("inf"), 10**400, 2**60, b"x", [], {}, object()):
            matched = live.match({"a": odd, "p": odd, "s": None if isinstance(odd, str) else odd})
            assert (matched.hits, matched.alarm) == ((), "")


def test_many_rules_are_spread_over_chunks_and_all_of_them_are_found():
    """Three hundred rules that hold at once are all reported, though the engine's stack takes 64."""
    rules = compile_ruleset("wide", [(f"r{i}", tree(f"a > {i}")) for i in range(300)], KINDS)
    assert len(rules.chunks) == 300 / MAX_WIDTH
    with LiveRuleset(rules, dict.fromkeys(rules.names, True)) as live:
        assert live.engine_only({"a": 1000}) == rules.names
        assert live.match({"a": 1000}).alarm == ""


def test_a_condition_too_large_for_the_engine_is_refused_with_the_reason():
    """Too many alternatives inside an 'and', and too many groups, have their sentence; a plain 'or' is split."""
    numbers = ", ".join(map(str, range(MAX_WIDTH + 1)))
    assert obstacle(lower([tree(f"a in ({numbers})")], KINDS).conditions[0]) is None
    wide = lower([tree(f"p and a in ({numbers})")], KINDS)
    assert "alternatives" in (obstacle(wide.conditions[0]) or "")
    with pytest.raises(ValueError, match="does not fit"):
        compile_chunks(wide)
    deep = " and ".join(f"(a > {i} or b > {i})" for i in range(MAX_GROUPS))
    assert "groups" in (obstacle(lower([tree(deep)], KINDS).conditions[0]) or "")


@pytest.mark.parametrize(("safe", "hits"), [(True, ("above", "below")), (False, ())])
def test_where_the_two_differ_the_safe_answer_counts_and_an_alarm_is_raised(safe, hits):
    """A rule that forbids holds if either evaluator says so; one that permits only if both do."""
    rules = ruleset(above="a > 1", below="a < 1")
    exchanged = ruleset(above="a < 1", below="a > 1")
    rules.__dict__["chunks"] = exchanged.chunks
    with LiveRuleset(rules, dict.fromkeys(rules.names, safe)) as live:
        matched = live.match({"a": 2})
    assert matched.hits == hits
    assert "differ in ruleset test (above, below) for {'a': 2.0}" in matched.alarm


def overloaded():
    """Return a chunk whose definition makes the engine answer with an error: 70 rules true at once."""
    rules = ",".join(f'"r{i}_0":{{"all":[{{"m":{{"$gt":{{"f0":{i}}}}}}}],"pri":{i}}}' for i in range(70))
    prime = '"prime":{"all":[{"m":{"$ex":{"prime":1}}}],"pri":99}'
    return Chunk(f"{{{rules},{prime}}}", (0,), {f"r{i}_0": i for i in range(70)})


def test_an_engine_that_fails_permits_nothing_and_hides_no_error():
    """When the engine gives no answer, what the scalar evaluator reports stays, and nothing is permitted."""
    rules = ruleset(error="a > 1", permit="a > 2")
    rules.__dict__["chunks"] = (overloaded(),)
    with LiveRuleset(rules, {"error": True, "permit": False}) as live:
        matched = live.match({"a": 1000})
        assert matched.hits == ("error",)
        assert "durable-rules" in matched.alarm
        assert live.match({"a": -1}).hits == ()


def test_a_definition_that_the_engine_refuses_is_one_error():
    """A refused definition raises, and frees what was built before it."""
    good = ruleset(a="a > 1").chunks[0]
    with pytest.raises(EngineFailure, match=r"refused bad\.1"):
        Matcher("bad", [good, replace(good, text="{")])


def test_the_trial_build_finds_what_differs_crashes_or_hangs():
    """A child process builds and compares; a wrong answer, a crash and a hang are each one sentence."""
    rules = ruleset(above="a > 1", below="a < 1")
    assert rules.trial() is None
    rows = sample_rows(rules.program.lowered, 20)
    expected = [rules.program.match(row) for row in rows]
    exchanged = ruleset(above="a < 1", below="a > 1")
    assert "differs" in (try_chunks("t", exchanged.chunks, rows, expected) or "")
    # More rules on one condition than the engine can list: it runs past its list, and dies or answers wrongly.
    many = ",".join(f'"r{i}":{{"all":[{{"m":{{"$gt":{{"f0":1}}}}}}]}}' for i in range(256))
    assert "of t ended with " in (try_chunks("t", [Chunk(f"{{{many}}}", (0,), {})], rows, expected) or "")
    assert "within 0.001 s" in (try_chunks("t", rules.chunks, rows, expected, limit_s=0.001) or "")


def test_sample_rows_stand_on_and_beside_every_threshold():
    """Both neighbours of a threshold, itself and a missing value are among the samples."""
    rows = sample_rows(ruleset(a="a > 1440").program.lowered, 50)
    values = {row[0] for row in rows}
    assert {1440.0, 1440.0000000000002, 1439.9999999999998} <= values
    assert any(map(math.isnan, values))


def test_without_the_engine_there_is_one_clear_sentence(tmp_path):
    """A Python that cannot import durable-rules says what is missing and how to install it."""
    (tmp_path / "durable_rules_engine.py").write_text("raise ImportError('undefined symbol: PyEval_CallObject')")
    code = "from apis_rules.decide.engine import load_engine; load_engine()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("apis_rules.errors.Unsupported: durable-rules cannot be imported (undefined symbol")
    assert "C compiler" in last


def test_fact_against_fact_is_false_where_one_is_missing():
    """Unguarded, the engine answers such a comparison with what the one before left in memory; guarded, it is false."""
    cases = {
        "a < b": {"a": 1, "b": 2}, "a <= b": {"a": 1, "b": 2}, "a > b": {"a": 2, "b": 1}, "a >= b": {"a": 2, "b": 1},
        "a == b": {"a": 2, "b": 2}, "a != b": {"a": 1, "b": 2}, "s == t": {"s": "z", "t": "z"},
        "s != t": {"s": "z", "t": "x"}, "p != q": {"p": True, "q": False},
    }  # fmt: skip
    for text, both in cases.items():
        with LiveRuleset(ruleset(rule=text), {"rule": True}) as live:
            for name in both:
                for _ in range(20):
                    assert live.engine_only(both) == ("rule",)
                    assert live.engine_only({name: both[name]}) == ()


def test_always_and_never_are_conditions_too():
    """A rule without conditions always holds, one that cannot hold never does, inside the engine as well."""
    unused = Comparison(Name("a"), Operator.GT, Constant(1))
    rules = compile_ruleset("edge", [("always", All(())), ("never", AnyOf(())), ("a", unused)], KINDS)
    with LiveRuleset(rules, dict.fromkeys(rules.names, True)) as live:
        assert live.match({}) == live.match({"a": "?"})
        assert live.match({}).hits == ("always",)
        assert live.match({}).alarm == ""
