"""A rule file compiled with the values of policy and hwConfig, and asked about facts at a time.

Nothing here keeps anything from one question to the next: what a debounce remembers comes in and goes out as
``Strikes``, and the time is an argument.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias

from apis_rules.decide.catalogue import CATALOGUE, branches, with_shared
from apis_rules.decide.codegen import compile_expression
from apis_rules.decide.explain import Explanation, explain
from apis_rules.decide.facts import Value, clean_value
from apis_rules.decide.messages import fill
from apis_rules.decide.outcomes import Outcome, RaiseError, permits
from apis_rules.decide.questions import CONSTANT_ROOTS
from apis_rules.decide.ruleset import Evaluator, LiveRuleset, Matched, Ruleset, compile_ruleset
from apis_rules.decide.simplify import simplify
from apis_rules.ports.types.error_event import Level

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from apis_rules.decide.declared_facts import Fact
    from apis_rules.decide.rulefile import ForEach, Rule, RuleFile
    from apis_rules.decide.tree import Condition
    from apis_rules.documents.diagnostics import Findings

Strikes: TypeAlias = "Mapping[tuple[str, str], float]"
"""(rule, element) → runtime clock, in seconds, since when a rule with a debounce has held without a break."""

NO_STRIKES: Final[Strikes] = {}
_ELEMENTS: Final = {"deal": "deals", "unit": "units", "accept": "accepts"}
_UNLESS: Final = "/unless"


@dataclass(frozen=True, slots=True)
class Hit:
    """A rule that holds.

    Attributes:
        element: id of the deal, unit, branch or accept that it holds for; empty without ``for_each``.
        pending: whether its debounce still runs.
        since_s: runtime clock since when it has held; the time of the question for a rule without debounce.
        facts: what it was decided from, by name; what is missing is not in it.
    """

    rule: Rule
    element: str
    pending: bool
    since_s: float
    facts: Mapping[str, Value]

    @property
    def outcome(self) -> Outcome:
        """What follows: while the debounce runs, an error is a warning."""
        outcome = self.rule.outcome
        return replace(outcome, level=Level.WARN) if self.pending and isinstance(outcome, RaiseError) else outcome

    @property
    def message(self) -> str:
        """The rule's sentence, with the values and their units."""
        return fill(self.rule.message, self.facts)


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer of a rule file.

    Attributes:
        hits: best first: by priority, then in the order of the file, then of the elements. A rule whose debounce still
            runs is among them only where its outcome is an error (as a warning).
        strikes: what to hand in with the next question.
        rules_hash: content hash of the rule file that decided.
        alarms: where the two evaluators differed; what is safe is in *hits* already.
        wake_at_s: runtime clock at which a debounce that still runs will be over: ask again then; None where none runs.
    """

    question: str
    hits: tuple[Hit, ...]
    strikes: Strikes
    rules_hash: str
    alarms: tuple[str, ...]
    wake_at_s: float | None

    @property
    def first(self) -> Hit | None:
        """The best rule that holds."""
        return self.hits[0] if self.hits else None


@dataclass(frozen=True, slots=True)
class RuleExplanation:
    """Why a rule holds or not, for one element."""

    rule: Rule
    element: str
    holds: bool
    when: Explanation
    unless: Explanation | None

    @property
    def blocker(self) -> Explanation | None:
        """What kept the rule from holding: the failing comparison of *when*, or the *unless* that holds."""
        return None if self.holds else self.when.blocker() or self.unless


@dataclass(frozen=True)
class _Group:
    """The rules of one ``for_each``."""

    for_each: ForEach | None
    rules: tuple[Rule, ...]
    ruleset: Ruleset
    facts: tuple[Fact, ...]

    @cached_property
    def readers(self) -> tuple[tuple[str, Callable[[Any], Any], Value | None], ...]:
        getters = ((f, f.path.get if f.path else CATALOGUE[f.derived].compute) for f in self.facts)
        return tuple((fact.name, get, fact.default) for fact, get in getters)

    def read(self, document: Mapping[str, Any]) -> dict[str, object]:
        facts = {}
        for name, get, default in self.readers:
            value = get(document)
            facts[name] = default if value is None else value
        return facts


@dataclass(frozen=True)
class CompiledRules:
    """A rule file with the values of policy and hwConfig in it. Make one with ``compile_rules``."""

    rule_file: RuleFile
    constants: Mapping[str, Any]
    known: Mapping[str, Value | None]
    branches: tuple[Mapping[str, Any], ...]
    debounces: Mapping[str, float]
    groups: tuple[_Group, ...]

    @property
    def rulesets(self) -> tuple[Ruleset, ...]:
        """One for each kind of element that rules run for, to be tried out before they go live."""
        return tuple(group.ruleset for group in self.groups)

    def elements(self, for_each: ForEach | None, document: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield the id of each element, with the document as a rule that runs for it sees it."""
        whole = with_shared({**document, **self.constants})
        if for_each is None:
            yield "", whole
            return
        listed = self.branches if for_each == "branch" else document.get(_ELEMENTS[for_each])
        for element in listed if isinstance(listed, list | tuple) else ():
            yield _id_of(for_each, element), {**whole, for_each: element}

    def explain(self, document: Mapping[str, Any]) -> tuple[RuleExplanation, ...]:
        """Explain every rule for every element, in the order of the rules."""
        kinds = self.rule_file.kinds
        found = []
        for group in self.groups:
            for element, seen in self.elements(group.for_each, document):
                facts = {**self.known, **group.read(seen)}
                for rule in group.rules:
                    when = explain(rule.when, facts, kinds)
                    unless = explain(rule.unless, facts, kinds) if rule.unless is not None else None
                    holds = when.holds and not (unless is not None and unless.holds)
                    found.append(RuleExplanation(rule, element, holds, when, unless))
        order = {rule.id: i for i, rule in enumerate(self.rule_file.rules)}
        return tuple(sorted(found, key=lambda e: order[e.rule.id]))


