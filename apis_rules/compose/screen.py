"""The live view of a running community in a terminal, and the same as a table for ``status``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import RenderableType

    from apis_rules.compose.overview import DealLine, Overview, UnitLine
    from apis_rules.ports.types import ErrorEvent

SHOWN_ERRORS = 5


def draw(overview: Overview, errors: Iterable[ErrorEvent] = (), finished: int | None = None) -> RenderableType:
    """Return the whole picture: state, units, deals, errors."""
    parts: list[RenderableType] = [_headline(overview, finished), _units(overview.units)]
    if overview.deals:
        parts.append(draw_deals(overview.deals))
    parts += [Text(f"· {sentence}", style="yellow") for sentence in overview.quiet]
    parts += [Text(f"· waiting: {w}", style="yellow") for w in overview.waiting if w not in overview.quiet]
    for event in list(errors)[-SHOWN_ERRORS:]:
        style = "yellow" if str(event.level) == "WARN" else "red"
        parts.append(Text(f"{event.date_time} {event.kind} {event.unit_id}: {event.message}", style=style))
    return Group(*parts)


def _headline(overview: Overview, finished: int | None) -> Text:
    present = [u for u in overview.units if u.present]
    line = Text()
    line.append(f"{overview.mode}", style="bold green" if overview.mode == "autonomous" else "bold yellow")
    bus = {"dead": "no voltage", "held": f"voltage held by {overview.holder}"}.get(overview.bus)
    line.append(f" · {bus or f'{overview.bus} ({overview.holder})'}")
    line.append(f" · Grid Master {overview.master or '-'}")
    line.append(f" · {len(present)} of {len(overview.units)} units")
    if overview.mean_remaining_wh is not None:
        line.append(f" · {overview.mean_remaining_wh:.0f} Wh on average")
    if finished is not None:
        line.append(f" · {finished} deals done")
    return line


def _units(units: Iterable[UnitLine]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("unit", "converter", "charge"):
        table.add_column(title)
    for title in ("%", "Wh", "grid V", "grid A", "deals"):
        table.add_column(title, justify="right")
    table.add_column("")
    for unit in units:
        table.add_row(*_unit_row(unit))
    return table


def _unit_row(unit: UnitLine) -> list[RenderableType]:
    if not unit.present:
        return [Text(unit.unit_id, style="dim"), Text("not running", style="dim"), *[""] * 6, _notes(unit)]
    active = unit.mode not in (None, "wait")
    return [
        unit.unit_id,
        Text(unit.mode or "?", style="bold cyan" if active else ""),
        ProgressBar(total=100, completed=unit.rsoc_percent or 0, width=12),
        _number(unit.rsoc_percent, ".0f"),
        _number(unit.remaining_wh, "d"),
        _number(unit.grid_voltage_v, ".1f"),
        _number(unit.grid_current_a, ".2f"),
        str(unit.deals or ""),
        _notes(unit),
    ]


def _notes(unit: UnitLine) -> Text:
    notes = [
        word
        for holds, word in (
            (unit.holds_voltage, "holds the voltage"),
            (unit.is_master, "Grid Master"),
            (unit.operation_mode not in (None, "autonomous"), unit.operation_mode or ""),
            (unit.excluded is not None, f"excluded: {unit.excluded}"),
        )
        if holds
    ]
    return Text(", ".join(notes), style="green")


def draw_deals(deals: Iterable[DealLine]) -> Table:
    """Return a table of deals that are not over."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in ("deal", "from", "to", "state", "", "Wh", "points"):
        table.add_column(title)
    for deal in deals:
        table.add_row(
            deal.deal_id[:8],
            deal.discharge_unit_id,
            deal.charge_unit_id,
            deal.state,
            ProgressBar(total=1.0, completed=deal.share, width=20),
            f"{deal.amount_wh:.1f}/{deal.deal_amount_wh}",
            _number(deal.point_per_wh, "g"),
        )
    return table


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
