"""What can go wrong on the wire between one node and the store, made on purpose.

::

    fault            the call                       what was asked            example
    LOST             Outage, or Unknown for a write is not done               a cable
    ACK_LOST         Unknown for a write            is done                   a server that dies after writing
    DELAYED          Unknown when later than q      is done, later            a paused server
    DUPLICATED       as without the fault           is delivered twice        a retransmission
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
from collections import defaultdict, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from apis_rules.errors import Outage, Refused, Unknown

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Mapping

T = TypeVar("T")


class FaultKind(enum.Enum):
    """The rows of the table in the module's docstring."""

    LOST = "lost"
    ACK_LOST = "ack-lost"
    DELAYED = "delayed"
    DUPLICATED = "duplicated"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong once. *delay_s* counts for DELAYED only."""

    kind: FaultKind
    delay_s: float = 0.0


class Killed(Outage):
    """The process that makes the call is meant to be dead; whatever it does no longer has an effect."""


class Line:
    """The wire between one node and the store.

    Attributes:
        latency_s: one way.
        limit_s: how long a caller waits for an acknowledgement (``q`` of the lease's times).
        reachable: whether a message would arrive now; a suspended process gets it when it continues.
        connected: whether the process runs and a message would pass now.
        writes_until_kill: the process dies directly before its n-th write from now; None: it does not.
    """

    def __init__(self, latency_s: float = 0.0005, limit_s: float = 1.0) -> None:
        self.latency_s = latency_s
        self.limit_s = limit_s
        self.writes_until_kill: int | None = None
        self._cut = False
        self._killed = False
        self._awake = asyncio.Event()
        self._awake.set()
        self._next: defaultdict[str, deque[Fault]] = defaultdict(deque)
        self._rates: dict[tuple[str, Fault], float] = {}
        self._random: random.Random | None = None
        self._store_up = True
        self.reachable = self.connected = True
        self.on_change: list[Callable[[], None]] = []

    @property
    def killed(self) -> bool:
        """Whether the process is meant to be dead."""
        return self._killed

    def cut(self) -> None:
        """Let nothing through any more."""
        self._cut = True
        self._tell()

    def restore(self) -> None:
        """Mend the wire."""
        self._cut = False
        self._tell()

    def store_went(self, *, up: bool) -> None:
        """Learn that the store came up or went down."""
        self._store_up = up
        self._tell()

    def freeze(self) -> None:
        """Suspend the process (SIGSTOP): every call it is in stands still until ``thaw``."""
        self._awake.clear()
        self._tell()

    def thaw(self) -> None:
        """Let the process continue, with everything that it was about to do."""
        self._awake.set()
        self._tell()

    def kill(self) -> None:
        """End the process (SIGKILL): from now on it has no effect, and every call of it raises ``Killed``."""
        self._killed = True
        self._awake.set()
        self._tell()

    def fail_next(self, call: str, fault: Fault) -> None:
        """Let the next *call* meet *fault*.

        Calls: ``read``, ``write``, ``append``, ``command`` (delivery to this node), ``stop`` and ``report`` (plain
        messages of this node), ``ask``, ``answer``, ``broadcast``.
        """
        self._next[call].append(fault)

    def fail_randomly(self, rates: Mapping[tuple[str, Fault], float], source: random.Random) -> None:
        """Let each call meet each fault with its probability; an empty mapping ends it."""
        self._rates = dict(rates)
        self._random = source

    def forget_faults(self) -> None:
        """Let every call from now on meet no fault."""
        self._rates, self._random = {}, None
        self._next.clear()

    def fault_for(self, call: str) -> Fault | None:
        """Return what goes wrong with the call that is about to be made, and count it as done."""
        if self._next[call]:
            return self._next[call].popleft()
        if self._random is not None:
            for (name, fault), rate in self._rates.items():
                if name == call and self._random.random() < rate:
                    return fault
        return None

    async def awake(self) -> None:
        """Return when the process is not suspended. Raises ``Killed``."""
        if not self._awake.is_set():
            await self._awake.wait()
        if self._killed:
            raise Killed("this process is dead")

    async def read(self, apply: Callable[[], T]) -> T:
        """Make a call that changes nothing. Raises ``Outage``."""
        fault = self.fault_for("read")
        await self._travel()
        if fault is not None and fault.kind in (FaultKind.LOST, FaultKind.ACK_LOST):
            await self._wait_in_vain()
            raise Outage("no answer from the store")
        if fault is not None and fault.kind is FaultKind.DELAYED:
            await asyncio.sleep(fault.delay_s)
        result = apply()
        await self._travel()
        return result

    async def write(self, call: str, apply: Callable[[], T]) -> T:
        """Make a call that changes something.

        Raises:
            Outage: it was not done and will not be.
            Unknown: it may have been done, or be done later.
        """
        await self.awake()
        if self.writes_until_kill is not None:
            self.writes_until_kill -= 1
            if self.writes_until_kill < 0:
                self.kill()
                await self.awake()
        fault = self.fault_for(call)
        await self._travel()
        match fault:
            case Fault(FaultKind.LOST):
                await self._wait_in_vain()
                raise Unknown("no acknowledgement")
            case Fault(FaultKind.DELAYED, delay_s) if delay_s >= self.limit_s:
                asyncio.get_running_loop().call_later(delay_s, _ignore_refusal, apply)
                await self._wait_in_vain()
                raise Unknown("no acknowledgement")
            case Fault(FaultKind.DELAYED, delay_s):
                await asyncio.sleep(delay_s)
            case _:
                pass
        result = apply()
        if fault is not None and fault.kind is FaultKind.ACK_LOST:
            await self._wait_in_vain()
            raise Unknown("no acknowledgement")
        try:
            await self._travel()
        except Killed:
            raise
        except Outage as error:
            await self._wait_in_vain()
            raise Unknown("no acknowledgement") from error
        return result

    async def _travel(self) -> None:
        await self._pass()
        await asyncio.sleep(self.latency_s)
        await self._pass()

    async def _pass(self) -> None:
        if self.connected:
            return
        await self.awake()
        if not self._store_up:
            raise Outage("the store is down")
        if self._cut:
            raise Outage("not connected")

    async def _wait_in_vain(self) -> None:
        await asyncio.sleep(self.limit_s)
        await self.awake()

    def _tell(self) -> None:
        self.reachable = self._store_up and not self._cut and not self._killed
        self.connected = self.reachable and self._awake.is_set()
        for callback in list(self.on_change):
            callback()


def _ignore_refusal(apply: Callable[[], object]) -> None:
    """Do late what nobody waits for any more: a condition that no longer holds concerns nobody."""
    with contextlib.suppress(Refused):
        apply()
