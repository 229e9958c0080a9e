"""The live view of a running community in a terminal, and the same as a table for ``status``.

Every column has its width, so that nothing moves while values change; 80 columns are enough.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.console import Group
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from rich.console import JustifyMethod, RenderableType

    from apis_rules.compose.overview import DealLine, Overview, UnitLine
    from apis_rules.ports.types import ErrorEvent

SHOWN_ERRORS: Final = 5
WIDTH: Final = 80

_LEFT: Final[JustifyMethod] = "left"
_RIGHT: Final[JustifyMethod] = "right"
_UNITS: Final = (
    ("unit", 6, _LEFT),
    ("converter", 17, _LEFT),
    ("state of charge", 15, _LEFT),
    ("Wh", 5, _RIGHT),
    ("grid V", 6, _RIGHT),
    ("grid A", 6, _RIGHT),
    ("deals", 5, _RIGHT),
    ("", 12, _LEFT),
)
_DEALS: Final = (
    ("deal", 8, _LEFT),
    ("from", 6, _LEFT),
    ("to", 6, _LEFT),
    ("state", 13, _LEFT),
    ("energy", 20, _LEFT),
    ("Wh", 11, _RIGHT),
    ("/Wh", 5, _RIGHT),
)


def draw(
    overview: Overview,
    errors: Iterable[ErrorEvent] = (),
    finished: int | None = None,
    quiet: Sequence[str] | None = None,
    ended: Collection[str] = (),
) -> RenderableType:
    """Return the whole picture: state, units, deals, what keeps the community from trading, errors.

    *finished*: how many deals are over, None where nobody counts. *quiet*: shown instead of the overview's own reasons.
    *ended*: units of which it is known that their node has ended.
    """
    reasons = list(overview.quiet if quiet is None else quiet)
    reasons += [f"waiting: {w}" for w in overview.waiting if w not in overview.quiet]
    reasons += [f"{u.unit_id} is excluded: {u.excluded}" for u in overview.units if u.excluded]
    parts: list[RenderableType] = [*_headlines(overview, finished), "", _units(overview.units, ended), ""]
    parts.append(draw_deals(overview.deals) if overview.deals else Text("no deal", style="dim"))
    shown = list(errors)[-SHOWN_ERRORS:]
    if reasons or shown:
        parts.append("")
    parts += [_hanging("·", reason, "yellow") for reason in reasons]
    parts += [_error(event) for event in shown]
    return Group(*parts)


def _headlines(overview: Overview, finished: int | None) -> list[Text]:
    line = Text(no_wrap=True, overflow="ellipsis")
    line.append(overview.mode, style="bold green" if overview.mode == "autonomous" else "bold yellow")
    bus = {"dead": "no voltage", "held": f"voltage held by {overview.holder}"}.get(overview.bus)
    line.append(f" · {bus or f'voltage {overview.bus} ({overview.holder})'}")
    line.append(f" · Grid Master {overview.master or '-'}")
    present = [u for u in overview.units if u.present]
    parts = [f"{len(present)} of {len(overview.units)} units"]
    if overview.mean_remaining_wh is not None:
        parts.append(f"{overview.mean_remaining_wh:.0f} Wh on average")
    if finished is not None:
        parts.append(f"{finished} deal{'' if finished == 1 else 's'} done")
    return [line, Text(" · ".join(parts), no_wrap=True, overflow="ellipsis")]


def _units(units: Iterable[UnitLine], ended: Collection[str]) -> Table:
    table = _table(_UNITS)
    for unit in units:
        table.add_row(*_unit_row(unit, "has ended" if unit.unit_id in ended else "not heard of"))
    return table


def _unit_row(unit: UnitLine, absent: str) -> list[RenderableType]:
    if not unit.present:
        return [Text(unit.unit_id, style="dim"), Text(absent, style="dim"), *[""] * 5, _note(unit)]
    active = unit.mode not in (None, "wait")
    return [
        unit.unit_id,
        Text(unit.mode or "?", style="bold cyan" if active else ""),
        _charge(unit.rsoc_percent),
        _number(unit.remaining_wh, "d"),
        _number(unit.grid_voltage_v, ".1f"),
        _number(unit.grid_current_a, ".2f"),
        str(unit.deals or ""),
        _note(unit),
    ]


def _charge(percent: float | None) -> RenderableType:
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(width=10)
    grid.add_column(width=4, justify="right")
    grid.add_row(_bar((percent or 0) / 100, 10), "-" if percent is None else f"{percent:.0f}%")
    return grid


def _note(unit: UnitLine) -> Text:
    """Return the one word that matters most about a unit beside its converter."""
    if unit.excluded is not None:
        return Text("excluded", style="bold red")
    if unit.trouble:
        return Text("degraded", style="bold red")
    if unit.operation_mode not in (None, "autonomous"):
        return Text(unit.operation_mode or "", style="yellow")
    return Text("Grid Master" if unit.is_master else "", style="green")


def draw_deals(deals: Iterable[DealLine]) -> Table:
    """Return a table of deals that are not over."""
    table = _table(_DEALS)
    for deal in deals:
        table.add_row(
            deal.deal_id[:8],
            deal.discharge_unit_id,
            deal.charge_unit_id,
            deal.state,
            _bar(deal.share, 20),
            f"{deal.amount_wh:.1f}/{deal.deal_amount_wh}",
            _number(deal.point_per_wh, "g"),
        )
    return table


def _error(event: ErrorEvent) -> RenderableType:
    style = "yellow" if str(event.level) == "WARN" else "red"
    return _hanging(event.date_time[11:], f"{event.kind} {event.unit_id}: {event.message}", style)


def _hanging(lead: str, text: str, style: str) -> RenderableType:
    """Return *text* with its further lines under its first."""
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(width=len(lead))
    grid.add_column()
    grid.add_row(Text(lead, style="dim"), Text(text, style=style))
    return Padding(grid, 0, expand=False)


def _table(columns: Sequence[tuple[str, int, JustifyMethod]]) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="dim")
    for title, width, justify in columns:
        table.add_column(title, width=width, justify=justify, no_wrap=True, overflow="ellipsis")
    return table


def _bar(share: float, width: int) -> ProgressBar:
    return ProgressBar(total=1.0, completed=share, width=width, complete_style="green", finished_style="green")


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
