"""``diff``: which decisions change, how many exactly, and examples that are true."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from apis_rules.author.difference import compare_scenarios
from apis_rules.author.rows import describe_offer
from apis_rules.cli import main
from apis_rules.decide.declared import declared_scenario
from apis_rules.decide.intent import CompiledScenario, compile_scenario
from apis_rules.documents.scenario import Scenario
from apis_rules.ports.types.negotiation import Direction
from apis_rules.resources import data_dir
from tests.decide.test_intent import MOST_WH, TIMES, scenarios

DATA = Path(__file__).parent / "data"
SHIPPED, TWO_WINDOWS = (str(DATA / f"{name}.scenario.json") for name in ("shipped", "two-windows"))
HOURS_6 = 6 * 3600


def texts(scenario: CompiledScenario, time_s: int, wh: int) -> dict[str, str]:
    intent = scenario.decide_intent(time_s, wh)
    made = {"request": intent.request}
    made |= {f"accept.{direction}": intent.accepts.get(direction) for direction in Direction}
    return {"status": intent.status or "none"} | {q: describe_offer(p.offer) if p else "none" for q, p in made.items()}


@settings(max_examples=50)
@given(scenarios(), scenarios())
def test_changes_are_counted_exactly(old: dict[str, Any], new: dict[str, Any]) -> None:
    """Counts are those of trying every Wh at every part of the day, and each example is a state that changes so."""
    if not old or not new:
        return
    was, becomes = (
        compile_scenario(declared_scenario(Scenario.model_validate(document)), partners=False)
        for document in (old, new)
    )
    counted: Counter[tuple[str, str, str]] = Counter()
    for time_s in TIMES[:-1]:
        for wh in range(MOST_WH + 1):
            before, after = texts(was, time_s, wh), texts(becomes, time_s, wh)
            for question, text in before.items():
                if text != after[question]:
                    counted[question, text, after[question]] += HOURS_6
    changes = compare_scenarios(was, becomes, MOST_WH)
    assert {(c.question, c.old, c.new): c.states for c in changes} == counted
    for change in changes:
        clock, wh = change.examples[0].removesuffix(" Wh").split(", ")
        time_s = int(clock[:2]) * 3600
        assert texts(was, time_s, int(wh))[change.question] == change.old
        assert texts(becomes, time_s, int(wh))[change.question] == change.new


def rows(capfd: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    assert main(["diff", *arguments, "--format", "jsonl"]) == 0
    return [json.loads(line) for line in capfd.readouterr().out.splitlines()]


def test_a_file_does_not_differ_from_itself(capfd: pytest.CaptureFixture[str]) -> None:
    """Nothing changes between a scenario and itself; a change makes --strict exit 1."""
    assert rows(capfd, SHIPPED, SHIPPED) == []
    assert main(["diff", SHIPPED, SHIPPED, "--strict"]) == 0
    assert "no decision changes" in capfd.readouterr().out
    assert main(["diff", SHIPPED, TWO_WINDOWS, "--strict"]) == 1


def test_a_moved_limit_is_counted_in_seconds_times_wh(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A limit moved by 10 Wh changes exactly the states of its band, with the smallest first."""
    moved = tmp_path / "moved.json"
    moved.write_text(Path(SHIPPED).read_text().replace('"limitWh": 2880', '"limitWh": 2870'))
    found = {(row["old"], row["new"]): row for row in rows(capfd, SHIPPED, str(moved))}
    assert found["charge up to 2880 Wh at 10", "charge up to 2870 Wh at 10"]["states"] == 2870 * 86400
    row = found["charge up to 2880 Wh at 10", "none"]
    assert (row["states"], row["examples"]) == (10 * 86400, "00:00:00, 2870 Wh")


@pytest.mark.parametrize("engine", ["durable", "pure", "vector"])
def test_states_are_compared_by_each_engine(engine: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Over given states the counts add up to what a dry run of both finds."""
    day = str(data_dir("rules") / "samples" / "day.csv")
    found = rows(capfd, SHIPPED, TWO_WINDOWS, "--states", day, "--engine", engine)
    assert sum(row["states"] for row in found if row["question"] == "status") == 96
    request = {(row["old"], row["new"]): row["states"] for row in found if row["question"] == "request"}
    assert request["discharge down to 4320 Wh at 10", "none"] == 26


RULES = """question: request
facts: {amount_wh: $.request.amountWh, mode: {path: $.node.mode, kind: text}}
rules:
  - {id: small, when: amount_wh < 50, outcome: {decline: too-small}, message: small}
  - {id: mode, when: mode != 'autonomous', outcome: {decline: not-autonomous}, message: mode}
"""


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("amount_wh < 50", "amount_wh < 60", [("request/small", "does not", "holds", "amount_wh = 50")]),
        ("amount_wh < 50", "not amount_wh >= 50", []),
        ("  - {id: mode", "  - {id: moded", None),
        ("message: small", "message: little", [("request/small message", "small", "little", "")]),
        ("amount_wh < 50", "amount_wh < 50 and mode == 'stop'", [("request/small", "holds", "does not", None)]),
    ],
)
def test_rule_files_are_compared_rule_by_rule(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, old: str, new: str, expected: list[Any] | None
) -> None:
    """Another bound gives facts that tell the versions apart; another way of writing the same is no change."""
    first, second = tmp_path / "old.yaml", tmp_path / "new.yaml"
    first.write_text(RULES)
    second.write_text(RULES.replace(old, new))
    found = [(r["question"], r["old"], r["new"], r["examples"]) for r in rows(capfd, str(first), str(second))]
    if expected is None:
        assert [(row[0], row[2]) for row in found] == [
            ("request/mode", "no such rule"),
            ("request/moded", "mode != 'autonomous'"),
        ]
        return
    assert len(found) == len(expected)
    for row, wanted in zip(found, expected, strict=True):
        assert all(w is None or w == r for w, r in zip(wanted, row, strict=True)), row


def test_folders_are_compared_file_by_file(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A folder's own rule file is compared with the bundled one of its name; what has no counterpart is refused."""
    bundled = (data_dir("rules") / "request.yaml").read_text()
    (tmp_path / "request.yaml").write_text(bundled.replace("amount_wh < amount_min_wh", "amount_wh <= amount_min_wh"))
    found = rows(capfd, str(data_dir("rules")), str(tmp_path))
    assert {row["question"] for row in found} == {"request/too-small"}
    (tmp_path / "weekend.json").write_text(Path(SHIPPED).read_text())
    assert main(["diff", str(data_dir("rules")), str(tmp_path)]) == 2
    assert "AR308" in capfd.readouterr().err
    assert main(["diff", SHIPPED, str(tmp_path)]) == 2
    assert main(["diff", SHIPPED, str(data_dir("rules") / "request.yaml")]) == 2
    assert "two of one kind can be compared" in capfd.readouterr().err
