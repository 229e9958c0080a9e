"""JSON and YAML become one form, with the place of everything."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apis_rules.documents.diagnostics import Findings, Location
from apis_rules.documents.document import Document, dotted
from apis_rules.documents.load import load_document, parse_document
from apis_rules.documents.source import LIMIT_BYTES
from apis_rules.errors import InputError

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x7f\x85\ufeff"), max_size=8)
KEYS = TEXT.filter(lambda key: not key.startswith("#"))
SCALARS = (
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats(allow_nan=False, allow_infinity=False) | TEXT
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=20
)


ALIASES = "".join(f"{c}: &{c} [{','.join([f'*{p}'] * 8)}]\n" for p, c in zip("abcdefg", "bcdefgh", strict=True))
BILLIONS = f"a: &a [x,x,x,x,x,x,x,x]\n{ALIASES}"
"""A few lines of YAML that stand for sixteen million values."""


def parse(text: str, file: str = "x.json") -> Document:
    findings = Findings()
    document = parse_document(text, file, findings)
    assert not findings.sorted()
    return document


def error(text: str, file: str = "x.json") -> tuple[str, int, int]:
    with pytest.raises(InputError) as caught:
        parse_document(text, file, Findings())
    (found,) = caught.value.diagnostics
    return found.code, found.location.line, found.location.column


def cut(text: str, place: Location) -> str:
    lines = text.split("\n")
    if place.line == place.end_line:
        return lines[place.line - 1][place.column - 1 : place.end_column - 1]
    first, last = lines[place.line - 1][place.column - 1 :], lines[place.end_line - 1][: place.end_column - 1]
    return "\n".join([first, *lines[place.line : place.end_line - 1], last])


@given(VALUES, st.sampled_from([None, 2]), st.booleans())
def test_json_is_read_as_pythons_own_reader_reads_it(value: Any, indent: int | None, ascii_only: bool) -> None:
    """What any JSON text means is what ``json.loads`` says it means."""
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    assert parse(text).value == json.loads(text)


@given(VALUES, st.sampled_from([None, 1]), st.booleans())
def test_the_place_of_a_value_holds_just_that_value(value: Any, indent: int | None, ascii_only: bool) -> None:
    """Cutting a value's place out of the text gives the value, and its key's place the key, whatever the characters."""
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    document = parse(text)
    for path, place in document.places.items():
        assert json.loads(cut(text, place.value)) == document.get(path)
        if place.key is not None:
            assert json.loads(cut(text, place.key)) == path[-1]


@given(VALUES.filter(lambda value: isinstance(value, dict)))
def test_a_document_means_the_same_in_both_forms(value: Any) -> None:
    """JSON read as YAML gives the same values at the same places."""
    text = json.dumps(value, indent=2)
    as_json, as_yaml = parse(text), parse(text, "x.yaml")
    assert as_yaml.value == as_json.value
    starts = {path: (p.value.line, p.value.column) for path, p in as_json.places.items()}
    assert {path: (p.value.line, p.value.column) for path, p in as_yaml.places.items()} == starts


def test_comments_are_left_out() -> None:
    """``//``, ``/* */`` and any number of ``#`` keys mean nothing, and hide nothing in texts."""
    text = '// one\n{"#": 1, /* two\n {"b": 3} */ "a": "// no comment", "#": {"c": [1]}, "# note": 4} // three'
    assert parse(text).value == {"a": "// no comment"}
    assert parse("# one\n'#': 1\na: '# no comment'  # two\n'#': 2\n", "x.yaml").value == {"a": "# no comment"}


def test_a_key_given_twice_is_an_error_that_names_the_first() -> None:
    """In both forms the second one is pointed at, the line of the first is named, and the last counts."""
    for text, file in (('{"a": 1,\n "a": 2}', "x.json"), ("a: 1\na: 2", "x.yaml")):
        findings = Findings()
        assert parse_document(text, file, findings).value == {"a": 2}
        (found,) = findings.sorted()
        assert (found.code, found.location.line) == ("AR113", 2)
        assert found.message == "the key 'a' is given twice, first in line 1"


