"""A chart and its effects become one long-lived machine that plans.

``advance(record, event, facts) -> Plan`` is pure and synchronous: it reads a record, never changes it, and returns what
the record becomes and what is to be done. The machine keeps nothing between two calls, so one serves every record.

An effect is a function that takes a draft and its arguments from the chart; it replaces ``draft.record`` and appends to
``draft.commands`` and ``draft.writes``::

    EFFECTS: Effects[Deal] = Effects()

    @EFFECTS.define
    def mark_switched(draft: Draft[Deal]) -> None:
        draft.record = draft.record.model_copy(update={"switched": True})

The state machine itself is one of ``transitions``, with its automatic triggers off. It finds unknown states and guards
only when it meets them; a chart has therefore passed ``check`` before it is compiled.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeAlias, TypeVar

import transitions
from pydantic import BaseModel

from apis_rules.charts.check import check_chart
from apis_rules.charts.model import TIMEOUT, Chart, Transition
from apis_rules.decide.codegen import compile_condition
from apis_rules.decide.explain import explain
from apis_rules.decide.simplify import simplify
from apis_rules.documents.diagnostics import Findings
from apis_rules.errors import InputError

if TYPE_CHECKING:
    from apis_rules.charts.model import EffectCall
    from apis_rules.decide.explain import Explanation
    from apis_rules.decide.tree import Condition


class Record(Protocol):
    """Anything frozen that has a state: a frozen dataclass or a ``WireModel``."""

    @property
    def state(self) -> str:
        """Name of a leaf of the chart."""


R = TypeVar("R", bound=Record)


@dataclass(slots=True)
class Draft(Generic[R]):
    """What one event adds up to, while its effects are at work.

    Attributes:
        record: as it was before the event; an effect replaces it to change it.
        state: where the machine stands: the old state in a transition's effects, the new one in a state's entry.
        facts: what guards see: the facts given, and the chart's values.
        context: whatever the caller passed along for effects: readings, ids, lists; None where nothing.
        commands: to be performed in order after the record was stored.
        writes: to be stored together with the record.
    """

    record: R
    state: str
    event: str
    facts: Mapping[str, object]
    context: Any
    commands: list[Any] = field(default_factory=list)
    writes: list[Any] = field(default_factory=list)
    taken: Transition | None = None


@dataclass(frozen=True, slots=True)
class Plan(Generic[R]):
    """What follows from one event.

    Attributes:
        record: as it is afterwards, its new state included.
        writes: what is stored together with the record, all or nothing, before anything is commanded.
        commands: what is done then, in this order. Outcomes come back as events.
        taken: the edge that was taken, None where the event was not answered.
    """

    record: R
    event: str
    commands: tuple[Any, ...] = ()
    writes: tuple[Any, ...] = ()
    taken: Transition | None = None

    @property
    def state(self) -> str:
        """Where the record stands afterwards."""
        return self.record.state

    @property
    def moved(self) -> bool:
        """Whether a state was entered, be it the same one again."""
        return self.taken is not None and self.taken.answer.target is not None


Guard: TypeAlias = Callable[[Mapping[str, object]], bool]
"""Whether an edge may be taken, given the facts and the chart's values."""

Effect: TypeAlias = Callable[..., None]
"""``(draft, argument, ...) -> None``; pure but for what it does to the draft."""

E = TypeVar("E", bound=Effect)


class Effects(Generic[R]):
    """The effects of one chart, by name."""

    def __init__(self) -> None:
        self._functions: dict[str, Effect] = {}

    def define(self, function: E) -> E:
        """Take *function* in under its own name; a decorator. A name is given once."""
        name = function.__name__
        if name in self._functions:
            raise ValueError(f"effect {name!r} is defined twice")
        self._functions[name] = function
        return function

    @property
    def names(self) -> frozenset[str]:
        """Every name that a chart may use."""
        return frozenset(self._functions)

    def __getitem__(self, name: str) -> Effect:
        return self._functions[name]


@dataclass(frozen=True, slots=True)
class Deadline:
    """The next timeout: its event is due when the runtime clock shows *at_s*."""

    event: str
    at_s: float


@dataclass(frozen=True, slots=True)
class Timers:
    """What runs out when, runtime clock: (event, state or group that declares it) → seconds."""

    running: Mapping[tuple[str, str], float]


