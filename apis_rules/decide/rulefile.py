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

from pydantic import BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema, model_validator

from apis_rules.decide.catalogue import CATALOGUE
from apis_rules.decide.definition import obstacle
from apis_rules.decide.facts import clean_value
from apis_rules.decide.language import KEYWORDS, NAME, kind_of, parse_condition, parse_expression
from apis_rules.decide.lower import lower
from apis_rules.decide.messages import placeholders
from apis_rules.decide.outcomes import Outcome, OutcomeModel, read_outcome
from apis_rules.decide.simplify import names_in
from apis_rules.decide.tree import Condition, Constant, Expression, FactKind
from apis_rules.documents.diagnostics import Findings, Location
from apis_rules.documents.jsonpath import JsonPath, compile_path
from apis_rules.documents.load import load_document
from apis_rules.documents.model import FileModel, Name, Text, Whole, canonical_hash
from apis_rules.documents.reading import report
from apis_rules.documents.shapes import did_you_mean
from apis_rules.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path as FilePath

    from pydantic import GetJsonSchemaHandler
    from pydantic_core import CoreSchema

    from apis_rules.decide.facts import Value
    from apis_rules.documents.document import Document, Path

ForEach = Literal["unit", "deal", "branch", "accept"]
CONSTANT_ROOTS: Final = frozenset({"policy", "hwConfig"})
"""What is known when rules are compiled: facts from here are folded into them."""
ROOTS: Final = {
    "unit": "the unit's own data (specification 8); with for_each: unit, each member's",
    "units": "the data of all members, for the Grid Master",
    "deals": "the deals that concern the one who asks",
    "grid": "who holds the voltage: the grid record of shared state",
    "deal": "with for_each: deal, each of them",
    "branch": "with for_each: branch, each branch of the policy: id, capacityA, forwardUnitIds, backwardUnitIds",
    "accepts": "the accepts that came for a request",
    "accept": "with for_each: accept, each of them",
    "request": "the request being sent, answered or settled",
    "write": "what is about to be set at the converter: mode, gridVoltageV, gridCurrentA, droopRatio",
    "event": "the error event (specification 10.1)",
    "node": "what the node knows of itself: mode, errors, whether it is ready",
    "policy": "policy.json with its defaults, folded into the rules",
    "hwConfig": "hwConfig.json with its defaults, folded into the rules",
}
"""The names at the top of what rules are asked about."""
_RULE_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")


def _as_expression(given: Any) -> Any:
    return repr(given) if isinstance(given, int | float) and not isinstance(given, bool) else given


class _RuleFileModel(FileModel):
    # Rule files are ours: their keys are written as Python names are, with units.
    model_config = ConfigDict(alias_generator=None)


class FactModel(_RuleFileModel):
    """One entry under ``facts``; a text alone is its path."""

    path: Text | None = None
    derived: Text | None = None
    kind: Literal["number", "text", "flag"] = "number"
    default: Any = None
    about: Text = ""

    @model_validator(mode="before")
    @classmethod
    def _path_alone(cls, given: Any) -> Any:
        return {"path": given} if isinstance(given, str) else given

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [{"type": "string"}, handler.resolve_ref_schema(handler(schema))]}


class RuleModel(_RuleFileModel):
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


class RuleFileModel(_RuleFileModel):
    """A whole rule file."""

    question: Name
    about: Text = ""
    facts: dict[Name, FactModel]
    rules: tuple[RuleModel, ...]


