"""Walks: tests of charts as data. Events with facts go in; the state and the commands that must follow stand beside.

The format stands in ``statecharts/README.md``. A walk that starts from several states is taken once from each.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from apis_rules.charts.load import FORMAT, load_chart
from apis_rules.charts.model import TIMEOUT
from apis_rules.charts.reading import Reading
from apis_rules.documents.diagnostics import Findings
from apis_rules.documents.load import load_document
from apis_rules.errors import InputError
from apis_rules.resources import data_dir

if TYPE_CHECKING:
    from collections.abc import Mapping

    from apis_rules.charts.model import Chart
    from apis_rules.documents.diagnostics import Location
    from apis_rules.documents.document import Document
    from apis_rules.documents.document import Path as Place

_TOP: Final = ("format", "chart", "about", "values", "walks")
_WALK: Final = ("name", "rows", "reason", "from", "record", "facts", "context", "steps")
_STEP: Final = ("event", "facts", "context", "to", "commands", "writes", "record", "ignored", "note")


@dataclass(frozen=True, slots=True)
class Step:
    """One event and what must follow.

    Attributes:
        facts: laid over the earlier ones; None takes a fact away.
        target: the state afterwards; None: the same as before.
        commands: what is to be done, one line each, in order.
        writes: what is stored beside the record; None where that is not looked at.
        record: dotted path → value of the record afterwards.
        ignored: the event must not be answered at all.
    """

    event: str
    facts: Mapping[str, Any]
    context: Mapping[str, Any]
    target: str | None
    commands: tuple[str, ...]
    writes: tuple[str, ...] | None
    record: Mapping[str, Any]
    ignored: bool
    location: Location


@dataclass(frozen=True, slots=True)
class Walk:
    """A way through a chart.

    Attributes:
        rows: numbers of the table of a deal's life that this walk shows.
        reason: why a row is walked differently from the table.
        starts: the states it is taken from, one after the other; a group stands for all of its states.
    """

    name: str
    rows: tuple[str, ...]
    reason: str
    starts: tuple[str, ...]
    record: Mapping[str, Any]
    facts: Mapping[str, Any]
    context: Mapping[str, Any]
    steps: tuple[Step, ...]
    location: Location


@dataclass(frozen=True, slots=True)
class WalkFile:
    """The walks of one file.

    Attributes:
        values: a number for each of the chart's values.
    """

    file: str
    chart: Chart
    values: Mapping[str, float]
    walks: tuple[Walk, ...]


def load_walks(path: Path) -> WalkFile:
    """Read the walks at *path* for the chart that they name: the one beside their folder, else the bundled one.

    Raises:
        InputError: with everything that is wrong: AR400-AR404, AR410 (state), AR411 (event), AR414 (value), AR430
            (chart), AR431 (fact).
    """
    findings = Findings()
    walks = read_walks(path, findings)
    if findings.failed or walks is None:
        raise InputError(findings.sorted())
    return walks


def read_walks(path: Path, findings: Findings) -> WalkFile | None:
    """Read the walks at *path*; what is wrong goes to *findings*.

    Raises:
        InputError: the file cannot be read at all.
    """
    return _Reader(load_document(path, findings), findings, path.parent.parent).walk_file()


def check_document(document: Document, findings: Findings) -> None:
    """Check *document* as walks of the chart that they name; they are not taken."""
    _Reader(document, findings, Path(document.file).parent.parent).walk_file()


def chart_path(name: str, folder: Path) -> Path | None:
    """Return where the chart called *name* lies: in *folder*, else among the bundled ones, else None."""
    for place in (folder, data_dir("statecharts")):
        path = place / f"{name}.yaml"
        if path.is_file():
            return path
    return None


class _Reader(Reading):
    def __init__(self, document: Document, findings: Findings, folder: Path) -> None:
        super().__init__(document, findings)
        self._folder = folder

    def walk_file(self) -> WalkFile | None:
        top = self.mapping((), _TOP, required=("format", "chart", "walks"))
        if top is None:
            return None
        if top.get("format", FORMAT) != FORMAT:
            self.error(("format",), "AR400", f"the format is {FORMAT}")
        name = self.text(("chart",))
        path = chart_path(name, self._folder) if name else None
        if path is None:
            self.error(("chart",), "AR430", f"there is no chart called {name!r}", "it lies beside the folder of walks")
            return None
        try:
            chart = load_chart(path)
        except InputError as error:
            self.findings.extend(error.diagnostics)
            return None
        values = self._values(chart)
        given = self.document.get(("walks",))
        if not isinstance(given, list) or not given:
            self.error(("walks",), "AR400", "a list of walks is expected here")
            return None
        walks = tuple(w for i in range(len(given)) if (w := self._walk(("walks", i), chart)) is not None)
        first: dict[str, Walk] = {}
        for walk in walks:
            if first.setdefault(walk.name, walk) is not walk:
                message = f"another walk in line {first[walk.name].location.line} has this name"
                self.findings.error(walk.location, "AR404", message, "a name stands once in a file")
        return WalkFile(self.document.file, chart, values, walks)

    def _values(self, chart: Chart) -> dict[str, float]:
        found: dict[str, float] = {}
        for name, value in self.members(("values",)):
            place = ("values", name)
            if not self.known(name, chart.values, place, "AR414", "value", key=True):
                continue
            if isinstance(value, bool) or not isinstance(value, int | float):
                self.error(place, "AR400", "a number is expected here")
                continue
            found[name] = float(value)
        missing = [name for name in chart.values if name not in self._names(("values",))]
        if missing:
            message = f"the chart has the value {missing[0]}, which these walks do not give"
            self.error_key(("values",), "AR403", message, f"missing: {', '.join(missing)}")
        return found

    def _names(self, path: Place) -> set[str]:
        given = self.document.get(path)
        return set(given) if isinstance(given, dict) else set()

    def _walk(self, path: Place, chart: Chart) -> Walk | None:
        form = self.mapping(path, _WALK, required=("name", "steps"))
        if form is None:
            return None
        given = form.get("steps")
        if not isinstance(given, list) or not given:
            if "steps" in form:
                self.error((*path, "steps"), "AR400", "a list of steps is expected here")
            return None
        steps = tuple(s for i in range(len(given)) if (s := self._step((*path, "steps", i), chart)) is not None)
        return Walk(
            name=self.text((*path, "name")),
            rows=self.texts((*path, "rows")),
            reason=str(form.get("reason", "")),
            starts=self._starts((*path, "from"), chart),
            record=dict(self.members((*path, "record"))),
            facts=self._facts((*path, "facts"), chart),
            context=dict(self.members((*path, "context"))),
            steps=steps,
            location=self.at(path),
        )

    def _starts(self, path: Place, chart: Chart) -> tuple[str, ...]:
        given = self.document.get(path)
        if given is None:
            return (chart.initial.name,)
        names = [(given, path)] if isinstance(given, str) else [(n, (*path, i)) for i, n in enumerate(self.texts(path))]
        found: list[str] = []
        for name, place in names:
            if self.known(name, {*chart.leaves, *chart.groups}, place, "AR410", "state"):
                inside = [leaf.name for leaf in chart.leaves.values() if name in (leaf.name, *leaf.path)]
                found.extend(leaf for leaf in inside if leaf not in found)
        return tuple(found)

    def _step(self, path: Place, chart: Chart) -> Step | None:
        form = self.mapping(path, _STEP, required=("event",))
        if form is None:
            return None
        event = self.text((*path, "event"))
        known = {*chart.events, *(TIMEOUT + name for name in chart.values)}
        if event and not self.known(event, known, (*path, "event"), "AR411", "event"):
            return None
        target = form.get("to")
        if target is not None and not self.known(target, chart.leaves, (*path, "to"), "AR410", "state"):
            return None
        ignored = form.get("ignored", False)
        if ignored is not False and (ignored is not True or {"to", "commands", "writes"} & set(form)):
            self.error((*path, "ignored"), "AR400", "an ignored event is 'ignored: true' and leads to nothing")
        return Step(
            event=event,
            facts=self._facts((*path, "facts"), chart),
            context=dict(self.members((*path, "context"))),
            target=target,
            commands=self.texts((*path, "commands")),
            writes=self.texts((*path, "writes")) if "writes" in form else None,
            record=dict(self.members((*path, "record"))),
            ignored=ignored is True,
            location=self.at(path),
        )

    def _facts(self, path: Place, chart: Chart) -> dict[str, Any]:
        return {
            name: value
            for name, value in self.members(path)
            if self.known(name, chart.facts, (*path, name), "AR431", "fact", key=True)
        }
