"""Every loop is watched: one that stands still is an error that ends the node, never a silence."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from apis_rules.errors import ApisRulesError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from apis_rules.ports.clock import Clock

LOOK_S: Final = 0.5


class LoopStalled(ApisRulesError):
    """A loop made no progress within its limit."""


class Progress:
    """One loop's sign of life: ``beat`` at each pass; longer than *limit_s* without one is a standstill.

    A loop that has not begun is not judged: some begin only when the node joins. Waiting for a device within its own
    deadline is progress: ``waiting`` adds that deadline to the limit.
    """

    def __init__(self, name: str, clock: Clock, limit_s: float) -> None:
        self.name = name
        self._clock = clock
        self._limit_s = limit_s
        self._allowance_s = 0.0
        self._beaten_at_s: float | None = None

    def beat(self) -> None:
        """Say that the loop goes round."""
        self._beaten_at_s = self._clock.now_s()

    def forgive(self) -> None:
        """Count from now, where the loop has begun."""
        if self._beaten_at_s is not None:
            self.beat()

    @contextmanager
    def waiting(self, deadline_s: float) -> Iterator[None]:
        """Wait for something that may rightly take so long."""
        self.beat()
        self._allowance_s = deadline_s
        try:
            yield
        finally:
            self._allowance_s = 0.0
            self.beat()

    @property
    def alive(self) -> bool:
        """Whether the last beat is recent enough."""
        if self._beaten_at_s is None:
            return True
        return self._clock.now_s() - self._beaten_at_s <= self._limit_s + self._allowance_s


class Supervisor:
    """Watches the loops of one node."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._loops: list[Progress] = []
        self._suspended = False

    def watch(self, name: str, limit_s: float) -> Progress:
        """Begin to watch a loop."""
        progress = Progress(name, self._clock, limit_s)
        self._loops.append(progress)
        return progress

    def suspend(self) -> None:
        """Judge nothing until ``resume``: a simulated process is suspended, and this one with it."""
        self._suspended = True

    def resume(self) -> None:
        """Go on; the loops get their chance before they are judged."""
        self._suspended = False
        self._forgive()

    def _forgive(self) -> None:
        for loop in self._loops:
            loop.forgive()

    @property
    def all_alive(self) -> bool:
        """Whether every loop goes round."""
        return all(loop.alive for loop in self._loops)

    async def run(self) -> None:
        """Look again and again.

        Raises:
            LoopStalled: a loop stands still.
        """
        while True:
            before_s = self._clock.now_s()
            await asyncio.sleep(LOOK_S)
            if self._clock.now_s() - before_s > 2 * LOOK_S:
                # The whole process stood still (suspended machine): the loops get their chance before they are judged.
                self._forgive()
                continue
            if self._suspended:
                continue
            if stalled := self.stalled:
                raise LoopStalled(f"no progress: {', '.join(stalled)}")

    @property
    def stalled(self) -> list[str]:
        """The loops that stand still."""
        return [loop.name for loop in self._loops if not loop.alive]
