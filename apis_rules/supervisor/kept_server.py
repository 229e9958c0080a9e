"""The nats-server of a run's own, as a child of the process above the nodes: a node's death does not take it along."""

from __future__ import annotations

import os
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from apis_rules.file_lock import Locked, file_lock
from apis_rules.processes import end_with_parent

if TYPE_CHECKING:
    from collections.abc import Sequence

LOCK_LIMIT_S: Final = 2.0
STOP_LIMIT_S: Final = 0.8
_PAUSES_S: Final = (0.05, 0.2, 0.5, 1.0, 2.0, 5.0)
_STEADY_S: Final = 10.0


class KeptServer:
    """One server: started, started again whenever it ends, ended with the run."""

    def __init__(self) -> None:
        self._argv: Sequence[str] = ()
        self._log = ""
        self._lock = -1
        self._process: subprocess.Popen[bytes] | None = None
        self._began_s = 0.0
        self._failures = 0
        self._again_s = 0.0
        self._held = ExitStack()

    @property
    def pid(self) -> int:
        """Process id of the present server; 0: there is none."""
        return self._process.pid if self._process is not None else 0

    def keep(self, argv: Sequence[str], log: str, lock: str, now_s: float) -> str:
        """Start it, unless it runs already; return why it does not run, empty where it does.

        Args:
            argv: the program and its arguments.
            log: file that takes what it says.
            lock: lock file of its store; the server shares it, so that it is free only when that is gone.
            now_s: runtime clock.
        """
        if self._process is not None:
            return ""
        self._argv, self._log = tuple(argv), log
        try:
            self._lock = self._held.enter_context(file_lock(Path(lock), within_s=LOCK_LIMIT_S))
            self._start(now_s, "wb")
        except Locked as error:
            return f"locked {error.owner}"
        except OSError as error:
            self._held.close()
            return error.strerror or str(error)
        return ""

    def look(self, now_s: float) -> None:
        """Start it again if it has ended, with growing pauses. Raises ``OSError`` where it cannot be started."""
        if self._process is None or self._process.poll() is None or now_s < self._again_s:
            return
        if self._again_s <= self._began_s:  # it has just ended
            self._failures = 0 if now_s - self._began_s > _STEADY_S else self._failures
            self._again_s = now_s + _PAUSES_S[min(self._failures, len(_PAUSES_S) - 1)]
            self._failures += 1
            return
        self._start(now_s, "ab")

    def stop(self) -> None:
        """End it in order, by force where it does not end in time (a frozen one cannot)."""
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            process.terminate()
            try:
                process.wait(STOP_LIMIT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._held.close()

    def _start(self, now_s: float, log_mode: Literal["ab", "wb"]) -> None:
        self._began_s = now_s
        with Path(self._log).open(log_mode) as log:
            self._process = subprocess.Popen(  # noqa: S603 - the nodes have found it
                self._argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(self._lock,),
                # Ctrl-C in a terminal is for the nodes: they need the server for an orderly end.
                process_group=0,
                preexec_fn=end_with_parent(os.getpid()),  # noqa: PLW1509 - loads nothing after the fork
            )
