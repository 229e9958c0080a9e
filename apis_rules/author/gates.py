"""The gates of ``rules/request.yaml`` and ``rules/accept.yaml`` in a dry run.

A dry run knows a state of a battery, not of a node. So the node is assumed to be ready, autonomous and without errors,
with free capacity and without deals, unless told otherwise fact by fact; what is assumed is folded into the rules, and
what depends on the state stays. A debounce is taken as over.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from apis_rules.author.answers import NONE, open_match
from apis_rules.author.arguments import refuse
from apis_rules.decide.catalogue import CATALOGUE
from apis_rules.decide.facts import clean_value
from apis_rules.decide.messages import fill
from apis_rules.decide.rulefile import RuleFile, load_rules
from apis_rules.decide.ruleset import Evaluator, compile_ruleset
from apis_rules.decide.scenario import Question, ScenarioRule
from apis_rules.decide.simplify import NEVER, simplify
from apis_rules.decide.tree import FactKind
from apis_rules.documents.load import ENDINGS
from apis_rules.documents.shapes import did_you_mean
from apis_rules.ports.types import OperationMode
from apis_rules.resources import data_dir

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from apis_rules.decide.facts import Value
    from apis_rules.decide.rulefile import Rule
    from apis_rules.decide.tree import Condition

    Masks = Callable[[Mapping[str, NDArray[Any]], int], Mapping[str, NDArray[np.bool_]]]

_UNLESS: Final = "/unless"
_MODE: Final = ("node", "mode")
ASSUMED_NODE: Final = {
    "ready": True,
    "draining": False,
    "excluded": False,
    "hasMaster": True,
    "mode": "autonomous",
    "localErrors": False,
    "communityErrors": False,
}
"""What a node is taken for where nothing else is said: it lets every proposal pass."""
_OF_STATES: Final[Mapping[tuple[str | int, ...], str]] = {
    ("unit", "apis", "remaining_capacity_wh"): "remaining_wh",
    ("unit", "battery", "rsoc"): "rsoc_percent",
}
_OF_REQUESTS: Final[Mapping[tuple[str | int, ...], str]] = {**_OF_STATES, ("request", "amountWh"): "amount_wh"}
"""Where a fact has another value in each state, and the column that holds it."""


def rule_path(name: str, folder: Path | None) -> Path:
    """Return the rule file *name*: the own one where *folder* has it, else the bundled one."""
    bundled = data_dir("rules") / name
    owns = [(folder / name).with_suffix(ending) for ending in ENDINGS] if folder else []
    return next((own for own in owns if own.is_file()), bundled)


@dataclass(frozen=True, slots=True)
class Closed:
    """Which gate closes, per state of a block.

    Attributes:
        gates: index into *rules*, or ``NONE`` where all are open.
        facts: the values that its sentence may name, per state.
    """

    gates: NDArray[np.int16]
    rules: Sequence[Rule]
    facts: Callable[[int], Mapping[str, Value]]

    def why(self, row: int) -> str | None:
        """Return what keeps a proposal back, or None."""
        gate = int(self.gates[row])
        if gate == NONE:
            return None
        rule = self.rules[gate]
        return f"{rule.id}: {fill(rule.message, self.facts(row))}"


class Gates:
    """Asks the gates about the proposals of a scenario. A context manager: durable-rules may be open within.

    Args:
        folder: own rule files, or None.
        constants: ``policy`` and ``hwConfig`` as documents.
        unit_id: the one that decides.
        asked: the request that accepts answer, as a message; what it does not have is not known.
        assumed: facts by name, instead of what is assumed otherwise.
        evaluator: who evaluates.

    Raises:
        InputError: a rule file cannot be used, or *assumed* names no fact of them.
    """

    def __init__(
        self,
        folder: Path | None,
        constants: Mapping[str, Any],
        unit_id: str | None,
        asked: Mapping[str, Any],
        assumed: Mapping[str, str],
        evaluator: Evaluator,
    ) -> None:
        self._files = {name: load_rules(rule_path(f"{name}.yaml", folder)) for name in ("request", "accept")}
        self._document = {
            "node": ASSUMED_NODE,
            "unit": {"oesunit": {"id": unit_id}, "apis": {"deal_interlock_capacity": 1}},
            "deals": [],
            **constants,
        }
        self._asked = asked
        self._assumed = _read_assumed(assumed, self._files.values())
        self._evaluator = evaluator
        self._open = contextlib.ExitStack()
        self._masks: dict[tuple[tuple[str, Condition], ...], Masks] = {}
        self._folded: dict[str, tuple[list[tuple[str, Condition]], dict[str, Value | None]]] = {}

    def closed(self, rule: ScenarioRule, columns: Mapping[str, NDArray[Any]]) -> Closed:
        """Ask about what *rule* proposes in states given by ``remaining_wh``, ``rsoc_percent`` and ``amount_wh``."""
        rule_file = self._files["request" if rule.question is Question.REQUEST else "accept"]
        conditions, known = self._fold(rule, rule_file)
        rows = len(columns["amount_wh"])
        named = {fact: columns[column] for fact, column in self._columns(rule_file).items()}
        masks = self._evaluate(tuple(conditions), rule_file.kinds)(named, rows)
        gates = np.full(rows, NONE, dtype=np.int16)
        for index in range(len(rule_file.rules) - 1, -1, -1):
            gate = rule_file.rules[index]
            if gate.id in masks:
                held = masks[gate.id] & ~masks[gate.id + _UNLESS] if gate.id + _UNLESS in masks else masks[gate.id]
                gates[held] = index

        def facts(row: int) -> Mapping[str, Value]:
            given = known | {fact: float(column[row]) for fact, column in named.items()}
            return {name: value for name, value in given.items() if value is not None}

        return Closed(gates, rule_file.rules, facts)

    def _columns(self, rule_file: RuleFile) -> dict[str, str]:
        places = _OF_REQUESTS if rule_file.question == "request" else _OF_STATES
        steps = {fact.name: fact.path.steps for fact in rule_file.facts.values() if fact.path is not None}
        return {
            name: places[at]
            for name, at in steps.items()
            if at is not None and at in places and name not in self._assumed
        }

    def _fold(
        self, rule: ScenarioRule, rule_file: RuleFile
    ) -> tuple[list[tuple[str, Condition]], dict[str, Value | None]]:
        if rule.rule_id not in self._folded:
            document = {**self._document, "request": self._request(rule)}
            moving = self._columns(rule_file)
            known: dict[str, Value | None] = {}
            for fact in rule_file.facts.values():
                if fact.name not in moving:
                    read = fact.path.get if fact.path else CATALOGUE[fact.derived].compute
                    value = clean_value(read(document), fact.kind)
                    known[fact.name] = self._assumed.get(fact.name, fact.default if value is None else value)
            conditions = []
            for gate in rule_file.rules:
                when = simplify(gate.when, known)
                if gate.for_each is None and when != NEVER:
                    conditions.append((gate.id, when))
                    if gate.unless is not None:
                        conditions.append((gate.id + _UNLESS, simplify(gate.unless, known)))
            self._folded[rule.rule_id] = conditions, known
        return self._folded[rule.rule_id]

    def _request(self, rule: ScenarioRule) -> Mapping[str, Any]:
        if rule.question is not Question.REQUEST or rule.offer is None:
            return {"type": None if rule.offer is None else str(rule.offer.direction.opposite), **self._asked}
        offer = rule.offer
        return {
            "unitId": self._document["unit"]["oesunit"]["id"],
            "type": str(offer.direction),
            "pointPerWh": offer.point_per_wh,
            "pairUnitId": offer.pair_unit_id,
        }

    def _evaluate(self, conditions: tuple[tuple[str, Condition], ...], kinds: Mapping[str, FactKind]) -> Masks:
        if conditions not in self._masks:
            ruleset = compile_ruleset("gates", conditions, kinds)
            if self._evaluator is Evaluator.VECTOR or not conditions:
                self._masks[conditions] = ruleset.masks
            else:
                match = self._open.enter_context(open_match(ruleset, self._evaluator))

                def masks(columns: Mapping[str, NDArray[Any]], rows: int) -> Mapping[str, NDArray[np.bool_]]:
                    found = {name: np.zeros(rows, dtype=np.bool_) for name in ruleset.names}
                    for row in range(rows):
                        for hit in match({fact: float(column[row]) for fact, column in columns.items()}):
                            found[hit][row] = True
                    return found

                self._masks[conditions] = masks
        return self._masks[conditions]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()


def _read_assumed(assumed: Mapping[str, str], rule_files: Sequence[RuleFile] | Any) -> dict[str, Value]:
    kinds: dict[str, FactKind] = {}
    modes: set[str] = set()
    for rule_file in rule_files:
        kinds |= rule_file.kinds
        modes |= {f.name for f in rule_file.facts.values() if f.path is not None and f.path.steps == _MODE}
    values: dict[str, Value] = {}
    for name, text in assumed.items():
        if name not in kinds:
            near = did_you_mean(name, kinds)
            refuse("--assume", f"no gate has a fact {name!r}", f"did you mean {near}?" if near else ", ".join(kinds))
        value = _value(text, kinds[name])
        if value is None:
            refuse("--assume", f"{text!r} is no {kinds[name]}, which {name} is")
        if name in modes and value not in [*OperationMode]:
            near = did_you_mean(text, OperationMode)
            refuse("--assume", f"{text!r} is no mode", f"did you mean {near}?" if near else ", ".join(OperationMode))
        values[name] = value
    return values


def _value(text: str, kind: FactKind) -> Value | None:
    if kind is FactKind.FLAG:
        return {"true": True, "false": False}.get(text)
    if kind is FactKind.TEXT:
        return text
    try:
        return clean_value(float(text), kind)
    except ValueError:
        return None
