"""How many units one server carries: CPU and memory of the server and of the units, and the time to gather from all.

``python benchmarks/scale.py [--units 100 500]``. Every unit is a node's whole set of ports, with its view of ``ctl``,
its presence, its link, and 1 KiB of unit data every 5 s; all of them run in one Python process. The load is measured
over 20 s.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import statistics
import tempfile
import time
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from apis_rules.errors import PortError
from apis_rules.ports.state import Write
from apis_transport.community import open_community
from apis_transport.embedded import embedded_server

if TYPE_CHECKING:
    from apis_rules.ports.bundle import CommunityPorts

SECONDS = 20
PERIOD_S = 5
DATA = b"x" * 1024


async def answer(_question: bytes) -> bytes:
    """Answer as a unit does that is asked for its data."""
    return DATA


@dataclass
class Load:
    """What all units of one run share.

    Attributes:
        missed: writes without an acknowledgement within their limit.
    """

    url: str
    folder: Path
    units: int
    opening: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(4))
    joined: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    members: list[CommunityPorts] = field(default_factory=list)
    missed: int = 0

    async def unit(self, number: int) -> None:
        """Be one unit: open everything, answer, publish every 5 s."""
        name = f"E{number:04}"
        async with AsyncExitStack() as stack:
            async with self.opening:
                community = await stack.enter_async_context(
                    open_community([self.url], "bench", "c", name, self.folder / name, within_s=60)
                )
            ports = community.ports
            await stack.enter_async_context(ports.bus.serve(name, "data", answer))
            self.members.append(ports)
            if len(self.members) == self.units:
                self.joined.set()
            await asyncio.sleep(PERIOD_S * number / self.units)
            while not self.over.is_set():
                try:
                    await ports.unit.write(Write(name, DATA, time_limit_s=20))
                except PortError:
                    self.missed += 1
                with suppress(TimeoutError):
                    async with asyncio.timeout(PERIOD_S):
                        await self.over.wait()


async def run(units: int) -> None:
    """Let so many units work, and print one line."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with embedded_server(folder / "store") as server, asyncio.TaskGroup() as tasks:
            load = Load(server.url, folder, units)
            began = time.perf_counter()
            for number in range(units):
                tasks.create_task(load.unit(number))
            await load.joined.wait()
            joined_s = time.perf_counter() - began
            await asyncio.sleep(PERIOD_S)
            load.missed = 0
            processes = (psutil.Process(server.pid), psutil.Process())
            used = [sum(p.cpu_times()[:2]) for p in processes]
            writing = tasks.create_task(deal_writes(load.members[0]))
            await asyncio.sleep(SECONDS)
            writing.cancel()
            cpu = [100 * (sum(p.cpu_times()[:2]) - u) / SECONDS for p, u in zip(processes, used, strict=True)]
            memory = [p.memory_info().rss / 2**20 for p in processes]
            gathered = [await gather(load.members[0], units) for _ in range(15)]
            wall, own = zip(*gathered, strict=True)
            load.over.set()
        print(
            f"{units:>6}{joined_s:>10.1f}{cpu[0]:>12.1f}{memory[0]:>11.0f}{cpu[1]:>12.1f}{memory[1]:>11.0f}"
            f"{statistics.median(wall):>12.1f}{statistics.median(own):>9.1f}{load.missed:>8}",
            flush=True,
        )


async def gather(ports: CommunityPorts, units: int) -> tuple[float, float]:
    """Ask all units; return the milliseconds on the wall and of this process, in which all of them run."""
    await asyncio.sleep(0.1)
    began, working = time.perf_counter(), time.process_time()
    answers = await ports.bus.gather("data", b"", 5.0, expected=units)
    if len(answers) != units:
        raise RuntimeError(f"{len(answers)} of {units} answered")
    return (time.perf_counter() - began) * 1000, (time.process_time() - working) * 1000


async def deal_writes(ports: CommunityPorts) -> None:
    """Two deals a second, which every unit's view follows."""
    n = 0
    while True:
        n += 1
        with suppress(PortError):
            await ports.ctl.write(Write(f"deal.{n % 50}", DATA))
        await asyncio.sleep(0.5)


async def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--units", type=int, nargs="+", default=[100, 500])
    args = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 8192)), hard))
    print(f"{'':16}{'server':>12}{'server':>11}{'all units':>12}{'all units':>11}{'gather ms':>12}{'its CPU':>9}")
    print(
        f"{'units':>6}{'joined s':>10}{'CPU %':>12}{'MiB':>11}{'CPU %':>12}{'MiB':>11}{'p50':>12}{'ms':>9}{'missed':>8}"
    )
    for count in args.units:
        await run(count)


if __name__ == "__main__":
    asyncio.run(main())
