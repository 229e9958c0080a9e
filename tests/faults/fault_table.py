"""Prints the fault table of a running community: fault, reaction, error, how soon it is told and safe, lost records.

::

    python -m tests.faults.fault_table                     # real processes over HTTP and NATS, about 20 minutes
    python -m tests.faults.fault_table 'current leak'      # some rows
    python -m tests.faults.fault_table --simulated         # the same rows in virtual time, about 2 minutes
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from apis_rules.ports.virtual_time import run_virtual
from tests.faults.places import real, simulated
from tests.faults.rows import ROWS, run_row

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.faults.rows import Result, Row

HEADINGS = ("fault", "reaction", "error", "told s", "safe s", "trades s", "lost")
WIDTHS = (30, 41, 18, 7, 30, 10, 5)


async def try_simulated(row: Row) -> Result:
    """Try one row in virtual time."""
    async with simulated(_policy(row)) as place:
        return await run_row(row, place)


async def try_real(row: Row, folder: Path) -> Result:
    """Try one row with real processes."""
    async with real(folder, _policy(row), apart=row.apart, supervised=row.supervised or not row.apart) as place:
        return await run_row(row, place)


def _policy(row: Row) -> dict[str, object]:
    return {**row.policy, **({"operationMode": "heteronomous"} if row.before_deals else {})}


class Table:
    """Prints each row when it is done, and counts those that do not hold."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = rows
        self.failed = 0
        self._print(HEADINGS)
        self._print(["-" * (width - 2) for width in WIDTHS])

    def simulated(self) -> None:
        for row in self.rows:
            try:
                self._print(run_virtual(try_simulated(row)).cells)
            except AssertionError as error:
                self._fail(row, error)

    async def real(self, folder: Path, side_by_side: int) -> None:
        places = asyncio.Semaphore(side_by_side)

        async def attempt(row: Row) -> None:
            async with places:
                try:
                    self._print((await try_real(row, folder / row.fault.replace(" ", "-"))).cells)
                except AssertionError as error:
                    self._fail(row, error)

        await asyncio.gather(*(attempt(row) for row in self.rows))

    def tell_end(self) -> None:
        self._print((f"{len(self.rows) - self.failed} of {len(self.rows)} faults hold",))

    def _fail(self, row: Row, error: AssertionError) -> None:
        self.failed += 1
        self._print((row.fault, f"DOES NOT HOLD: {error}"))

    def _print(self, cells: Sequence[str]) -> None:
        sys.stdout.write("".join(c.ljust(w) for c, w in zip(cells, WIDTHS, strict=False)).rstrip() + "\n")
        sys.stdout.flush()


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("faults", nargs="*", metavar="FAULT", help="as it stands in the table, or a part of it")
    parser.add_argument("--simulated", action="store_true")
    parser.add_argument("--side-by-side", type=int, default=1, metavar="N", help="so many communities at a time")
    args = parser.parse_args()
    logging.disable(logging.CRITICAL)
    rows = [row for row in ROWS if not args.faults or any(word in row.fault for word in args.faults)]
    table = Table([row for row in rows if not (args.simulated and row.supervised)])
    if args.simulated:
        table.simulated()
    else:
        with tempfile.TemporaryDirectory(prefix="apis-rules-faults-") as folder:
            asyncio.run(table.real(Path(folder), args.side_by_side))
    table.tell_end()
    return min(1, table.failed)


if __name__ == "__main__":
    sys.exit(main())
