"""Everything that a simulation leaves, as CSV: what ``--out`` holds."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any, Final

from apis_rules.compose.simulation.invariants import plain
from apis_rules.compose.simulation.outcome import TIME_FORMAT
from apis_rules.ports.types import DealRecord, ErrorEvent

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from apis_rules.compose.simulation.outcome import GridSample, Outcome, UnitSample

DEALS: Final = "deals.csv"
UNITS: Final = "units.csv"
GRID: Final = "grid.csv"
ERRORS: Final = "errors.csv"
FAULTS: Final = "faults.json"
VIOLATIONS: Final = "violations.csv"

_NESTED: Final = ("abort", "reset", "testFeature")
"""Lists and objects of a record stand in their cell as JSON."""


def write_books(folder: Path, outcome: Outcome) -> tuple[Path, ...]:
    """Write all files into *folder*, which is made where it is not there; return their paths.

    ``faults.json`` is the script of what really began, random faults drawn: with it the same can be had once more.
    """
    folder.mkdir(parents=True, exist_ok=True)
    deals = [record.to_document() for record in outcome.deals]
    for deal in deals:
        deal.update({key: json.dumps(deal[key]) for key in _NESTED if key in deal})
    tables: dict[str, tuple[Sequence[str], Iterable[Mapping[str, Any]]]] = {
        DEALS: (_keys(DealRecord), deals),
        UNITS: (tuple(_unit_row(outcome.units[0])), map(_unit_row, outcome.units)),
        GRID: (tuple(_grid_row(outcome.grid[0])), map(_grid_row, outcome.grid)),
        ERRORS: (_keys(ErrorEvent), [_error_row(event) for event in outcome.errors]),
        VIOLATIONS: (("unitTimeS", "loopS", "what"), plain(outcome.violations)),
    }
    for name, (columns, rows) in tables.items():
        with (folder / name).open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    script = {"faults": [fault.to_document() for fault in outcome.setup.faults]}
    (folder / FAULTS).write_text(json.dumps(script, indent=1) + "\n", encoding="utf-8")
    return tuple(folder / name for name in (*tables, FAULTS))


def _keys(model: type[DealRecord] | type[ErrorEvent]) -> tuple[str, ...]:
    return tuple(field.alias or name for name, field in model.model_fields.items())


def _unit_row(sample: UnitSample) -> dict[str, Any]:
    return {
        "time": sample.time.strftime(TIME_FORMAT),
        "unitId": sample.unit_id,
        "node": sample.node,
        "mode": sample.mode,
        "rsoc": round(sample.rsoc_percent, 3),
        "gridVoltageV": round(sample.grid_voltage_v, 2),
        "gridCurrentA": round(sample.grid_current_a, 3),
        "pvW": round(sample.pv_w, 1),
        "loadW": round(sample.load_w, 1),
        "mainsW": round(sample.mains_w, 1),
        "deals": sample.deals,
        "alarm": sample.alarm,
    }


def _grid_row(sample: GridSample) -> dict[str, Any]:
    return {
        "time": sample.time.strftime(TIME_FORMAT),
        "state": sample.state,
        "holder": sample.holder,
        "gridMaster": sample.master,
        "mode": sample.mode,
        "voltageV": round(sample.voltage_v, 2),
        "deals": sample.deals,
        "exchangedWh": round(sample.exchanged_wh, 3),
    }


def _error_row(event: ErrorEvent) -> dict[str, Any]:
    row = event.to_document()
    if "epoch" in row:
        row["epoch"] = row["epoch"]["number"]
    return row
