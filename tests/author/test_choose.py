"""The verb ``choose``: where the strategy comes from, what is printed, what is refused."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from apis_rules.cli import main

DATA = Path(__file__).parent / "data"
SHIPPED = str(DATA / "shipped.scenario.json")
ACCEPTS = str(DATA / "accepts.jsonl")
POLICY = str(DATA / "policy.json")
REQUEST = '{"type": "charge", "unitId": "E001", "amountWh": 200, "pointPerWh": 10}'


def chosen(capfd: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main(["choose", *arguments, "--format", "json"]) == 0, capfd.readouterr().err
    document: dict[str, Any] = json.loads(capfd.readouterr().out)
    return document


@pytest.mark.parametrize("engine", ["durable", "pure", "vector"])
def test_the_strategy_is_given_or_that_of_the_scenario(engine: str, capfd: pytest.CaptureFixture[str]) -> None:
    """By amount the largest, by price the cheapest; the scenario's own at the time of day."""
    arguments = ["--request", REQUEST, "--accepts", ACCEPTS, "--engine", engine]
    assert chosen(capfd, *arguments, "--strategy", "amount")["chosen"] == "E002"
    assert chosen(capfd, *arguments, "--strategy", "pointAndAmount")["chosen"] == "E008"
    found = chosen(capfd, *arguments, "--scenario", SHIPPED, "--at", "12:00:00")
    assert (found["strategy"], found["chosen"]) == ("pointAndAmount", "E008")


def test_a_policy_leaves_out_what_makes_no_deal(capfd: pytest.CaptureFixture[str]) -> None:
    """With a policy the accept below the minimum is no choice, and price and size of the deal are told."""
    arguments = ["--request", REQUEST, "--accepts", ACCEPTS, "--strategy", "pointAndAmount", "--policy", POLICY]
    found = chosen(capfd, *arguments)
    assert (found["chosen"], found["dealAmountWh"], found["dealPointPerWh"]) == ("E003", 140, 10)
    why = {row["unitId"]: row["why"] for row in found["accepts"]}
    assert why["E008"] == "the deal would stay below the policy's minimum"
    assert why["E002"] == "its price of 11 is above the own 10"


def test_a_sellers_deal_has_the_buyers_price(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The deal's price is what the charging side offers, whoever asked."""
    accepts = tmp_path / "accepts.json"
    accepts.write_text('[{"unitId": "E002", "type": "charge", "amountWh": 100, "pointPerWh": 12.5}]')
    request = REQUEST.replace('"charge"', '"discharge"')
    found = chosen(capfd, "--request", request, "--accepts", str(accepts), "--strategy", "pointAndAmount")
    assert found["dealPointPerWh"] == 12.5


def test_no_accepts_is_no_choice(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """An empty list is answered with null, as is one in which nothing fits."""
    for text in ("[]", '[{"unitId": "E002", "type": "charge", "amountWh": 100}]'):
        accepts = tmp_path / "accepts.json"
        accepts.write_text(text)
        found = chosen(capfd, "--request", REQUEST, "--accepts", str(accepts), "--strategy", "amount")
        assert found["chosen"] is None


def test_a_request_may_stand_in_a_file(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """--request takes the name of a file as well; rows come out as CSV."""
    request = tmp_path / "request.json"
    request.write_text(REQUEST)
    arguments = ["--request", str(request), "--accepts", ACCEPTS, "--strategy", "amount"]
    assert main(["choose", *arguments, "--format", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capfd.readouterr().out)))
    assert [row["unitId"] for row in rows if row["rank"] == "1"] == ["E002"]


@pytest.mark.parametrize(
    ("arguments", "accepts", "sentence"),
    [
        (["--request", REQUEST], "[]", "how accepts are chosen is not said"),
        (["--request", REQUEST, "--scenario", SHIPPED], "[]", "how accepts are chosen is not said"),
        (["--request", REQUEST, "--scenario", SHIPPED, "--at", "25:00"], "[]", "'25:00' is no time of day"),
        (["--request", "[1]", "--strategy", "amount"], "[]", "AR102"),
        (["--request", REQUEST, "--strategy", "amount"], "[1]", "1 is no accept"),
        (["--request", REQUEST, "--strategy", "amount"], '[{"type": "charge"}]', "it does not say who sends it"),
        (
            ["--request", REQUEST, "--strategy", "amount"],
            '[{"unitId": "E2"}]',
            "accepts.json:1:1: AR101 error: type is missing",
        ),
        (["--request", REQUEST, "--strategy", "amount"], '{"unitId": "E2"', "this is not JSON"),
        (
            ["--request", REQUEST, "--strategy", "amount"],
            '[{"unitId": "E2", "type": "charge", "amountWh": NaN}]',
            "JSON",
        ),
        (["--request", REQUEST, "--strategy", "amount"], "", "AR105"),
        (
            ["--request", REQUEST, "--strategy", "amount"],
            '{"unitId": "E2", "type": "discharge"}\n\n{"unitId": "E3",\n',
            "accepts.json:3:17: AR101 error: this is not JSON",
        ),
        (
            ["--request", REQUEST, "--strategy", "amount"],
            '{"unitId": "E2", "type": "discharge"}\n7\n',
            "accepts.json:2:1: AR101 error: 7 is no accept",
        ),
        (
            ["--request", REQUEST, "--strategy", "amount"],
            '{"unitId": "E2", "type": "discharge", "pointperWh": 9}',
            "accepts.json:1:1: AR101 error: there is no key 'pointperWh'\n    did you mean pointPerWh?",
        ),
    ],
)
def test_what_cannot_be_chosen_from_is_refused(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, arguments: list[str], accepts: str, sentence: str
) -> None:
    """One sentence and exit 2."""
    file = tmp_path / "accepts.json"
    file.write_text(accepts)
    assert main(["choose", *arguments, "--accepts", str(file)]) == 2
    said = capfd.readouterr()
    assert sentence in said.err
    assert "Traceback" not in said.err
