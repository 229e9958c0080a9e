"""The condition language: what is read, what is refused and where, and that writing it back loses nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apis_rules.decide.language import MAX_DEPTH, MAX_OPERATIONS, parse_condition, parse_expression
from apis_rules.decide.tree import All, AnyOf, Arithmetic, Comparison, Constant, FactKind, Member, Name, Not, Operator
from apis_rules.decide.writing import format_condition
from apis_rules.documents.diagnostics import Findings, Location
from tests.decide.trees import KINDS, conditions

AT = Location("rules/x.yaml", 7, 11)


def read(text: str):
    """Read a condition that is known to be right."""
    findings = Findings()
    tree = parse_condition(text, KINDS, AT, findings)
    assert findings.sorted() == (), findings.sorted()
    return tree


def test_precedence_is_not_then_and_then_or():
    """``a or b and not c`` groups as ``a or (b and (not c))``."""
    flag = {n: Comparison(Name(n), Operator.EQ, Constant(True)) for n in ("p", "q", "r")}
    assert read("p or q and not r") == AnyOf((flag["p"], All((flag["q"], Not(flag["r"])))))


def test_arithmetic_groups_left_to_right_and_products_first():
    """``a - b - c * 2`` is ``(a - b) - (c * 2)``."""
    tree = read("a - b - c * 2 > 0")
    assert tree == Comparison(
        Arithmetic("-", Arithmetic("-", Name("a"), Name("b")), Arithmetic("*", Name("c"), Constant(2))),
        Operator.GT,
        Constant(0),
    )


def test_a_chain_of_comparisons_is_all_of_them():
    """``0 <= a < 30`` means both comparisons."""
    assert read("0 <= a < 30") == All(
        (Comparison(Constant(0), Operator.LE, Name("a")), Comparison(Name("a"), Operator.LT, Constant(30)))
    )


def test_membership_takes_texts_or_numbers():
    """``in`` and ``not in`` keep the listed constants, each once."""
    assert read("s not in ('x', 'y', 'x')") == Member(Name("s"), ("x", "y"), negated=True)
    assert read("a in (1, -2)") == Member(Name("a"), (1, -2))


def test_places_count_lines_and_columns_of_the_file():
    """A place in the tree is a place in the file, over several lines as well."""
    tree = read("a > 1\n  and b < 2")
    assert isinstance(tree, All)
    second = tree.parts[1]
    assert second.location == Location("rules/x.yaml", 8, 7, 8, 12)
    assert tree.location == Location("rules/x.yaml", 7, 11, 8, 12)


@pytest.mark.parametrize(
    ("text", "code", "column"),
    [
        ("", "AR250", 11),
        ("a = 3", "AR250", 13),
        ("a > 1 && b > 2", "AR250", 17),
        ("a > 'x", "AR250", 15),
        ("a >", "AR250", 14),
        ("a > 1 b", "AR250", 17),
        ("(a > 1", "AR250", 17),
        ("a in ()", "AR250", 17),
        ("a in (b)", "AR250", 17),
        ("a in (true)", "AR250", 17),
        ("abs(a, b) > 1", "AR250", 11),
        ("min(a) > 1", "AR250", 11),
        ("__import__('os')", "AR250", 21),
        ("a > ä", "AR250", 15),
        ("tmp > 1", "AR251", 11),
        ("a > 's'", "AR252", 13),
        ("s > 't'", "AR252", 13),
        ("a", "AR252", 11),
        ("a + s > 1", "AR252", 15),
        ("(a > 1) == p", "AR252", 11),
        ("a > 1e999", "AR253", 15),
        ("a > 90071992547409930", "AR253", 15),
        ("(" * (MAX_DEPTH + 1) + "p", "AR254", 11 + MAX_DEPTH),
        ("a" + "+a" * (MAX_OPERATIONS + 1) + " > 1", "AR254", 11 + 1 + 2 * MAX_OPERATIONS),
        ("a > 1 or " * 500 + "p", "AR254", 11),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text, code, column):
    """A condition that cannot be read gives the code of its mistake at the first character that is wrong."""
    findings = Findings()
    assert parse_condition(text, KINDS, AT, findings) is None
    (found,) = findings.sorted()
    assert (found.code, found.location.line, found.location.column) == (code, 7, column)


def test_every_unknown_name_is_reported_with_the_nearest_known_one():
    """Two misspelt names are two findings, each with what was probably meant."""
    findings = Findings()
    kinds = {"remaining_wh": FactKind.NUMBER, "limit_wh": FactKind.NUMBER}
    assert parse_condition("remainig_wh < limt_wh", kinds, AT, findings) is None
    assert [d.hint for d in findings.sorted()] == ["did you mean remaining_wh?", "did you mean limit_wh?"]


@given(conditions())
def test_writing_a_condition_and_reading_it_gives_the_same_tree(condition):
    """``format_condition`` writes what ``parse_condition`` reads as an equal tree."""
    assert read(format_condition(condition)) == condition


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text):
    """No text, of whatever characters, does anything but give a tree or findings."""
    findings = Findings()
    tree = parse_condition(text, KINDS, AT, findings)
    assert (tree is None) == findings.failed
    parse_expression(text, KINDS, AT, findings)