class Machine(Generic[R]):
    """A compiled chart. Long-lived; knows no record."""

    def __init__(self, chart: Chart, effects: Effects[R], values: Mapping[str, float]) -> None:
        self.chart = chart
        self.values = dict(values)
        self._fact_names = frozenset(chart.facts)
        self._edges = chart.answers
        guards = {id(t): self._compiled(t.answer.guard.condition) for t in chart.transitions if t.answer.guard}
        self._guards = {
            (state, event): tuple(guards[id(t)] for t in edges)
            for state, events in self._edges.items()
            for event, edges in events.items()
            if all(t.answer.guard for t in edges)
        }
        self._machine = transitions.Machine(
            model=None,
            states=[
                transitions.State(name, on_enter=[_bind(effects, call) for call in leaf.entry])
                for name, leaf in chart.leaves.items()
            ],
            transitions=[self._edge(effects, t, guards.get(id(t))) for t in chart.transitions],
            initial=chart.initial.name,
            auto_transitions=False,
        )

    def _edge(self, effects: Effects[R], edge: Transition, guard: Guard | None) -> dict[str, Any]:
        answer = edge.answer
        return {
            "trigger": edge.event,
            "source": edge.source,
            "dest": answer.target,
            "conditions": [partial(_holds, guard)] if guard else [],
            "before": [partial(_take, edge), *(_bind(effects, call) for call in answer.effects)],
        }

    def _compiled(self, condition: Condition) -> Guard:
        return compile_condition(simplify(condition, self.values), self.chart.kinds)

    def answers(self, state: str, event: str) -> bool:
        """Return whether a record in *state* has any answer to *event*; where not, its facts need not be looked for."""
        return event in self._edges[state]

    def advance(self, record: R, event: str, facts: Mapping[str, object], context: object = None) -> Plan[R]:
        """Return what *event* makes of *record*.

        A guard over a fact that is not given, or None, does not hold. *context* is handed to the effects as it is.

        Raises:
            ValueError: the chart knows no such event, state or fact.
        """
        edges = self._edges.get(record.state)
        if edges is None:
            raise ValueError(f"chart {self.chart.name} has no state {record.state!r}")
        if not self._fact_names.issuperset(facts):
            unknown = ", ".join(sorted(set(facts) - self._fact_names))
            raise ValueError(f"chart {self.chart.name} declares no fact {unknown}")
        if event not in edges:
            if event in self.chart.events or event in self._machine.events:
                return Plan(record, event)
            raise ValueError(f"chart {self.chart.name} has no event {event!r}")
        seen = {**self.values, **facts}
        guards = self._guards.get((record.state, event))
        if guards is not None and not _any_holds(guards, seen):
            return Plan(record, event)  # nothing to do, as most times, is found without the machine
        draft = Draft(record, record.state, event, seen, context)
        self._machine.events[event].trigger(draft, draft)
        if draft.taken is None:
            return Plan(record, event)
        after = draft.record if draft.record.state == draft.state else _with_state(draft.record, draft.state)
        return Plan(after, event, tuple(draft.commands), tuple(draft.writes), draft.taken)

    def explain(self, record: R, event: str, facts: Mapping[str, object]) -> tuple[tuple[Transition, Explanation], ...]:
        """Return every guarded edge that *event* could take from *record*, with why its guard holds or not."""
        seen = {**self.values, **facts}
        return tuple(
            (edge, explain(edge.answer.guard.condition, seen, self.chart.kinds))
            for edge in self._edges[record.state].get(event, ())
            if edge.answer.guard is not None
        )

    def start_timers(self, state: str, now_s: float) -> Timers:
        """Return the timers of *state* and the groups around it, all started now."""
        return Timers({key: now_s + self.values[key[0]] for key in self._timers_of(state)})

    def move_timers(self, timers: Timers, plan: Plan[R], now_s: float) -> Timers:
        """Return the timers after *plan*.

        A timer starts when the state or group that declares it is entered from outside, and goes on while the record
        stays inside: a step that is repeated does not get its time again. What has run out runs out once.
        """
        left = {key: at_s for key, at_s in timers.running.items() if TIMEOUT + key[0] != plan.event}
        if plan.taken is None or not plan.moved:
            return Timers(left)
        stayed_in = set(self._around(plan.taken.source)) & set(self._around(plan.state))
        here = self._timers_of(plan.state)
        started = {key: now_s + self.values[key[0]] for key in here if key[1] not in stayed_in}
        return Timers({key: at_s for key, at_s in left.items() if key in here and key[1] in stayed_in} | started)

    def _around(self, state: str) -> tuple[str, ...]:
        return (*self.chart.leaves[state].path, state)

    def next_deadline(self, timers: Timers) -> Deadline | None:
        """Return the timeout that is due first, or None where none runs."""
        if not timers.running:
            return None
        (value, _), at_s = min(timers.running.items(), key=lambda item: item[1])
        return Deadline(TIMEOUT + value, at_s)

    def _timers_of(self, state: str) -> list[tuple[str, str]]:
        return [
            (event.removeprefix(TIMEOUT), edges[0].owner)
            for event, edges in self._edges[state].items()
            if event.startswith(TIMEOUT)
        ]


def compile_chart(chart: Chart, effects: Effects[R], values: Mapping[str, float]) -> Machine[R]:
    """Make *chart* runnable, with a number for each of its values (times in seconds).

    Raises:
        InputError: the chart does not pass its check, or uses an effect that *effects* lacks.
        ValueError: a value is missing.
    """
    findings = Findings()
    check_chart(chart, findings, effects.names)
    if findings.failed:
        raise InputError(findings.sorted())
    missing = sorted(set(chart.values) - set(values))
    if missing:
        raise ValueError(f"chart {chart.name} needs {', '.join(missing)}")
    return Machine(chart, effects, {name: values[name] for name in chart.values})


def _bind(effects: Effects[R], call: EffectCall) -> Callable[[Draft[R]], None]:
    return partial(_run, effects[call.name], call.arguments)


def _run(effect: Effect, arguments: tuple[str | float, ...], draft: Draft[R]) -> None:
    effect(draft, *arguments)


def _holds(guard: Guard, draft: Draft[R]) -> bool:
    return guard(draft.facts)


def _any_holds(guards: tuple[Guard, ...], seen: Mapping[str, object]) -> bool:
    for guard in guards:  # noqa: SIM110 - asked for each record at each look: a generator doubles its time
        if guard(seen):
            return True
    return False


def _take(edge: Transition, draft: Draft[R]) -> None:
    draft.taken = edge


def _with_state(record: R, state: str) -> R:
    changed: Any = record
    if isinstance(changed, BaseModel):
        changed = changed.model_copy(update={"state": state})
    else:
        changed = dataclasses.replace(changed, state=state)
    return changed  # type: ignore[no-any-return]  # a copy of the record, whatever its type
