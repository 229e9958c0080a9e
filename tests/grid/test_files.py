"""Files of the modelled grid: topologies, tables, scripts; and what is said about broken ones."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING

import numpy as np
import pytest

from apis_rules.errors import InputError
from apis_rules.grid.faults import FaultKind
from apis_rules.grid.files import LOAD_TABLE, SOLAR_TABLE, load_faults, load_houses, load_topology
from apis_rules.grid.houses import HouseSettings
from apis_rules.grid.model import Grid
from apis_rules.grid.settings import community

if TYPE_CHECKING:
    from pathlib import Path


def _tables(folder: Path, *, solar: str | None = None, load: str | None = None) -> Path:
    sunny = "\n".join(",".join(str(100 * h + day) for h in range(24)) for day in range(365))
    rows = ["row,customer,c2,c3,c4,c5," + ",".join(f"h{k}" for k in range(48))]
    for household in (1, 2):
        for day in range(365):
            cells = [str(household + k / 1000) if k % 2 == 0 else "9" for k in range(48)]
            rows.append(",".join([str(day), str(household), "0", "0", "0", "0", *cells]))
    (folder / SOLAR_TABLE).write_text(sunny if solar is None else solar)
    (folder / LOAD_TABLE).write_text("\n".join(rows) if load is None else load)
    return folder


def test_tables_of_the_existing_emulator_are_read(tmp_path: Path) -> None:
    """PV stands in W, load in kW at the full hours; the half hours are skipped; each household is one house."""
    houses = load_houses(_tables(tmp_path))
    assert (houses.pv_w.shape, houses.load_w.shape) == ((365, 24), (2, 365, 24))
    pv, load = houses.hours(date(2020, 1, 3), [HouseSettings()] * 3)
    assert pv[:, 0].tolist() == pv[:, 1].tolist() == [100.0 * h + 2 for h in range(24)]
    assert load[:, 1] == pytest.approx([2000.0 + 2 * h for h in range(24)])
    assert load[:, 2] == pytest.approx(load[:, 0])  # a third house takes the first household again


def test_a_house_follows_its_table_between_the_hours(tmp_path: Path) -> None:
    """Between full hours the values are linear, over midnight too, and a leap year's last day has values."""
    houses = load_houses(_tables(tmp_path))
    grid = Grid(community(2, houses=houses, ideal_sensors=True, start=datetime(2020, 1, 1, 8)))  # noqa: DTZ001  no zone
    grid.advance(1800.0)  # half past eight
    assert grid.unit("E001").load_w == pytest.approx(1017.0, abs=0.01)
    grid = Grid(community(2, houses=houses, ideal_sensors=True, start=datetime(2020, 1, 1, 23)))  # noqa: DTZ001
    grid.advance(2700.0)  # a quarter to midnight
    assert grid.unit("E001").load_w == pytest.approx(1046.0 - 0.75 * 46.0, abs=0.1)
    assert houses.hours(date(2020, 12, 31), [HouseSettings()])[0][0, 0] == 0.0


@pytest.mark.parametrize(
    ("solar", "load", "words"),
    [
        ("", None, ["AR105"]),
        ("1,2,3", None, [":1:0: AR171", "in column 4 there is nothing"]),
        (",".join(["x"] * 24), None, ["'x' is no number"]),
        (",".join(["-5"] * 24), None, ["'-5' is no number of at least 0"]),
        (None, "head\n1,2,3", [":2:0: AR171", "column 7"]),
        (None, "head", ["the table has no household"]),
        ("1,2", "head\n1,x", ["sample_solar", "sample_load"]),
    ],
)
def test_broken_tables_are_named_with_line_and_column(
    tmp_path: Path, solar: str | None, load: str | None, words: list[str]
) -> None:
    """Every mistake of both files is shown, with its line."""
    with pytest.raises(InputError) as caught:
        load_houses(_tables(tmp_path, solar=solar, load=load))
    for word in words:
        assert word in str(caught.value)


