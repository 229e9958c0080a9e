"""The fault table in virtual time; with real processes it is ``python -m tests.faults.fault_table``."""

from __future__ import annotations

import pytest

from apis_rules.ports.virtual_time import run_virtual
from tests.faults.fault_table import try_simulated
from tests.faults.rows import ROWS, Row

ALWAYS = ("heavy alarm", "lost driver")
OTHERS = [row for row in ROWS if row.fault not in ALWAYS and not row.supervised]


@pytest.mark.parametrize("row", [r for r in ROWS if r.fault in ALWAYS], ids=lambda row: row.fault)
def test_a_row_of_the_table(row: Row) -> None:
    """What is declared happens in time, the rest goes on, they trade again when it is mended, and no record is lost."""
    assert run_virtual(try_simulated(row)).lost == 0


@pytest.mark.campaign
@pytest.mark.parametrize(
    "row", [r for r in ROWS if r.fault not in ALWAYS and not r.supervised], ids=lambda row: row.fault
)
def test_the_other_rows(row: Row) -> None:
    """The same for every other fault."""
    assert run_virtual(try_simulated(row)).lost == 0
