"""Files that describe a modelled grid: a topology, tables of load and sunshine, a script of faults.

Every ``load_`` raises ``InputError`` with all that is wrong, each at its place.
"""

from __future__ import annotations

import csv
import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from apis_rules.documents.diagnostics import Findings, Location
from apis_rules.documents.load import load_document
from apis_rules.documents.source import read_text
from apis_rules.errors import InputError
from apis_rules.grid.faults import Fault
from apis_rules.grid.houses import TableHouses
from apis_rules.grid.topology import LINE_CAPACITY_A, LINE_OHM, Line, Topology
from apis_rules.grid.wording import sentence
from apis_rules.ports.types.model import WireModel

if TYPE_CHECKING:
    from pathlib import Path

    from apis_rules.documents.document import Document
    from apis_rules.grid.network import Floats
    from apis_rules.grid.settings import GridSettings

SOLAR_TABLE: Final = "sample_solar_data.csv"
LOAD_TABLE: Final = "sample_load_data.csv"
_LIMIT_BYTES: Final = 200_000_000  # a year of a hundred households is ten million
_LOAD_COLUMNS: Final = tuple(range(6, 54, 2))


class _LineEntry(WireModel):
    model_config = ConfigDict(extra="forbid")

    start: str = Field(alias="from", min_length=1)
    end: str = Field(alias="to", min_length=1)
    resistance_ohm: float = Field(default=LINE_OHM, gt=0)
    capacity_a: float = Field(default=LINE_CAPACITY_A, gt=0)


class _TopologyFile(WireModel):
    model_config = ConfigDict(extra="forbid")

    lines: tuple[_LineEntry, ...] = Field(min_length=1)
    units: dict[str, str] = Field(default_factory=dict)


def load_topology(path: Path) -> Topology:
    """Read which lines join which nodes (AR170)."""
    findings = Findings()
    document = load_document(path, findings)
    entries = _validated(TypeAdapter(_TopologyFile), document, findings, "AR170")
    if entries is not None:
        _check_lines(entries, document, findings)
    if entries is None or findings.failed:
        raise InputError(findings.sorted())
    lines = (Line(e.start, e.end, e.resistance_ohm, e.capacity_a) for e in entries.lines)
    return Topology.of_lines(lines, entries.units)


def load_faults(path: Path, settings: GridSettings) -> tuple[Fault, ...]:
    """Read a script of faults for the grid of *settings* (AR172, AR173)."""
    findings = Findings()
    document = load_document(path, findings)
    faults: tuple[Fault, ...] | None = _validated(TypeAdapter(tuple[Fault, ...]), document, findings, "AR172")
    known = {
        "unit": {u.unit_id for u in settings.units},
        "line": {line.name for line in settings.topology.lines},
    }
    for number, fault in enumerate(faults or ()):
        for what, names in known.items():
            name = getattr(fault, what)
            if name is not None and name not in names:
                hint = f"there are {', '.join(sorted(names))}" if names else ""
                findings.error(document.location((number, what)), "AR173", f"there is no {what} {name!r}", hint)
    if faults is None or findings.failed:
        raise InputError(findings.sorted())
    return faults


def load_houses(folder: Path) -> TableHouses:
    """Read the tables of the existing emulator: ``sample_solar_data.csv`` and ``sample_load_data.csv`` (AR171)."""
    findings = Findings()
    pv_w = _load_solar(folder / SOLAR_TABLE, findings)
    load_w = _load_loads(folder / LOAD_TABLE, findings)
    if pv_w is None or load_w is None or findings.failed:
        raise InputError(findings.sorted())
    return TableHouses(pv_w, load_w)


def _validated(adapter: TypeAdapter[Any], document: Document, findings: Findings, code: str) -> Any:
    try:
        return adapter.validate_python(document.value)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            findings.error(document.location(tuple(detail["loc"])), code, sentence(detail))
        return None


def _check_lines(entries: _TopologyFile, document: Document, findings: Findings) -> None:
    joined: dict[frozenset[str], int] = {}
    reach: dict[str, set[str]] = {}
    for number, line in enumerate(entries.lines):
        place = document.location(("lines", number))
        ends = frozenset((line.start, line.end))
        if len(ends) == 1:
            findings.error(place, "AR170", f"a line from {line.start} to itself")
        elif ends in joined:
            findings.error(place, "AR170", f"{line.start} and {line.end} are joined twice")
        joined[ends] = number
        reach.setdefault(line.start, set()).add(line.end)
        reach.setdefault(line.end, set()).add(line.start)
    seen, waiting = set(), [entries.lines[0].start]
    while waiting:
        node = waiting.pop()
        if node not in seen:
            seen.add(node)
            waiting += reach[node]
    if apart := sorted(set(reach) - seen):
        findings.error(
            document.location(("lines",)), "AR170", f"no line leads from the first node to {', '.join(apart)}"
        )
    for unit_id, node in entries.units.items():
        if node not in reach:
            findings.error(
                document.location(("units", unit_id)), "AR170", f"no line leads to the node {node} of {unit_id}"
            )


def _load_solar(path: Path, findings: Findings) -> Floats | None:
    rows = [
        _numbers(path, line, row, range(24), findings)
        for line, row in enumerate(csv.reader(read_text(path, limit_bytes=_LIMIT_BYTES).splitlines()), start=1)
        if row
    ]
    if not rows:
        findings.error(Location(str(path)), "AR171", "the table is empty")
    return np.array(rows) if rows and all(rows) else None


def _load_loads(path: Path, findings: Findings) -> Floats | None:
    households: dict[int, list[list[float]]] = {}
    broken = False
    for line, row in enumerate(csv.reader(read_text(path, limit_bytes=_LIMIT_BYTES).splitlines()), start=1):
        if line == 1 or not row:
            continue
        number = _numbers(path, line, row, (1,), findings)
        values = _numbers(path, line, row, _LOAD_COLUMNS, findings)
        if not number or not values:
            broken = True
            continue
        households.setdefault(int(number[0]), []).append([1000.0 * kw for kw in values])
    days = {len(found) for found in households.values()}
    if broken or not households:
        if not broken:
            findings.error(Location(str(path)), "AR171", "the table has no household")
        return None
    if len(days) > 1:
        findings.error(
            Location(str(path)), "AR171", f"households have {min(days)} to {max(days)} days; all need the same"
        )
        return None
    return np.array([households[number] for number in sorted(households)])


def _numbers(path: Path, line: int, row: list[str], columns: Any, findings: Findings) -> list[float]:
    # The numbers of some columns of one row; none of them where one is missing or no number.
    values: list[float] = []
    for column in columns:
        text = row[column] if column < len(row) else ""
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value) or value < 0:
            found = f"{text!r} is no number of at least 0" if text else "there is nothing"
            findings.error(Location(str(path), line), "AR171", f"in column {column + 1} {found}")
            return []
        values.append(value)
    return values