def test_yaml_keys_are_the_text_as_written() -> None:
    """``-2880`` and ``010`` are names of bands, not numbers; ``yes`` is a text, as in YAML 1.2."""
    assert parse("-2880: short\n010: yes\n", "x.yaml").value == {"-2880": "short", "010": "yes"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a": 1', ("AR109", 1, 8)),
        ('{"a": "b', ("AR109", 1, 7)),
        ("// nothing but this", ("AR109", 1, 20)),
        ('{"a": 1 "b": 2}', ("AR108", 1, 9)),
        ('{"a" 1}', ("AR108", 1, 6)),
        ("{a: 1}", ("AR108", 1, 2)),
        ('{"a": tru}', ("AR108", 1, 7)),
        ('{"a": 01}', ("AR108", 1, 8)),
        ('{"a": 1.}', ("AR108", 1, 7)),
        ('{"a": .5}', ("AR108", 1, 7)),
        ('{"a": "\\q"}', ("AR108", 1, 8)),
        ('{"a": "x\ny"}', ("AR108", 1, 9)),
        ('{"a": 1} {}', ("AR108", 1, 10)),
        ('{"a": 1 /* b', ("AR108", 1, 9)),
        ('{"a": -Infinity}', ("AR112", 1, 7)),
        ('{"a": 1e400}', ("AR112", 1, 7)),
        ('{"a": ' + "9" * 5000 + "}", ("AR112", 1, 7)),
        ('{"a": "\\ud800"}', ("AR112", 1, 7)),
        ("[" * 100_000, ("AR111", 0, 0)),
        ("[" * 200 + "]" * 200, ("AR111", 1, 102)),
        ('{"日本": "語", x}', ("AR108", 1, 13)),
    ],
)
def test_what_is_no_json_is_refused_where_it_goes_wrong(text: str, expected: tuple[str, int, int]) -> None:
    """One error with the place where the text stops being JSON; never another exception."""
    assert error(text) == expected


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("a: [1, 2", "AR110"),
        ("\t- a", "AR110"),
        ("--- a\n--- b", "AR110"),
        ("# nothing but this", "AR105"),
        ("a: .nan", "AR112"),
        ("a: " + "9" * 5000, "AR112"),
        ('a: "\\ud800"', "AR112"),
        ("a: &b [*b]", "AR111"),
        ("- " * 5000, "AR111"),
        ("a: !tag b", "AR117"),
        ("a: !!set {b}", "AR117"),
        ("<<: {a: 1}", "AR117"),
        ("? [a]\n: 1", "AR117"),
        (BILLIONS, "AR111"),
    ],
)
def test_what_is_no_yaml_or_more_than_json_is_refused(text: str, code: str) -> None:
    """One error, also for what would grow without end; never another exception."""
    assert error(text, "x.yaml")[0] == code


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")))
def test_any_bytes_give_a_document_or_an_error(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    """Whatever a file holds, reading it ends in a document or in diagnostics."""
    for name in ("x.json", "x.yaml"):
        path = tmp_path_factory.getbasetemp() / name
        path.write_bytes(data)
        with contextlib.suppress(InputError):
            assert load_document(path, Findings()).file == str(path)


def test_a_file_that_cannot_be_a_document_is_one_sentence(tmp_path: Path) -> None:
    """No such file, a folder, an empty, a binary, a Latin-1 and a large file each have their code."""
    (tmp_path / "empty.json").write_text(" \n")
    (tmp_path / "binary.json").write_bytes(b"\x7fELF\0\0")
    (tmp_path / "latin.json").write_bytes('{\n"a": "ä"}'.encode("latin-1"))
    (tmp_path / "large.json").write_bytes(b" " * LIMIT_BYTES + b"{}")
    (tmp_path / "limit.json").write_bytes(b"{}" + b" " * (LIMIT_BYTES - 2))
    expected = {
        "no.json": "AR102",
        "": "AR103",
        "empty.json": "AR105",
        "binary.json": "AR106",
        "latin.json": "AR106",
        "large.json": "AR107",
    }
    for name, code in expected.items():
        with pytest.raises(InputError) as caught:
            load_document(tmp_path / name, Findings())
        assert [d.code for d in caught.value.diagnostics] == [code]
    assert load_document(tmp_path / "limit.json", Findings()).value == {}


def test_a_byte_order_mark_is_no_part_of_the_document(tmp_path: Path) -> None:
    """A file saved by an editor that writes one is read like any other, with the same columns."""
    (tmp_path / "bom.json").write_bytes(b'\xef\xbb\xbf{"a": 1}')
    document = load_document(tmp_path / "bom.json", Findings())
    assert document.value == {"a": 1}
    assert document.key_location(("a",)).column == 2


def test_an_unknown_ending_is_read_by_its_first_character() -> None:
    """``{`` or ``[`` after comments is JSON, anything else YAML."""
    assert parse('// c\n{"a": 1} // d', "x.conf").value == {"a": 1}
    assert parse("a: 1 # d", "x.conf").value == {"a": 1}


def test_a_missing_value_is_placed_at_the_nearest_one_around_it() -> None:
    """A diagnostic about what is not there points at what should hold it."""
    document = parse('{"a": {"b": [1, 2]}}')
    assert document.location(("a", "b", 1)).column == 17
    assert document.location(("a", "b", 7, "c")).column == 13
    assert document.key_location(("a", "x")).column == 2
    assert document.get(("a", "b", 7)) is None
    assert document.get(("a", "b", "c")) is None
    assert dotted(("a", "b", 1, "c")) == "a.b[1].c"
