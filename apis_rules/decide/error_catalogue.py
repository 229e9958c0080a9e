"""The errors that code raises by name: their category, extent, level and sentence stand in ``rules/errors.yaml``.

::

    errors:
      not-confirmed:
        error: "HARDWARE:LOCAL:ERROR"
        message: "{unit} could not be confirmed in WAIT: {detail}"
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import ConfigDict, ValidationError

from apis_rules.decide.messages import fill
from apis_rules.decide.outcomes import OutcomeModel, RaiseError, read_outcome
from apis_rules.documents.diagnostics import Findings
from apis_rules.documents.load import load_document
from apis_rules.documents.model import FileModel, Name, Text
from apis_rules.documents.reading import report
from apis_rules.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from apis_rules.decide.facts import Value
    from apis_rules.documents.document import Document


class _EntryModel(FileModel):
    model_config = ConfigDict(alias_generator=None)

    error: Text
    message: Name
    about: Text = ""


class ErrorsModel(FileModel):
    """A whole catalogue of errors."""

    model_config = ConfigDict(alias_generator=None)

    about: Text = ""
    errors: dict[Name, _EntryModel]


@dataclass(frozen=True, slots=True)
class CataloguedError:
    """One entry: what an error of that name is, and how it is told."""

    name: str
    outcome: RaiseError
    message: str
    about: str

    def sentence(self, values: Mapping[str, Value]) -> str:
        """Return the message with *values* filled in; one that is not given shows as unknown."""
        return fill(self.message, values)


def load_errors(path: Path) -> dict[str, CataloguedError]:
    """Read a catalogue of errors.

    Raises:
        InputError: with everything that is wrong with it.
    """
    findings = Findings()
    entries = read_errors(load_document(path, findings), findings)
    if findings.failed:
        raise InputError(findings.sorted())
    return entries


def check_document(document: Document, findings: Findings) -> None:
    """Note everything that is wrong in a catalogue of errors."""
    read_errors(document, findings)


def read_errors(document: Document, findings: Findings) -> dict[str, CataloguedError]:
    """Read *document* as a catalogue of errors; what is wrong goes to *findings*."""
    try:
        model = ErrorsModel.model_validate(document.value)
    except ValidationError as error:
        report(ErrorsModel, document, error, findings)
        return {}
    entries = {}
    for name, entry in model.errors.items():
        where = document.location(("errors", name, "error"))
        outcome = read_outcome(OutcomeModel(error=entry.error), where, findings)
        if isinstance(outcome, RaiseError):
            entries[name] = CataloguedError(name, outcome, entry.message, entry.about)
    return entries
