"""Deal logs (specification 9.3): one file per final record of an own deal, written from the community's stream.

A unit that was away reads on where it stopped, so both parties have every record, and both files are equal.
"""

from __future__ import annotations

import asyncio
import logging
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydantic import Field, ValidationError

from apis_rules.node.records import UnknownRecord, parse_record
from apis_rules.node.unit_clock import parse_unit_time
from apis_rules.ports.types import DealRecord
from apis_rules.ports.types.model import StoredModel
from apis_rules.whole_file import write_whole

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from apis_rules.node.board import Board
    from apis_rules.node.errors import Errors
    from apis_rules.node.state_dir import StateStore
    from apis_rules.ports.bundle import CommunityPorts

log = logging.getLogger(__name__)

STREAM: Final = "DEALLOG"
SEEN_FILE: Final = "deallog.json"
RETRY_S: Final = 5.0

_FIELDS: Final = {"uuuu": "%Y", "yyyy": "%Y", "MM": "%m", "dd": "%d", "HH": "%H", "mm": "%M", "ss": "%S"}
_TOKENS: Final = re.compile(r"'([^']*)'|(uuuu|yyyy|MM|dd|HH|mm|ss)|([^'])")


def format_folder(pattern: str, unit_time_s: float, temporary: Path) -> Path:
    """Return the folder that ``dealLogDirFormat`` names for a moment of the unit clock.

    Quoted text stands for itself, letters for date and time (``uuuu``, ``MM``, …), ``{tmpdir}`` for *temporary*.
    """
    moment = datetime.fromtimestamp(unit_time_s, UTC)
    parts = []
    for token in _TOKENS.finditer(pattern):
        quoted, field, other = token.groups()
        parts.append(quoted if quoted is not None else moment.strftime(_FIELDS[field]) if field else other)
    return Path("".join(parts).replace("{tmpdir}", str(temporary)))


async def write_file(file: Path, content: bytes) -> None:
    """Write *file* whole, its folder where it is missing. Raises ``OSError``."""
    await asyncio.to_thread(_write_file, file, content)


def _write_file(file: Path, content: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(file, content, durable=True)


class SeenRecords(StoredModel):
    """How far this unit has read the stream: the number of the record that comes next."""

    next_seq: int = Field(ge=1)


class DealLog:
    """One unit's deal logs.

    Args:
        write: puts a file in its place, whole or not at all; a simulation keeps it in memory.
    """

    def __init__(
        self,
        ports: CommunityPorts,
        board: Board,
        store: StateStore,
        errors: Errors,
        temporary: Path,
        write: Callable[[Path, bytes], Awaitable[None]] = write_file,
    ) -> None:
        self._ports = ports
        self._board = board
        self._store = store
        self._errors = errors
        self._temporary = temporary
        self._write_file = write

    async def run(self) -> None:
        """Write a file for every final record in which this unit is a party, until cancelled."""
        async for message in self._ports.streams.read(STREAM, self._next_seq()):
            try:
                record = parse_record(f"record {message.seq} of {STREAM}", message.body, DealRecord)
            except UnknownRecord as error:
                # Whose deal it was cannot be known, and a node that ended by it would end by it at every start.
                self._errors.raise_event("record_not_read", f"{error}; no deal log is written of it", str(message.seq))
            else:
                if self._board.identity.unit_id in record.units:
                    await self._write_at_last(record)
            await self._remember(message.seq + 1)

    async def _write_at_last(self, record: DealRecord) -> None:
        while not await self._write(record):  # noqa: ASYNC110 - a disk tells nobody when it has room again
            await asyncio.sleep(RETRY_S)

    def file_of(self, record: DealRecord) -> Path:
        """Return where the log of a deal is written."""
        created_at_s = parse_unit_time(record.create_date_time) or 0.0
        folder = format_folder(self._board.documents.config.deal_log_dir_format, created_at_s, self._temporary)
        return folder / record.deal_id

    async def _write(self, record: DealRecord) -> bool:
        file = self.file_of(record)
        try:
            await self._write_file(file, record.to_json())
        except OSError as error:
            self._errors.raise_event("disk", f"deal log {file}: {error}")
            return False
        return True

    def _next_seq(self) -> int:
        content = self._store.load(SEEN_FILE)
        if content is None:
            return 1
        try:
            return SeenRecords.from_json(content).next_seq
        except ValidationError:
            log.warning("%s is damaged and counts as lost: every deal log is written again", SEEN_FILE)
            return 1

    async def _remember(self, next_seq: int) -> None:
        try:
            await self._store.save(SEEN_FILE, SeenRecords(next_seq=next_seq).to_json(), durable=False)
        except OSError as error:
            # The file is written again after a restart, with the same content.
            self._errors.note(f"{SEEN_FILE}: {error}")
