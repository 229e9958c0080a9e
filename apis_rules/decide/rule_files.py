"""The rule files that a node goes by: those that come with the program, and the unit's own in front of them."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from apis_rules.decide import error_catalogue
from apis_rules.decide.folder import combine_rules
from apis_rules.documents.diagnostics import Findings
from apis_rules.documents.kinds import Kind, recognise
from apis_rules.documents.load import parse_document
from apis_rules.documents.model import canonical_hash
from apis_rules.documents.versions import KeptFile
from apis_rules.documents.watched import read_contents
from apis_rules.errors import InputError
from apis_rules.resources import data_dir

if TYPE_CHECKING:
    from collections.abc import Mapping

    from apis_rules.decide.error_catalogue import CataloguedError
    from apis_rules.decide.rulefile import RuleFile
    from apis_rules.documents.watched import Contents

REQUEST: Final = "request"
ACCEPT: Final = "accept"
CHOOSE: Final = "choose"
LOCAL_SAFETY: Final = "local-safety"
GLOBAL_SAFETY: Final = "global-safety"
HARD_LIMITS: Final = "hard-limits"
REACTIONS: Final = "reactions"
OPERATION_MODE: Final = "operation-mode"
ASKED: Final = (REQUEST, ACCEPT, CHOOSE, LOCAL_SAFETY, GLOBAL_SAFETY, HARD_LIMITS, REACTIONS)
"""The questions that a node asks."""

ERRORS: Final = "errors"
OF_THE_COMMUNITY: Final = (GLOBAL_SAFETY, REACTIONS, ERRORS)
"""What every node must answer alike: whoever is Grid Master, and whatever an error is called."""


@dataclass(frozen=True, slots=True)
class DeclaredRules:
    """What the rule files say, all checked.

    Attributes:
        questions: question → rule file.
        errors: what errors are called, by name.
        own: the unit's own files, as they are.
    """

    questions: Mapping[str, RuleFile]
    errors: Mapping[str, CataloguedError]
    own: tuple[KeptFile, ...] = ()

    @property
    def of_the_community(self) -> dict[str, str]:
        """Return the hash of each file that all nodes must have alike."""
        hashes = {name: self.questions[name].content_hash for name in (GLOBAL_SAFETY, REACTIONS)}
        entries = {name: [str(entry.outcome), entry.message] for name, entry in self.errors.items()}
        return {**hashes, ERRORS: canonical_hash(entries)}

    @property
    def hashes(self) -> dict[str, str]:
        """Return the hash of each question's rules."""
        return {question: rule_file.content_hash for question, rule_file in self.questions.items()}


@cache
def bundled_rules() -> DeclaredRules:
    """Return the rules that come with the program; they are read and checked once per process."""
    return declare_rules({})


def declare_rules(own: Contents) -> DeclaredRules:
    """Return the bundled rules with the files of *own* in front of them.

    Raises:
        InputError: with everything that is wrong with any file. Files that pass answer every question: each of them
            one that is asked, and no two the same.
    """
    findings = Findings()
    bundled = read_contents(data_dir("rules"))
    questions: dict[str, RuleFile] = {}
    try:
        questions = combine_rules(bundled, own)
    except InputError as error:
        findings.extend(error.diagnostics)
    if OPERATION_MODE in questions and own:
        _fixed(questions[OPERATION_MODE], bundled, findings)
    for name, (path, content) in _by_name(own).items():
        _only_in_errors(name, path, content, findings)
    errors = _errors({**_by_name(bundled), **_by_name(own)}.get(ERRORS), findings)
    if findings.failed:
        raise InputError(findings.sorted())
    kept = tuple(KeptFile(str(p), text, canonical_hash(text)) for p, text in own.items() if isinstance(text, str))
    return DeclaredRules(questions, errors, kept)


def _by_name(contents: Contents) -> dict[str, tuple[Path, str | InputError]]:
    return {path.stem: (path, content) for path, content in contents.items()}


def _only_in_errors(name: str, path: Path, content: str | InputError, findings: Findings) -> None:
    """Refuse a catalogue of errors by another name, which nobody would read (AR264)."""
    if name == ERRORS or not isinstance(content, str):
        return
    with contextlib.suppress(InputError):  # the reader of rule files has said so
        document = parse_document(content, str(path), Findings())
        if recognise(document.value) is Kind.ERRORS:
            message = f"the catalogue of errors is read from errors.yaml, not from {path.name}"
            findings.error(document.key_location(("errors",)), "AR264", message, "call the file errors.yaml")


def _fixed(modes: RuleFile, bundled: Contents, findings: Findings) -> None:
    """Refuse another table of modes (AR277): nodes have the one of ``apis_rules.charts.modes``; a copy is no error."""
    if modes.content_hash != combine_rules(bundled, {})[OPERATION_MODE].content_hash:
        message = "which mode is in effect is the same at every node: this table is not asked"
        findings.error(
            modes.location, "AR277", message, "leave the file out; what a mode allows: statecharts/node.yaml"
        )


def _errors(found: tuple[Path, str | InputError] | None, findings: Findings) -> dict[str, CataloguedError]:
    path, text = found or (Path(ERRORS), "")
    if not isinstance(text, str):
        return {}  # the reader of rule files has said so
    try:
        document = parse_document(text, str(path), findings)
    except InputError:
        return {}
    error_catalogue.check_document(document, findings)
    return error_catalogue.read_errors(document, Findings())
