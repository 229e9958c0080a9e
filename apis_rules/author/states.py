"""Battery states to decide about: a CSV or JSONL file of any size, read in blocks, or a sweep over a whole battery.

Columns: ``remaining_wh`` or ``rsoc`` (percent), optionally ``time`` and ``unit_id``. An empty cell or ``null`` is an
unknown value. With polars a CSV is read about ten times as fast; the answers are the same.
"""

from __future__ import annotations

import codecs
import contextlib
import csv
import difflib
import importlib.util
import io
import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

import numpy as np

from apis_rules.author.arguments import MAX_WH, clock, time_of_day
from apis_rules.decide import amounts
from apis_rules.documents.diagnostics import Location
from apis_rules.documents.source import refusal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import NoReturn

    import polars as pl
    from numpy.typing import NDArray

COLUMNS: Final = ("remaining_wh", "rsoc", "time", "unit_id")
BLOCK_BYTES: Final = 4 * 1024 * 1024
LONGEST_LINE: Final = 1024 * 1024
UNKNOWN: Final = -1
"""Stands in a block where the energy of a state is not known."""


@dataclass(frozen=True, slots=True)
class States:
    """A block of states.

    Attributes:
        time_s: seconds since midnight.
        remaining_wh: whole Wh, or ``UNKNOWN``.
        unit_ids: None where the file has no such column.
        timed: whether the states bring their own time.
        in_percent: whether they came as ``rsoc``.
        bytes_read: of the file so far, for a progress bar.
    """

    time_s: NDArray[np.int64]
    remaining_wh: NDArray[np.int64]
    unit_ids: Sequence[str | None] | None = None
    timed: bool = True
    in_percent: bool = False
    bytes_read: int = 0

    def __len__(self) -> int:
        return len(self.remaining_wh)

    def time(self, row: int) -> str:
        """The time of day of one state as text."""
        return clock(self.time_s[row])


def fast() -> bool:
    """Whether polars (extra ``fast``) is installed."""
    return importlib.util.find_spec("polars") is not None


def read_states(stream: BinaryIO, name: str, *, nominal_wh: float, at_s: int) -> Iterator[States]:
    """Yield the states of a file, block by block.

    Args:
        stream: the file, or standard input.
        name: of the file, for diagnostics.
        nominal_wh: what 100 % are, for states in percent.
        at_s: the time of day of states without one.

    Raises:
        InputError: AR300-AR305, at the first line that cannot be used; blocks before it have been yielded.
    """
    reader = _Reader(name, nominal_wh, at_s)
    rest, read = b"", 0
    while more := stream.read(BLOCK_BYTES):
        cut = more.rfind(b"\n") + 1
        if cut:
            read += len(rest) + cut
            yield from reader.block(rest + more[:cut], read)
            rest = more[cut:]
        elif len(rest) > LONGEST_LINE:
            reader.refuse(0, "AR300", "this is no text: there is no end of a line in it")
        else:
            rest += more
    if rest:
        yield from reader.block(rest, read + len(rest))
    if reader.rows == 0:
        hint = "write 'remaining_wh,time' in the first line and one state per line below it"
        reader.refuse(0, "AR301", "there is no state in this file", hint)


@contextlib.contextmanager
def open_states(name: str) -> Iterator[tuple[BinaryIO, int]]:
    """Open a file of states, ``-`` for standard input, and tell its size in bytes, 0 where that is not known.

    Raises:
        InputError: it cannot be opened.
    """
    if name == "-":
        yield sys.stdin.buffer, 0
        return
    path = Path(name)
    if path.is_dir():
        raise refusal(Location(name), "AR103", "is a folder, not a file", "name a file in it")
    try:
        stream = path.open("rb")
    except FileNotFoundError as error:
        raise refusal(Location(name), "AR102", "there is no such file") from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise refusal(Location(name), "AR104", f"cannot be read: {reason}") from error
    with stream:
        yield stream, path.stat().st_size


def states_of(time_s: Sequence[int], remaining_wh: Sequence[int]) -> States:
    """Return states made by the program itself."""
    return States(np.asarray(time_s, dtype=np.int64), np.asarray(remaining_wh, dtype=np.int64))


