"""Runs cases, compares what comes out with what was expected, and counts what was touched on the way."""

from __future__ import annotations

import contextlib
import itertools
import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Self

from apis_rules.author.answers import open_answerer
from apis_rules.author.arguments import candidate_argument, refuse
from apis_rules.author.choice import judge
from apis_rules.author.gates import ASSUMED_NODE, rule_path
from apis_rules.author.inputs import open_bounds, read_inputs
from apis_rules.author.rows import Rows
from apis_rules.author.states import states_of
from apis_rules.decide.choosing import Strategy
from apis_rules.decide.decision import NO_STRIKES, Decider, compile_rules
from apis_rules.decide.error_catalogue import load_errors
from apis_rules.decide.folder import load_rule_folder
from apis_rules.decide.intent import Asker, compile_scenario
from apis_rules.decide.outcomes import RaiseError, React
from apis_rules.decide.scenario import Question
from apis_rules.documents.community import resolve
from apis_rules.documents.diagnostics import Findings
from apis_rules.documents.hw_config import HwConfig
from apis_rules.documents.kinds import Kind
from apis_rules.documents.load import load_document, parse_document
from apis_rules.documents.policy import Policy
from apis_rules.documents.reading import parse_policy, read_model
from apis_rules.resources import data_dir

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from pydantic import BaseModel

    from apis_rules.author.case_files import CaseFile, CaseModel, WithoutModel
    from apis_rules.decide.decision import Decision, Strikes
    from apis_rules.decide.error_catalogue import CataloguedError
    from apis_rules.decide.outcomes import Outcome
    from apis_rules.decide.rulefile import RuleFile
    from apis_rules.decide.ruleset import Evaluator
    from apis_rules.documents.diagnostics import Location


@dataclass(frozen=True, slots=True)
class CaseResult:
    """One case, as it came out.

    Attributes:
        failures: one sentence for each difference; empty where it passed.
    """

    file: str
    name: str
    location: Location
    failures: tuple[str, ...]


@dataclass(slots=True)
class Coverage:
    """What cases have touched, by kind: bands and cells of scenarios, rules of rule files.

    Attributes:
        known, touched: kind → names.
    """

    known: dict[str, dict[str, None]] = field(default_factory=dict)
    touched: dict[str, set[str]] = field(default_factory=dict)

    def know(self, kind: str, names: Iterable[str]) -> None:
        """Count *names* as what there is to be touched."""
        self.known.setdefault(kind, {}).update(dict.fromkeys(names))

    def touch(self, kind: str, name: str) -> None:
        """Count *name* as touched."""
        self.touched.setdefault(kind, set()).add(name)

    def missing(self, kind: str) -> list[str]:
        """Return what no case has touched, in the order of the files."""
        return [name for name in self.known[kind] if name not in self.touched.get(kind, set())]


@dataclass(frozen=True, slots=True)
class CaseReport:
    """What became of all cases."""

    results: tuple[CaseResult, ...]
    coverage: Coverage

    @property
    def failed(self) -> bool:
        """Whether any came out otherwise."""
        return any(result.failures for result in self.results)


