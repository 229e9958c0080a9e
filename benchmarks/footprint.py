"""How much memory and processor nodes take, and whether two hundred of them trade on one core.

Three communities, one after the other, each on a real broker and the modelled grid behind HTTP (both in this process or
beside it, and not counted):

- *one each*: four nodes, a process each. Memory while they trade; processor in mode ``stop``, where they only watch.
- *together*: the example community as ``apis-rules run`` starts it, grid included; its broker and supervisor apart.
- *many*: two hundred nodes in one process; what they traded, and every error that was told.

``python benchmarks/footprint.py [--minutes 5] [--many-minutes 10] [--units 200] [--part NAME]``; 1 where a figure is
above its limit. ``--python`` names the interpreter of an installation as a board has it (without the extras, whose
libraries drag others along): the nodes of *one each* are measured there.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import io
import signal
import sys
import tempfile
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from apis_rules.grid.configs import write_configs
from apis_rules.grid.model import Grid
from apis_rules.grid.plant import Plant
from apis_rules.grid.server import Emulator, EmulatorPorts
from apis_rules.grid.settings import community
from apis_transport.embedded import embedded_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MIB = 2**20
ACCELERATION = 10.0
IDLE_WINDOW_S = 60.0
END_S = 60.0
LIMITS = {"node, MiB": 70.0, "idle node, % of a core": 1.0, "example community, MiB": 150.0, "errors of many": 0.0}
NODES = "--no-supervisor"
"""What the process that runs nodes has on its command line, and the one above it has not."""


@dataclass(frozen=True, slots=True)
class Site:
    """A folder of configs, the broker for them, and the grid that their drivers are."""

    folder: Path
    url: str
    plant: Plant


@asynccontextmanager
async def open_site(units: int) -> AsyncIterator[Site]:
    """Serve a grid of so many units and a broker; write the units' files."""
    async with AsyncExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="apis-rules-footprint-")))
        unit_ids = [f"E{number:03}" for number in range(1, units + 1)]
        clock = asyncio.get_running_loop().time
        spread = (90.0, 30.0, 70.0, 20.0)
        plant = Plant(Grid(community(units, rsoc_percent=spread)), now_s=clock, acceleration=ACCELERATION)
        emulator = await stack.enter_async_context(
            Emulator(plant, EmulatorPorts(emulator=0, v2_first=None, v1_first=None))
        )
        server = await stack.enter_async_context(embedded_server(root / "store"))
        (root / "site").mkdir()
        write_configs(root / "site", unit_ids, emulator.addresses, "dcdc_emulator")
        yield Site(root / "site", server.url, plant)


@asynccontextmanager
async def program(*arguments: object, log: Path, python: str = sys.executable) -> AsyncIterator[psutil.Process]:
    """Run ``apis-rules`` with *arguments*; afterwards end it in order, or by force when that takes too long."""
    with log.open("w") as lines:
        command = [python, "-m", "apis_rules", *map(str, arguments)]
        process = await asyncio.create_subprocess_exec(*command, stdout=lines, stderr=lines, cwd=log.parent)
        try:
            yield psutil.Process(process.pid)
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(process.wait(), END_S)
            except TimeoutError:
                process.kill()
                await process.wait()


async def ask(*arguments: object) -> str:
    """Return what another ``apis-rules`` prints."""
    command = [sys.executable, "-m", "apis_rules", *map(str, arguments)]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    said, _ = await process.communicate()
    return said.decode()


def rss_mib(process: psutil.Process) -> float:
    """Return the memory that a process holds."""
    return float(process.memory_info().rss) / MIB


def busy_s(process: psutil.Process) -> float:
    """Return the processor time that a process has had."""
    times = process.cpu_times()
    return float(times.user + times.system)


async def one_each(minutes: float, python: str) -> dict[str, float]:
    """Four nodes, a process each."""
    async with open_site(4) as site, AsyncExitStack() as stack:
        nodes = []
        for config in sorted(site.folder.glob("config*.json")):
            state = site.folder / "state" / config.stem
            started = program(
                *("run", config, "--nats", site.url, "--state-dir", state, NODES),
                log=site.folder / f"{config.stem}.log",
                python=python,
            )
            nodes.append(await stack.enter_async_context(started))
        await asyncio.sleep(minutes * 60)
        memory = [rss_mib(node) for node in nodes]
        await ask("mode", "set", "stop", "--state-dir", state)
        await asyncio.sleep(END_S)  # every deal is over and the bus is dead
        before = [busy_s(node) for node in nodes]
        await asyncio.sleep(IDLE_WINDOW_S)
        shares = [(busy_s(node) - b) / IDLE_WINDOW_S * 100 for node, b in zip(nodes, before, strict=True)]
        return {"node, MiB": max(memory), "idle node, % of a core": max(shares)}


async def together(minutes: float) -> dict[str, float]:
    """The example community, as its users start it."""
    with tempfile.TemporaryDirectory(prefix="apis-rules-footprint-") as folder:
        async with program("run", "--state-dir", Path(folder) / "state", log=Path(folder) / "log") as above:
            await asyncio.sleep(minutes * 60)
            below = {tuple(p.cmdline()): p for p in above.children(recursive=True)}
            nodes = next(p for command, p in below.items() if NODES in command)
            broker = next(p for command, p in below.items() if "nats-server" in command[0])
            return {
                "example community, MiB": rss_mib(nodes),
                "its supervisor, MiB": rss_mib(above),
                "its broker, MiB": rss_mib(broker),
            }


async def many(minutes: float, units: int) -> dict[str, float]:
    """Many nodes in one process."""
    async with open_site(units) as site:
        log, state = site.folder / "log", site.folder / "state"
        arguments = ("run", site.folder, "--nats", site.url, "--state-dir", state, "--start-timeout", 300, NODES)
        async with program(*arguments, log=log) as nodes:
            await asyncio.sleep(minutes * 60)
            memory, share = rss_mib(nodes), busy_s(nodes) / (minutes * 60) * 100
            deals = list(csv.DictReader(io.StringIO(await ask("deals", "--format", "csv", "--state-dir", state))))
        lines = log.read_text().splitlines()
        errors = [line for line in lines if ":ERROR" in line or ":FATAL" in line or "Error" in line]
        for line in errors[:10]:
            print(f"    {line}")
        return {
            f"{units} nodes, MiB": memory,
            f"{units} nodes, % of a core": share,
            "deals done by many": float(sum(" done: " in line for line in lines)),
            "deals of many at the end": float(len(deals)),
            "errors of many": float(len(errors)),
        }


def main() -> int:
    """Print each figure beside its limit."""
    parser = argparse.ArgumentParser(description="memory and processor of nodes")
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--many-minutes", type=float, default=10.0)
    parser.add_argument("--units", type=int, default=200)
    parser.add_argument("--part", choices=("one each", "together", "many"))
    parser.add_argument("--python", default=sys.executable)
    args = parser.parse_args()
    runs = {
        "one each": lambda: one_each(args.minutes, args.python),
        "together": lambda: together(args.minutes),
        "many": lambda: many(args.many_minutes, args.units),
    }
    above = False
    for name, run in runs.items():
        if args.part in (None, name):
            for figure, value in asyncio.run(run()).items():
                limit = LIMITS.get(figure)
                above |= limit is not None and value > limit
                beside = (
                    "" if limit is None else f"   limit {limit:g}" + (f", {value / limit:.2f} of it" if limit else "")
                )
                print(f"{figure:30}{value:9.1f}{beside}", flush=True)
    return int(above)


if __name__ == "__main__":
    raise SystemExit(main())