def compile_rules(rule_file: RuleFile, constants: Mapping[str, Any], findings: Findings | None = None) -> CompiledRules:
    """Fold the values of policy and hwConfig into the rules and make them runnable.

    Args:
        rule_file: as loaded.
        constants: ``policy`` and ``hwConfig`` as documents with their defaults; one that is not there has no values.
        findings: takes AR263 (a value without a default is not there, so what is compared with it never holds).
    """
    known: dict[str, Value | None] = {}
    for fact in rule_file.facts.values():
        if fact.path is not None and fact.root in CONSTANT_ROOTS:
            value = clean_value(fact.path.get(constants), fact.kind)
            known[fact.name] = fact.default if value is None else value
            if known[fact.name] is None and findings is not None:
                message = f"{fact.path.text} has no value: what compares {fact.name!r} never holds"
                findings.warning(fact.location, "AR263", message, "set it, or give the fact a default")
    kinds = rule_file.kinds
    debounces = {r.id: compile_expression(r.debounce_s, kinds)(known) or 0.0 for r in rule_file.rules}
    loops = dict.fromkeys(rule.for_each for rule in rule_file.rules)
    groups = tuple(_group(rule_file, for_each, known) for for_each in loops)
    return CompiledRules(rule_file, constants, known, tuple(branches(constants.get("policy"))), debounces, groups)


def _group(rule_file: RuleFile, for_each: ForEach | None, known: Mapping[str, Value | None]) -> _Group:
    rules = tuple(rule for rule in rule_file.rules if rule.for_each == for_each)
    conditions: list[tuple[str, Condition]] = []
    for rule in rules:
        conditions.append((rule.id, simplify(rule.when, known)))
        if rule.unless is not None:
            conditions.append((rule.id + _UNLESS, simplify(rule.unless, known)))
    ruleset = compile_ruleset(f"{rule_file.question}-{for_each or 'once'}", conditions, rule_file.kinds)
    used = dict.fromkeys(name for rule in rules for name in rule.facts())
    return _Group(for_each, rules, ruleset, tuple(rule_file.facts[name] for name in used if name not in known))