class CaseRunner:
    """Runs the cases of one file. A context manager: engines may be open within.

    Args:
        case_file: as read.
        evaluator: who evaluates.
        folder: own rule files, or None.
        coverage: counts what is touched.

    Raises:
        InputError: a file that the cases need cannot be used.
    """

    def __init__(self, case_file: CaseFile, evaluator: Evaluator, folder: Path | None, coverage: Coverage) -> None:
        self._file = case_file
        self._evaluator = evaluator
        self._coverage = coverage
        self._open = contextlib.ExitStack()
        self._deciders: dict[str, Decider] = {}
        model = case_file.model
        scenario, policy, hw_config = (self._path(name) for name in (model.scenario, model.policy, model.hw_config))
        self._inputs = read_inputs(scenario, policy, hw_config, folder)
        self._asker = Asker(model.asked_by) if model.asked_by else None
        self._rule_files: dict[str, RuleFile] = {}
        self._errors: dict[str, CataloguedError] = {}
        unit = {"oesunit": {"id": model.unit}, "apis": {"deal_interlock_capacity": 1}}
        self._base = {"node": dict(ASSUMED_NODE), "unit": unit, "deals": []}
        if any(case.raised for case in model.cases):
            self._errors = load_errors(rule_path("errors.yaml", folder))
            coverage.know("errors", self._errors)
        if any(case.question or case.raised for case in model.cases):
            self._rule_files = load_rule_folder(data_dir("rules"), folder)
            for question, rule_file in self._rule_files.items():
                coverage.know("rules", (f"{question}/{rule.id}" for rule in rule_file.rules))
        if model.scenario is not None:
            self._scenario = compile_scenario(self._inputs.scenario, partners=self._asker is not None)
            for rule in self._scenario.rules:
                coverage.know(_kind(rule.question), [f"{model.scenario}: {rule.name}"])
            self._answer = self._open.enter_context(open_answerer(evaluator, self._scenario, self._asker))
            bounds = self._open.enter_context(
                open_bounds(self._inputs, evaluator, unit_id=model.unit, asker=model.asked_by)
            )
            self._rows = Rows(self._scenario.rules, bounds)

    def run(self) -> list[CaseResult]:
        """Run every case of the file."""
        return [self._run(index, case) for index, case in enumerate(self._file.model.cases)]

    def _run(self, index: int, case: CaseModel) -> CaseResult:
        if case.remaining_wh is not None:
            found = self._decide(case.at, int(case.remaining_wh))
        elif case.choose is not None:
            found = {"chosen": self._choose(case)}
        elif case.raised is not None:
            found = self._raise(index, case.raised)
        elif case.without is not None:
            found = {"codes": self._check(case.without)}
        else:
            found = self._ask(case)
        failures = tuple(_differences(case.expect, found, ""))
        return CaseResult(str(self._file.path), case.name, self._file.location(index), failures)

    def _path(self, name: str | None) -> Path | None:
        return None if name is None else resolve(name, self._file.path)

    def _decide(self, time_s: int, remaining_wh: int) -> dict[str, Any]:
        states = states_of([time_s], [remaining_wh])
        answers = self._answer(states)
        for question, rules in answers.rules.items():
            if rules[0] >= 0:
                name = self._scenario.rules[rules[0]].name
                self._coverage.touch(_kind(question), f"{self._file.model.scenario}: {name}")
        return next(self._rows.documents(states, answers))

    def _choose(self, case: CaseModel) -> str | None:
        asked = case.choose
        if asked is None:
            return None
        place = str(self._file.path)
        request = candidate_argument(place, asked.request, unit_id=self._file.model.unit)
        accepts = [candidate_argument(place, accept) for accept in asked.accepts]
        strategy = Strategy(asked.strategy) if asked.strategy else self._inputs.scenario.strategy_at(case.at)
        if strategy is None:
            refuse(place, f"the case {case.name!r} does not say how to choose", "strategy: amount")
        verdicts = judge(strategy, request, accepts, self._evaluator, self._inputs.limits)
        return next((verdict.accept.unit_id for verdict in verdicts if verdict.rank == 1), None)

    def _ask(self, case: CaseModel) -> dict[str, Any]:
        question = str(case.question)
        document = _merged(_merged(self._base, self._file.model.given), case.given)
        decision = self._decide_by(question, document)
        if case.after_s:
            decision = self._decide_by(question, document, case.after_s, decision.strikes)
        first = decision.first
        found = {"rule": None if first is None else first.rule.id, "rules": [hit.rule.id for hit in decision.hits]}
        return found if first is None else {**found, "message": first.message, **self._followed(first.outcome)}

    def _decide_by(
        self, question: str, document: Mapping[str, Any], now_s: float = 0.0, strikes: Strikes = NO_STRIKES
    ) -> Decision:
        if question not in self._deciders:
            constants = {"hwConfig": self._inputs.hw_config.to_document()}
            if self._inputs.policy is not None:
                constants["policy"] = self._policy.to_document()
            decider = Decider(compile_rules(self._rule_files[question], constants), self._evaluator)
            self._deciders[question] = self._open.enter_context(decider)
        decision = self._deciders[question].decide(document, now_s, strikes)
        for hit in decision.hits:
            self._coverage.touch("rules", f"{question}/{hit.rule.id}")
        return decision

    def _raise(self, index: int, name: str) -> dict[str, Any]:
        if name not in self._errors:
            refuse(str(self._file.location(index, "raised")), f"no error is called {name!r}", ", ".join(self._errors))
        self._coverage.touch("errors", name)
        entry = self._errors[name]
        return {"message": entry.message, **self._followed(entry.outcome)}

    def _followed(self, outcome: Outcome) -> dict[str, Any]:
        """Return what an outcome comes to: the error that is raised, and what is done about it."""
        actions = outcome.actions if isinstance(outcome, React) else ()
        if not isinstance(outcome, RaiseError):
            return {"do": ", ".join(actions)}
        event = {"category": outcome.category, "extent": outcome.extent, "level": outcome.level}
        first = self._decide_by("reactions", {"event": {**event, "unitId": self._file.model.unit}}).first
        if first is not None and isinstance(first.outcome, React):
            actions = first.outcome.actions
        return {"error": ":".join(event.values()), "do": ", ".join(actions)}

    def _check(self, without: WithoutModel) -> list[str]:
        """Return the codes of what is wrong with a file that lacks a key."""
        path, value = self._raw(without.file)
        *steps, last = without.key.split(".")
        holder = value
        for step in steps:
            holder = holder.get(step, {})
        if holder.pop(last, None) is None:
            refuse(str(path), f"there is no {without.key} that could be taken out")
        findings = Findings()
        document = parse_document(json.dumps(value), str(path), findings)
        if without.file == "policy":
            read_model(Policy, Kind.POLICY, document, findings)
        else:
            read_model(HwConfig, Kind.HW_CONFIG, document, findings)
        return [diagnostic.code for diagnostic in findings.sorted()]

    @cached_property
    def _policy(self) -> Policy:
        path, value = self._raw("policy")
        return parse_policy(json.dumps(value), str(path)).model

    def _raw(self, file: Literal["policy", "hw_config"]) -> tuple[Path, dict[str, Any]]:
        """Return the policy or hwConfig of the cases as it is written, with their changes."""
        model = self._file.model
        name, bundled = (model.policy, "policy.json") if file == "policy" else (model.hw_config, "hwConfig.json")
        path = self._path(name) or data_dir("rules") / bundled
        value = load_document(path, Findings()).value
        return path, _merged(value, model.policy_changes) if file == "policy" else value

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()


