"""What a Grid Master asks of the units in its term, so that its picture of them is young (specification 12.1, 3.2).

Readings that the planner wants now, the regular collection of all units' data, and the announcement of the term.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from apis_rules.errors import Outage, Refused, Unknown
from apis_rules.node import messages

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

    from apis_rules.node.errors import Errors
    from apis_rules.node.neighbours import Neighbours
    from apis_rules.ports.bundle import CommunityPorts
    from apis_rules.ports.types import ConverterMode, Epoch

READ_PAUSE_S: Final = 0.1
WATCH_S: Final = 0.5
"""A unit that is in play is read again when its last reading is so old."""

OWN_WATCH_S: Final = 1.5
"""The master reads its own unit so often where deals may come: a bus it has watched is known to be dead before."""

ROUND_S: Final = 0.1
"""A reading that has come waits so long for the others that the plan wants with it."""

READ_LIMIT_S: Final = 7.0
ANNOUNCE_LIMIT_S: Final = 5.0
"""A unit that is carrying out an older command, or was started anew, is asked again after this time."""

UNDER_WAY: Final = float("inf")


class Inquiries:
    """The questions of one term; *start* runs one until the term ends, *wake* tells the master that an answer came."""

    def __init__(
        self,
        epoch: Epoch,
        owner: str,
        ports: CommunityPorts,
        neighbours: Neighbours,
        errors: Errors,
        start: Callable[[Coroutine[Any, Any, None]], None],
        wake: Callable[[], None],
    ) -> None:
        self._epoch = epoch
        self._owner = owner
        self._ports = ports
        self._neighbours = neighbours
        self._errors = errors
        self._start = start
        self._wake = wake
        self._reading: dict[str, float] = {}
        self._read_again: set[str] = set()
        self._wanted: frozenset[str] = frozenset()
        self._round: asyncio.TimerHandle | None = None
        self._announcing: set[str] = set()

    def read(self, wanted: Sequence[str], in_play: Mapping[str, object], *, watches_bus: bool = True) -> None:
        """Ask for what the plan wants now, and keep the readings of all units in play young."""
        self._wanted = frozenset(wanted)
        # What is being read was asked for before the plan wished for it: it may show what was before a switch.
        self._read_again.update(u for u in wanted if self._reading.get(u) == UNDER_WAY)
        self._ask(wanted)
        self.keep_young(in_play, watches_bus=watches_bus)

    def keep_young(self, in_play: Mapping[str, object], *, watches_bus: bool = True) -> None:
        """Ask all units in play whose last reading has aged; with *watches_bus* the master's own unit as well."""
        now_s = self._ports.clock.now_s()
        old = [u for u in in_play if now_s - self._neighbours.of(u).read_at_s >= WATCH_S]
        if watches_bus and now_s - self._neighbours.of(self._owner).read_at_s >= OWN_WATCH_S:
            old.append(self._owner)
        self._ask(old)

    def _ask(self, unit_ids: Sequence[str]) -> None:
        now_s = self._ports.clock.now_s()
        for unit_id in unit_ids:
            ended_s = self._reading.get(unit_id, float("-inf"))
            if ended_s != UNDER_WAY:
                self._reading[unit_id] = UNDER_WAY
                self._start(self._read_one(unit_id, ended_s + READ_PAUSE_S - now_s))

    async def _read_one(self, unit_id: str, pause_s: float) -> None:
        await asyncio.sleep(max(0.0, pause_s))
        self._read_again.discard(unit_id)
        await self._ask_for_reading(unit_id)
        while unit_id in self._read_again:
            self._read_again.discard(unit_id)
            await self._ask_for_reading(unit_id)
        self._reading[unit_id] = self._ports.clock.now_s()

    async def _ask_for_reading(self, unit_id: str) -> None:
        asked_at_s = self._ports.clock.now_s()
        mode = self._mode_of(unit_id)
        try:
            body = await self._ports.bus.ask(
                unit_id, messages.DATA, messages.DataWanted(fresh=True).to_json(), READ_LIMIT_S
            )
            # Read after it was asked; how long the answer took nobody knows, and a process may be suspended meanwhile.
            report = messages.read_message(messages.UnitReport, body)
            self._neighbours.take_report(report, asked_at_s)
        except (Outage, Unknown, Refused):
            return  # it stays unread, which the planner sees by the age of its last reading
        finally:
            self._tell(unit_id, turned=self._mode_of(unit_id) is not mode)

    def _mode_of(self, unit_id: str) -> ConverterMode | None:
        data = self._neighbours.of(unit_id).data
        return data.dcdc.status.mode if data else None

    def _tell(self, unit_id: str, *, turned: bool) -> None:
        """Wake the master for a reading: at once where the converter has *turned* to another mode.

        Else with the last of the readings that it wants together; what only keeps the picture young wakes it at the
        end of its round.
        """
        pending = {u for u, ended_s in self._reading.items() if u != unit_id and ended_s == UNDER_WAY}
        wanted = unit_id in self._wanted
        if turned or (not pending & self._wanted if wanted else not pending):
            if self._round is not None:
                self._round.cancel()
                self._round = None
            self._wake()
        elif wanted and self._round is None:
            self._round = asyncio.get_running_loop().call_later(ROUND_S, self._end_round)

    def _end_round(self) -> None:
        self._round = None
        self._wake()

    async def collect(self, within_s: float, expected: int) -> None:
        """Ask all units for their data once; return when *expected* have answered or time is out."""
        asked_at_s = self._ports.clock.now_s()
        try:
            answers = await self._ports.bus.gather(messages.DATA, messages.DataWanted().to_json(), within_s, expected)
        except Outage:
            answers = []
        for body in answers:
            try:
                # An answer may lie here until all have come or time is out, so its age counts from the question.
                report = messages.read_message(messages.UnitReport, body)
                self._neighbours.take_report(report, asked_at_s - report.age_s)
            except Refused as error:
                self._errors.note(f"an answer is left out: {error}")

    def announce(self, unit_ids: Sequence[str]) -> None:
        """Announce the term to units that have not acknowledged it."""
        for unit_id in unit_ids:
            if unit_id not in self._announcing:
                self._announcing.add(unit_id)
                self._start(self._announce_to(unit_id))

    async def _announce_to(self, unit_id: str) -> None:
        body = messages.Announcement(epoch=self._epoch, owner=self._owner).to_json()
        try:
            answer = messages.read_message(
                messages.AnnouncementAnswer,
                await self._ports.bus.ask(unit_id, messages.ANNOUNCE, body, ANNOUNCE_LIMIT_S),
            )
        except (Outage, Unknown, Refused):
            await asyncio.sleep(READ_PAUSE_S)
            return
        else:
            self._neighbours.take_acknowledgement(answer, self._ports.clock.now_s())
        finally:
            self._announcing.discard(unit_id)
            self._wake()
