"""A master that looks at no clock: it takes the lease once, never renews, and commands until the store refuses it."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from apis_rules.errors import Fenced, Unknown
from apis_rules.ports.types import CommandName
from apis_transport.community import open_community
from tests.faults.candidate import quick_wiring, tell
from tests.transport.small_unit import order


async def main(url: str, community_id: str, folder: str) -> None:
    async with open_community([url], community_id, "c", "careless", Path(folder), wiring=quick_wiring()) as community:
        ports = community.ports
        term = await ports.lease.acquire("careless")
        assert term is not None
        tell("acquired", epoch=term.epoch.number)
        seq = 0
        while True:
            seq += 1
            stop = order(term.epoch, seq, CommandName.WAIT)
            await ports.commands.send_stop("E1", stop)
            tell("sent", epoch=term.epoch.number, seq=seq)
            try:
                await ports.commands.send("E1", stop, term)
            except Unknown:
                pass
            except Fenced:
                tell("fenced", seq=seq)
                return
            await asyncio.sleep(0.02)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
