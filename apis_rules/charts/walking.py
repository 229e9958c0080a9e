"""Takes walks through their charts and says what came out otherwise, and what no walk has touched."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from apis_rules.charts.bindings import binding_of
from apis_rules.charts.load import load_chart
from apis_rules.charts.walks import load_walks
from apis_rules.documents.diagnostics import Findings, Location
from apis_rules.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from apis_rules.charts.bindings import Binding
    from apis_rules.charts.machine import Machine, Plan
    from apis_rules.charts.model import Chart, Transition
    from apis_rules.charts.walks import Step, Walk, WalkFile


@dataclass(frozen=True, slots=True)
class Failure:
    """Something that a walk expected and that did not come out."""

    location: Location
    message: str

    def __str__(self) -> str:
        return f"{self.location}: {self.message}"


@dataclass(frozen=True, slots=True)
class WalkResult:
    """One walk from one of its starts."""

    file: str
    chart: str
    walk: Walk
    start: str
    failures: tuple[Failure, ...]


@dataclass(slots=True)
class Coverage:
    """What of one chart the walks have touched."""

    chart: Chart
    _taken: set[tuple[str, str, int]] = field(default_factory=set)
    _seen: set[str] = field(default_factory=set)

    def note(self, plan: Plan[Any]) -> None:
        """Count the edge that *plan* took, and its two states."""
        if plan.taken is not None:
            self._taken.add(_key(plan.taken))
            self._seen |= {plan.taken.source, plan.taken.target}

    @property
    def missing_transitions(self) -> tuple[Transition, ...]:
        """The edges that no walk took."""
        return tuple(t for t in self.chart.transitions if _key(t) not in self._taken)

    @property
    def missing_states(self) -> tuple[str, ...]:
        """The states that no walk stood in."""
        return tuple(name for name in self.chart.leaves if name not in self._seen)

    @property
    def complete(self) -> bool:
        """Whether everything was touched."""
        return not self.missing_transitions and not self.missing_states

    def line(self) -> str:
        """Return one line: how many of the states and of the transitions were touched."""
        states, edges = len(self.chart.leaves), len(self.chart.transitions)
        return (
            f"{self.chart.name}: {states - len(self.missing_states)} of {states} states, "
            f"{edges - len(self.missing_transitions)} of {edges} transitions "
            f"({_percent(edges - len(self.missing_transitions), edges)})"
        )


@dataclass(frozen=True, slots=True)
class WalkReport:
    """What became of all walks.

    Attributes:
        coverage: chart → what was touched, for every chart of a folder that was named, and every chart with a walk.
    """

    results: tuple[WalkResult, ...]
    coverage: Mapping[str, Coverage]

    @property
    def failed(self) -> bool:
        """Whether a walk came out otherwise. What is not covered fails nothing by itself."""
        return any(result.failures for result in self.results)

    def lines(self) -> list[str]:
        """Return the report as text: failures with their places, the count, then the coverage and what it lacks."""
        failed = [r for r in self.results if r.failures]
        lines = [str(f) for r in failed for f in r.failures]
        lines.append(f"{len(self.results) - len(failed)} walks passed, {len(failed)} failed")
        for coverage in self.coverage.values():
            lines.append(coverage.line())
            lines.extend(f"  no walk stands in {state}" for state in coverage.missing_states)
            lines.extend(f"  no walk takes {t.answer.location}: {t}" for t in coverage.missing_transitions)
        total = sum(len(c.chart.transitions) for c in self.coverage.values())
        missing = sum(len(c.missing_transitions) for c in self.coverage.values())
        lines.append(f"transitions of all charts: {total - missing} of {total} ({_percent(total - missing, total)})")
        return lines


def walk_files(paths: Iterable[Path]) -> list[Path]:
    """Return the walk files among *paths*: files themselves, and what lies in the ``walks`` of a folder."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            folder = path / "walks" if (path / "walks").is_dir() else path
            found.extend(sorted(folder.glob("*.yaml")))
        else:
            found.append(path)
    return found


def chart_files(paths: Iterable[Path]) -> list[Path]:
    """Return the charts that lie in the folders among *paths*."""
    return [file for path in paths if path.is_dir() and path.name != "walks" for file in sorted(path.glob("*.yaml"))]


