"""What the analysis finds in rule files."""

from __future__ import annotations

from pathlib import Path

import pytest

from apis_rules.author.check import check_paths
from apis_rules.resources import data_dir

HEAD = """question: request
facts:
  a_wh: $.request.amountWh
  b_wh: {path: $.unit.apis.remaining_capacity_wh, default: 0}
  mode: {path: $.node.mode, kind: text}
rules:
  - {id: used, when: a_wh > 10000 and b_wh > 10000 and mode == 'manual', outcome: {decline: errors}, message: all facts}
"""


def rule(name: str, when: str, outcome: str = "{decline: errors}", extra: str = "") -> str:
    return f"  - {{id: {name}, when: {when}, outcome: {outcome}, message: {name}{extra}}}\n"


ERROR = "{error: 'LOGIC:LOCAL:WARN'}"
MISTAKES = {
    "contradiction": (rule("no", "a_wh > 45 and a_wh < 40"), "AR320", "the rule no never holds"),
    "exception takes all": (rule("no", "a_wh > 45", extra=", unless: a_wh > 40"), "AR320", "the rule no never holds"),
    "written twice": (
        rule("one", "a_wh < 20") + rule("two", "not (a_wh >= 20)"),
        "AR321",
        "the rule two is one once more",
    ),
    "never first": (
        rule("wide", "a_wh < 100") + rule("narrow", "a_wh < 50 and mode == 'stop'"),
        "AR322",
        "the rule narrow never decides: wherever it holds, wide holds before it",
    ),
    "never first by priority": (
        rule("narrow", "a_wh < 50") + rule("wide", "a_wh < 100", extra=", priority: 1"),
        "AR322",
        "the rule narrow never decides",
    ),
}
FINE = {
    "bounds that leave one value": rule("one", "a_wh >= 40 and a_wh <= 40"),
    "narrow before wide": rule("narrow", "a_wh < 50") + rule("wide", "a_wh < 100"),
    "errors all count": rule("wide", "a_wh < 100", ERROR) + rule("narrow", "a_wh < 50", ERROR),
    # Where mode is missing, the first does not hold and the second decides.
    "a value that may be missing": rule("first", "mode == 'stop' or mode != 'stop'") + rule("second", "a_wh < 50"),
    "a value with a default": rule("first", "b_wh < 50") + rule("second", "b_wh < 60"),
}


def found(folder: Path, rules: str) -> list[tuple[str, int, str]]:
    text = HEAD + rules
    if ERROR in rules:  # a gate declines, a check raises errors
        text = text.replace("$.request.amountWh", "$.unit.battery.rsoc").replace("{decline: errors}", ERROR)
    name = "local-safety" if ERROR in rules else "request"
    (folder / f"{name}.yaml").write_text(text.replace("question: request", f"question: {name}"))
    return [(d.code, d.location.line, d.message) for d in check_paths([folder]).diagnostics]


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_rule_that_can_do_nothing_is_found(mistake: str, tmp_path: Path) -> None:
    """A rule that never holds, stands there twice or never decides is told at its line."""
    rules, code, message = MISTAKES[mistake]
    ((found_code, line, found_message),) = found(tmp_path, rules)
    assert found_code == code
    assert message in found_message
    assert line == 7 + (2 if rules.count("\n") == 2 and "priority" not in rules else 1)


@pytest.mark.parametrize("rules", FINE)
def test_rules_that_each_do_something_are_left_alone(rules: str, tmp_path: Path) -> None:
    """Nothing is said where a value tells two rules apart, be it that it is missing."""
    assert found(tmp_path, FINE[rules]) == []


REACTIONS = (data_dir("rules") / "reactions.yaml").read_text()
TABLES = {
    "a row is missing": (
        REACTIONS.replace("category == 'USER'", "category == 'USER' and unit == 'E001'"),
        ["AR323 USER:GLOBAL:ERROR has no reaction"],
    ),
    "a row hangs on another level": (
        REACTIONS.replace("when: level == 'WARN'", "when: level == 'WARN' and extent == 'LOCAL'"),
        [f"AR323 {category}:GLOBAL:WARN has no reaction" for category in ("FRAMEWORK", "HARDWARE", "LOGIC", "USER")],
    ),
    "two rows differ": (
        REACTIONS.replace("when: level == 'WARN'", "when: level == 'WARN' or category == 'USER'"),
        [
            "AR324 for USER:GLOBAL:ERROR the rows warning and global-user say different things",
            "AR324 for USER:GLOBAL:FATAL the rows warning and global-fatal say different things",
            "AR324 for USER:LOCAL:ERROR the rows warning and local-hardware say different things",
            "AR324 for USER:LOCAL:FATAL the rows warning and local-fatal say different things",
        ],
    ),
    "one comes first": (
        REACTIONS.replace("when: level == 'WARN'", "priority: 5\n    when: level == 'WARN' or category == 'USER'"),
        [],
    ),
}


@pytest.mark.parametrize("table", TABLES)
def test_every_kind_of_event_has_one_reaction(table: str, tmp_path: Path) -> None:
    """Each category, extent and level without a row, or with two rows that differ, is named."""
    text, wanted = TABLES[table]
    (tmp_path / "reactions.yaml").write_text(text)
    diagnostics = check_paths([tmp_path]).diagnostics
    assert sorted(f"{d.code} {d.message}" for d in diagnostics) == wanted


def test_one_fault_has_one_name(tmp_path: Path) -> None:
    """Two rules that hold together and raise different errors disagree."""
    two = rule("one", "a_wh < 20", ERROR) + rule("two", "not (a_wh >= 20)", "{error: 'LOGIC:LOCAL:ERROR'}")
    assert found(tmp_path, two) == [("AR325", 9, "the rules one and two call the same thing different errors")]


def test_a_catalogue_of_errors_has_what_the_program_raises(tmp_path: Path) -> None:
    """An entry that nothing raises is doubtful, one that is missing is a mistake; a misspelt one is one mistake."""
    text = (data_dir("rules") / "errors.yaml").read_text()
    for changed, expected in (
        (text.replace("  silent:", "  silence:"), [("AR271", "the program raises 'silent', not 'silence'")]),
        (
            text.replace("  silent:", "  thunder:"),
            [
                ("AR271", "the program raises 'silent', which has no entry"),
                ("AR270", "nothing in the program raises 'thunder'"),
            ],
        ),
    ):
        (tmp_path / "errors.yaml").write_text(changed)
        assert [(d.code, d.message) for d in check_paths([tmp_path]).diagnostics] == expected


def test_a_mistake_elsewhere_does_not_silence_the_analysis(tmp_path: Path) -> None:
    """Each rule file is analysed, whatever is wrong with another."""
    (tmp_path / "accept.yaml").write_text("question: accept\nfacts: {}\nrules: []\n")
    codes = [code for code, _, _ in found(tmp_path, MISTAKES["contradiction"][0])]
    assert "AR320" in codes


def test_the_bundled_rules_are_without_a_doubt() -> None:
    """Nothing is found in what is shipped."""
    assert check_paths([data_dir("rules")]).diagnostics == ()
