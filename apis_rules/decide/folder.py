"""A folder of rule files, and a folder of one's own that stands in front of it."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from apis_rules.decide.rulefile import RuleFile, read_rules
from apis_rules.documents.diagnostics import Findings
from apis_rules.documents.kinds import Kind, recognise
from apis_rules.documents.load import parse_document
from apis_rules.documents.model import canonical_hash
from apis_rules.documents.watched import read_contents
from apis_rules.errors import InputError

if TYPE_CHECKING:
    from apis_rules.decide.rulefile import Rule
    from apis_rules.documents.diagnostics import Diagnostic
    from apis_rules.documents.watched import Contents

TIGHTENED: Final = "hard-limits"
"""The question whose bundled rules stay in force whatever a file of one's own says: that one only adds to them."""


def load_rule_folder(folder: Path, own: Path | None = None) -> dict[str, RuleFile]:
    """Read every rule file in *folder*; a file of the same name in *own* takes its place.

    Returns:
        Question → rule file, in the order of the names.

    Raises:
        InputError: with everything that is wrong in any of them; AR264 where an own hard limit takes a bundled one's
            id, or two files answer one question.
    """
    return combine_rules(read_contents(folder), {} if own is None else read_contents(own))


def combine_rules(bundled: Contents, own: Contents) -> dict[str, RuleFile]:
    """Return what ``load_rule_folder`` does, from what the two folders hold."""
    findings = Findings()
    standing, added = _read_all(bundled, findings), _read_all(own, findings)
    by_question: dict[str, RuleFile] = {}
    for name, rule_file in sorted({**standing, **added}.items()):
        chosen = rule_file
        if rule_file.question == TIGHTENED and name in added and name in standing:
            chosen = _tightened(standing[name], rule_file, findings)
        if chosen.question in by_question:
            first = by_question[chosen.question].file
            hint = f"a file that takes its place is called {Path(first).name}"
            findings.error(rule_file.location, "AR264", f"{first} answers {chosen.question!r} already", hint)
        by_question[chosen.question] = chosen
    if findings.failed:
        raise InputError(findings.sorted())
    return by_question


def _read_all(contents: Contents, findings: Findings) -> dict[str, RuleFile]:
    files = {}
    for path, content in contents.items():
        if isinstance(content, InputError):
            findings.extend(content.diagnostics)
            continue
        rule_file, found = _parse(content, str(path))
        findings.extend(found)
        if rule_file is not None:
            files[path.stem] = rule_file
    return files


@lru_cache(maxsize=64)
def _parse(text: str, file: str) -> tuple[RuleFile | None, tuple[Diagnostic, ...]]:
    """Read one text once, however many nodes of a process go by it; None where it holds no rules."""
    findings = Findings()
    rule_file = None
    try:
        document = parse_document(text, file, findings)
        if recognise(document.value) is Kind.RULES:
            rule_file = read_rules(document, findings)
    except InputError as error:
        findings.extend(error.diagnostics)
    return rule_file, findings.sorted()


def _tightened(bundled: RuleFile, own: RuleFile, findings: Findings) -> RuleFile:
    """Return both together: the rules of each over its own facts. What *own* has copied counts once."""
    taken = {rule.id: rule for rule in bundled.rules}
    added = [rule for rule in own.rules if not _copies(rule, taken.get(rule.id))]
    for rule in added:
        if rule.id in taken:
            message = f"the hard limit {rule.id} is bundled: it can be tightened by a further rule, not replaced"
            findings.error(rule.location, "AR264", message, "give the rule another id")
    for name, fact in own.facts.items():
        there = bundled.facts.get(name)
        if there is not None and replace(fact, location=there.location, about=there.about) != there:
            message = f"the bundled hard limits have another fact called {name!r}"
            findings.error(fact.location, "AR264", message, "give the fact another name")
    rules = tuple(sorted((*bundled.rules, *added), key=lambda rule: rule.priority))
    both = canonical_hash([bundled.content_hash, own.content_hash])
    return replace(own, facts={**own.facts, **bundled.facts}, rules=rules, content_hash=both)


def _copies(rule: Rule, there: Rule | None) -> bool:
    return there is not None and replace(rule, location=there.location) == there
