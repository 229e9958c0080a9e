"""A chart as a picture: boxes in boxes, numbered arrows, and beside them what each number means.

The text of a transition is too long to stand at its arrow; the numbers keep the picture calm and the words complete.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from apis_rules.errors import Unsupported

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

    from apis_rules.charts.model import Answer, Chart, Declared

_WIDTH: Final = 3.0
_HEIGHT: Final = 0.9
_GAP: Final = 0.9
_PAD: Final = 0.35
_TITLE: Final = 0.45
_IN_A_ROW: Final = 3
_LINE: Final = 0.2
_LEGEND_CHARACTERS: Final = 110


@dataclass(frozen=True, slots=True)
class _Box:
    """A state or a group and where it stands; y grows downwards."""

    state: Declared
    x: float
    y: float
    width: float
    height: float
    inside: tuple[_Box, ...]

    def all(self) -> Iterator[_Box]:
        yield self
        for box in self.inside:
            yield from box.all()


def write_svg(chart: Chart, path: Path) -> None:
    """Write the picture of *chart* to *path*; the same chart gives the same bytes.

    Raises:
        Unsupported: matplotlib is not installed.
    """
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError as error:
        raise Unsupported("a picture needs matplotlib: pip install 'apis-rules[draw]'") from error
    boxes, width, height = _rows(chart.states, 0, 0)
    entries = _entries(chart)
    lines = [line for number, text in entries for line in _wrapped(number, text)]
    full = max(height, _LINE * (len(lines) + 2))
    legend = _LEGEND_CHARACTERS * 0.085
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": chart.name, "font.family": "sans-serif"}):
        figure = Figure(figsize=(width + legend + 1, full + 1))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_xlim(-0.5, width + legend + 0.5)
        axes.set_ylim(full + 0.5, -0.5)
        axes.set_axis_off()
        placed = {b.state.name: b for box in boxes for b in box.all()}
        for box in placed.values():
            _draw_box(axes, box, initial=box.state.name == chart.initial.name)
        for (source, target), numbers in _arrows(chart).items():
            _draw_arrow(axes, placed[source], placed[target], numbers)
        for row, line in enumerate(lines):
            axes.text(width + 0.3, _LINE * (row + 1), line, fontsize=7, family="monospace", va="center")
        figure.savefig(path, format="svg", metadata={"Date": None})


def _rows(states: Sequence[Declared], x: float, y: float) -> tuple[list[_Box], float, float]:
    """Place *states* in rows from (x, y); return the boxes and the size of all."""
    boxes: list[_Box] = []
    right, top, in_row, row_height, row_x = 0.0, y, 0, 0.0, x
    for state in states:
        if in_row and (in_row == _IN_A_ROW or state.children):
            top, in_row, row_height, row_x = top + row_height + _GAP, 0, 0.0, x
        box = _place(state, row_x, top)
        boxes.append(box)
        row_x += box.width + _GAP
        row_height = max(row_height, box.height)
        right = max(right, row_x - _GAP - x)
        in_row = _IN_A_ROW if state.children else in_row + 1
    return boxes, right, top + row_height - y


def _place(state: Declared, x: float, y: float) -> _Box:
    if not state.children:
        return _Box(state, x, y, _WIDTH, _HEIGHT, ())
    inside, width, height = _rows(state.children, x + _PAD, y + _PAD + _TITLE)
    return _Box(state, x, y, width + 2 * _PAD, height + 2 * _PAD + _TITLE, tuple(inside))


def _draw_box(axes: Axes, box: _Box, *, initial: bool) -> None:
    from matplotlib.patches import FancyBboxPatch

    group = bool(box.state.children)
    axes.add_patch(
        FancyBboxPatch(
            (box.x, box.y), box.width, box.height, boxstyle="round,pad=0,rounding_size=0.15",
            facecolor="#f4f6f8" if group else "white", edgecolor="#52606d", linewidth=2.5 if box.state.final else 1,
            zorder=len(box.state.path),
        )
    )  # fmt: skip
    name = box.state.name + (" (initial)" if initial else "") + (" (final)" if box.state.final else "")
    middle = box.y + _PAD if group else box.y + box.height / 2
    axes.text(box.x + box.width / 2, middle, name, ha="center", va="center", fontsize=9, fontweight="bold", zorder=20)


def _draw_arrow(axes: Axes, source: _Box, target: _Box, numbers: Sequence[int]) -> None:
    from matplotlib.patches import FancyArrowPatch

    bend, colour = 0.1 + 0.04 * (numbers[0] % 5), f"C{numbers[0] % 10}"
    start, end = _edge_towards(source, target), _edge_towards(target, source)
    if source is target:
        start, end, bend = (source.x + 0.6, source.y), (source.x + 1.4, source.y), -0.8
    elif target in source.all():
        start = (end[0] + 0.8, source.y)
        end = (end[0], target.y)
    axes.add_patch(
        FancyArrowPatch(
            start, end, connectionstyle=f"arc3,rad={bend}", arrowstyle="-|>", mutation_scale=9, shrinkA=0, shrinkB=0,
            color=colour, linewidth=0.9, zorder=15,
        )
    )  # fmt: skip
    # The middle of a quadratic curve whose control point lies bend x distance beside the middle of its ends.
    dx, dy = end[0] - start[0], end[1] - start[1]
    x, y = (start[0] + end[0] - bend * dy) / 2, (start[1] + end[1] + bend * dx) / 2
    axes.text(
        x, y, ", ".join(map(str, numbers)), fontsize=7, ha="center", va="center", color=colour, zorder=25,
        bbox={"boxstyle": "round,pad=0.2", "facecolor": "white", "edgecolor": colour, "linewidth": 0.6},
    )  # fmt: skip


def _edge_towards(box: _Box, other: _Box) -> tuple[float, float]:
    """Return the point of *box*'s edge that looks towards the middle of *other*."""
    x, y = box.x + box.width / 2, box.y + box.height / 2
    dx, dy = other.x + other.width / 2 - x, other.y + other.height / 2 - y
    if dx == dy == 0:
        return x, box.y
    reach = min(box.width / 2 / abs(dx) if dx else 9e9, box.height / 2 / abs(dy) if dy else 9e9)
    return x + dx * reach, y + dy * reach


