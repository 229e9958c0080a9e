"""The errors that code raises by name: their category, extent, level and sentence stand in ``rules/errors.yaml``.

::

    errors:
      not_confirmed:
        error: "HARDWARE:LOCAL:ERROR"
        message: WAIT was set and is not confirmed      # what else is known follows it, after a colon
        about: no later reading shows WAIT without a current
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import ConfigDict, ValidationError

from apis_rules.decide.messages import placeholders
from apis_rules.decide.outcomes import OutcomeModel, RaiseError, read_outcome
from apis_rules.decide.raised import RAISED
from apis_rules.documents.diagnostics import Findings
from apis_rules.documents.load import load_document
from apis_rules.documents.model import FileModel, Name, Text
from apis_rules.documents.reading import report
from apis_rules.documents.shapes import did_you_mean
from apis_rules.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

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

    def sentence(self, detail: str) -> str:
        """Return the message, with what is known of this time where that says more."""
        return f"{self.message}: {detail}" if detail and detail != self.message else self.message


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
    """Note everything that is wrong in a catalogue of errors.

    Besides its form: AR270 for an entry that nothing raises, AR271 for an error of the program that has no entry.
    """
    found = Findings()
    entries = read_errors(document, found)
    findings.extend(found.sorted())
    if found.failed:
        return
    missing = RAISED - entries.keys()
    for name in entries.keys() - RAISED:
        where = document.key_location(("errors", name))
        meant = did_you_mean(name, missing)
        if meant:
            missing -= {meant}
            findings.error(where, "AR271", f"the program raises {meant!r}, not {name!r}", f"call it {meant}")
        else:
            findings.warning(where, "AR270", f"nothing in the program raises {name!r}", "take it out")
    for name in sorted(missing):
        message = f"the program raises {name!r}, which has no entry"
        findings.error(document.location(("errors",)), "AR271", message, "add it")


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
        for placeholder in placeholders(entry.message):
            message = f"the message of {name} has {{{placeholder}}}, but nothing is put into it"
            place = document.location(("errors", name, "message"))
            findings.error(place, "AR274", message, "what is known of this time follows the message, after a colon")
        if isinstance(outcome, RaiseError):
            entries[name] = CataloguedError(name, outcome, entry.message, entry.about)
    return entries
