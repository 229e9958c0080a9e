"""What follows from a rule file that nobody wanted: rules that never hold or decide, stand there twice, or disagree.

Questions about conditions are decided exactly where they are linear in the facts; what is beyond that is passed over.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from apis_rules.author.reaction_table import QUESTION as REACTIONS
from apis_rules.author.reaction_table import check_reactions
from apis_rules.decide.outcomes import Decline, RaiseError, SetMode
from apis_rules.decide.rulefile import Rule, RuleFile, read_rules
from apis_rules.decide.satisfy import Undecided, find_witness
from apis_rules.decide.simplify import names_in, simplify
from apis_rules.decide.tree import All, Condition, Not
from apis_rules.documents.diagnostics import Findings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from apis_rules.documents.document import Document


def check_document(document: Document, findings: Findings) -> None:
    """Note everything that is wrong or doubtful in a rule file, what follows from its rules among it."""
    found = Findings()
    rule_file = read_rules(document, found)
    if rule_file is not None and not found.failed:
        analyse_rules(rule_file, found)
    findings.extend(found.sorted())


def analyse_rules(rule_file: RuleFile, findings: Findings) -> None:
    """Look for rules that cannot do anything."""
    alive = [rule for rule in rule_file.rules if not _never(rule, rule_file, findings)]
    if rule_file.question == REACTIONS:
        check_reactions(rule_file, {rule.id: whole(rule) for rule in rule_file.rules}, findings)
    for first, second in _same_loop(alive):
        same = simplify(whole(first)) == simplify(whole(second))
        if same and first.outcome == second.outcome:
            message = f"the rule {second.id} is {first.id} once more: same condition, same outcome"
            findings.warning(second.location, "AR321", message, "one of them can go")
        elif same and isinstance(first.outcome, RaiseError) and isinstance(second.outcome, RaiseError):
            message = f"the rules {first.id} and {second.id} call the same thing different errors"
            findings.error(second.location, "AR325", message, "one of them can go")
        elif _decides_first(first) and _decides_first(second) and _covers(first, second, rule_file):
            message = f"the rule {second.id} never decides: wherever it holds, {first.id} holds before it"
            hint = "give it a lower priority number, or narrow the other one"
            findings.warning(second.location, "AR322", message, hint)


def whole(rule: Rule) -> Condition:
    """Return the condition under which a rule holds, its exception included, where every value is known."""
    return rule.when if rule.unless is None else All((rule.when, Not(rule.unless)))


def _never(rule: Rule, rule_file: RuleFile, findings: Findings) -> bool:
    if not _possible(whole(rule), rule_file):
        message = f"the rule {rule.id} never holds: its comparisons contradict each other"
        findings.warning(rule.location, "AR320", message, "look for two bounds that leave nothing between them")
        return True
    return False


def _possible(condition: Condition, rule_file: RuleFile) -> bool:
    try:
        return find_witness(condition, rule_file.kinds) is not None
    except Undecided:
        return True


def _same_loop(rules: list[Rule]) -> Iterator[tuple[Rule, Rule]]:
    return ((a, b) for a, b in itertools.combinations(rules, 2) if a.for_each == b.for_each)


def _decides_first(rule: Rule) -> bool:
    """Whether only the first rule that holds counts: gates and modes; of errors, every one counts."""
    return isinstance(rule.outcome, Decline | SetMode)


def _covers(first: Rule, second: Rule, rule_file: RuleFile) -> bool:
    """Whether *first* holds wherever *second* does, also where a value is missing."""
    known = {name.name for name in names_in(whole(second))}
    known |= {fact.name for fact in rule_file.facts.values() if fact.default is not None}
    if not {name.name for name in names_in(whole(first))} <= known:
        return False
    return not _possible(All((whole(second), Not(whole(first)))), rule_file)
