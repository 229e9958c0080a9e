"""Looks at a community without being one of its units: for the live view, and for the verbs that look and steer."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from contextlib import asynccontextmanager
from itertools import islice
from typing import TYPE_CHECKING, Final

from pydantic import ValidationError

from apis_rules.compose.kept import read_understood
from apis_rules.compose.overview import Reports, look_at
from apis_rules.errors import InputError
from apis_rules.node.controller import DATA_KEY
from apis_rules.node.messages import MASTER_KEY, UnitReport
from apis_rules.node.records import WATCHED, Records
from apis_rules.node.reference import KEY, read_reference
from apis_rules.ports.types import DealRecord, ErrorEvent
from apis_transport.community import open_community

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from apis_rules.compose.options import Running
    from apis_rules.compose.overview import Overview
    from apis_rules.ports.state import View
    from apis_transport.community import OpenCommunity

KEPT_ERRORS: Final = 50
KEPT_DEALS: Final = 1000
"""More than can end between two looks."""
NAME: Final = "onlooker"


class Onlooker:
    """An open look at a community.

    Attributes:
        finished: the last final records since the look was opened, oldest first.
        finished_count: how many there have been.
        errors: the last error events.
    """

    def __init__(
        self,
        community: OpenCommunity,
        records: Records,
        units: View,
        policy: View,
        members: Sequence[str],
        default_mode: str,
    ) -> None:
        self.ports = community.ports
        self.times = community.times
        self.records = records
        self.units = units
        self._reports = Reports(units)
        self._policy = policy
        self._in_force = (0, tuple(members), default_mode)
        self.finished: deque[DealRecord] = deque(maxlen=KEPT_DEALS)
        self.finished_count = 0
        self.errors: deque[ErrorEvent] = deque(maxlen=KEPT_ERRORS)

    @property
    def members(self) -> tuple[str, ...]:
        """The units of the community, by the policy that it goes by now."""
        return self._look_up()[1]

    @property
    def default_mode(self) -> str:
        """The mode where nobody has set one."""
        return self._look_up()[2]

    def _look_up(self) -> tuple[int, tuple[str, ...], str]:
        entry = self._policy.get(KEY)
        if entry.revision != self._in_force[0]:
            # What is not known, or of another program's format, changes nothing of what is shown.
            with contextlib.suppress(InputError):
                if (reference := read_reference(entry)) is not None:
                    policy = reference.policy
                    self._in_force = entry.revision, tuple(policy["memberUnitIds"]), policy["operationMode"]
        return self._in_force

    def knows(self, unit_id: str) -> bool:
        """Whether this is a member, or a unit of which something is still open: a deal, an exclusion, a converter."""
        records = self.records
        lock = records.lock(unit_id)
        # What deals have left behind is an empty lock.
        held = bool(lock.entries) or lock.exclusion is not None
        return held or unit_id in {*self.members, *records.active()[0].units}

    def goes_by(self) -> dict[str, str]:
        """Return unit id → hash of the reference in force there, of the units that have published their data lately."""
        found = {}
        for key, entry in self.units.entries(DATA_KEY).items():
            with contextlib.suppress(ValidationError):
                found[key.removeprefix(DATA_KEY)] = UnitReport.from_json(entry.value or b"").goes_by
        return found

    async def follow_members(self, tell: Callable[[], None]) -> None:
        """Call *tell* whenever what the community goes by was changed, until cancelled."""
        async for _ in self._policy.changes():
            tell()

    def overview(self) -> Overview:
        """Return the community as it looks now."""
        return look_at(self.records, self._reports, self.members, self.default_mode)

    def keep_deals(self, limit: int) -> None:
        """Keep so many final records from now on."""
        self.finished = deque(self.finished, limit)

    def finished_after(self, count: int) -> list[DealRecord]:
        """Return the final records after the first *count*, as far as they are kept, oldest first.

        None while not so many have been read yet, as after a restart.
        """
        return [*islice(reversed(self.finished), max(0, self.finished_count - count))][::-1]

    async def follow_deals(self, from_seq: int) -> None:
        """Collect final records until cancelled."""
        messages = self.ports.streams.read("DEALLOG", from_seq)
        async for record in read_understood(messages, "DEALLOG", DealRecord.from_json):
            self.finished.append(record)
            self.finished_count += 1

    async def follow_errors(self, from_seq: int) -> None:
        """Collect error events until cancelled."""
        messages = self.ports.streams.read("ERRLOG", from_seq)
        async for event in read_understood(messages, "ERRLOG", ErrorEvent.from_json):
            self.errors.append(event)


@asynccontextmanager
async def open_onlooker(running: Running) -> AsyncIterator[Onlooker]:
    """Connect and open the views; everything that is shown then is current.

    Raises:
        CannotOpen: the store is not there.
        InputError: AR704, a program of another format works with it.
    """
    async with (
        open_community(
            running.urls, running.community_id, running.cluster_id, NAME, None, credentials=running.credentials_file
        ) as community,
        look_through(community, running) as onlooker,
    ):
        yield onlooker


@asynccontextmanager
async def look_through(community: OpenCommunity, running: Running) -> AsyncIterator[Onlooker]:
    """Open the views on a connection that is there already, as a node's in the same process: it costs no second one.

    Raises:
        InputError: AR704, a program of another format works with the community.
    """
    async with (
        community.ports.ctl.watch(*WATCHED) as ctl,
        community.ports.unit.watch(DATA_KEY, MASTER_KEY) as units,
        community.ports.policy.watch(KEY) as policy,
    ):
        async with asyncio.timeout(10):
            await ctl.wait_fresh()
            await units.wait_fresh()
            await policy.wait_fresh()
        read_reference(policy.get(KEY))
        yield Onlooker(community, Records(ctl), units, policy, running.members, running.default_mode)
