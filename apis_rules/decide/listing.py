"""Every fact that rules can look at, for the list that authors read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from apis_rules.decide.catalogue import CATALOGUE
from apis_rules.decide.facts import clean_value
from apis_rules.decide.messages import show, unit_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from apis_rules.decide.declared_facts import Fact
    from apis_rules.decide.rulefile import RuleFile
    from apis_rules.decide.tree import FactKind


@dataclass(frozen=True, slots=True)
class FactRow:
    """One line of the list.

    Attributes:
        source: the JSONPath, or ``derived: NAME``.
        unit: as the ending of the name says, or nothing.
        example: as messages print it.
        files: questions of the rule files that declare it; empty for an entry of the catalogue that none uses.
    """

    name: str
    kind: FactKind
    source: str
    unit: str
    example: str
    about: str
    files: tuple[str, ...]


def list_facts(rule_files: Iterable[RuleFile], example: Mapping[str, Any]) -> tuple[FactRow, ...]:
    """Return the facts of *rule_files*, then the rest of the catalogue.

    Args:
        rule_files: as loaded.
        example: what rules are asked about (``rules/samples/facts.yaml``), with ``policy`` and ``hwConfig``.
    """
    declared: dict[tuple[str, str], tuple[Fact, list[str]]] = {}
    for rule_file in rule_files:
        for fact in rule_file.facts.values():
            source = fact.path.text if fact.path else f"derived: {fact.derived}"
            declared.setdefault((fact.name, source), (fact, []))[1].append(rule_file.question)
    rows = [
        FactRow(name, fact.kind, source, unit_of(name), show(name, _example(fact, example)), _about(fact), tuple(files))
        for (name, source), (fact, files) in sorted(declared.items())
    ]
    used = {fact.derived for fact, _ in declared.values()}
    rest = (entry for entry in CATALOGUE.values() if entry.name not in used)
    rows += [
        FactRow(e.name, e.kind, f"derived: {e.name}", unit_of(e.name), show(e.name, e.example), e.about, ())
        for e in rest
    ]
    return tuple(rows)


def _about(fact: Fact) -> str:
    return fact.about or (CATALOGUE[fact.derived].about if fact.derived else "")


def _example(fact: Fact, example: Mapping[str, Any]) -> Any:
    if fact.path is None:
        return CATALOGUE[fact.derived].example
    return clean_value(fact.path.get(example), fact.kind)
