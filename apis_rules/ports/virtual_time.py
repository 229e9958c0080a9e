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
import selectors
import uuid
from typing import TYPE_CHECKING, Any, Final, TypeVar, TypeVarTuple

from apis_rules.errors import ApisRulesError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping
    from contextvars import Context

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

UTC_AT_START_S: Final = 1_767_225_600.0
"""2026-01-01T00:00:00Z, which is where the loop's clock begins unless told otherwise."""


class Stalled(ApisRulesError):
    """Everything on the loop waits for something that nothing on the loop will do."""


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop in virtual time, in seconds from *start_s*; *seed* is of the ids that are made up on it."""

    def __init__(self, start_s: float = 0.0, seed: int = 0) -> None:
        self._now_s = start_s
        self._random = random.Random(seed)  # noqa: S311 - ids of a model, no secret
        self._order = itertools.count()
        super().__init__(_JumpingSelector(self))
        # `when - now + now` may fall short of `when` by a rounding error; the loop runs what is due within this.
        self._clock_resolution = 1e-6

    def time(self) -> float:
        """Return the virtual time in seconds."""
        return self._now_s

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Call *callback* at *when*; what is due at one moment is called in the order in which it was asked for.

        asyncio promises no order there. In virtual time equal moments are common, and two messages must not overtake
        each other, nor two runs differ.
        """
        timer = _OrderedTimer(next(self._order), when, callback, args, self, context)
        # What BaseEventLoop.call_at does; typeshed knows neither attribute.
        heapq.heappush(self._scheduled, timer)  # type: ignore[attr-defined]
        timer._scheduled = True  # type: ignore[attr-defined]  # noqa: SLF001
        return timer

    def reach(self, moment_s: float) -> None:
        """Let it be *moment_s* at least."""
        self._now_s = max(self._now_s, moment_s)

    def new_uuid(self) -> uuid.UUID:
        """Return the next of a sequence of ids that the seed decides."""
        return uuid.UUID(int=self._random.getrandbits(128), version=4)

    def jump(self, seconds: float) -> None:
        """Move the time forward at once, as a machine that was suspended finds it."""
        if seconds < 0:
            raise ValueError("time only grows")
        self._now_s += seconds


class _OrderedTimer(asyncio.TimerHandle):
    """A timer that comes after an earlier one of the same moment."""

    def __init__(
        self,
        order: int,
        when: float,
        callback: Callable[..., object],
        args: tuple[Any, ...],
        loop: VirtualTimeLoop,
        context: Context | None,
    ) -> None:
        super().__init__(when, callback, args, loop, context)
        self._virtual = loop
        self._key = when, order

    def _run(self) -> None:
        # The loop runs a timer a rounding error early. Whoever then looks at the clock must not find it not yet due.
        self._virtual.reach(self.when())
        super()._run()

    def __lt__(self, other: asyncio.TimerHandle) -> bool:
        if isinstance(other, _OrderedTimer):
            return self._key < other._key
        return super().__lt__(other)

    __hash__ = asyncio.TimerHandle.__hash__


class _JumpingSelector(selectors.BaseSelector):
    """Looks at the loop's own wake-up pipe, and lets time pass where a selector would wait."""

    def __init__(self, loop: VirtualTimeLoop) -> None:
        self._loop = loop
        self._real = selectors.DefaultSelector()

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = self._real.select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            raise Stalled("every task waits for another one: nothing is due on the virtual-time loop")
        self._loop.jump(max(timeout, 0.0))
        return ready

    def close(self) -> None:
        self._real.close()

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._real.get_map()


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
