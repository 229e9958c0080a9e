"""A rule file: one question, the facts that it looks at, and the rules that answer it.

::

    question: local-safety
    facts:
      tmp_c: $.unit.dcdc.meter.tmp                      # a number at a place in what the rules are asked about
      tmp_max_c: $.hwConfig.safety.range.dcdc.meter.tmp.max    # folded into the rules when they are compiled
      effective: {path: $.node.mode, kind: text, default: stop}
      mode: {derived: converter_mode}                   # from the catalogue
    rules:
      - id: L10
        when: tmp_c > tmp_max_c
        unless: effective == 'manual'                   # an exception; a missing value makes none
        for_each: deal                                  # once for each deal, unit, branch or accept
        debounce_s: 5                                   # a warning at once, the error when it has held for so long
        priority: 10                                    # lower comes first (100 where not given), then file order
        outcome: {error: "HARDWARE:LOCAL:ERROR"}
        message: converter at {tmp_c}, at most {tmp_max_c}

The name of a fact ends with its unit (``_c``, ``_wh``, ``_a``, ``_v``, ``_s``, ``_percent``), and messages print it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, ValidationError, WithJsonSchema

from apis_rules.decide.declared_facts import Fact, FactModel, FactReader, RulePart
from apis_rules.decide.definition import obstacle
from apis_rules.decide.language import kind_of, parse_condition, parse_expression
from apis_rules.decide.lower import lower
from apis_rules.decide.messages import placeholders, stray_brace
from apis_rules.decide.outcomes import Outcome, OutcomeModel, read_outcome
from apis_rules.decide.question_check import QuestionCheck
from apis_rules.decide.questions import CONSTANT_ROOTS
from apis_rules.decide.simplify import names_in
from apis_rules.decide.tree import Condition, Constant, Expression, FactKind
from apis_rules.documents.diagnostics import Findings, Location
from apis_rules.documents.load import load_document
from apis_rules.documents.model import Name, Text, Whole, canonical_hash
from apis_rules.documents.reading import report
from apis_rules.documents.shapes import did_you_mean
from apis_rules.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path as FilePath

    from apis_rules.documents.document import Document, Path

ForEach = Literal["unit", "deal", "branch", "accept"]
_RULE_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")


def _as_expression(given: Any) -> Any:
    return repr(given) if isinstance(given, int | float) and not isinstance(given, bool) else given


class RuleModel(RulePart):
    """One entry under ``rules``."""

    id: Name
    about: Text = ""
    when: Name
    unless: Name | None = None
    for_each: ForEach | None = None
    debounce_s: Annotated[
        str, Field(strict=True), BeforeValidator(_as_expression), WithJsonSchema({"type": ["number", "string"]})
    ] = "0"
    priority: Annotated[Whole, Field(ge=0, le=65535)] = 100
    outcome: OutcomeModel
    message: Name


class RuleFileModel(RulePart):
    """A whole rule file."""

    question: Name
    about: Text = ""
    facts: dict[Name, FactModel]
    rules: tuple[RuleModel, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """A declared rule: it holds where *when* does and *unless* does not."""

    id: str
    about: str
    when: Condition
    unless: Condition | None
    for_each: ForEach | None
    debounce_s: Expression
    priority: int
    outcome: Outcome
    message: str
    location: Location

    def facts(self) -> Iterator[str]:
        """Yield the names of the facts that it reads, those of its message among them."""
        for part in (self.when, self.unless, self.debounce_s):
            if part is not None:
                yield from (n.name for n in names_in(part))
        yield from placeholders(self.message)


@dataclass(frozen=True, slots=True)
class RuleFile:
    """A rule file as declared.

    Attributes:
        rules: best first: by priority, then in the order of the file.
        content_hash: of the file's values, comments and layout aside.
        location: of the question.
    """

    question: str
    about: str
    file: str
    facts: Mapping[str, Fact]
    rules: tuple[Rule, ...]
    content_hash: str
    location: Location

    @property
    def kinds(self) -> dict[str, FactKind]:
        """The kind of every fact."""
        return {name: fact.kind for name, fact in self.facts.items()}


def load_rules(path: FilePath) -> RuleFile:
    """Read the rule file at *path*.

    Raises:
        InputError: with everything that is wrong with it: the codes of documents, AR250-AR254 in conditions, AR255
            (too large for the engine), AR256 (outcome), AR257 (a fact), AR258 (rule id), AR259 (message),
            AR260 (``for_each``), AR261 (debounce), and those of ``question_check``.
    """
    findings = Findings()
    rule_file = read_rules(load_document(path, findings), findings)
    if rule_file is None or findings.failed:
        raise InputError(findings.sorted())
    return rule_file


def check_document(document: Document, findings: Findings) -> None:
    """Note everything that is wrong or doubtful in a rule file."""
    read_rules(document, findings)


def read_rules(document: Document, findings: Findings) -> RuleFile | None:
    """Read *document* as a rule file; None where its form is wrong, so that nothing more can be said."""
    try:
        model = RuleFileModel.model_validate(document.value)
    except ValidationError as error:
        report(RuleFileModel, document, error, findings)
        return None
    return _Reader(document, findings, model.question).read(model)


class _Reader:
    """Turns the form of a rule file into its meaning, and notes what has none."""

    def __init__(self, document: Document, findings: Findings, question: str) -> None:
        self._document = document
        self._findings = findings
        self._question = QuestionCheck(question, document.location(("question",)), findings)
        self._facts = FactReader(document, findings, self._question)

    def read(self, model: RuleFileModel) -> RuleFile:
        facts = {name: fact for name, entry in model.facts.items() if (fact := self._facts.read(name, entry))}
        # A fact that is wrong in itself is not unknown as well, and what compares it is not looked into.
        kinds = {name: facts[name].kind if name in facts else None for name in model.facts}
        rules = [rule for i, entry in enumerate(model.rules) if (rule := self._rule(i, entry, kinds, facts))]
        if not model.rules:
            self._wrong(("rules",), "AR203", "rules is empty", "a file without rules answers nothing")
        self._check_ids(model)
        self._check_unused(facts, rules)
        return RuleFile(
            model.question,
            model.about,
            self._document.file,
            facts,
            tuple(sorted(rules, key=lambda rule: rule.priority)),
            canonical_hash(self._document.value),
            self._document.location(("question",)),
        )

    def _rule(
        self, index: int, entry: RuleModel, kinds: Mapping[str, FactKind | None], facts: Mapping[str, Fact]
    ) -> Rule | None:
        place: Path = ("rules", index)
        when = self._condition((*place, "when"), entry.when, kinds)
        unless = self._condition((*place, "unless"), entry.unless, kinds) if entry.unless else None
        debounce_s = self._debounce((*place, "debounce_s"), entry.debounce_s, kinds, facts)
        at = self._document.location((*place, "outcome"))
        outcome = read_outcome(entry.outcome, at, self._findings)
        if outcome is not None:
            self._question.outcome(outcome, at)
        if entry.for_each is not None:
            self._question.loop(entry.for_each, self._document.location((*place, "for_each")))
        if stray_brace(entry.message):
            self._wrong((*place, "message"), "AR259", "the message has a brace without its partner", "{name}")
        for name in placeholders(entry.message):
            if name not in kinds:
                near = did_you_mean(name, kinds)
                self._wrong(
                    (*place, "message"), "AR259", f"the message names {name!r}, which is no fact",
                    f"did you mean {{{near}}}?" if near else "",
                )  # fmt: skip
        if when is None or (entry.unless and unless is None) or debounce_s is None or outcome is None:
            return None
        rule = Rule(
            entry.id, entry.about, when, unless, entry.for_each, debounce_s, entry.priority, outcome, entry.message,
            self._document.location(place),
        )  # fmt: skip
        self._check_elements(rule, place, facts)
        for condition in (when, unless):
            if condition is not None:
                self._question.words(condition, facts)
        return rule

    def _condition(self, place: Path, text: str, kinds: Mapping[str, FactKind | None]) -> Condition | None:
        where = self._document.location(place)
        condition = parse_condition(text, kinds, _text_start(where, text), self._findings)
        known = {name: kind for name, kind in kinds.items() if kind is not None}
        if condition is None or any(n.name not in known for n in names_in(condition)):
            return None
        if problem := obstacle(lower([condition], known).conditions[0]):
            self._findings.error(where, "AR255", f"the condition does not fit into the engine: {problem}", "split it")
        return condition

    def _debounce(
        self, place: Path, text: str, kinds: Mapping[str, FactKind | None], facts: Mapping[str, Fact]
    ) -> Expression | None:
        where = self._document.location(place)
        expression = parse_expression(text, kinds, _text_start(where, text), self._findings)
        if expression is None:
            return None
        below_zero = isinstance(expression, Constant) and not isinstance(expression.value, str) and expression.value < 0
        if kind_of(expression, kinds) not in (FactKind.NUMBER, None) or below_zero:
            self._findings.error(where, "AR261", f"{text} is no number of seconds from 0 on")
            return None
        for name in names_in(expression):
            if name.name in facts and facts[name.name].root not in CONSTANT_ROOTS:
                message = f"the debounce hangs on {name.name!r}, which is no value of policy or hwConfig"
                self._findings.error(name.location, "AR261", message)
        return expression

    def _check_elements(self, rule: Rule, place: Path, facts: Mapping[str, Fact]) -> None:
        for name in dict.fromkeys(rule.facts()):
            needs = self._question.only_in_loops(facts[name].reads) if name in facts else frozenset()
            missing = needs - {rule.for_each}
            for element in missing:
                message = f"rule {rule.id} uses {name!r}, which there is only for each {element}"
                self._wrong(place, "AR260", message, f"add 'for_each: {element}'")

    def _check_ids(self, model: RuleFileModel) -> None:
        seen: dict[str, int] = {}
        for index, entry in enumerate(model.rules):
            if not _RULE_ID.match(entry.id):
                message = f"{entry.id!r} cannot be the id of a rule"
                self._wrong(("rules", index, "id"), "AR258", message, "letters, digits, '_', '.' and '-', at most 64")
            elif entry.id in seen:
                first = self._document.location(("rules", seen[entry.id], "id"))
                self._wrong(
                    ("rules", index, "id"),
                    "AR258",
                    f"the rule {entry.id} stands here a second time",
                    f"first at {first}",
                )
            seen.setdefault(entry.id, index)

    def _check_unused(self, facts: Mapping[str, Fact], rules: list[Rule]) -> None:
        used = {name for rule in rules for name in rule.facts()}
        if self._findings.failed:
            return
        for name in facts:
            if name not in used:
                where = self._document.key_location(("facts", name))
                self._findings.warning(where, "AR262", f"no rule uses the fact {name!r}", "take it out")

    def _wrong(self, place: Path, code: str, message: str, hint: str = "", *, key: bool = False) -> None:
        where = self._document.key_location(place) if key else self._document.location(place)
        self._findings.error(where, code, message, hint)


def _text_start(where: Location, text: str) -> Location:
    """Return where the first character of *text* stands: behind its quote, where it has one."""
    one_line = where.line == where.end_line
    quotes = one_line and where.end_column - where.column == len(text) + 2
    return Location(where.file, where.line, where.column + 1, where.end_line, where.end_column) if quotes else where
