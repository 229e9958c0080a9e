"""What a community error asks of all. Every node remembers it until the records show it: a master may die over it.

The Grid Master writes it down: the mode *stop* with its reason, until when nobody trades, and up to where the stream of
errors is answered. Whoever follows it goes on from there.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Final

from apis_rules.charts.master import Reaction, ReactionKind
from apis_rules.errors import PortError
from apis_rules.node.records import MODE, SUSTAIN, ModeRecord, Sustain
from apis_rules.ports.state import Write
from apis_rules.ports.types import OperationMode

if TYPE_CHECKING:
    from apis_rules.node.board import Board
    from apis_rules.ports.bundle import CommunityPorts

log = logging.getLogger(__name__)

LOOK_S: Final = 0.5
NOTHING: Final = Sustain(until_utc_s=0.0, reason="")


class CommunityStop:
    """One node's memory of what the community owes.

    Attributes:
        reaction: the stop that is demanded and not yet done.
    """

    def __init__(self, ports: CommunityPorts, board: Board) -> None:
        self.reaction: Reaction | None = None
        self._ports = ports
        self._board = board
        self._owed = NOTHING
        self._mode_reason: str | None = None
        self._mode_revision = 0
        self._more = asyncio.Event()

    def demand(self, reaction: Reaction) -> None:
        """Let the community stop, and nobody trade for the policy's sustaining time."""
        if self.reaction is None or reaction.kind is ReactionKind.SCRAM:
            self.reaction = reaction
        until_utc_s = self._ports.clock.utc_s() + self._board.documents.policy.grid_master.error_sustaining_s
        self._owed = self._owed.model_copy(update={"until_utc_s": until_utc_s, "reason": reaction.reason})
        self._more.set()
        self._board.changed("records")

    def stop_mode(self, reason: str) -> None:
        """Let the community's mode be *stop*, unless somebody has set one after this."""
        self._mode_reason = reason
        self._mode_revision = self._board.records.entry(MODE).revision
        self._more.set()

    def answered(self, seq: int) -> None:
        """Learn that the community errors up to this one of the stream are answered."""
        if seq > self._owed.answered_seq:
            self._owed = self._owed.model_copy(update={"answered_seq": seq})
            self._more.set()

    def done(self) -> None:
        """Learn that the community stands still, or that its records show the stop: the sustaining time goes on."""
        if self.reaction is not None:
            self.reaction = None
            self._board.changed("errors")

    @property
    def sustaining(self) -> bool:
        """Whether the community has an error, or had one within the sustaining time."""
        record = self._board.records.sustain()
        until_utc_s = max(self._owed.until_utc_s, record.until_utc_s if record else 0.0)
        return self.reaction is not None or self._ports.clock.utc_s() < until_utc_s

    async def run(self) -> None:
        """Write down what is owed whenever this node is the Grid Master, until cancelled."""
        while True:
            self._more.clear()
            await self._settle()
            owes = self._mode_reason is not None or self._owed != NOTHING
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S if owes else None):
                    await self._more.wait()

    async def _settle(self) -> None:
        records = self._board.records
        if self._mode_reason is not None and records.entry(MODE).revision != self._mode_revision:
            self._mode_reason = None
        if not (self._board.is_master and records.fresh):
            return
        try:
            if self._mode_reason is not None:
                record = ModeRecord(mode=OperationMode.STOP, reason=self._mode_reason)
                await self._ports.ctl.write(Write(MODE, record.to_json(), records.entry(MODE).at))
                self._mode_reason = None
            await self._write_sustain(records.sustain() or NOTHING)
        except PortError as error:
            # Looked at again soon, also by a store that is full; the records show what is true.
            log.debug("the community's stop is not written down yet: %s", error)

    async def _write_sustain(self, there: Sustain) -> None:
        later = self._owed if self._owed.until_utc_s > there.until_utc_s else there
        seq = max(self._owed.answered_seq, there.answered_seq)
        wanted = later.model_copy(update={"answered_seq": seq})
        if wanted != there:
            await self._ports.ctl.write(Write(SUSTAIN, wanted.to_json(), self._board.records.entry(SUSTAIN).at))