def own_rules(path: Path) -> Path | None:
    """Return the folder of rule files that the cases in *path* lie beside, unless these are the bundled ones."""
    folder = path.resolve().parent.parent
    return None if folder == data_dir("rules").resolve() or not any(folder.glob("*.yaml")) else folder


def run_cases(files: Sequence[CaseFile], evaluator: Evaluator, folder: Path | None = None) -> CaseReport:
    """Run the cases of *files*; rules come from *folder*, else from the folder above the cases, else the bundled."""
    coverage = Coverage()
    results: list[CaseResult] = []
    for file in files:
        with CaseRunner(file, evaluator, folder or own_rules(file.path), coverage) as runner:
            results += runner.run()
    return CaseReport(tuple(results), coverage)


def _kind(question: Question) -> str:
    return "bands" if question is Question.STATUS else "cells"


def _merged(base: dict[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        held = merged.get(key)
        merged[key] = _merged(held, value) if isinstance(held, dict) and isinstance(value, dict) else value
    return merged


def _differences(expected: BaseModel, found: Mapping[str, Any], path: str) -> Iterable[str]:
    """Yield a sentence for each value that *expected* names and *found* has otherwise."""
    fields = type(expected).model_fields
    for name in expected.model_fields_set:
        key = fields[name].alias or name
        wanted, got = getattr(expected, name), found.get(key)
        where = f"{path}{key}"
        if hasattr(wanted, "model_fields_set") and isinstance(got, dict):
            yield from _differences(wanted, got, f"{where}.")
        elif hasattr(wanted, "model_fields_set"):
            yield f"{where} is none"
        elif sorted(wanted) != sorted(got or ()) if isinstance(wanted, tuple) else wanted != got:
            yield f"{where} is {_shown(got)}, not {_shown(wanted)}"


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {item}" for key, item in itertools.islice(value.items(), 3))
    if isinstance(value, list | tuple):
        return ", ".join(value) or "none"
    return "none" if value is None else str(value)
