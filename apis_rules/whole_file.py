"""Writing a file so that nobody ever finds a part of it. Standard library only: every layer uses it."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def write_whole(file: Path, content: bytes, *, durable: bool, writer: str = "") -> None:
    """Replace *file* so that at every moment either the old or the new content is there, never a part. May block.

    What is *durable* survives a loss of power. Where several may write the same file at once, each names its *writer*.

    Raises:
        OSError: it cannot be written; the old content is there, and nothing beside it.
    """
    beside = file.with_name(f".{file.name}.{writer}.new" if writer else f".{file.name}.new")
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
