"""What a simulation adds up to, as a table for people and as values for programs."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from apis_rules.compose.simulation.invariants import plain
from apis_rules.compose.simulation.outcome import self_sufficiency

if TYPE_CHECKING:
    from apis_rules.compose.simulation.outcome import Outcome, UnitBalance

COLUMNS: Final = (
    ("unit", "unit"),
    ("sunKwh", "sun"),
    ("loadKwh", "load"),
    ("mainsKwh", "mains"),
    ("mainsAloneKwh", "alone"),
    ("givenKwh", "given"),
    ("takenKwh", "taken"),
    ("deals", "deals"),
    ("chargePercent", "charge %"),
    ("chargeAlonePercent", "alone %"),
    ("selfSufficiencyPercent", "self-suff. %"),
    ("selfSufficiencyAlonePercent", "alone %"),
)
"""Key of a row → its head in the table. Energies are in kWh; *alone* is the same house without sharing."""


def sum_up_simulation(outcome: Outcome) -> dict[str, Any]:
    """Return everything that the table shows, with the keys of ``COLUMNS`` for each unit and for all together."""
    ended = Counter("aborted" if record.abort_reason else "fulfilled" for record in outcome.deals)
    setup = outcome.setup
    return {
        "units": len(outcome.balances),
        "days": round(setup.days, 4),
        "seed": setup.seed,
        "accelerate": setup.acceleration,
        "deals": {"fulfilled": ended["fulfilled"], "aborted": ended["aborted"]},
        "bookedKwh": _kwh(sum(record.cumulate_amount_wh or 0.0 for record in outcome.deals)),
        "faults": len(outcome.happened),
        "errors": dict(sorted(Counter(str(e.level) for e in outcome.errors).items())),
        "violations": plain(outcome.violations),
        "rested": outcome.rested,
        "rows": [*map(_row, outcome.balances), _total(outcome.balances)],
    }


def table(summary: dict[str, Any]) -> str:
    """Write *summary* for people."""
    deals, errors = summary["deals"], summary["errors"]
    told = ", ".join(f"{count} {level}" for level, count in errors.items()) or "none"
    lines = [
        f"{summary['units']} units, days: {summary['days']:g}, seed {summary['seed']}, "
        f"{summary['accelerate']:g} seconds of the units' clock per second of the nodes",
        f"deals: {deals['fulfilled']} fulfilled, {deals['aborted']} aborted; {summary['bookedKwh']:g} kWh booked",
        f"faults: {summary['faults']}; errors: {told}",
        "",
    ]
    rows = [[_cell(key, row[key]) for key, _ in COLUMNS] for row in summary["rows"]]
    heads = [head for _, head in COLUMNS]
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    lines += [
        "  ".join(cell.rjust(width) if number else cell.ljust(width) for number, (cell, width) in enumerate(pairs))
        for pairs in (list(zip(row, widths, strict=True)) for row in (heads, *rows))
    ]
    lines += ["", "energies in kWh; alone: the same houses without sharing"]
    lines += [f"VIOLATED after {found['unitTimeS']:g} s: {found['what']}" for found in summary["violations"]]
    if not summary["rested"]:
        lines.append("NOT AT REST at the end")
    return "\n".join(lines)


def _row(balance: UnitBalance) -> dict[str, Any]:
    shared, alone = balance.shared, balance.alone
    return {
        "unit": balance.unit_id,
        "sunKwh": _kwh(shared.pv_wh),
        "loadKwh": _kwh(shared.load_wh),
        "mainsKwh": _kwh(shared.mains_wh),
        "mainsAloneKwh": _kwh(alone.mains_wh),
        "givenKwh": _kwh(shared.grid_out_wh),
        "takenKwh": _kwh(shared.grid_in_wh),
        "deals": balance.deals,
        "chargePercent": round(balance.rsoc_percent, 1),
        "chargeAlonePercent": round(balance.rsoc_alone_percent, 1),
        "selfSufficiencyPercent": _percent(self_sufficiency(shared)),
        "selfSufficiencyAlonePercent": _percent(self_sufficiency(alone)),
    }


def _total(balances: tuple[UnitBalance, ...]) -> dict[str, Any]:
    rows = [_row(balance) for balance in balances]
    summed = ("sunKwh", "loadKwh", "mainsKwh", "mainsAloneKwh", "givenKwh", "takenKwh")
    used = [
        (sum(e.load_wh + e.supply_loss_wh for e in energies), sum(e.mains_wh for e in energies))
        for energies in ([b.shared for b in balances], [b.alone for b in balances])
    ]
    with_sharing, alone = ((1.0 - mains / use) if use else 1.0 for use, mains in used)
    return {
        "unit": "all",
        **{key: round(sum(row[key] for row in rows), 2) for key in summed},
        "deals": sum(row["deals"] for row in rows) // 2,
        "chargePercent": round(sum(row["chargePercent"] for row in rows) / len(rows), 1),
        "chargeAlonePercent": round(sum(row["chargeAlonePercent"] for row in rows) / len(rows), 1),
        "selfSufficiencyPercent": _percent(with_sharing),
        "selfSufficiencyAlonePercent": _percent(alone),
    }


def _kwh(wh: float) -> float:
    return round(wh / 1000.0, 2)


def _percent(share: float) -> float:
    return round(100.0 * share, 1)


def _cell(key: str, value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.1f}" if key.endswith("Percent") else f"{value:.2f}"
    return str(value)
