"""A chart as Mermaid text, and as a page of Markdown with the words of the file around the drawing.

``transitions`` can draw too, but it knows functions only; a reader of a safety case needs guards and effects as they
are written. Both texts are stable: they change only when the chart does.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from apis_rules.charts.model import Answer, Chart, Declared, EffectDeclaration, Fact

_INDENT: Final = "    "
_BREAK: Final = "<br/>"
_LEGEND: Final = (
    "A box in a box is a state in a group; an arrow from a group holds for every state in it that does not answer the"
    " event itself. `event [guard] / effects`; an arrow without a guard beside others with one is taken where none of"
    " theirs holds."
)
_ESCAPES: Final = str.maketrans({";": "\N{FULLWIDTH SEMICOLON}", "#": "\N{FULLWIDTH NUMBER SIGN}"})
"""Mermaid ends a statement at these and knows no way around that; nothing but a text in a guard can hold them."""


def draw_mermaid(chart: Chart) -> str:
    """Return *chart* as a Mermaid state diagram.

    A group is a box. What leads to a state is an arrow from the state, or from the group for all states inside; what
    stays, and what is done on entering, stands in the state itself, also where its group says so.
    """
    lines = ["stateDiagram-v2", f"{_INDENT}[*] --> {chart.initial.name}"]
    for state in chart.states:
        lines.extend(_boxes(chart, state, 1))
    for state in chart.declared:
        lines.extend(_arrows(state))
    lines.extend(f"{_INDENT}{leaf.name} --> [*]" for leaf in chart.leaves.values() if leaf.final)
    return "\n".join(lines) + "\n"


def _boxes(chart: Chart, state: Declared, depth: int) -> Iterator[str]:
    pad = _INDENT * depth
    if state.children:
        yield f"{pad}state {state.name} {{"
        for child in state.children:
            yield from _boxes(chart, child, depth + 1)
        yield f"{pad}}}"
        return
    lines = [*_inside(chart, state)]
    yield f"{pad}{state.name}"
    if lines:
        yield f"{pad}{state.name} : {_BREAK.join([f'<b>{state.name}</b>', *lines])}"


def _inside(chart: Chart, leaf: Declared) -> Iterator[str]:
    """Yield what happens in *leaf* without leaving it."""
    if leaf.entry:
        yield f"enter / {_escape(', '.join(map(str, leaf.entry)))}"
    for event, edges in chart.answers[leaf.name].items():
        for edge in edges:
            if edge.answer.target is None:
                yield _label(event, edge.answer)


def _arrows(state: Declared) -> Iterator[str]:
    """Yield one arrow for each state that *state* leads to, with every transition that goes there."""
    labels: dict[str, list[str]] = {}
    for event, answer in _answers(state):
        if answer.target is not None:
            labels.setdefault(answer.target, []).append(_label(event, answer))
    for target, several in labels.items():
        yield f"{_INDENT}{state.name} --> {target} : {_BREAK.join(several)}"


def _answers(state: Declared) -> Iterable[tuple[str, Answer]]:
    return [(event, answer) for event, answers in state.answers.items() for answer in answers]


def _label(event: str, answer: Answer) -> str:
    guard = f" [{_escape(answer.guard.text)}]" if answer.guard else ""
    effects = ", ".join(_escape(str(call)) for call in answer.effects)
    if not effects and answer.target is None:
        effects = "nothing"
    return f"{_escape(event)}{guard} / {effects}" if effects else f"{_escape(event)}{guard}"


def _escape(text: str) -> str:
    # Without the blank a browser takes what follows for a tag.
    return re.sub(r"<(?=[A-Za-z/!?])", "< ", text.translate(_ESCAPES))


def draw_page(chart: Chart) -> str:
    """Return a page of Markdown: the drawing, then every state, event, effect, fact and value with its sentence."""
    lines = [f"# {chart.name}", "", chart.about, "", "```mermaid", draw_mermaid(chart).rstrip("\n"), "```", ""]
    lines.extend([_LEGEND, ""])
    if chart.aborts:
        aborts = ", ".join(f"`{a.name}`" for a in chart.aborts)
        lines.extend([f"Every state with a way out answers, whatever the facts: {aborts}.", ""])
    lines.extend(_states_table(chart))
    lines.extend(_transitions_table(chart))
    lines.extend(_table("Events", ("event", "meaning"), [(e.name, e.about) for e in chart.events.values()]))
    effects = [(f"`{_signature(e.name, tuple(e.arguments))}`", e.about, _arguments(e)) for e in chart.effects.values()]
    lines.extend(_rows("Effects", ("effect", "meaning", "arguments"), effects))
    facts = [(f"`{f.name}`", f.about, _taken(f)) for f in chart.facts.values()]
    lines.extend(_rows("Facts", ("fact", "meaning", "values"), facts))
    permissions = [(p.name, p.about) for p in chart.permissions.values()]
    lines.extend(_table("Permissions", ("permission", "meaning"), permissions))
    values = [(v.name, f"`{v.about}`") for v in chart.values.values()]
    lines.extend(_table("Values", ("value", "where it stands"), values))
    return "\n".join(lines).rstrip("\n") + "\n"


def _states_table(chart: Chart) -> list[str]:
    rows = []
    for state in chart.declared:
        what = "group of states" if state.children else "final: it may last for ever" if state.final else ""
        allows = ", ".join(sorted(chart.allows(state.name))) if not state.children else ""
        tail = " ".join(f"({part})" for part in (what, f"allows {allows}" if allows else "") if part)
        rows.append((state.name, f"{state.about} {tail}".strip()))
    return _table("States", ("state", "meaning"), rows)


def _transitions_table(chart: Chart) -> list[str]:
    rows = [
        (
            f"`{state.name}`", f"`{event}`", f"`{answer.guard.text}`" if answer.guard else "",
            ", ".join(f"`{call}`" for call in answer.effects) or "nothing",
            f"`{answer.target}`" if answer.target else "(stays)", answer.note,
        )
        for state in chart.declared
        for event, answer in _answers(state)
    ]  # fmt: skip
    entering = [(f"`{s.name}`", "entering", "", ", ".join(f"`{c}`" for c in s.entry), "", "") for s in chart.declared]
    return _rows("Transitions", ("state or group", "event", "guard", "effects", "to", "note"), [
        *(row for row in entering if row[3]), *rows,
    ])  # fmt: skip


def _arguments(effect: EffectDeclaration) -> str:
    """Return what the arguments of *effect* may be."""
    return "; ".join(
        f"{name}: {words if words == 'number' else ', '.join(words)}" for name, words in effect.arguments.items()
    )


def _taken(fact: Fact) -> str:
    """Return what values *fact* takes."""
    if fact.values:
        return ", ".join(fact.values)
    if fact.low is not None and fact.high is not None:
        return f"{fact.kind}, {fact.low:g} to {fact.high:g}"
    return str(fact.kind)


def _signature(name: str, arguments: tuple[str, ...]) -> str:
    return f"{name}({', '.join(arguments)})" if arguments else name


def _table(title: str, head: tuple[str, str], rows: list[tuple[str, str]]) -> list[str]:
    return _rows(title, head, [(f"`{name}`", text) for name, text in rows])


def _rows(title: str, head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    if not rows:
        return []
    cells = [[" ".join(text.split()).replace("|", "\\|") for text in row] for row in rows]
    lines = [f"| {' | '.join(row)} |" for row in cells]
    return [f"## {title}", "", f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *lines, ""]
