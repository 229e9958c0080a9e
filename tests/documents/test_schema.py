"""The JSON Schemas for editors say what the models say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from apis_rules.documents.diagnostics import Findings
from apis_rules.documents.kinds import Kind, recognise
from apis_rules.documents.load import load_document
from apis_rules.documents.reading import MODELS
from apis_rules.documents.schema import json_schema
from apis_rules.documents.shapes import all_keys
from apis_rules.resources import data_dir

FILES = Path(__file__).parents[1] / "files"
BAD = FILES / "bad" / "documents"
EXPECTED: dict[str, list[Any]] = load_document(BAD / "expected.yaml", Findings()).value
GOOD = [*sorted((FILES / "existing").rglob("*.json")), *sorted(data_dir("rules").glob("*.json"))]
OF_ONE_VALUE = {"AR200", "AR201", "AR202", "AR203", "AR204", "AR210", "AR214", "AR235"}
"""Mistakes that lie in one key or value; a schema cannot know the rules between keys."""


def problems(path: Path) -> list[str]:
    value = load_document(path, Findings()).value
    kind = recognise(value)
    assert kind is not None
    return [error.message for error in Draft202012Validator(json_schema(kind)).iter_errors(value)]


@pytest.mark.parametrize("kind", MODELS)
def test_it_is_a_schema_with_words_for_every_key(kind: Kind) -> None:
    """Each schema is one by its own standard, and an editor shows what each key is."""
    schema = json_schema(kind)
    Draft202012Validator.check_schema(schema)

    def described(part: Any) -> int:
        if isinstance(part, list):
            return sum(map(described, part))
        if not isinstance(part, dict):
            return 0
        return isinstance(part.get("description"), str) + sum(map(described, part.values()))

    keys = all_keys(MODELS[kind])
    values = [key for key in keys if not any(other.startswith(f"{key}.") for other in keys)]
    assert described(schema) >= len(values)


@pytest.mark.parametrize("path", GOOD, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_good_file_is_good_for_an_editor(path: Path) -> None:
    """No file that ``check`` takes is marked by an editor."""
    assert problems(path) == []


@pytest.mark.parametrize(
    "name", [n for n, (code, *_) in EXPECTED.items() if code in OF_ONE_VALUE and (BAD / n).suffix == ".json"]
)
def test_a_bad_value_is_marked_by_an_editor(name: str) -> None:
    """A mistake within one key or value, which ``check`` finds, is found by the schema too; empty windows aside."""
    needs_meaning = {"scenario-window-empty.json", "policy-missing-sum-limit.json"}
    assert bool(problems(BAD / name)) == (name not in needs_meaning)


def test_defaults_stand_in_the_files_units() -> None:
    """A default of five seconds is shown as 5000 milliseconds, whole."""
    shown = json_schema(Kind.POLICY)["properties"]["refreshingPeriodMsec"]
    assert (shown["default"], shown["type"]) == (5000, "integer")