class Decider:
    """Compiled rules with an evaluator: durable-rules held against the scalar evaluator, or that alone.

    Raises:
        Unsupported: durable-rules cannot be used on this machine.
        EngineFailure: it refused a ruleset.
    """

    def __init__(self, compiled: CompiledRules, evaluator: Evaluator = Evaluator.DURABLE) -> None:
        self.compiled = compiled
        self._live: list[LiveRuleset] = []
        self._matchers: list[Callable[[Mapping[str, object]], Matched]] = []
        try:
            for group in compiled.groups:
                self._matchers.append(self._matcher(group, evaluator))
        except BaseException:
            self.close()
            raise

    def _matcher(self, group: _Group, evaluator: Evaluator) -> Callable[[Mapping[str, object]], Matched]:
        if evaluator is not Evaluator.DURABLE:
            match = group.ruleset.match
            return lambda facts: Matched(match(facts))
        safe = {rule.id: not permits(rule.outcome) for rule in group.rules}
        # An exception is the other way round: in doubt it does not count.
        safe |= {rule.id + _UNLESS: permits(rule.outcome) for rule in group.rules}
        live = LiveRuleset(group.ruleset, safe)
        self._live.append(live)
        return live.match

    def decide(self, document: Mapping[str, Any], now_s: float, strikes: Strikes = NO_STRIKES) -> Decision:
        """Answer the question for *document* at *now_s* (runtime clock, seconds)."""
        hits: list[Hit] = []
        alarms: list[str] = []
        after: dict[tuple[str, str], float] = {}
        for group, match in zip(self.compiled.groups, self._matchers, strict=True):
            for element, seen in self.compiled.elements(group.for_each, document):
                facts = group.read(seen)
                matched = match(facts)
                if matched.alarm:
                    alarms.append(matched.alarm)
                if matched.hits:
                    holding = [r for r in group.rules if r.id in matched.hits and r.id + _UNLESS not in matched.hits]
                    hits += [self._hit(rule, element, facts, now_s, strikes) for rule in holding]
        order = {rule.id: i for i, rule in enumerate(self.compiled.rule_file.rules)}
        hits.sort(key=lambda hit: order[hit.rule.id])
        debounces = self.compiled.debounces
        after = {(h.rule.id, h.element): h.since_s for h in hits if debounces[h.rule.id] > 0}
        return Decision(
            self.compiled.rule_file.question,
            tuple(h for h in hits if not h.pending or isinstance(h.rule.outcome, RaiseError)),
            after,
            self.compiled.rule_file.content_hash,
            tuple(alarms),
            min((h.since_s + debounces[h.rule.id] for h in hits if h.pending), default=None),
        )

    def _hit(self, rule: Rule, element: str, facts: Mapping[str, object], now_s: float, strikes: Strikes) -> Hit:
        since_s = strikes.get((rule.id, element), now_s)
        pending = now_s - since_s < self.compiled.debounces[rule.id]
        kinds = self.compiled.rule_file.kinds
        given = {**self.compiled.known, **facts}
        known = {n: v for n in rule.facts() if (v := clean_value(given.get(n), kinds[n])) is not None}
        return Hit(rule, element, pending, since_s, known)

    def close(self) -> None:
        """Free the engine's memory."""
        while self._live:
            self._live.pop().close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _id_of(for_each: ForEach, element: Any) -> str:
    at = {"deal": ("record", "dealId"), "unit": ("oesunit", "id"), "accept": ("unitId",), "branch": ("id",)}[for_each]
    for step in at:
        element = element.get(step) if isinstance(element, dict) else None
    return str(element)
