"""A chart as Mermaid text, and as a page of Markdown with the words of the file around the drawing.

``transitions`` can draw too, but it knows functions only; a reader of a safety case needs guards and effects as they
are written. Both texts are stable: they change only when the chart does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from apis_rules.charts.model import Answer, Chart, Declared

_INDENT: Final = "    "
_BREAK: Final = "<br/>"
_LEGEND: Final = (
    "A box in a box is a state in a group; an arrow from a group holds for every state in it that does not answer the"
    " event itself. `event [guard] / effects`; an arrow without a guard beside others with one is taken where none of"
    " theirs holds."
)
_ESCAPES: Final = str.maketrans({";": "#59;", "#": "#35;", "<": "#lt;", ">": "#gt;", '"': "#quot;"})


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
                yield _label(event, edge.answer, ", ")


def _arrows(state: Declared) -> Iterator[str]:
    for event, answer in _answers(state):
        if answer.target is not None:
            yield f"{_INDENT}{state.name} --> {answer.target} : {_label(event, answer, ',' + _BREAK)}"


def _answers(state: Declared) -> Iterable[tuple[str, Answer]]:
    return [(event, answer) for event, answers in state.answers.items() for answer in answers]


def _label(event: str, answer: Answer, comma: str) -> str:
    guard = f" [{_escape(answer.guard.text)}]" if answer.guard else ""
    effects = comma.join(_escape(str(call)) for call in answer.effects)
    nothing = "" if answer.target else " / nothing"
    return f"{_escape(event)}{guard} / {effects}" if effects else f"{_escape(event)}{guard}{nothing}"


def _escape(text: str) -> str:
    return text.translate(_ESCAPES)


def draw_page(chart: Chart) -> str:
    """Return a page of Markdown: the drawing, then every state, event, effect, fact and value with its sentence."""
    lines = [f"# {chart.name}", "", chart.about, "", "```mermaid", draw_mermaid(chart).rstrip("\n"), "```", ""]
    lines.extend([_LEGEND, ""])
    if chart.aborts:
        aborts = ", ".join(f"`{a.name}`" for a in chart.aborts)
        lines.extend([f"Every state with a way out answers, whatever the facts: {aborts}.", ""])
    lines.extend(_states_table(chart))
    effects = [(_signature(e.name, tuple(e.arguments)), e.about) for e in chart.effects.values()]
    facts = [(f.name, f.about) for f in chart.facts.values()]
    for title, head, rows in (
        ("Events", "event", [(n.name, n.about) for n in chart.events.values()]),
        ("Effects", "effect", effects),
        ("Facts", "fact", facts),
        ("Permissions", "permission", [(n.name, n.about) for n in chart.permissions.values()]),
    ):
        lines.extend(_table(title, (head, "meaning"), rows))
    values = [(v.name, f"`{v.about}`") for v in chart.values.values()]
    lines.extend(_table("Values", ("value", "where it stands"), values))
    notes = [
        (f"{state.name}: {event}{f' [{a.guard.text}]' if a.guard else ''}", a.note)
        for state in chart.declared
        for event, a in _answers(state)
        if a.note
    ]
    lines.extend(_table("Notes", ("transition", "note"), notes))
    return "\n".join(lines).rstrip("\n") + "\n"


def _states_table(chart: Chart) -> list[str]:
    rows = []
    for state in chart.declared:
        what = "group of states" if state.children else "final: it may last for ever" if state.final else ""
        allows = ", ".join(sorted(chart.allows(state.name))) if not state.children else ""
        tail = " ".join(f"({part})" for part in (what, f"allows {allows}" if allows else "") if part)
        rows.append((state.name, f"{state.about} {tail}".strip()))
    return _table("States", ("state", "meaning"), rows)


def _signature(name: str, arguments: tuple[str, ...]) -> str:
    return f"{name}({', '.join(arguments)})" if arguments else name


def _table(title: str, head: tuple[str, str], rows: list[tuple[str, str]]) -> list[str]:
    if not rows:
        return []
    cells = [(f"`{name}`", " ".join(text.split()).replace("|", "\\|")) for name, text in rows]
    return [f"## {title}", "", f"| {head[0]} | {head[1]} |", "|---|---|", *(f"| {a} | {b} |" for a, b in cells), ""]
