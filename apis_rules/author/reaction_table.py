"""The table of reactions as a whole: for each category, extent and level there is one, and it is one."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

from apis_rules.decide.satisfy import Undecided, find_gap, find_witness
from apis_rules.decide.simplify import simplify
from apis_rules.decide.tree import All
from apis_rules.documents.diagnostics import Location
from apis_rules.ports.types.error_event import Category, Extent, Level

if TYPE_CHECKING:
    from collections.abc import Iterable

    from apis_rules.decide.rulefile import Rule, RuleFile
    from apis_rules.decide.tree import Condition
    from apis_rules.documents.diagnostics import Findings

QUESTION: Final = "reactions"
_KEYS: Final = ("category", "extent", "level")


def check_reactions(rule_file: RuleFile, whole: dict[str, Condition], findings: Findings) -> None:
    """Note each kind of event that is left without a reaction (AR323) or has two that differ (AR324).

    *whole* has for each rule's id the condition under which it holds, its exception included. Events that differ in
    more than their kind may be told apart by rules of different ``priority``.
    """
    facts = {
        key: [f.name for f in rule_file.facts.values() if f.path and f.path.text == f"$.event.{key}"] for key in _KEYS
    }
    told: set[tuple[str, str]] = set()
    for kind in itertools.product(Category, Extent, Level):
        known = {name: str(word) for key, word in zip(_KEYS, kind, strict=True) for name in facts[key]}
        rows = {rule.id: simplify(whole[rule.id], known) for rule in rule_file.rules}
        if _gap(rows.values(), rule_file):
            message = f"{':'.join(kind)} has no reaction"
            findings.error(Location(rule_file.file), "AR323", message, "add a row; where nothing is done, do: [log]")
        for first, second in itertools.combinations(rule_file.rules, 2):
            if (first.id, second.id) not in told and _disagree(first, second, rows, rule_file):
                told.add((first.id, second.id))
                message = f"for {':'.join(kind)} the rows {first.id} and {second.id} say different things"
                findings.error(second.location, "AR324", message, "narrow one of them, or give them priorities")


def _gap(conditions: Iterable[Condition], rule_file: RuleFile) -> bool:
    try:
        return find_gap(tuple(conditions), rule_file.kinds) is not None
    except Undecided:
        return True


def _disagree(first: Rule, second: Rule, rows: dict[str, Condition], rule_file: RuleFile) -> bool:
    if first.outcome == second.outcome or first.priority != second.priority:
        return False
    try:
        return find_witness(All((rows[first.id], rows[second.id])), rule_file.kinds) is not None
    except Undecided:
        return True
