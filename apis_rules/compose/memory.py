"""The memory of a process that runs nodes: small boards have little. Without glibc nothing happens here."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
from typing import Final

PERIOD_S: Final = 60.0
_M_ARENA_MAX: Final = -8


def share_memory() -> None:
    """Let all threads take memory from one place: they only write files, and what each keeps back adds up."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


def give_back_memory() -> None:
    """Return what is not used any more to the system; what is left is there to stay, and is not looked at again."""
    gc.collect()
    gc.freeze()
    _trim()


async def keep_giving_back() -> None:
    """Return to the system what deals have left behind, again and again until cancelled."""
    while True:
        await asyncio.sleep(PERIOD_S)
        _trim()


def _trim() -> None:
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)
