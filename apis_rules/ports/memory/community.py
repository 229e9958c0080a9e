"""A community's store and wires in memory: where a simulation or a test begins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from apis_rules.ports.bundle import CommunityPorts
from apis_rules.ports.decision_buffer import BufferedDecisionLog
from apis_rules.ports.feed import Feeds
from apis_rules.ports.memory.bucket import Bucket, Snapshot
from apis_rules.ports.memory.bus import Exchange, MemoryBus
from apis_rules.ports.memory.commands import Dispatch, MemoryCommands
from apis_rules.ports.memory.faults import Line
from apis_rules.ports.memory.state import MemoryState
from apis_rules.ports.memory.streams import NAMES, Log, MemoryStreams
from apis_rules.ports.state_lease import StateLease
from apis_rules.ports.virtual_time import LoopClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@dataclass(frozen=True, slots=True)
class StoreSnapshot:
    """Everything that shared state held at one moment."""

    ctl: Snapshot
    policy: Snapshot


class MemoryCommunity:
    """One store and the nodes that are connected to it.

    Attributes:
        ctl, unit, policy: the store's own side of the buckets, for looks and faults.
        logs: the streams by name.
        lines: the wires by unit id.
        life_s: the lease's time limit.
    """

    def __init__(self, life_s: int = 5, clock: LoopClock | None = None) -> None:
        self.ctl = Bucket()
        self.unit = Bucket()
        self.policy = Bucket()
        self.logs = {name: Log() for name in NAMES}
        self.lines: dict[str, Line] = {}
        self.life_s = life_s
        self.clock = clock or LoopClock()
        self._up = True
        self._exchange = Exchange()
        self._dispatch = Dispatch(self.ctl)

    def connect(self, unit_id: str) -> CommunityPorts:
        """Return the ports of one node, whose wire is ``lines[unit_id]``; once more: a new process on a new wire."""
        line = self.lines[unit_id] = Line()
        line.store_went(up=self._up)
        ctl = MemoryState(self.ctl, line)
        streams = MemoryStreams(self.logs, line)
        return CommunityPorts(
            ctl=ctl,
            unit=MemoryState(self.unit, line),
            policy=MemoryState(self.policy, line),
            lease=StateLease(ctl, self.clock, self.life_s),
            commands=MemoryCommands(ctl, self._dispatch, line),
            bus=MemoryBus(self._exchange, line),
            streams=streams,
            decisions=BufferedDecisionLog(streams, unit_id),
            link=LineLink(line),
            clock=self.clock,
        )

    @property
    def up(self) -> bool:
        """Whether the store is there."""
        return self._up

    def stop(self) -> None:
        """Let the store go away; what it holds stays."""
        self._up = False
        for line in self.lines.values():
            line.store_went(up=False)

    def start(self) -> None:
        """Let the store come back; ``unit`` lived in its memory and is empty."""
        self.unit.lose()
        self._up = True
        for line in self.lines.values():
            line.store_went(up=True)

    def snapshot(self) -> StoreSnapshot:
        """Return what is stored now."""
        return StoreSnapshot(self.ctl.snapshot(), self.policy.snapshot())

    def rewind(self, to: StoreSnapshot) -> None:
        """Restart the store with an older content, as after a power cut on a disk that lied."""
        self.stop()
        self.ctl.rewind(to.ctl)
        self.policy.rewind(to.policy)
        self.start()

    def lose(self) -> None:
        """Restart the store with nothing in it."""
        self.stop()
        self.ctl.lose()
        self.policy.lose()
        self.start()


class LineLink:
    """``Link``: whether the wire to the store holds."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._last = line.connected
        self._feeds: Feeds[bool] = Feeds()
        line.on_change.append(self._line_changed)

    @property
    def connected(self) -> bool:
        """Whether the store is reached."""
        return self._line.connected

    def changes(self) -> AsyncIterator[bool]:
        """Yield ``connected`` now and at each change."""
        return self._feeds.open([self._line.connected], self._line.awake)

    def _line_changed(self) -> None:
        if self._line.connected != self._last:
            self._last = self._line.connected
            self._feeds.put(self._last)
