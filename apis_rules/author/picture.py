"""The picture of a scenario, as specification Fig. 6-1: requests and accepts over energy and time of day."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from apis_rules.author.arguments import refuse
from apis_rules.author.rows import plain
from apis_rules.decide.regions import Region, regions
from apis_rules.decide.scenario import DAY_S, Question
from apis_rules.errors import Unsupported
from apis_rules.ports.types.negotiation import Direction

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

    from apis_rules.decide.intent import CompiledScenario
    from apis_rules.decide.scenario import Offer

FORMATS: Final = (".png", ".svg")
_YELLOW: Final = "#ffc000"
_COLOURS: Final = {
    (Question.REQUEST, Direction.DISCHARGE): "#4472c4",
    (Question.REQUEST, Direction.CHARGE): _YELLOW,
    (Question.ACCEPT_DISCHARGE, Direction.DISCHARGE): "#548235",
    (Question.ACCEPT_CHARGE, Direction.CHARGE): "#c55a11",
}
_INK: Final = "#262626"
_GREY: Final = "#8c8c8c"
_BANDS: Final = ("#f2f2f2", "#e2e2e2")
_SIZE_INCHES: Final = (12.0, 7.0)
_POINTS_PER_INCH: Final = 72
_FONTS: Final = (9.0, 7.5, 6.0)
_WIDTH_OF_LETTER: Final = 0.58
"""Of the font's size, on average; text is placed before it is drawn, so it has to be guessed."""
_NEAR: Final = 0.028
"""Two labels of the energy axis nearer than this share of the battery would touch."""


@dataclass(frozen=True, slots=True)
class Block:
    """A rectangle of one colour: seconds of the day by Wh."""

    from_s: float
    to_s: float
    from_wh: float
    to_wh: float
    question: Question
    offer: Offer

    @property
    def label(self) -> list[str]:
        """What is written in it, the most important line first."""
        offer = self.offer
        towards = "up to" if offer.direction is Direction.CHARGE else "down to"
        lines = [offer.direction.capitalize(), f"{towards} {offer.limit_wh} Wh"]
        if offer.point_per_wh is not None:
            lines.append(f"{plain(offer.point_per_wh)} points/Wh")
        if offer.pair_unit_id is not None:
            lines.append(f"only with {offer.pair_unit_id}")
        return lines


def draw_scenario(scenario: CompiledScenario, nominal_wh: int, title: str, path: Path) -> None:
    """Write the picture of *scenario* for a battery of *nominal_wh* to a PNG or SVG file.

    Raises:
        Unsupported: matplotlib (extra ``plot``) is missing.
        InputError: the name ends in neither, or cannot be written.
    """
    if path.suffix.lower() not in FORMATS:
        refuse("--plot", f"{path} is no name of a picture", "it ends in .png or .svg")
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError as error:
        raise Unsupported("pictures need matplotlib: pip install 'apis-rules[plot]'") from error
    parts = list(regions(scenario, nominal_wh))
    # The same scenario gives the same file, so that pictures can be kept under version control.
    with mpl.rc_context({"svg.hashsalt": "apis-rules", "svg.fonttype": "none", "font.family": "DejaVu Sans"}):
        figure = Figure(figsize=_SIZE_INCHES)
        # Fixed margins: a layout that is solved differs in the last digits from run to run, and with it the SVG.
        left = 0.115 + _DIGIT * max(0, len(str(nominal_wh)) - 4)
        figure.subplots_adjust(left=left, right=0.985, top=0.885, bottom=0.085, wspace=0.1)
        panels = _panels(parts)
        columns = figure.subplots(1, 1 + len(panels), sharey=True, width_ratios=(1.2, *(4,) * len(panels)))
        axes = dict(zip(["Status", *panels], columns, strict=True))
        levels = _levels(parts, nominal_wh)
        for heading, panel in axes.items():
            panel.set_title(heading, fontsize=13, fontweight="bold", color=_INK)
            _frame(panel, nominal_wh, hours=12 if heading == "Status" else 6)
            for level in levels:
                panel.axhline(level, color=_GREY, linewidth=0.8, linestyle=(0, (5, 4)), zorder=0.5)
        _draw_statuses(axes["Status"], parts, nominal_wh)
        for heading, questions in panels.items():
            _draw_blocks(axes[heading], blocks(parts, questions), nominal_wh)
        axes["Status"].set_yticks(levels, [_level(level, nominal_wh) for level in levels])
        figure.suptitle(
            f"{title}: what is requested and accepted, by energy in the battery and time of day", color=_INK
        )
        try:
            metadata = {"Date": None} if path.suffix.lower() == ".svg" else {"Software": None}
            figure.savefig(path, dpi=110, metadata=metadata)
        except OSError as error:
            refuse("--plot", f"{path} cannot be written: {error.strerror}")


def blocks(parts: Sequence[Region], questions: Sequence[Question]) -> list[Block]:
    """Return what is offered as rectangles; those of one offer that touch are one, as are those of equal offers."""
    found: list[Block] = []
    for question in questions:
        for part in parts:
            rule = part.rules.get(question)
            if rule is None or rule.offer is None:
                continue
            for span in part.seconds:
                block = Block(span.start, span.end, part.energies.start, part.energies.end, question, rule.offer)
                below = next((b for b in found if _under(b, block)), None)
                if below is None:
                    found.append(block)
                else:
                    found[found.index(below)] = replace(below, to_wh=block.to_wh)
    return found


