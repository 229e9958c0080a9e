"""The lease and what hangs on it, one server beside three: milliseconds of each step, seconds until the next master.

``python benchmarks/lease.py [--rounds 3]``. The one server is the embedded one; all run on this machine.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from apis_rules.documents.wiring import load_wiring
from apis_rules.ports.state import Write
from apis_rules.ports.types import Command, CommandName
from apis_transport.community import open_community
from apis_transport.embedded import embedded_server

sys.path.insert(0, str(Path(__file__).parents[1]))
from typing import TYPE_CHECKING

from tests.nats_servers import Cluster

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from apis_rules.ports.bundle import CommunityPorts
    from apis_rules.ports.lease import Term

HOLDER = """
import asyncio, sys
from pathlib import Path
from apis_transport.community import open_community
async def main(urls, name, folder, ready):
    async with open_community(urls.split(","), "bench", "c", name, Path(folder) / name) as community:
        ports = community.ports
        while (term := await ports.lease.acquire(name)) is None:
            await asyncio.sleep(0.05)
        Path(ready).touch()
        while True:
            await asyncio.sleep(community.times.renewal_s)
            term = await ports.lease.renew(term)
asyncio.run(main(*sys.argv[1:]))
"""


async def milliseconds(step: Callable[[int], Awaitable[object]], count: int) -> list[float]:
    """Do *step* again and again; return how long each took."""
    taken = []
    for n in range(count):
        began = time.perf_counter()
        await step(n)
        taken.append((time.perf_counter() - began) * 1000)
    return taken


async def acquire(ports: CommunityPorts) -> Term:
    """Take the lease, which nobody has."""
    term = await ports.lease.acquire("bench")
    if term is None:
        raise RuntimeError("somebody else has the lease")
    return term


async def measure(ports: CommunityPorts, count: int) -> dict[str, list[float]]:
    """Return the milliseconds of each step, by its name."""
    figures: dict[str, list[float]] = {"acquire": [], "renew": []}
    for _ in range(count):
        began = time.perf_counter()
        term = await acquire(ports)
        acquired = time.perf_counter()
        term = await ports.lease.renew(term)
        figures["acquire"].append((acquired - began) * 1000)
        figures["renew"].append((time.perf_counter() - acquired) * 1000)
        await ports.lease.release(term)
    term = await acquire(ports)

    async def fenced(n: int) -> None:
        await ports.ctl.write(Write(f"fact.{n % 10}", b"x" * 200, term.fence))

    async def batch(n: int) -> None:
        await ports.ctl.write(Write(f"deal.{n}", b"x" * 500, term.fence), Write("lock.a", b"x"), Write("lock.b", b"x"))

    figures["fenced write"] = await milliseconds(fenced, count)
    figures["deal and two locks"] = await milliseconds(batch, count)
    async with ports.commands.inbox("unit") as inbox:

        async def command(n: int) -> None:
            order = Command(epoch=term.epoch, seq=n, boot="b", refresh=1, name=CommandName.WAIT)
            sending = asyncio.create_task(ports.commands.send("unit", order, term))
            await anext(inbox)
            await sending

        figures["command, until the unit has it"] = await milliseconds(command, count)
    await ports.lease.release(term)
    return figures


async def fail_over(ports: CommunityPorts, urls: list[str], folder: Path, rounds: int) -> list[float]:
    """Kill processes that hold the lease; return the seconds until a waiting candidate has it."""
    taken = []
    for n in range(rounds):
        holder = await asyncio.to_thread(start, urls, f"holder{n}", folder)
        await asyncio.sleep(2)
        began = time.perf_counter()
        holder.kill()
        holder.wait()
        changes = ports.lease.changes()
        async for state in changes:
            if state.holder is None and (term := await ports.lease.acquire("bench")) is not None:
                break
        taken.append(time.perf_counter() - began)
        await changes.aclose()  # type: ignore[attr-defined]  # a generator
        await ports.lease.release(term)
    return taken


def start(urls: list[str], name: str, folder: Path) -> subprocess.Popen[str]:
    """Start a process that takes the lease and renews it; return when it has it."""
    ready = folder / f"{name}.holds"
    process = subprocess.Popen([sys.executable, "-c", HOLDER, ",".join(urls), name, folder, ready], text=True)
    while not ready.exists():
        time.sleep(0.05)
    return process


async def run(urls: list[str], folder: Path, count: int, rounds: int) -> tuple[dict[str, list[float]], list[float]]:
    """Measure over the servers at *urls*."""
    async with open_community(urls, "bench", "c", "bench", folder / "bench", within_s=20) as community:
        figures = await measure(community.ports, count)
        return figures, await fail_over(community.ports, urls, folder, rounds)


async def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with embedded_server(folder / "store") as server:
            one, one_over = await run([server.url], folder / "one", args.count, args.rounds)
        cluster = Cluster(folder / "cluster").start()
        try:
            three, three_over = await run(cluster.urls, folder / "three", args.count, args.rounds)
        finally:
            cluster.stop()
    print(f"{'ms, p50 / p99':34}{'embedded':>16}{'three servers':>16}{'ratio':>8}")
    for step in one:
        cells = [
            f"{statistics.median(f[step]):.2f} / {statistics.quantiles(f[step], n=100)[98]:.1f}" for f in (one, three)
        ]
        ratio = statistics.median(three[step]) / statistics.median(one[step])
        print(f"{step:34}{cells[0]:>16}{cells[1]:>16}{ratio:>7.1f}x")
    wiring = load_wiring()
    print(f"\n{'s, kill -9 until the next master':34}{'median (max)':>16}{'time limit':>12}{'ratio':>8}")
    for label, taken, life_s in (
        ("embedded", one_over, wiring.times_of("embedded").life_s),
        ("three servers", three_over, wiring.times_of("cluster").life_s),
    ):
        median = statistics.median(taken)
        print(f"{label:34}{f'{median:.2f} ({max(taken):.2f})':>16}{life_s:>12}{median / life_s:>7.2f}x")


if __name__ == "__main__":
    asyncio.run(main())
