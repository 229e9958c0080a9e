"""Says things in a thread of its own: a paused terminal or a full pipe keeps nobody from the duty."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from queue import Full, Queue
from typing import Final

STDOUT: Final = 1
STDERR: Final = 2
KEPT: Final = 200
"""How many texts wait for their reader; later ones are lost, and that is said."""

LAST_WORDS_S: Final = 1.0
"""How long the end waits for the reader."""


class Teller:
    """Writes to descriptors, one text after the other. For any thread."""

    def __init__(self) -> None:
        self._texts: Queue[tuple[int, str] | None] = Queue(KEPT)
        self._lost = 0
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def tell(self, sentence: str) -> None:
        """Say a sentence to people."""
        self.write(STDERR, f"apis-rules run: {sentence}\n")

    def write(self, descriptor: int, text: str) -> None:
        """Have *text* written; returns at once."""
        with self._lock:
            try:
                self._texts.put_nowait((descriptor, text))
            except Full:
                self._lost += 1
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="teller", daemon=True)
                with suppress(RuntimeError):  # the machine has no thread left: the next text tries again
                    thread.start()
                    self._thread = thread

    def end(self) -> None:
        """Say what is left, as far as somebody reads it within a second."""
        if self._thread is not None:
            with suppress(Full):
                self._texts.put_nowait(None)
            self._thread.join(LAST_WORDS_S)

    def _run(self) -> None:
        while (next_text := self._texts.get()) is not None:
            descriptor, text = next_text
            with self._lock:
                lost, self._lost = self._lost, 0
            if lost:
                text += f"apis-rules run: {lost} later messages were not read in time and are lost\n"
            _write(descriptor, text.encode())


def _write(descriptor: int, data: bytes) -> None:
    # Not through ``sys.stderr``: at the end of the process its lock must not be held by a thread that waits.
    with suppress(OSError):  # a terminal that is gone
        while data:
            data = data[os.write(descriptor, data) :]
