"""Generated evaluators, explanation and simplification all mean the same."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings

from apis_rules.decide.codegen import compile_condition, compile_conditions, compile_expression
from apis_rules.decide.columns import ColumnProgram
from apis_rules.decide.explain import explain
from apis_rules.decide.language import parse_condition, parse_expression
from apis_rules.decide.simplify import ALWAYS, NEVER, simplify
from apis_rules.decide.tree import FactKind, push_down_not
from apis_rules.documents.diagnostics import Findings, Location
from tests.decide.trees import KINDS, conditions, facts

AT = Location("x")


def tree(text, kinds=KINDS):
    """Read a condition that is known to be right."""
    findings = Findings()
    condition = parse_condition(text, kinds, AT, findings)
    assert condition is not None, findings.sorted()
    return condition


def column(value, kind):
    """One row of a column, as a table delivers it."""
    if kind is FactKind.TEXT:
        return np.array([value if isinstance(value, str) else None], dtype=object)
    if kind is FactKind.FLAG:
        return np.array([float(value) if isinstance(value, bool) else math.nan])
    usable = isinstance(value, float | int) and not isinstance(value, bool) and abs(value) < 10**300
    return np.array([float(value) if usable else math.nan])


@given(conditions(), facts())
@settings(max_examples=400)
def test_the_scalar_evaluator_agrees_with_the_walk_through_the_tree(condition, given_facts):
    """Whatever the facts are, odd values among them, both give the same answer."""
    assert compile_condition(condition, KINDS)(given_facts) == explain(condition, given_facts, KINDS).holds


@given(conditions(), facts())
@settings(max_examples=200)
def test_the_vectorised_evaluator_agrees_with_the_scalar_one(condition, given_facts):
    """Columns of one row give what the facts give."""
    program = ColumnProgram(compile_conditions([condition], KINDS).lowered)
    columns = {name: column(value, KINDS[name]) for name, value in given_facts.items()}
    rows = program.columns(columns, 1)
    holds = compile_condition(condition, KINDS)(given_facts)
    assert [bool(mask[0]) for mask in program.masks(rows)] == [holds]
    assert program.first(rows)[0] == (0 if holds else -1)


@pytest.mark.parametrize("count", [1, 127, 128, 300])
def test_the_first_of_many_conditions_is_found_in_columns(count):
    """The index of the first condition that holds, whatever their number; -1 where none does."""
    kinds = {"a": FactKind.NUMBER}
    program = ColumnProgram(compile_conditions([tree(f"a >= {count - i}") for i in range(count)], kinds).lowered)
    values = np.array([count + 0.5, 1.0, 0.0, math.nan, 1e300])
    found = program.first(program.columns({"a": values}, len(values)))
    assert found.tolist() == [0, count - 1, -1, -1, -1]


def test_columns_hold_to_the_same_limits_as_single_facts():
    """Numbers from 2^53 on, flags that are neither 0 nor 1, texts over 256 characters are missing in columns too."""
    kinds = {"a": FactKind.NUMBER, "p": FactKind.FLAG, "s": FactKind.TEXT}
    three = [tree("a >= 0 or a < 0"), tree("p or not p"), tree("s != 'y'")]
    program = ColumnProgram(compile_conditions(three, kinds).lowered)
    columns = {
        "a": np.array([2.0**53, -(2.0**53), 9007199254740991, math.inf]),
        "p": np.array([0.5, 1, 0, math.nan]),
        "s": np.array(["x" * 257, "x" * 256, None, "y"], dtype=object),
    }
    masks = program.masks(program.columns(columns, 4))
    assert [mask.tolist() for mask in masks] == [
        [False, False, True, False], [False, True, True, False], [False, True, False, False],
    ]  # fmt: skip
    assert program.first(program.columns({}, 3)).tolist() == [-1, -1, -1]
    assert program.first(program.columns({"a": np.array([])}, 0)).tolist() == []


@given(conditions(), facts())
def test_simplifying_and_folding_change_nothing(condition, given_facts):
    """The simplified condition gives the same, also with some facts folded in as constants."""
    whole = explain(condition, given_facts, KINDS).holds
    assert explain(simplify(condition), given_facts, KINDS).holds == whole
    known = {n: v for n, v in given_facts.items() if n in "abc" and isinstance(v, float) and abs(v) < 100}
    rest = {n: v for n, v in given_facts.items() if n not in known}
    assert explain(simplify(condition, known), rest, KINDS).holds == whole


def test_nothing_is_true_of_the_unknown():
    """A comparison over a missing value is false, and so is its negation."""
    for text in ("a > 1", "not a > 1", "a != 1", "not a == 1", "s not in ('x', 'y')", "not p", "p", "a - b >= 0"):
        assert compile_condition(tree(text), KINDS)({"b": 1}) is False


@pytest.mark.parametrize("text", ["a / b > 0 or a / b <= 0", "abs(a / (b - b)) >= 0", "min(a / b, 1) <= 1"])
def test_a_division_by_zero_is_missing(text):
    """Dividing by zero makes the comparison false and raises nothing."""
    assert compile_condition(tree(text), KINDS)({"a": 1, "b": 0}) is False


def test_an_expression_gives_its_number_or_nothing():
    """``compile_expression`` returns the number, and None where a part of it is missing."""
    amount = parse_expression("min(a - b, 500)", KINDS, AT, Findings())
    assert amount is not None
    value = compile_expression(amount, KINDS)
    assert value({"a": 4400, "b": 4320}) == 80
    assert value({"a": 4400}) is None


def test_what_is_decided_without_facts_becomes_always_or_never():
    """Conditions over constants disappear."""
    assert simplify(tree("1 < 2 or a > 1")) == ALWAYS
    assert simplify(tree("a > 1 and 'x' == 'y'")) == NEVER
    assert simplify(tree("a > b"), {"b": None}) == NEVER
    assert simplify(tree("5 > a")) == simplify(tree("a < 5"))


def test_the_margin_is_the_distance_to_the_threshold():
    """An explanation says by how much a comparison holds or fails, and names the first thing in the way."""
    condition = tree("a < 1440 and b >= 10")
    failed = explain(condition, {"a": 1500, "b": 12}, KINDS)
    assert [leaf.margin for leaf in failed.leaves()] == [-60, 2]
    blocker = failed.blocker()
    assert blocker is not None
    assert blocker.text == "a < 1440 is false: 1500 misses 1440 by 60"
    assert explain(condition, {"a": 1400, "b": 12}, KINDS).blocker() is None
    assert explain(tree("a < 1"), {}, KINDS).text == "a < 1 is false: the value is missing"


def test_of_failed_alternatives_the_nearest_is_named():
    """For ``or`` the blocker is the alternative that failed by the least."""
    blocker = explain(tree("a < 10 or a > 100"), {"a": 90}, KINDS).blocker()
    assert blocker is not None
    assert blocker.margin == -10


@given(conditions(), facts())
def test_decisive_comparisons_carry_the_result(condition, given_facts):
    """Every decisive comparison came out as the whole did."""
    explanation = explain(condition, given_facts, KINDS)
    assert explanation.condition == push_down_not(condition)
    decisive = explanation.decisive()
    assert decisive
    assert all(leaf.holds == explanation.holds for leaf in decisive)
