"""One compiler of JSONPath: getters agree with the library, and only places may be named."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonpath_ng.ext.parser import parse

from apis_rules.documents.diagnostics import Location
from apis_rules.documents.jsonpath import compile_path
from apis_rules.errors import InputError

NAMES = st.sampled_from(["a", "b", "dcdc", "x_y", "two words", "E001-E002", "0", "*"])
DOCUMENTS = st.recursive(
    st.integers() | st.text(max_size=3) | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=25,
)
STEPS = st.lists(NAMES.filter(lambda name: name != "*") | st.integers(-2, 2), max_size=4)


def written(steps: list[str | int]) -> str:
    return "$" + "".join(f"[{step}]" if isinstance(step, int) else f'["{step}"]' for step in steps)


@given(DOCUMENTS, STEPS)
def test_a_getter_finds_what_the_library_finds(document: Any, steps: list[str | int]) -> None:
    """A simple path gives the one value that jsonpath-ng finds, or None where it finds none."""
    path = compile_path(written(steps))
    assert path.simple
    assert path.steps == tuple(steps)
    expected = [match.value for match in parse(written(steps)).find(document)]
    if any(isinstance(value, str) for value in along(document, steps)):
        # The library counts into texts as into lists; a text is one value here.
        expected = []
    assert path.find(document) == expected
    assert path.get(document) == (expected[0] if expected else None)


def along(document: Any, steps: list[str | int]) -> list[Any]:
    """The values that are stepped into, from the document on."""
    entered = []
    for step in steps:
        entered.append(document)
        try:
            document = document[step]
        except (LookupError, TypeError):
            break
    return entered


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$.units[*].rsoc", [40, 60]),
        ("$.units[?(@.rsoc > 50)].id", ["E002"]),
        ("$..rsoc", [40, 60]),
        ("$.units[0:1].id", ["E001"]),
        ("$.nothing[*]", []),
    ],
)
def test_other_paths_find_all_that_they_name(text: str, expected: list[Any]) -> None:
    """Wildcards, filters, descendants and slices give every value in order; ``get`` gives the first."""
    path = compile_path(text)
    document = {"units": [{"id": "E001", "rsoc": 40}, {"id": "E002", "rsoc": 60}]}
    assert not path.simple
    assert path.find(document) == expected
    assert path.get(document) == (expected[0] if expected else None)


@pytest.mark.parametrize("document", [None, 3, "text", [], {}, {"a": None}, {"a": [1]}, {"a": "b"}])
def test_what_is_not_there_is_none(document: Any) -> None:
    """Whatever stands on the way, a path that leads nowhere gives None and never an exception."""
    assert compile_path("$.a.b").get(document) is None
    assert compile_path("$.a[3]").get(document) is None
    assert compile_path("$.a.b").find(document) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a.b",
        "@.a",
        "$.a[",
        "$.a..",
        "$.a b",
        "%",
        "$.a.`len`",
        "$.a.`sub(/x/, y)`",
        "$.a.`parent`",
        "$.a + $.b",
    ],
)
def test_what_names_no_place_in_the_document_is_refused_where_it_stands(text: str) -> None:
    """Not a JSONPath, not from the top, or computing something: AR130 at the given place."""
    with pytest.raises(InputError) as caught:
        compile_path(text, Location("rules.yaml", 3, 9))
    (found,) = caught.value.diagnostics
    assert (found.code, found.location.line, found.location.column) == ("AR130", 3, 9)


def test_the_whole_document_is_a_place() -> None:
    """``$`` alone gives the document."""
    assert compile_path("$").get({"a": 1}) == {"a": 1}