def test_households_of_different_length_are_refused(tmp_path: Path) -> None:
    """A household that lacks days is said, since its house would have no load then."""
    folder = _tables(tmp_path)
    rows = (folder / LOAD_TABLE).read_text().splitlines()
    (folder / LOAD_TABLE).write_text("\n".join(rows[:-5]))
    with pytest.raises(InputError, match="360 to 365 days"):
        load_houses(folder)


def test_a_topology_is_read(tmp_path: Path) -> None:
    """Lines with what they are made of, units at their nodes, the rest by default."""
    path = tmp_path / "grid.yaml"
    path.write_text(
        "lines:\n- {from: A, to: B, resistanceOhm: 0.4, capacityA: 5}\n- {from: B, to: C}\nunits: {E001: C}\n"
    )
    topology = load_topology(path)
    assert [(line.name, line.resistance_ohm, line.capacity_a) for line in topology.lines] == [
        ("A-B", 0.4, 5.0),
        ("B-C", 0.2, 10.0),
    ]
    assert topology.places(["E001", "E002", "E003", "E004"]) == {"E001": "C", "E002": "A", "E003": "B", "E004": "A"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("lines: [{from: A, to: A}]", ["AR170", "from A to itself"]),
        ("lines: [{from: A, to: B}, {from: B, to: A}]", ["A", "joined twice"]),
        ("lines: [{from: A, to: B}, {from: C, to: D}]", ["no line leads from the first node to C, D"]),
        ("lines: [{from: A, to: B, resistanceOhm: 0}]", [":1:", "greater than 0"]),
        ("lines: [{from: A}]", ["lines.0.to is missing"]),
        ("lines: []", ["at least 1"]),
        ("lines: [{from: A, to: B}]\nunits: {E001: Z}", [":2:", "node Z of E001"]),
        ("nodes: 3", ["nodes is no key of this", "lines is missing"]),
        ("A to B", ["an object with keys was expected"]),
        ("lines: {from: A, to: B}", ["lines: a list was expected"]),
    ],
)
def test_a_wrong_topology_is_explained(tmp_path: Path, text: str, words: list[str]) -> None:
    """What is wrong is said, at its place."""
    path = tmp_path / "grid.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        load_topology(path)
    for word in words:
        assert word in str(caught.value)


def test_a_script_of_faults_is_read_and_checked(tmp_path: Path) -> None:
    """Complete entries are taken; incomplete ones and such for what is not there are shown all at once."""
    path = tmp_path / "faults.yaml"
    path.write_text("- {kind: trip, unit: E001, afterS: 5}\n- {kind: line_capacity, line: E001-E002, value: 1}\n")
    settings = community(2)
    faults = load_faults(path, settings)
    assert [(f.kind, f.after_s, f.value) for f in faults] == [
        (FaultKind.TRIP, 5.0, None),
        (FaultKind.LINE_CAPACITY, 0.0, 1.0),
    ]
    path.write_text("- {kind: trip}\n- {kind: slow, unit: E001}\n")
    with pytest.raises(InputError) as caught:
        load_faults(path, settings)
    assert [(d.code, d.location.line) for d in caught.value.diagnostics] == [("AR172", 1), ("AR172", 2)]
    path.write_text("- {kind: trip, unit: E009}\n- {kind: line_open, line: E002-E001}\n")
    with pytest.raises(InputError) as caught:
        load_faults(path, settings)
    assert [(d.code, d.location.line) for d in caught.value.diagnostics] == [("AR173", 1), ("AR173", 2)]
    assert "there are E001-E002" in str(caught.value)


def test_no_value_of_a_table_is_lost() -> None:
    """A table of one household gives every hour of the year as it stands."""
    from apis_rules.grid.houses import TableHouses

    draw = np.random.default_rng(1)
    pv, load = draw.uniform(0, 3000, (365, 24)), draw.uniform(0, 2000, (1, 365, 24))
    houses = TableHouses(pv, load)
    for day in range(365):
        found = houses.hours(date.fromordinal(date(2021, 1, 1).toordinal() + day), [HouseSettings()])
        assert found[0][:, 0].tolist() == pv[day].tolist()
        assert found[1][:, 0].tolist() == load[0, day].tolist()
