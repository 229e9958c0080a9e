"""What is wrong with a chart as a whole: its graph, its guards, its effects.

A chart is the safety case of what it steers, so the check asks for what a reader would ask for: can every state be
reached, and left again towards a state in which nothing is energised? Is every abort answered, whatever the facts? Is
it always plain which of several answers counts?
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from apis_rules.charts.model import TIMEOUT
from apis_rules.decide.intervals import Interval
from apis_rules.decide.satisfy import Undecided, find_witness
from apis_rules.decide.simplify import names_in
from apis_rules.decide.tree import All
from apis_rules.decide.writing import format_condition, format_value

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from apis_rules.charts.model import Answer, Chart, EffectDeclaration, Fact, Named
    from apis_rules.decide.satisfy import Domain
    from apis_rules.decide.tree import Condition
    from apis_rules.documents.diagnostics import Findings


def check_chart(chart: Chart, findings: Findings, effects: Collection[str] | None = None) -> None:
    """Check the graph of *chart*.

    Codes: AR421 (two guards hold at once, with a witness), AR422 (unreachable state), AR423 (no way to a final state),
    AR424 (abort not answered), AR425 (effect without implementation), AR426 (warning: declared, never used), AR427 (a
    guard that never holds).
    """
    _check_reach(chart, findings)
    _check_aborts(chart, findings)
    for declared in chart.declared:
        for event, answers in declared.answers.items():
            _check_guards(chart, event, answers, findings)
    if effects is not None:
        for effect in chart.effects.values():
            if effect.name not in effects:
                findings.error(effect.location, "AR425", f"the program has no effect called {effect.name!r}")
    _check_use(chart, findings)


def _check_reach(chart: Chart, findings: Findings) -> None:
    onward: dict[str, set[str]] = {name: set() for name in chart.leaves}
    back: dict[str, set[str]] = {name: set() for name in chart.leaves}
    for transition in chart.transitions:
        onward[transition.source].add(transition.target)
        back[transition.target].add(transition.source)
    finals = [name for name, leaf in chart.leaves.items() if leaf.final]
    reached, leading = _closure([chart.initial.name], onward), _closure(finals, back)
    for name, leaf in chart.leaves.items():
        if name not in reached:
            message = f"no way leads from {chart.initial.name} to the state {name}"
            findings.error(leaf.location, "AR422", message, "let a transition end in it, or remove it")
        if name not in leading:
            hint = "a state is final when it may last for ever: mark it with final: true"
            findings.error(leaf.location, "AR423", f"no way leads from the state {name} to a final one", hint)


def _closure(start: Iterable[str], edges: Mapping[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    waiting = list(start)
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting.extend(edges[name])
    return seen


def _check_aborts(chart: Chart, findings: Findings) -> None:
    for name, events in chart.answers.items():
        leaf = chart.leaves[name]
        for abort in chart.aborts:
            answers = events.get(abort.name, ())
            if not events or any(t.answer.guard is None for t in answers):
                continue
            if answers:
                message = f"the state {name} answers the abort event {abort.name} only under a guard"
            else:
                message = f"the state {name} does not answer the abort event {abort.name}"
            findings.error(leaf.location, "AR424", message, "give it, or its group, an answer without 'if'")


def _check_guards(chart: Chart, event: str, answers: tuple[Answer, ...], findings: Findings) -> None:
    domains = _domains(chart)
    possible = []
    for guard in (answer.guard for answer in answers if answer.guard is not None):
        if _is_impossible((guard.condition,), chart, domains):
            message = f"the guard {guard.text!r} never holds: {_why_never(guard.condition, chart, domains)}"
            findings.error(guard.location, "AR427", message)
        else:
            possible.append(guard)
    for first, second in combinations(possible, 2):
        hint = f"the other one is in line {first.location.line}"
        try:
            witness = find_witness(All((first.condition, second.condition)), chart.kinds, domains)
        except Undecided:
            message = f"two guards of {event} may hold at once: nothing proves that they exclude each other"
            findings.error(second.location, "AR421", message, f"{hint}; a fact of its own would make them plain")
            continue
        if witness is not None:
            shown = ", ".join(f"{name} = {format_value(value)}" for name, value in witness.items())
            message = f"two guards of {event} hold at once, for example where {shown}"
            findings.error(second.location, "AR421", message, hint)


def _why_never(guard: Condition, chart: Chart, domains: Mapping[str, Domain]) -> str:
    """Return the parts of a guard that leave nothing together, and what their facts can be where that matters."""
    parts = guard.parts if isinstance(guard, All) else (guard,)
    for part in parts:
        others = tuple(p for p in parts if p is not part)
        if others and _is_impossible(others, chart, domains):
            parts = others
    shown = " and ".join(repr(format_condition(part)) for part in parts)
    if _is_impossible(parts, chart, {}):
        return f"{shown} exclude each other" if len(parts) > 1 else f"{shown} contradicts itself"
    facts = dict.fromkeys(name.name for part in parts for name in names_in(part) if name.name in domains)
    return f"{shown} cannot be where {' and '.join(_declared(chart.facts[name]) for name in facts)}"


def _is_impossible(parts: tuple[Condition, ...], chart: Chart, domains: Mapping[str, Domain]) -> bool:
    try:
        return find_witness(All(parts), chart.kinds, domains) is None
    except Undecided:
        return False


def _declared(fact: Fact) -> str:
    if fact.values:
        return f"{fact.name} is one of {', '.join(fact.values)}"
    return f"{fact.name} lies from {fact.low:g} to {fact.high:g}"


def _domains(chart: Chart) -> dict[str, Domain]:
    ranges = {f.name: Interval.closed(f.low, f.high) for f in chart.facts.values() if f.low is not None is not f.high}
    return ranges | {f.name: f.values for f in chart.facts.values() if f.values}


def _check_use(chart: Chart, findings: Findings) -> None:
    answers = [(event, a) for d in chart.declared for event, several in d.answers.items() for a in several]
    facts = {n.name for _, a in answers if a.guard is not None for n in names_in(a.guard.condition)}
    events = {event for event, _ in answers} | {a.name for a in chart.aborts}
    calls = {call.name for _, a in answers for call in a.effects} | {c.name for d in chart.declared for c in d.entry}
    allowed = {word for d in chart.declared for word in d.allows}
    values = facts | {event.removeprefix(TIMEOUT) for event in events if event.startswith(TIMEOUT)}
    declarations: list[tuple[str, Iterable[Named | Fact | EffectDeclaration], set[str]]] = [
        ("event", chart.events.values(), events),
        ("fact", chart.facts.values(), facts),
        ("value", chart.values.values(), values),
        ("effect", chart.effects.values(), calls),
        ("permission", chart.permissions.values(), allowed),
    ]
    for noun, things, used in declarations:
        for thing in things:
            if thing.name not in used:
                findings.warning(thing.location, "AR426", f"the {noun} {thing.name} is declared and never used")
