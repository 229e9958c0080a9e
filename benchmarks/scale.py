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
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

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


async def publish(ports: CommunityPorts, unit_id: str, delay_s: float) -> None:
    """Write the unit's data every 5 s."""
    await asyncio.sleep(delay_s)
    while True:
        await ports.unit.write(Write(unit_id, DATA, time_limit_s=20))
        await asyncio.sleep(PERIOD_S)


async def run(units: int) -> None:
    """Open so many units, let them work, and print one line."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with embedded_server(folder / "store") as server, AsyncExitStack() as stack:
            tasks = await stack.enter_async_context(asyncio.TaskGroup())
            members = []
            began = time.perf_counter()
            opening = asyncio.Semaphore(4)

            async def join(n: int) -> None:
                async with opening:
                    community = await nodes[n].__aenter__()
                members.append(community.ports)

            nodes = [
                open_community([server.url], "bench", "c", f"E{n:04}", folder / f"E{n:04}", within_s=60)
                for n in range(units)
            ]
            await asyncio.gather(*(join(n) for n in range(units)))
            joined_s = time.perf_counter() - began
            publishing = [
                tasks.create_task(publish(ports, f"E{n:04}", PERIOD_S * n / units)) for n, ports in enumerate(members)
            ]
            for n, ports in enumerate(members):
                await stack.enter_async_context(ports.bus.serve(f"E{n:04}", "data", answer))
            await asyncio.sleep(PERIOD_S)
            processes = (psutil.Process(server.pid), psutil.Process())
            used = [sum(p.cpu_times()[:2]) for p in processes]
            writes = tasks.create_task(deal_writes(members[0]))
            await asyncio.sleep(SECONDS)
            writes.cancel()
            cpu = [100 * (sum(p.cpu_times()[:2]) - u) / SECONDS for p, u in zip(processes, used, strict=True)]
            memory = [p.memory_info().rss / 2**20 for p in processes]
            gathered = []
            for _ in range(15):
                began = time.perf_counter()
                answers = await members[0].bus.gather("data", b"", 5.0, expected=units)
                gathered.append((time.perf_counter() - began) * 1000)
                if len(answers) != units:
                    raise RuntimeError(f"{len(answers)} of {units} answered")
                await asyncio.sleep(0.1)
            print(
                f"{units:>6}{joined_s:>10.1f}{cpu[0]:>12.1f}{memory[0]:>11.0f}{cpu[1]:>12.1f}{memory[1]:>11.0f}"
                f"{statistics.median(gathered):>12.1f}{max(gathered):>9.1f}",
                flush=True,
            )
            for task in publishing:
                task.cancel()
            await asyncio.gather(*(node.__aexit__(None, None, None) for node in nodes))


async def deal_writes(ports: CommunityPorts) -> None:
    """Two deals a second, which every unit's view follows."""
    n = 0
    while True:
        n += 1
        await ports.ctl.write(Write(f"deal.{n % 50}", DATA))
        await asyncio.sleep(0.5)


async def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--units", type=int, nargs="+", default=[100, 500])
    args = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 8192)), hard))
    print(f"{'':6}{'':>10}{'server':>12}{'server':>11}{'all units':>12}{'all units':>11}{'gather ms':>12}{'gather':>9}")
    print(f"{'units':>6}{'joined s':>10}{'CPU %':>12}{'MiB':>11}{'CPU %':>12}{'MiB':>11}{'p50':>12}{'max':>9}")
    for units in args.units:
        await run(units)


if __name__ == "__main__":
    asyncio.run(main())
