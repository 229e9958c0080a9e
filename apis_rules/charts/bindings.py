"""Which charts there are, and what of the program belongs to each: its effects and how a record of it is made.

The module of a chart is imported only when its binding is asked for, so that a chart can be read, checked and drawn
alone.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Generic

from apis_rules.charts.check import check_chart
from apis_rules.charts.load import load_chart, read_chart
from apis_rules.charts.machine import Effects, R, compile_chart
from apis_rules.resources import data_dir

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from apis_rules.charts.machine import Machine
    from apis_rules.charts.model import Chart
    from apis_rules.documents.diagnostics import Findings
    from apis_rules.documents.document import Document

MODULES: Final[Mapping[str, str]] = {
    "grid": "apis_rules.charts.grid",
    "deal": "apis_rules.charts.deal",
    "grid_master": "apis_rules.charts.grid_master",
    "converter": "apis_rules.charts.converter",
    "node": "apis_rules.charts.node",
}
"""Chart → the module that has its ``BINDING``, in the order in which the README shows them."""


def _as_given(given: Mapping[str, Any]) -> Any:
    return dict(given)


@dataclass(frozen=True, slots=True)
class Binding(Generic[R]):
    """What the program has for one chart.

    Attributes:
        make_record: from what a walk says of the record (its ``state`` among it) to a whole one.
        make_context: from what a walk says to the ``context`` of ``Machine.advance``.
    """

    chart: str
    effects: Effects[R]
    make_record: Callable[[Mapping[str, Any]], R]
    make_context: Callable[[Mapping[str, Any]], Any] = _as_given

    def compile(self, chart: Chart, values: Mapping[str, float]) -> Machine[R]:
        """Make *chart* runnable with these effects; raises what ``compile_chart`` raises."""
        return compile_chart(chart, self.effects, values)


def binding_of(chart: str) -> Binding[Any] | None:
    """Return the binding of the chart called *chart*, None where the program has none."""
    module = MODULES.get(chart)
    if module is None:
        return None
    binding: Binding[Any] = importlib.import_module(module).BINDING
    return binding


@cache
def bundled_chart(name: str) -> Chart:
    """Return the chart called *name* that comes with the program; it is read and checked once per process.

    Raises:
        InputError: it is wrong.
        KeyError: there is none of that name.
    """
    if name not in MODULES:
        raise KeyError(name)
    return load_chart(data_dir("statecharts") / f"{name}.yaml")


def bundled_machine(name: str, values: Mapping[str, float]) -> Machine[Any]:
    """Return the bundled chart called *name*, runnable with its part of *values*.

    The same numbers give the same machine, which knows no record: all nodes of a process share it.

    Raises:
        InputError: the chart is wrong.
        KeyError: there is none of that name.
        ValueError: a value is missing.
    """
    return _machine(name, tuple((value, values[value]) for value in bundled_chart(name).values if value in values))


@lru_cache(maxsize=64)
def _machine(name: str, values: tuple[tuple[str, float], ...]) -> Machine[Any]:
    binding = binding_of(name)
    if binding is None:
        raise KeyError(name)
    return binding.compile(bundled_chart(name), dict(values))


def check_document(document: Document, findings: Findings) -> None:
    """Check *document* as a chart; where the program has a chart of that name, its effects are looked up as well.

    AR433 where its file is called otherwise: walks, drawings and the program look for it by that name.
    """
    chart = read_chart(document, findings)
    if chart is not None and (called := Path(document.file).stem) != chart.name:
        message = f"the chart is called {chart.name!r}, its file {called!r}: it is looked for by the file's name"
        findings.warning(document.location(("chart",)), "AR433", message, "give both one name")
    if chart is not None and not findings.failed:
        binding = binding_of(chart.name)
        check_chart(chart, findings, None if binding is None else binding.effects.names)