def _panels(parts: Sequence[Region]) -> dict[str, tuple[Question, ...]]:
    """Return what is drawn beside what: accepts of both directions in one panel only where they nowhere overlap."""
    accepts = (Question.ACCEPT_CHARGE, Question.ACCEPT_DISCHARGE)
    if any(all(question in part.rules for question in accepts) for part in parts):
        return {
            "Request": (Question.REQUEST,),
            "Accept by charging": accepts[:1],
            "Accept by discharging": accepts[1:],
        }
    return {"Request": (Question.REQUEST,), "Accept": accepts}


def _under(low: Block, high: Block) -> bool:
    same_time = (low.from_s, low.to_s) == (high.from_s, high.to_s)
    return same_time and low.to_wh == high.from_wh and low.question == high.question and low.offer == high.offer


_DIGIT: Final = 0.0075
"""The width of a digit at an axis, as a part of the picture."""
_DIGIT_WIDE: Final = "\N{FIGURE SPACE}"
"""Keeps numbers below each other in a font whose spaces are narrower than its digits."""


def _level(level_wh: float, nominal_wh: int) -> str:
    percent = f"{round(100 * level_wh / nominal_wh, 1):>5g}".replace(" ", _DIGIT_WIDE)
    return f"{level_wh:.0f} Wh {percent} %"


def _frame(axes: Axes, nominal_wh: int, hours: int) -> None:
    axes.set_xlim(0, DAY_S)
    axes.set_ylim(0, nominal_wh)
    ticks = range(0, 25, hours)
    axes.set_xticks([hour * 3600 for hour in ticks], [f"{hour}h" for hour in ticks], fontsize=8, color=_INK)
    axes.set_xlabel("time of day", fontsize=8, color=_GREY)
    axes.tick_params(axis="y", length=0, labelcolor=_INK)
    for side in axes.spines.values():
        side.set_color("#d0d0d0")


def _levels(parts: Sequence[Region], nominal_wh: int) -> list[float]:
    """Return the energies to label: bounds of bands and limits, without those too close to another."""
    bounds = {part.energies.start for part in parts if any(q is not Question.STATUS for q in part.rules)}
    limits = {
        r.offer.limit_wh for p in parts for r in p.rules.values() if r.offer and 0 < r.offer.limit_wh < nominal_wh
    }
    levels: list[float] = [0, nominal_wh]
    for level in (*sorted(limits), *sorted(bounds - {b + 1 for b in limits})):
        if all(abs(level - other) >= _NEAR * nominal_wh for other in levels):
            levels.append(level)
    return sorted(levels)


def _draw_statuses(axes: Axes, parts: Sequence[Region], nominal_wh: int) -> None:
    spans = [(p.seconds, p.status, p.energies) for p in parts]
    runs = [
        (seconds, status, [energies for _, _, energies in group])
        for (seconds, status), group in itertools.groupby(spans, key=lambda s: (s[0], s[1]))
    ]
    for number, (seconds, status, energies) in enumerate(runs):
        for span in seconds:
            box = (span.start, span.end, energies[0].start, min(energies[-1].end, nominal_wh))
            colour = _BANDS[number % 2] if status is not None else "white"
            _rectangle(axes, box, facecolor=colour, hatch=None if status is not None else "xx", edgecolor="#d0d0d0")
            _write(axes, box, nominal_wh, [status if status is not None else "no band"], _INK)


def _draw_blocks(axes: Axes, drawn: Sequence[Block], nominal_wh: int) -> None:
    for block in drawn:
        box = (block.from_s, block.to_s, block.from_wh, min(block.to_wh, nominal_wh))
        colour = _COLOURS[block.question, block.offer.direction]
        _rectangle(axes, box, facecolor=colour, edgecolor="white")
        _write(axes, box, nominal_wh, block.label, _INK if colour == _YELLOW else "white")


def _rectangle(axes: Axes, box: tuple[float, float, float, float], **look: Any) -> None:
    from matplotlib.patches import Rectangle

    left, right, bottom, top = box
    axes.add_patch(Rectangle((left, bottom), right - left, top - bottom, linewidth=0.8, **look))


def _write(axes: Axes, box: tuple[float, float, float, float], nominal_wh: int, lines: Sequence[str], ink: str) -> None:
    """Write *lines* into *box*: below each other or in one line, smaller, turned, or as many of them as fit."""
    left, right, bottom, top = box
    width, height = axes.get_position().width, axes.get_position().height
    size = [side * _POINTS_PER_INCH for side in _SIZE_INCHES]
    across = (right - left) / DAY_S * width * size[0] * 0.94
    along = (top - bottom) / nominal_wh * height * size[1] * 0.94
    layouts = [list(lines), [" ".join(lines)], [" ".join(lines[:2])], [lines[0]]]
    for text, font, turned in itertools.product(layouts, _FONTS, (False, True)):
        long, high = max(map(len, text)) * font * _WIDTH_OF_LETTER, len(text) * font * 1.25
        room_long, room_high = (along, across) if turned else (across, along)
        if long <= room_long and high <= room_high:
            axes.text(
                (left + right) / 2,
                (bottom + top) / 2,
                "\n".join(text),
                color=ink,
                fontsize=font,
                rotation=90 if turned else 0,
                ha="center",
                va="center",
                linespacing=1.2,
                zorder=4,
            )
            return
