"""What a node keeps over its restarts: small files, each written whole or not at all."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol

from apis_rules.documents.diagnostics import Location
from apis_rules.documents.source import refusal
from apis_rules.ports.types.model import FORMAT, wrong_format
from apis_rules.whole_file import write_whole

if TYPE_CHECKING:
    from pathlib import Path

FORMAT_FILE: Final = "format"


class StateStore(Protocol):
    """A few named values that outlive the process."""

    def load(self, name: str) -> bytes | None:
        """Return what was saved last under *name*. Raises ``OSError``."""

    async def save(self, name: str, content: bytes, *, durable: bool) -> None:
        """Keep *content* under *name*; *durable*: it must survive a loss of power. Raises ``OSError``."""


class MemoryStateStore:
    """``StateStore`` of a simulated node: outlives the node, not the simulation.

    Attributes:
        full: every save fails, as on a full disk.
    """

    def __init__(self) -> None:
        self.full = False
        self._kept: dict[str, bytes] = {}

    def load(self, name: str) -> bytes | None:
        """Return what was saved last under *name*."""
        return self._kept.get(name)

    async def save(self, name: str, content: bytes, *, durable: bool) -> None:
        """Keep *content* under *name*."""
        _ = durable
        if self.full:
            raise OSError("no space left")
        self._kept[name] = content


class FileStateStore:
    """``StateStore`` in a folder of this process alone (``file_lock``). Saves land in the order of asking."""

    def __init__(self, folder: Path) -> None:
        """Raises ``InputError`` (AR706) where a program of another format has kept things there."""
        self._folder = folder
        self._row = asyncio.Lock()
        folder.mkdir(parents=True, exist_ok=True)
        _check_format(folder / FORMAT_FILE)

    def load(self, name: str) -> bytes | None:
        """Return what was saved last under *name*."""
        file = self._folder / name
        return file.read_bytes() if file.exists() else None

    async def save(self, name: str, content: bytes, *, durable: bool) -> None:
        """Write a new file beside the old one and put it in its place."""
        async with self._row:
            await asyncio.to_thread(write_whole, self._folder / name, content, durable=durable)


def _check_format(file: Path) -> None:
    if not file.exists():
        write_whole(file, f"{FORMAT}\n".encode(), durable=False)
        return
    found = file.read_text(encoding="utf-8", errors="replace").strip()
    if found != str(FORMAT):
        reason = wrong_format(int(found) if found.isdecimal() else found)
        hint = "name another --state-dir, or run the program that has kept it"
        raise refusal(Location(str(file)), "AR706", f"what this unit has kept cannot be read: {reason}", hint)
