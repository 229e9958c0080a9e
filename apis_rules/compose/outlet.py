"""Writes what a run shows in a thread of its own: a paused terminal, or a pager that does not read, holds up no node.

The thread writes to the descriptor itself. A lock of Python's own streams, held by a write that never returns, would
break the end of the process.
"""

from __future__ import annotations

import io
import os
import threading
from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

LIMIT: Final = 1000
"""So many texts wait to be written; what comes then is left out, and that is said."""


class Outlet:
    """Takes text for *out* without waiting; as much of a text file as ``rich`` asks for.

    What others have written to *out* comes first.
    """

    def __init__(self, out: TextIO) -> None:
        out.flush()
        self.encoding = out.encoding or "utf-8"
        self.isatty = out.isatty
        self._put = _direct(out, self.encoding)
        self._changed = threading.Condition()
        self._texts: deque[str] = deque()
        self._left_out = 0
        self._failure: OSError | None = None
        threading.Thread(target=self._write_all, name="output", daemon=True).start()

    @property
    def idle(self) -> bool:
        """Whether everything is written."""
        with self._changed:
            return not self._texts

    def write(self, text: str) -> int:
        """Take *text*; return its length.

        Raises:
            OSError: what was taken earlier could not be written.
        """
        with self._changed:
            self._check()
            if self._left_out or len(self._texts) >= LIMIT:
                self._left_out += 1
            else:
                self._texts.append(text)
                self._changed.notify_all()
        return len(text)

    def flush(self) -> None:
        """Do nothing: each text is written as soon as it can be. Raises ``OSError`` as ``write``."""
        with self._changed:
            self._check()

    def drain(self, limit_s: float) -> None:
        """Wait until everything is written, for so long at most. Raises ``OSError`` as ``write``."""
        with self._changed:
            self._changed.wait_for(lambda: not self._texts or self._failure is not None, limit_s)
            self._check()

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _write_all(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._texts)
                text = self._texts[0]
            try:
                self._put(text)
            except OSError as error:
                with self._changed:
                    self._failure = error
                    self._changed.notify_all()
                return
            with self._changed:
                self._texts.popleft()
                if self._left_out and not self._texts:
                    self._texts.append(f"({self._left_out} left out here: the output was not read)\n")
                    self._left_out = 0
                self._changed.notify_all()


def _direct(out: TextIO, encoding: str) -> Callable[[str], object]:
    try:
        descriptor = out.fileno()
    except io.UnsupportedOperation:  # text kept in memory
        return out.write
    errors = out.errors or "strict"

    def put(text: str) -> None:
        rest = text.encode(encoding, errors)
        while rest:
            rest = rest[os.write(descriptor, rest) :]

    return put