def _answers(chart: Chart) -> list[tuple[Declared, str, Answer]]:
    return [(s, event, a) for s in chart.declared for event, answers in s.answers.items() for a in answers]


def _arrows(chart: Chart) -> dict[tuple[str, str], list[int]]:
    """Return (from, to) → the numbers of the transitions that lead this way."""
    arrows: dict[tuple[str, str], list[int]] = {}
    for number, (state, _, answer) in enumerate(_answers(chart), 1):
        if answer.target is not None:
            arrows.setdefault((state.name, answer.target), []).append(number)
    return arrows


def _entries(chart: Chart) -> list[tuple[str, str]]:
    """Return what stands beside the picture: each transition by its number, and what is done on entering."""
    entries = [
        (str(number), f"{state.name}: {event}{_guard(answer)}{_done(answer)} → {answer.target or '(stays)'}")
        for number, (state, event, answer) in enumerate(_answers(chart), 1)
    ]
    entering = [(">", f"{s.name}: enter / {', '.join(map(str, s.entry))}") for s in chart.declared if s.entry]
    return [*entering, *entries]


def _guard(answer: Answer) -> str:
    return f" [{answer.guard.text}]" if answer.guard else ""


def _done(answer: Answer) -> str:
    return f" / {', '.join(map(str, answer.effects))}" if answer.effects else ""


def _wrapped(number: str, text: str) -> list[str]:
    first, *more = textwrap.wrap(text, _LEGEND_CHARACTERS - 4)
    return [f"{number} {first}", *(f"\N{NO-BREAK SPACE}\N{NO-BREAK SPACE}{line}" for line in more)]
