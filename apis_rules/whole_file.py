"""Writing a file so that nobody ever finds a part of it. Standard library only: every layer uses it."""

from __future__ import annotations

import contextlib
import os
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def write_whole(file: Path, content: bytes, *, durable: bool) -> None:
    """Replace *file* so that at every moment either the old or the new content is there, never a part. May block.

    What is *durable* survives a loss of power. Of several processes or threads that write at once, the last one wins.

    Raises:
        OSError: it cannot be written; the old content is there, and nothing beside it.
    """
    beside = file.with_name(f".{file.name}.{os.getpid()}-{threading.get_native_id()}.new")
    try:
        with beside.open("wb") as out:
            out.write(content)
            out.flush()
            if durable:
                os.fsync(out.fileno())
        beside.replace(file)
        if durable:
            folder = os.open(file.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
    except OSError:
        with contextlib.suppress(OSError):  # what went wrong first is what is told
            beside.unlink(missing_ok=True)
        raise
