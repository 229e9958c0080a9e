"""``dry-run`` and ``choose`` decide as the existing system's own evaluator does, whichever engine evaluates."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest

from apis_rules.author.arguments import candidate_argument
from apis_rules.cli import main
from apis_rules.decide.choosing import ELIGIBLE, Strategy, choice_facts, compile_choice, order_accepts
from apis_rules.decide.ruleset import LiveRuleset
from apis_rules.ports.types.negotiation import Direction

DATA = Path(__file__).parent / "data"
ENGINES = ["durable", "pure", "vector"]
SCENARIOS = ["shipped", "specification-6-3", "two-windows"]


def without_rule(proposal: dict[str, Any] | None) -> dict[str, Any] | None:
    return proposal and {key: value for key, value in proposal.items() if key != "rule"}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_dry_run_agrees_with_every_recorded_decision(
    engine: str,
    scenario: str,
    decisions: list[dict[str, Any]],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """For every recorded state the request and both accepts are those of the existing system."""
    expected = [row for row in decisions if row["scenario"] == scenario]
    assert expected
    states = tmp_path / "states.jsonl"
    states.write_text("".join(json.dumps({k: r[k] for k in ("time", "remaining_wh")}) + "\n" for r in expected))
    arguments = ["--scenario", str(DATA / f"{scenario}.scenario.json"), "--states", str(states)]
    arguments += ["--unit", "E001", "--asked-by", "E002", "--format", "jsonl", "--engine", engine]
    assert main(["dry-run", *arguments]) == 0
    found = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert len(found) == len(expected)
    for row, decided in zip(expected, found, strict=True):
        assert (decided["time"], decided["remaining_wh"]) == (row["time"], row["remaining_wh"])
        assert without_rule(decided["request"]) == row["request"], row
        accept = {direction: without_rule(proposal) for direction, proposal in decided["accept"].items()}
        assert accept == row["accept"], row


@pytest.mark.parametrize("engine", ["pure", "vector"])
def test_choose_agrees_with_every_recorded_choice(
    engine: str, choices: list[dict[str, Any]], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """For every recorded set of accepts the same one is taken."""
    for row in choices:
        assert choose(row, engine, tmp_path, capfd) == row["chosen"], row


def test_choose_with_durable_rules_agrees(
    choices: list[dict[str, Any]], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """With durable-rules too: a few through the verb, which tries rules out in a child each time, all inside it."""
    for row in choices[::25]:
        assert choose(row, "durable", tmp_path, capfd) == row["chosen"], row
    with contextlib.ExitStack() as stack:
        live = {
            (strategy, direction): stack.enter_context(
                LiveRuleset(compile_choice(strategy, direction), {ELIGIBLE: False})
            )
            for strategy in Strategy
            for direction in Direction
        }
        for row in choices:
            request = candidate_argument("request", row["request"])
            accepts = [candidate_argument("accepts", accept) for accept in row["accepts"]]
            strategy = Strategy(row["strategy"])
            matched = [live[strategy, request.direction].match(choice_facts(request, a)) for a in accepts]
            assert not any(m.alarm for m in matched)
            order = order_accepts(strategy, accepts, [bool(m.hits) for m in matched])
            assert (accepts[order[0]].unit_id if order else None) == row["chosen"], row


def choose(row: dict[str, Any], engine: str, folder: Path, capfd: pytest.CaptureFixture[str]) -> Any:
    accepts = folder / "accepts.json"
    accepts.write_text(json.dumps(row["accepts"]))
    arguments = ["--request", json.dumps(row["request"]), "--accepts", str(accepts), "--strategy", row["strategy"]]
    assert main(["choose", *arguments, "--engine", engine, "--format", "json"]) == 0
    return json.loads(capfd.readouterr().out)["chosen"]
