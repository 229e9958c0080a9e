"""Looks at a community without being one of its units: for the live view, and for the verbs that look and steer."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from apis_rules.compose.overview import look_at
from apis_rules.node.controller import DATA_KEY
from apis_rules.node.messages import MASTER_KEY
from apis_rules.node.records import WATCHED, Records
from apis_rules.ports.types import DealRecord, ErrorEvent
from apis_transport.community import open_community

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from apis_rules.compose.overview import Overview
    from apis_rules.ports.bundle import CommunityPorts
    from apis_rules.ports.state import View

KEPT_ERRORS: Final = 50
NAME: Final = "onlooker"


class Onlooker:
    """An open look at a community.

    Attributes:
        finished: the final records since the look was opened, oldest first.
        errors: the last error events.
    """

    def __init__(
        self, ports: CommunityPorts, records: Records, units: View, members: Sequence[str], default_mode: str
    ) -> None:
        self.ports = ports
        self.records = records
        self.units = units
        self.members = tuple(members)
        self.default_mode = default_mode
        self.finished: list[DealRecord] = []
        self.errors: deque[ErrorEvent] = deque(maxlen=KEPT_ERRORS)

    def overview(self) -> Overview:
        """Return the community as it looks now."""
        return look_at(self.records, self.units, self.members, self.default_mode)

    async def follow_deals(self, from_seq: int) -> None:
        """Collect final records until cancelled."""
        async for message in self.ports.streams.read("DEALLOG", from_seq):
            self.finished.append(DealRecord.from_json(message.body))

    async def follow_errors(self, from_seq: int) -> None:
        """Collect error events until cancelled."""
        async for message in self.ports.streams.read("ERRLOG", from_seq):
            self.errors.append(ErrorEvent.from_json(message.body))


@asynccontextmanager
async def open_onlooker(
    urls: Sequence[str], community_id: str, cluster_id: str, members: Sequence[str], default_mode: str
) -> AsyncIterator[Onlooker]:
    """Connect and open the views; everything that is shown then is current.

    Raises:
        CannotOpen: the store is not there.
    """
    async with (
        open_community(urls, community_id, cluster_id, NAME, None) as community,
        community.ports.ctl.watch(*WATCHED) as ctl,
        community.ports.unit.watch(DATA_KEY, MASTER_KEY) as units,
    ):
        async with asyncio.timeout(10):
            await ctl.wait_fresh()
            await units.wait_fresh()
        yield Onlooker(community.ports, Records(ctl), units, members, default_mode)