class _Reader:
    """What is known of a file so far: its kind, its columns, the number of the line that comes next."""

    def __init__(self, name: str, nominal_wh: float, at_s: int) -> None:
        self.name = name
        self.nominal_wh = nominal_wh
        self.at_s = at_s
        self.rows = 0
        self._line = 1
        self._json = False
        self._header: list[str] | None = None
        self._times: dict[str, int | None] = {}

    def refuse(self, line: int, code: str, message: str, hint: str = "") -> NoReturn:
        place = Location(self.name, line, 1 if line else 0)
        raise refusal(place, code, message, hint)

    def block(self, block: bytes, read: int) -> Iterator[States]:
        """Yield the states of whole lines."""
        if self.rows == 0 and self._header is None and not self._json:
            block = self._start(block)
        if not block.strip():
            self._line += block.count(b"\n")
            return
        states = None
        if not self._json and fast():
            states = self._fast(block, read)
        if states is None:
            lines = self._json_rows(block) if self._json else self._csv_rows(block)
            states = self._states(lines, read)
        self._line += block.count(b"\n")
        self.rows += len(states)
        if len(states):
            yield states

    def _start(self, block: bytes) -> bytes:
        block = block.removeprefix(codecs.BOM_UTF8)
        while block and not block.partition(b"\n")[0].strip():
            block = block.partition(b"\n")[2]
            self._line += 1
        if block.startswith(b"{"):
            self._json = True
            return block
        head, _, rest = block.partition(b"\n")
        if head.startswith(b"["):
            self.refuse(self._line, "AR300", "one JSON object per line is read, not an array of them")
        columns = next(csv.reader([self._text(head)]), [])
        self._header = [c.strip() for c in columns]
        self._check_columns(self._header, self._line)
        self._line += 1
        return rest

    def _check_columns(self, columns: Sequence[str], line: int) -> None:
        known = [c for c in columns if c in COLUMNS]
        twice = next((c for c in known if known.count(c) > 1), None)
        if twice is not None:
            self.refuse(line, "AR302", f"the column {twice} stands there twice")
        for column in columns:
            near = difflib.get_close_matches(column.lower(), COLUMNS, n=1)
            if column not in COLUMNS and near and near[0] not in columns:
                self.refuse(line, "AR302", f"there is no column called {column!r}", f"did you mean {near[0]}?")
        energies = {"remaining_wh", "rsoc"} & set(columns)
        if len(energies) != 1:
            what = (
                "both remaining_wh and rsoc: one of them"
                if energies
                else (f"only {', '.join(columns[:8])}" if columns else "none")
            )
            self.refuse(line, "AR302", f"a column remaining_wh or rsoc is needed; found {what}")

    def _text(self, block: bytes) -> str:
        try:
            text = block.decode()
        except UnicodeDecodeError as error:
            line = self._line + block.count(b"\n", 0, error.start)
            self.refuse(line, "AR300", "this is no text in UTF-8", "states are read as CSV or as JSON lines")
        if "\0" in text:
            self.refuse(self._line + text.count("\n", 0, text.index("\0")), "AR300", "this is binary data, no text")
        return text

    def _csv_rows(self, block: bytes) -> Iterator[tuple[int, Mapping[str, object]]]:
        header = self._header or []
        reader = csv.reader(io.StringIO(self._text(block)), strict=True)
        try:
            for row in reader:
                line = self._line + reader.line_num - 1
                if not row:
                    continue
                if len(row) != len(header):
                    self.refuse(line, "AR303", f"there are {len(row)} values under {len(header)} columns")
                yield line, {c: v.strip() or None for c, v in zip(header, row, strict=True)}
        except csv.Error as error:
            self.refuse(self._line + reader.line_num - 1, "AR303", f"this is no CSV: {error}")

    def _json_rows(self, block: bytes) -> Iterator[tuple[int, Mapping[str, object]]]:
        for line, text in enumerate(self._text(block).split("\n"), self._line):
            if not text.strip():
                continue
            try:
                row = json.loads(text)
            except (ValueError, RecursionError):
                self.refuse(line, "AR303", "this line is no JSON object", 'one state per line: {"remaining_wh": 2400}')
            if not isinstance(row, dict):
                self.refuse(line, "AR303", "this line is no JSON object", 'one state per line: {"remaining_wh": 2400}')
            self._check_columns(list(row), line)
            yield line, row

    def _states(self, rows: Iterator[tuple[int, Mapping[str, object]]], read: int) -> States:
        times: list[int] = []
        energies: list[int] = []
        units: list[str | None] = []
        timed = in_percent = False
        for line, row in rows:
            timed |= "time" in row
            in_percent |= "rsoc" in row
            times.append(self._time(line, row.get("time")))
            energies.append(self._energy(line, row))
            unit = row.get("unit_id")
            units.append(None if unit is None else str(unit))
        return States(
            np.asarray(times, dtype=np.int64),
            np.asarray(energies, dtype=np.int64),
            units if any(unit is not None for unit in units) else None,
            timed,
            in_percent,
            read,
        )

    def _time(self, line: int, value: object) -> int:
        if value is None:
            return self.at_s
        if not isinstance(value, str) or (time_s := time_of_day(value)) is None:
            self.refuse(line, "AR304", f"{value!r} is no time of day", "write HH:MM:SS, from 00:00:00 to 23:59:59")
        return time_s

    def _energy(self, line: int, row: Mapping[str, object]) -> int:
        column = "rsoc" if "rsoc" in row else "remaining_wh"
        value = row.get(column)
        if value is None:
            return UNKNOWN
        most, unit = (100, "%") if column == "rsoc" else (MAX_WH, "Wh")
        number = _number(value, text=not self._json)
        if number is None or not 0 <= number <= most:
            message = f"{value!r} is no value of {column}"
            self.refuse(line, "AR305", message, f"write a number of {unit}, from 0 to {most:.0f}")
        return amounts.remaining_wh(number, self.nominal_wh) if column == "rsoc" else math.floor(number)

    def _fast(self, block: bytes, read: int) -> States | None:
        """Read a block of CSV with polars; None where it meets anything that the careful way has to look at."""
        import polars as pl

        header = self._header or []
        if b"\n\n" in block or b"\r" in block or b'"' in block:
            return None
        try:
            frame = pl.read_csv(
                io.BytesIO(block),
                has_header=False,
                new_columns=header,
                schema_overrides=[pl.String] * len(header),
                null_values=[""],
            )
            column = "rsoc" if "rsoc" in header else "remaining_wh"
            energy = frame[column].str.strip_chars().cast(pl.Float64, strict=True)
        except pl.exceptions.PolarsError:
            return None
        # A short line is filled up silently.
        if frame.width != len(header) or block.count(b",") != len(frame) * (len(header) - 1):
            return None
        most = 100 if column == "rsoc" else MAX_WH
        if not energy.drop_nulls().is_between(0, most).all():
            return None
        number = energy.fill_null(math.nan).to_numpy()
        if column == "rsoc":
            number = amounts.unrounded_wh(number, self.nominal_wh)
        remaining = np.nan_to_num(np.floor(number), nan=UNKNOWN).astype(np.int64)
        times = self._fast_times(frame["time"]) if "time" in header else np.full(len(frame), self.at_s)
        if times is None:
            return None
        units = frame["unit_id"].str.strip_chars().replace("", None).to_list() if "unit_id" in header else None
        return States(times, remaining, units, "time" in header, column == "rsoc", read)

    def _fast_times(self, column: pl.Series) -> NDArray[np.int64] | None:
        import polars as pl

        distinct = column.unique()
        seconds = []
        for text in distinct:
            time_s = self.at_s if text is None else time_of_day(text.strip())
            if time_s is None:
                return None
            seconds.append(time_s)
        found = column.replace_strict(distinct, pl.Series(seconds, dtype=pl.Int64), return_dtype=pl.Int64)
        return found.to_numpy()


def _number(value: object, *, text: bool) -> float | None:
    if isinstance(value, str) and text:
        try:
            return float(value)
        except ValueError:
            return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    return None
