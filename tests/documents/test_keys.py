"""The table of keys names every key there is, and no other."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from apis_rules.documents.diagnostics import Findings
from apis_rules.documents.keys import Key, all_rows
from apis_rules.documents.kinds import Kind, recognise
from apis_rules.documents.load import load_document
from apis_rules.documents.reading import MODELS
from apis_rules.documents.shapes import all_keys
from apis_rules.documents.spellings import KEYS
from apis_rules.ports.types.deal import DealRecord
from apis_rules.ports.types.unit_data import UnitData
from apis_rules.resources import data_dir

FILES = Path(__file__).parents[1] / "files"
TABLES = {table: [row for row in all_rows() if row.table == table] for table in {row.table for row in all_rows()}}


def pattern(row: Key) -> re.Pattern[str]:
    """A star is a name of one's own, or (at the end) everything below; a group's row covers what is in the group."""
    return re.compile(re.escape(row.path).replace(r"\*", r"[^.]+(?:\.[^.]+)*?") + r"(\..+)?")


def unlisted(table: str, keys: list[str]) -> list[str]:
    """The keys that no row of the table covers, whatever spelling the specification has for them."""
    patterns = [pattern(row) for row in TABLES[table]]
    missing = []
    for key in keys:
        right = key
        for wrong, meant in KEYS.get(Kind(table), {}).items() if table in set(Kind) else ():
            if key == wrong or key.startswith(f"{wrong}."):
                right = meant + key[len(wrong) :]
        if not any(p.fullmatch(right) for p in patterns):
            missing.append(key)
    return missing


def leaves(value: Any, path: str = "") -> list[str]:
    """The dotted paths of all values in a document that are no objects with keys."""
    if not isinstance(value, dict):
        return [path] if path else []
    return [leaf for key, part in value.items() for leaf in leaves(part, f"{path}.{key}" if path else key)]


def lists_in(name: str) -> dict[str, list[str]]:
    return load_document(FILES / name, Findings()).value


@pytest.mark.parametrize("name", ["keys-of-the-specification.yaml", "keys-of-recorded-answers.yaml"])
def test_every_key_of_the_specification_and_of_recorded_answers_is_listed(name: str) -> None:
    """No key that the specification or an existing program uses is without a row."""
    for table, keys in lists_in(name).items():
        assert unlisted(table, keys) == []


def test_every_key_in_the_files_at_hand_is_listed() -> None:
    """No key of the existing system's files, plain and annotated, or of the bundled defaults is without a row."""
    paths = [*(FILES / "existing").rglob("*.json"), *data_dir("rules").glob("*.json")]
    assert len(paths) >= 14
    for path in paths:
        value = load_document(path, Findings()).value
        kind = recognise(value)
        assert kind is not None
        # A name of one's own may hold a point; here none does.
        assert unlisted(kind, [leaf for leaf in leaves(value) if not leaf.endswith(".")]) == [], path


@pytest.mark.parametrize("kind", MODELS)
def test_the_models_and_the_table_name_the_same_keys(kind: Kind) -> None:
    """A key added to a model without a row, or a row without a key, fails here."""
    declared = set(all_keys(MODELS[kind]))
    rows = {row.path for row in TABLES[kind]} - {"*.encrypted", "*.encrypted_"}
    groups = {key for key in declared if any(other.startswith(f"{key}.") for other in declared)}
    assert declared - groups <= rows
    assert rows <= declared


def fields(model: type[BaseModel], prefix: str = "") -> list[str]:
    """The dotted wire names of a model's fields."""
    found = []
    for name, field in model.model_fields.items():
        key = f"{prefix}{field.alias or name}"
        inner = field.annotation
        found += fields(inner, f"{key}.") if isinstance(inner, type) and issubclass(inner, BaseModel) else [key]
    return found


def test_unit_data_and_deal_records_have_no_field_without_a_row() -> None:
    """What the shared types of a unit's data and a deal's record carry stands in the table."""
    assert unlisted("unitData", fields(UnitData)) == []
    assert unlisted("dealRecord", fields(DealRecord)) == []


def test_every_row_says_what_it_is_and_what_reads_it() -> None:
    """A row has words for the key, and parts that read it, a later capability, or the reason why nothing does."""
    paths = [(row.table, row.path) for row in all_rows()]
    assert len(paths) == len(set(paths))
    for row in all_rows():
        assert row.what
        assert row.effect
        assert row.effect not in {"later: ", "accepted, no effect: "}
