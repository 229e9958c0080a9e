"""Where lines of the action log go (specification 9.2): console, files that take turns, datagrams.

An output that fails never stops the program: it tells once, and again when it has worked in between. A line is in a
file whole or not at all.
"""

from __future__ import annotations

import contextlib
import errno
import io
import logging
import os
import re
import socket
import sys
import tempfile
from abc import ABC, abstractmethod
from contextlib import ExitStack
from datetime import datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TYPE_CHECKING, Final

from apis_rules.file_lock import Locked, file_lock
from apis_rules.log_levels import level_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from apis_rules.documents.logs import FileLog, UdpLog

    Failed = Callable[[logging.Handler, str], None]

MOST_PROCESSES: Final = 100
"""So many may write beside each other by one pattern."""

_PLACEHOLDER: Final = re.compile(r"%([thgu%])")


class LineFormatter(logging.Formatter):
    """One line in the form that existing log tools read.

    ``[[[programId:unitId]]] [thread] time LEVEL [logger]  message``; what concerns no single unit has no unit's id.
    """

    def __init__(self, program_id: str) -> None:
        super().__init__()
        self._program_id = program_id

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; further lines, of a traceback, follow as they are."""
        unit_id = getattr(record, "unit_id", "")
        who = f"{self._program_id}:{unit_id}" if unit_id else self._program_id
        time = datetime.fromtimestamp(record.created).astimezone().isoformat(timespec="milliseconds")
        level = level_name(record.levelno)
        return f"[[[{who}]]] [{record.threadName}] {time} {level} [{record.name}]  {record.getMessage()}"


class TellingHandler(logging.Handler, ABC):
    """A handler that tells its failures to whoever opened it, the first of a row only."""

    def __init__(self, failed: Failed) -> None:
        super().__init__()
        self._failed = failed
        self._failing = False

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        try:
            self.write(self.format(record))
        except (OSError, ValueError) as error:
            if not self._failing:
                self._failing = True
                self._failed(self, str(error))
        else:
            self._failing = False

    @abstractmethod
    def write(self, text: str) -> None:
        """Put *text* where it belongs. Raises ``OSError``, or ``ValueError`` where it is closed."""


class ConsoleHandler(TellingHandler):
    """Lines on the standard error output."""

    def write(self, text: str) -> None:
        """Write one line."""
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


class WholeLineFiles(RotatingFileHandler):
    """Files that take turns, named in Java's way; generation 0 is written to.

    Raises:
        OSError: its file cannot be opened.
    """

    def __init__(self, settings: FileLog, pattern: Path, failed: Failed) -> None:
        self._stack = ExitStack()
        self._pattern = self._claim(_with_generation(str(pattern), settings.count))
        self._failed = failed
        self._failing = False
        first = Path(self._generation(0))
        first.parent.mkdir(parents=True, exist_ok=True)
        super().__init__(
            first, maxBytes=settings.limit_bytes, backupCount=settings.count - 1, encoding="utf-8", delay=True
        )
        if not settings.append and first.exists() and first.stat().st_size:
            self.doRollover()
        # Opened now: a place that cannot be written to is told before anything is switched.
        first.open("ab").close()

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line, and what follows it, whole or not at all."""
        try:
            self._append(f"{self.format(record)}\n".encode())
        except OSError as error:
            if not self._failing:
                self._failing = True
                self._failed(self, f"{self.baseFilename}: {error.strerror or error}")
        else:
            self._failing = False

    def _append(self, line: bytes) -> None:
        path = Path(self.baseFilename)
        with contextlib.suppress(FileNotFoundError):
            if self.maxBytes and path.stat().st_size + len(line) > self.maxBytes:
                self.doRollover()
        with path.open("ab", buffering=0) as file:
            before = file.seek(0, io.SEEK_END)
            written = 0
            try:
                written = file.write(line)
            finally:
                if written < len(line):
                    file.truncate(before)
        if written < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def doRollover(self) -> None:  # noqa: N802 - the standard library's name
        """Begin a new file; where there is only one, empty it."""
        if self.backupCount == 0:
            os.truncate(self.baseFilename, 0)
        else:
            super().doRollover()

    def rotation_filename(self, default_name: str) -> str:
        """Return the name of an older generation."""
        return self._generation(int(default_name.rpartition(".")[2]))

    def close(self) -> None:
        """Give the number of the process back."""
        super().close()
        self._stack.close()

    def _generation(self, generation: int) -> str:
        return self._pattern.replace("\0", str(generation))

    def _claim(self, pattern: str) -> str:
        """Return the pattern with the lowest number that no other process has, or this process uses elsewhere."""
        if "\1" not in pattern:
            pattern = f"{pattern}\2"
        for number in range(MOST_PROCESSES):
            name = pattern.replace("\1", str(number)).replace("\2", f".{number}" if number else "")
            try:
                self._stack.enter_context(file_lock(Path(f"{name.replace(chr(0), '0')}.lck")))
            except Locked:
                continue
            return name
        raise OSError(errno.EAGAIN, f"{MOST_PROCESSES} processes write by this pattern already")


def resolve_pattern(pattern: str, base: Path) -> Path:
    """Return the path that *pattern* means in a file in the folder *base*; ``%g`` and ``%u`` are still open in it."""
    meant = {"t": tempfile.gettempdir(), "h": str(Path.home()), "g": "\0", "u": "\1", "%": "%"}
    return base / _PLACEHOLDER.sub(lambda found: meant[found[1]], pattern)


def _with_generation(pattern: str, count: int) -> str:
    return pattern if "\0" in pattern or count == 1 else f"{pattern}.\0"


class MulticastHandler(TellingHandler):
    """A datagram per line; it stays in the local network.

    Raises:
        OSError: there is no such interface.
    """

    def __init__(self, settings: UdpLog, failed: Failed) -> None:
        super().__init__(failed)
        self._to = (settings.group_address, settings.port)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 1)
        if settings.interface_address is not None:
            try:
                interface = socket.inet_aton(settings.interface_address)
                self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, interface)
            except OSError:
                self._socket.close()
                raise

    def write(self, text: str) -> None:
        """Send one line; a traceback stands in it."""
        self._socket.sendto(f"{' | '.join(text.splitlines())}\n".encode(), self._to)

    def close(self) -> None:
        """Close the socket."""
        super().close()
        self._socket.close()