@dataclass(frozen=True, slots=True)
class Fact:
    """A declared fact.

    Attributes:
        path: where it is read, or None for one from the catalogue.
        derived: its name in the catalogue, or nothing.
        default: what it is where the value is missing; None: missing.
    """

    name: str
    kind: FactKind
    path: JsonPath | None
    derived: str
    default: Value | None
    about: str
    location: Location

    @property
    def root(self) -> str:
        """Which part of what the rules are asked about it comes from; nothing for one from the catalogue."""
        return str(self.path.steps[0]) if self.path and self.path.steps else ""

    @property
    def needs(self) -> frozenset[str]:
        """The elements that there are only where a rule runs for each of them."""
        if self.derived:
            return CATALOGUE[self.derived].needs
        return frozenset({self.root} & {"deal", "branch", "accept"})


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
    """

    question: str
    about: str
    file: str
    facts: Mapping[str, Fact]
    rules: tuple[Rule, ...]
    content_hash: str

    @property
    def kinds(self) -> dict[str, FactKind]:
        """The kind of every fact."""
        return {name: fact.kind for name, fact in self.facts.items()}


def load_rules(path: FilePath) -> RuleFile:
    """Read the rule file at *path*.

    Raises:
        InputError: with everything that is wrong with it: the codes of documents, AR250-AR254 in conditions, AR255
            (too large for the engine), AR256 (outcome), AR257 (a fact), AR258 (rule id), AR259 (message),
            AR260 (``for_each``), AR261 (debounce).
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
    return _Reader(document, findings).read(model)


class _Reader:
    """Turns the form of a rule file into its meaning, and notes what has none."""

    def __init__(self, document: Document, findings: Findings) -> None:
        self._document = document
        self._findings = findings

    def read(self, model: RuleFileModel) -> RuleFile:
        facts = {name: fact for name, entry in model.facts.items() if (fact := self._fact(name, entry))}
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
        )

    def _fact(self, name: str, entry: FactModel) -> Fact | None:
        place: Path = ("facts", name)
        where = self._document.location(place)
        if not NAME.match(name) or name in KEYWORDS:
            hint = "a letter, then letters, digits and _; no word of the condition language"
            self._wrong((*place,), "AR257", f"{name!r} cannot be the name of a fact", hint, key=True)
            return None
        if (entry.path is None) == (entry.derived is None):
            self._wrong(place, "AR257", f"the fact {name!r} has a path or is derived, one of both")
            return None
        kind, path = FactKind(entry.kind), None
        if entry.derived is not None:
            known = CATALOGUE.get(entry.derived)
            if known is None:
                near = did_you_mean(entry.derived, CATALOGUE)
                hint = f"did you mean {near}?" if near else f"known: {', '.join(CATALOGUE)}"
                self._wrong((*place, "derived"), "AR257", f"the catalogue has no fact {entry.derived!r}", hint)
                return None
            kind = known.kind
        else:
            path = self._path(place, str(entry.path))
            if path is None:
                return None
        if entry.default is not None and clean_value(entry.default, kind) is None:
            self._wrong((*place, "default"), "AR257", f"the default of the {kind} {name!r} is no {kind}")
            return None
        default = None if entry.default is None else clean_value(entry.default, kind)
        return Fact(name, kind, path, entry.derived or "", default, entry.about, where)

    def _path(self, place: Path, text: str) -> JsonPath | None:
        at = (*place, "path") if isinstance(self._document.get(place), dict) else place
        try:
            path = compile_path(text, self._document.location(at))
        except InputError as error:
            self._findings.extend(error.diagnostics)
            return None
        if not path.steps or path.steps[0] not in ROOTS:
            near = did_you_mean(text.removeprefix("$.").partition(".")[0], ROOTS)
            hint = f"did you mean $.{near}?" if near else f"begin with one of {', '.join(f'$.{r}' for r in ROOTS)}"
            self._wrong(at, "AR257", f"{text} names no single value of what rules are asked about", hint)
            return None
        return path

    def _rule(
        self, index: int, entry: RuleModel, kinds: Mapping[str, FactKind | None], facts: Mapping[str, Fact]
    ) -> Rule | None:
        place: Path = ("rules", index)
        when = self._condition((*place, "when"), entry.when, kinds)
        unless = self._condition((*place, "unless"), entry.unless, kinds) if entry.unless else None
        debounce_s = self._debounce((*place, "debounce_s"), entry.debounce_s, kinds, facts)
        outcome = read_outcome(entry.outcome, self._document.location((*place, "outcome")), self._findings)
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
            missing = facts[name].needs - {rule.for_each} if name in facts else ()
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
