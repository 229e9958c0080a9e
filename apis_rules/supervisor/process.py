"""The process above the nodes of one ``apis-rules run``.

::

    apis-rules run              this process
    ├── the nodes               one process, started again when it dies or stands still
    └── nats-server             where the run has one of its own; the nodes' death does not take it along

A converter whose node is not there is guarded from the moment at which its process is found dead until the node that is
started again says that it takes over. Where this process itself is killed, the nodes notice it and end in order.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final

from apis_rules.supervisor.guard import Guard
from apis_rules.supervisor.kept_server import KeptServer
from apis_rules.supervisor.life import Again, Ending, decide_next, is_frozen
from apis_rules.supervisor.orders import VARIABLE, Inherited, UnitOrders, now_s
from apis_rules.supervisor.teller import STDOUT, Teller

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

LOOK_S: Final = 0.25
BRIEF_S: Final = 0.02
FIRST_SIGN_S: Final = 60.0
"""How long a new process may take to its first sign of life."""

LAST_DUTY_S: Final = 10.0
"""How long, beyond a holder's own time, a converter is looked after at the end of a run."""

_CHUNK: Final = 65_536
_FDS: Final = 8


class Supervisor:
    """Runs ``apis-rules`` with *arguments* below it.

    Args:
        arguments: of a command that runs nodes and does not start another supervisor.
        restarts: how often within two minutes it is started again.
        needs_scratch: whether the nodes want a folder that lives as long as the run.
    """

    def __init__(self, arguments: Sequence[str], restarts: int, *, needs_scratch: bool) -> None:
        self._arguments = tuple(arguments)
        self._restarts = restarts
        self._needs_scratch = needs_scratch
        self._selector = selectors.DefaultSelector()
        self._server = KeptServer()
        self._teller = Teller()
        self._locks: dict[str, int] = {}
        self._kept: dict[str, Any] = {}
        self._units: dict[str, UnitOrders] = {}
        self._guards: dict[str, Guard] = {}
        self._to_guard: set[str] = set()
        self._taking: dict[str, Guard | None] = {}
        self._deaths_s: tuple[float, ...] = ()
        self._asked = 0
        self._child: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None
        self._unread = b""
        self._fds: list[int] = []
        self._decided = False
        self._heard_at_s = self._looked_at_s = 0.0
        self._good_for_s = FIRST_SIGN_S
        self._scratch = ""

    def run(self) -> int:
        """Run until the nodes have ended for good; return the exit code."""
        with ExitStack() as stack:
            stack.callback(self._teller.end)
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                if signal.getsignal(number) is not signal.SIG_IGN:
                    stack.callback(signal.signal, number, signal.signal(number, self._pass_on))
            if self._needs_scratch:
                self._scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="apis-rules-"))
            stack.callback(self._selector.close)
            stack.callback(self._server.stop)
            self._start()
            while True:
                code = self._live()
                if code is not None:
                    return self._last_duty(code)

    # One process below.

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        inherited = Inherited(theirs.fileno(), self._locks, self._kept, self._server.pid, self._scratch)
        with theirs, ExitStack() as undo:
            undo.enter_context(ours)
            self._child = subprocess.Popen(  # noqa: S603 - this program, with the arguments that it was given
                [sys.executable, "-m", "apis_rules", *self._arguments],
                env={**os.environ, VARIABLE: inherited.to_text()},
                pass_fds=(theirs.fileno(), *self._locks.values()),
                # A signal of the terminal comes to this process, which passes it on once.
                process_group=0,
            )
            undo.pop_all()
        ours.setblocking(False)
        self._channel, self._unread, self._decided = ours, b"", False
        self._selector.register(ours, selectors.EVENT_READ)
        self._heard_at_s = self._looked_at_s = now_s()
        self._good_for_s = FIRST_SIGN_S

    def _live(self) -> int | None:
        """Look once; return the code with which the run ends, None while it goes on."""
        # Without a channel the end of the process is a matter of moments, and nothing else tells of it.
        brief = self._taking or self._channel is None
        for _ in self._selector.select(BRIEF_S if brief else LOOK_S):
            self._hear()
        at_s = now_s()
        self._look_after_rest(at_s)
        self._let_take()
        child = self._child
        if child is None:
            raise RuntimeError("nothing was started")
        if is_frozen(self._heard_at_s, self._good_for_s, self._looked_at_s, at_s, LOOK_S) and child.poll() is None:
            self._tell(f"no sign of life from the nodes for {at_s - self._heard_at_s:.1f} s; their process is ended")
            child.kill()
            child.wait()
        elif at_s - self._looked_at_s > 2 * LOOK_S:
            self._heard_at_s = at_s
        self._looked_at_s = at_s
        return None if child.poll() is None else self._go_on(child.returncode)

    def _go_on(self, code: int) -> int | None:
        """After the nodes' process has ended: guard what it left, and start it again or end."""
        self._hear()
        self._close_channel()
        if not (self._decided and code == 0):
            self._show_cursor()
        for unit_id in self._units:
            self._guard(unit_id)
        happened = f"ended {_how(code)}"
        while True:
            at_s = now_s()
            follows = decide_next(Ending(code, self._decided, self._asked > 0), self._deaths_s, at_s, self._restarts)
            if not isinstance(follows, Again):
                if follows.looping:
                    times = len(self._deaths_s) + 1
                    died = f"it has died {times} times within two minutes" if self._deaths_s else "it died"
                    self._tell(f"the nodes' process {happened}; {died} and is not started again")
                return follows.code
            self._tell(f"the nodes' process {happened}; it is started again")
            self._deaths_s = (*self._deaths_s, at_s)
            while now_s() < follows.at_s and not self._asked:
                self._selector.select(max(0.0, min(LOOK_S, follows.at_s - now_s())))
                self._look_after_rest(now_s())
            if self._asked:
                return 1
            try:
                self._start()
            except OSError as error:  # no memory, no process, no file left: one more death
                code, happened = 1, f"cannot be started ({error.strerror or error})"
            else:
                return None

    def _close_channel(self) -> None:
        if self._channel is not None:
            self._selector.unregister(self._channel)
            self._channel.close()
            self._channel = None
        for descriptor in self._fds:
            os.close(descriptor)
        self._fds.clear()
        self._taking.clear()

    # What the nodes say.

    def _hear(self) -> None:
        if self._channel is None:
            return
        while True:
            try:
                data, fds, _, _ = socket.recv_fds(self._channel, _CHUNK, _FDS)
            except OSError:  # nothing to be heard now; one that is not heard again counts as frozen
                return
            self._fds += fds
            if not data:
                self._close_channel()
                return
            *lines, self._unread = (self._unread + data).split(b"\n")
            for line in lines:
                self._heard_at_s = now_s()
                try:
                    self._take(json.loads(line))
                except (ValueError, TypeError, KeyError, IndexError) as error:
                    self._tell(f"what the nodes say is not understood ({error!r}): {line[:200]!r}")

    def _take(self, message: dict[str, Any]) -> None:
        match message:
            case {"alive_for_s": good_for_s}:
                self._good_for_s = good_for_s
            case {"lock": path}:
                self._locks[path] = self._fds.pop(0)
            case {"keep": kept}:
                self._kept |= kept
            case {"server": argv, "log": log, "lock_file": lock}:
                failure = self._server.keep(argv, log, lock, now_s())
                self._say({"server_pid": self._server.pid, "failure": failure})
            case {"decided": decided}:
                self._decided = decided
            case _:
                self._take_of_unit(message)

    def _take_of_unit(self, message: dict[str, Any]) -> None:
        match message:
            case {"take": orders}:
                unit = UnitOrders.from_document(orders)
                self._units[unit.unit_id] = unit
                self._to_guard.discard(unit.unit_id)
                guard = self._guards.pop(unit.unit_id, None)
                if guard is not None:
                    guard.end()
                self._taking[unit.unit_id] = guard
            case {"orders": orders}:
                unit = UnitOrders.from_document(orders)
                self._units[unit.unit_id] = unit
            case {"left": unit_id, "at_rest": True}:
                self._units.pop(unit_id, None)
                self._to_guard.discard(unit_id)
                guard = self._guards.pop(unit_id, None)
                if guard is not None:
                    guard.end()
            case {"left": unit_id}:
                self._guard(unit_id)
            case _:
                raise ValueError("no such message")

    def _let_take(self) -> None:
        """Tell those that want to take over a converter that nothing of ours can reach it any more."""
        for unit_id, guard in list(self._taking.items()):
            if guard is None or guard.left_alone:
                del self._taking[unit_id]
                self._say({"taken": unit_id})

    def _say(self, message: dict[str, Any]) -> None:
        if self._channel is None:
            return
        try:
            self._channel.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            return  # it is dead, or does not read; that is found in a moment

    # What is done for them.

    def _guard(self, unit_id: str) -> None:
        if unit_id in self._units and unit_id not in self._guards:
            guard = Guard(self._units[unit_id], self._tell)
            try:
                guard.start()
            except RuntimeError:  # no thread left
                if unit_id not in self._to_guard:
                    self._tell(f"{unit_id}: its converter cannot be looked after now; that is tried again and again")
                self._to_guard.add(unit_id)
            else:
                self._guards[unit_id] = guard
                self._to_guard.discard(unit_id)

    def _last_duty(self, code: int) -> int:
        """Look after what was left, until each converter was in WAIT for long enough or its driver is given up."""
        longest_s = max((self._units[u].holder_dead_man_s for u in (*self._guards, *self._to_guard)), default=0.0)
        until_s = now_s() + longest_s + LAST_DUTY_S
        asked = self._asked
        while now_s() < until_s and (self._to_guard or not all(guard.over for guard in self._guards.values())):
            self._selector.select(LOOK_S)
            self._look_after_rest(now_s())
            for guard in self._guards.values():
                # From now on another instance may take the unit over, which no lock of this machine tells of.
                if guard.over:
                    guard.end()
            if self._asked > max(asked, 1):
                for guard in self._guards.values():
                    guard.hurry()
        left = [*self._to_guard, *(unit_id for unit_id, guard in self._guards.items() if not guard.over)]
        if left:
            self._tell(f"not seen in WAIT: {', '.join(left)}")
        for guard in self._guards.values():
            guard.end()
        return code

    def _look_after_rest(self, at_s: float) -> None:
        """Try again what the machine has refused so far: guards, and the server where it has ended."""
        for unit_id in sorted(self._to_guard):
            self._guard(unit_id)
        try:
            self._server.look(at_s)
        except OSError as error:
            self._tell(f"the nats-server cannot be started again: {error.strerror}")

    def _pass_on(self, number: int, _frame: FrameType | None) -> None:
        self._asked += 1
        child = self._child
        if child is not None and child.returncode is None:
            child.send_signal(signal.SIGTERM if number == signal.SIGHUP else number)

    def _show_cursor(self) -> None:
        """A live picture hides it, and a dead process does not bring it back."""
        if os.isatty(STDOUT):
            self._teller.write(STDOUT, "\x1b[?25h")

    def _tell(self, sentence: str) -> None:
        self._teller.tell(sentence)


def _how(code: int) -> str:
    return f"by signal {-code}" if code < 0 else f"with exit code {code}"
