"""How a process is tied to the one that started it. Standard library only: the supervisor uses it too."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_PR_SET_PDEATHSIG: Final = 1

# Looked up here: after a fork nothing may be loaded any more.
_prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None


def end_with_parent(parent: int) -> Callable[[], None] | None:
    """Return what a child of process *parent* does before it becomes a server, so that it ends when *parent* does."""
    if _prctl is None:
        return None

    def before_exec() -> None:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died meanwhile
            os._exit(1)

    return before_exec