def run_walks(paths: Sequence[Path]) -> WalkReport:
    """Take all walks of *paths*: files, or folders such as ``statecharts/``, whose charts are then to be covered.

    Raises:
        InputError: a walk file or its chart is wrong; everything found in all files.
    """
    findings = Findings()
    files: list[WalkFile] = []
    for path in walk_files(paths):
        try:
            files.append(load_walks(path))
        except InputError as error:
            findings.extend(error.diagnostics)
    charts: list[Chart] = []
    for path in chart_files(paths):
        try:
            charts.append(load_chart(path))
        except InputError as error:
            findings.extend(error.diagnostics)
    if findings.failed:
        raise InputError(findings.sorted())
    results: list[WalkResult] = []
    coverage = {chart.name: Coverage(chart) for chart in charts}
    for file in files:
        touched = coverage.setdefault(file.chart.name, Coverage(file.chart))
        results.extend(run_file(file, touched))
    return WalkReport(tuple(results), coverage)


def run_file(file: WalkFile, coverage: Coverage) -> list[WalkResult]:
    """Take the walks of one file.

    Raises:
        InputError: the chart is wrong, or the program has no such chart.
    """
    binding = binding_of(file.chart.name)
    if binding is None:
        findings = Findings()
        findings.error(file.chart.location, "AR432", f"the program has no chart called {file.chart.name!r}")
        raise InputError(findings.sorted())
    machine = binding.compile(file.chart, file.values)
    return [
        WalkResult(file.file, file.chart.name, walk, start, run_walk(machine, binding, walk, start, coverage))
        for walk in file.walks
        for start in walk.starts
    ]


def run_walk(
    machine: Machine[Any], binding: Binding[Any], walk: Walk, start: str, coverage: Coverage
) -> tuple[Failure, ...]:
    """Take *walk* from the state *start*; it ends at the first step that comes out otherwise."""
    record = binding.make_record({"state": start, **walk.record})
    facts = {name: value for name, value in walk.facts.items() if value is not None}
    context = dict(walk.context)
    for step in walk.steps:
        facts = {name: value for name, value in {**facts, **step.facts}.items() if value is not None}
        context |= step.context
        plan = machine.advance(record, step.event, facts, binding.make_context(context))
        coverage.note(plan)
        failures = [
            Failure(step.location, f"{walk.name} (from {start}), {step.event}: {text}")
            for text in _differences(record.state, plan, step)
        ]
        if failures:
            return tuple(failures)
        record = plan.record
    return ()


def _differences(before: str, plan: Plan[Any], step: Step) -> list[str]:
    if step.ignored:
        return [] if plan.taken is None else [f"was not to be answered, but: {plan.taken}"]
    if plan.taken is None:
        return [f"is not answered in {before}"]
    found = []
    target = step.target or before
    if plan.state != target:
        found.append(f"leads to {plan.state}, not to {target}")
    _compare(found, "commands", [str(c) for c in plan.commands], step.commands)
    if step.writes is not None:
        _compare(found, "writes", [str(w) for w in plan.writes], step.writes)
    for path, wanted in step.record.items():
        got = _plain(_at(plan.record, path))
        if got != wanted:
            found.append(f"the record's {path} is {got!r}, not {wanted!r}")
    return found


def _compare(found: list[str], what: str, got: Sequence[str], wanted: Sequence[str]) -> None:
    if list(got) != list(wanted):
        shown = [", ".join(lines) or "none" for lines in (got, wanted)]
        found.append(f"{what} are {shown[0]}; expected {shown[1]}")


def _at(value: Any, path: str) -> Any:
    for name in path.split("."):
        if value is None:
            return None
        if isinstance(value, dict):
            value = value.get(name)
        elif isinstance(value, list | tuple):
            value = value[int(name)]
        else:
            value = getattr(value, name)
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True, exclude_none=True)
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, list | tuple | frozenset):
        return [_plain(v) for v in (sorted(value) if isinstance(value, frozenset) else value)]
    return {k: _plain(v) for k, v in value.items()} if isinstance(value, dict) else value


def _key(transition: Transition) -> tuple[str, str, int]:
    return (transition.source, transition.event, transition.index)


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %" if whole else "nothing to cover"
