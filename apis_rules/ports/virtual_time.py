"""An asyncio loop whose time jumps: services sleep and wait as always, and a day passes in seconds.

The loop never waits. When nothing is ready it moves its time to the next thing that is due. Code that runs on it uses
plain ``asyncio.sleep`` and ``asyncio.timeout``; nothing threads a clock through it. What would wait on the outside
(sockets, threads) has no place on this loop; a wait that nothing can end raises ``Stalled`` instead of hanging.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import random
import uuid
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, Final, TypeVar, TypeVarTuple

from apis_rules.errors import ApisRulesError

if TYPE_CHECKING:
    import selectors
    from collections import deque
    from collections.abc import Callable, Coroutine, Sequence
    from contextvars import Context

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

UTC_AT_START_S: Final = 1_767_225_600.0
"""2026-01-01T00:00:00Z, which is where the loop's clock begins unless told otherwise."""

_CANCELLED_KEPT: Final = 100
_MOVES_PER_LOOK: Final = 256


class Stalled(ApisRulesError):
    """Everything on the loop waits for something that nothing on the loop will do."""


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop in virtual time, in seconds from *start_s*; *seed* is of the ids that are made up on it.

    What is due at one moment is called in the order in which it was asked for. asyncio promises no order there, but in
    virtual time equal moments are common, and two messages must not overtake each other, nor two runs differ.
    """

    if TYPE_CHECKING:
        # Of BaseEventLoop; typeshed does not show it.
        _ready: deque[asyncio.Handle]
        _scheduled: list[tuple[float, int, _Timer]]
        _stopping: bool
        _selector: selectors.BaseSelector

        def _check_closed(self) -> None: ...
        def _process_events(self, events: list[tuple[selectors.SelectorKey, int]]) -> None: ...

    def __init__(self, start_s: float = 0.0, seed: int = 0) -> None:
        self._now_s = start_s
        self._random = random.Random(seed)  # noqa: S311 - ids of a model, no secret
        self._order = itertools.count()
        self._cancelled = 0
        self._moves = 0
        super().__init__()

    def time(self) -> float:
        """Return the virtual time in seconds."""
        return self._now_s

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """Call *callback* at this moment, after what is to be called already."""
        self._check_closed()
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Call *callback* at *when*, after what is due then already."""
        self._check_closed()
        timer = _Timer(when, callback, args, self, context)
        # Two tuples are compared without any code of ours, and no two of them have one order.
        heapq.heappush(self._scheduled, (when, next(self._order), timer))
        return timer

    def new_uuid(self) -> uuid.UUID:
        """Return the next of a sequence of ids that the seed decides."""
        return uuid.UUID(int=self._random.getrandbits(128), version=4)

    def jump(self, seconds: float) -> None:
        """Move the time forward at once, as a machine that was suspended finds it."""
        if seconds < 0:
            raise ValueError("time only grows")
        self._now_s += seconds

    def _run_once(self) -> None:
        """Call what is to be called now; where there is nothing, let it become the time of the next timer first."""
        ready, scheduled = self._ready, self._scheduled
        if not ready and not self._stopping:
            self._move()
        while scheduled and scheduled[0][0] <= self._now_s:
            ready.append(self._pop())
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle._cancelled:  # noqa: SLF001 - a loop and its calls are one thing
                handle._run()  # noqa: SLF001

    def _move(self) -> None:
        scheduled = self._scheduled
        if self._cancelled > _CANCELLED_KEPT and 2 * self._cancelled > len(scheduled):
            scheduled[:] = [entry for entry in scheduled if not entry[2].cancelled()]
            heapq.heapify(scheduled)
            self._cancelled = 0
        while scheduled and scheduled[0][2].cancelled():
            self._pop()
        self._moves += 1
        if not scheduled or self._moves % _MOVES_PER_LOOK == 0:
            # Signals are told in the loop's own pipe.
            self._process_events(self._selector.select(0))
        if scheduled:
            self._now_s = max(self._now_s, scheduled[0][0])
        elif not self._ready:
            raise Stalled("every task waits for another one: nothing is due on the virtual-time loop")

    def _pop(self) -> _Timer:
        timer = heapq.heappop(self._scheduled)[2]
        timer.scheduled = False
        self._cancelled -= timer.cancelled()
        return timer

    def _timer_handle_cancelled(self, timer: _Timer) -> None:
        self._cancelled += timer.scheduled


class _Timer(asyncio.TimerHandle):
    """A timer; made without a look for the debug mode of a real loop, for there are millions of them."""

    __slots__ = ("scheduled",)

    if TYPE_CHECKING:
        # Of Handle; typeshed does not show it.
        _callback: Callable[..., object]
        _context: Context
        _loop: VirtualTimeLoop
        _repr: str | None
        _source_traceback: None
        _when: float

    def __init__(
        self,
        when: float,
        callback: Callable[..., object],
        args: Sequence[Any],
        loop: VirtualTimeLoop,
        context: Context | None,
    ) -> None:
        self._context = copy_context() if context is None else context
        self._loop = loop
        self._callback = callback
        self._args = args
        self._cancelled = False
        self._repr = self._source_traceback = None
        self._when = when
        self.scheduled = True


def run_virtual(main: Coroutine[Any, Any, T], start_s: float = 0.0, seed: int = 0) -> T:
    """Run *main* to its end on a loop of its own in virtual time and return its result."""
    with asyncio.Runner(loop_factory=lambda: VirtualTimeLoop(start_s, seed)) as runner:
        return runner.run(main)


class LoopClock:
    """The runtime clock of whatever loop is running: in virtual time it is the loop's own time.

    On a real loop use the clock of ``apis_transport`` instead; this one does not count suspension there.
    """

    def __init__(self, utc_at_zero_s: float = UTC_AT_START_S) -> None:
        self._utc_at_zero_s = utc_at_zero_s

    def now_s(self) -> float:
        """Return the running loop's time."""
        return asyncio.get_running_loop().time()

    def utc_s(self) -> float:
        """Return seconds since 1970, as if the loop had begun at ``utc_at_zero_s``."""
        return self._utc_at_zero_s + self.now_s()

    def step_utc(self, seconds: float) -> None:
        """Let the wall clock jump, as a time server's correction makes it."""
        self._utc_at_zero_s += seconds
