"""The catalogue of errors that code raises by name."""

from __future__ import annotations

import pytest

from apis_rules.decide.error_catalogue import load_errors
from apis_rules.decide.outcomes import RaiseError
from apis_rules.documents.diagnostics import Findings
from apis_rules.documents.kinds import Kind, recognise
from apis_rules.documents.load import load_document
from apis_rules.errors import InputError
from apis_rules.ports.types.error_event import Category, Extent, Level
from apis_rules.resources import data_dir

TEXT = """\
errors:
  not-confirmed:
    error: "HARDWARE:LOCAL:ERROR"
    message: "WAIT is not confirmed"
"""


def test_an_entry_says_what_the_error_is_and_how_it_is_told(tmp_path):
    """Category, extent and level come from the file; what is known of this time follows the sentence."""
    path = tmp_path / "errors.yaml"
    path.write_text(TEXT)
    entry = load_errors(path)["not-confirmed"]
    assert entry.outcome == RaiseError(Category.HARDWARE, Extent.LOCAL, Level.ERROR)
    assert entry.sentence("two readings") == "WAIT is not confirmed: two readings"
    assert entry.sentence("") == "WAIT is not confirmed"


@pytest.mark.parametrize(
    ("old", "new", "code", "line"),
    [("LOCAL", "LOCL", "AR256", 3), ("message", "mesage", "AR200", 4), ("errors", "error", "AR200", 1)],
)
def test_a_mistake_in_the_catalogue_has_its_place(tmp_path, old, new, code, line):
    """Unknown words and keys are refused where they stand."""
    path = tmp_path / "errors.yaml"
    path.write_text(TEXT.replace(old, new, 1))
    with pytest.raises(InputError) as caught:
        load_errors(path)
    assert (caught.value.diagnostics[0].code, caught.value.diagnostics[0].location.line) == (code, line)


def test_the_shipped_catalogue_is_right():
    """Every error that the program raises by name can be told."""
    path = data_dir("rules") / "errors.yaml"
    assert recognise(load_document(path, Findings()).value) is Kind.ERRORS
    assert load_errors(path)
