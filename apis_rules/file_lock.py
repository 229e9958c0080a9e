"""A lock that lives as long as whoever holds it. Standard library only: the supervisor uses it too."""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


PROCESS: Final = "process "


class Locked(Exception):
    """Another process has the lock.

    Attributes:
        owner: ``process N`` where that process lives, possibly nothing.
    """

    def __init__(self, owner: str) -> None:
        super().__init__(owner)
        self.owner = owner


@contextmanager
def file_lock(path: Path, within_s: float = 0.0, owner_pid: int | None = None) -> Iterator[int]:
    """Hold the lock on *path*, which is made if need be; give its file descriptor, for a child that shall share it.

    The lock goes when the last process that has the descriptor closes it or ends, however it ends. *owner_pid* is the
    process to name to others, else this one.

    Raises:
        Locked: another process has it, still after *within_s*.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _lock(descriptor, within_s)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{PROCESS}{owner_pid or os.getpid()}".encode(), 0)
        yield descriptor
    finally:
        os.close(descriptor)


def _lock(descriptor: int, within_s: float) -> None:
    until = time.clock_gettime(time.CLOCK_MONOTONIC) + within_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.clock_gettime(time.CLOCK_MONOTONIC) >= until:
                raise Locked(living(os.pread(descriptor, 200, 0).decode(errors="replace"))) from None
            time.sleep(0.02)
        else:
            return


def living(owner: str) -> str:
    """Return *owner* while its process lives: the lock may have passed to one that shared it."""
    pid = owner.removeprefix(PROCESS)
    try:
        if pid.isdecimal():
            os.kill(int(pid), 0)
    except ProcessLookupError:
        return ""
    except OSError:  # of another user
        return owner
    return owner
