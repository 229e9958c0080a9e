"""Candidates and servers are killed and frozen at random; afterwards every promise is checked on what was told.

``python -m tests.faults.chaos --servers 1 --seconds 60 --seed 7`` (or ``--servers 3``); exit 1 where one was broken.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from apis_rules.documents.wiring import Kind
from apis_rules.errors import Outage
from apis_rules.ports.bundle import CommunityPorts
from apis_rules.ports.state import View
from apis_rules.ports.types import Lock
from apis_rules.processes import end_with_parent
from apis_transport.community import open_community
from tests.faults.candidate import CAPACITY_A, quick_wiring
from tests.nats_servers import Cluster, Server
from tests.transport.small_unit import SmallUnit, run_unit

COMMUNITY = "chaos"


class Process:
    """A candidate that runs, and all that it tells."""

    def __init__(self, urls: list[str], name: str, folder: Path, kind: Kind) -> None:
        self.told: list[dict[str, Any]] = []
        self._complaints = folder / f"{name}.stderr"
        with self._complaints.open("w") as complaints:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.candidate", ",".join(urls), COMMUNITY, name, folder, kind],
                stdout=subprocess.PIPE,
                text=True,
                stderr=complaints,
                preexec_fn=end_with_parent(os.getpid()),  # noqa: PLW1509  loads nothing after the fork
            )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.endswith("\n"):  # what a killed process was just writing is not told
                self.told.append(json.loads(line))

    def send(self, number: int) -> None:
        self._process.send_signal(number)

    def kill(self) -> str:
        """End it; return what it complained about before."""
        ended_by_itself = self._process.poll() is not None
        self._process.kill()
        self._process.wait()
        self._reader.join()
        assert self._process.stdout is not None
        self._process.stdout.close()
        return self._complaints.read_text() or "in silence" if ended_by_itself else ""


class Campaign:
    """One run with one seed."""

    def __init__(self, servers: list[Server], kind: Kind, seed: int, folder: Path) -> None:
        self.servers = servers
        self.urls = [server.url for server in servers]
        self.kind: Kind = kind
        self.folder = folder
        self.random = random.Random(seed)
        self.life_s = quick_wiring().times_of(kind).life_s
        self.faults: collections.Counter[str] = collections.Counter()
        self.processes: list[Process] = []
        self.gone: list[Process] = []
        self.broken: list[str] = []
        self.looks = 0

    async def run(self, seconds: float) -> dict[str, Any]:
        wiring = quick_wiring()
        loop = asyncio.get_running_loop()
        async with (
            open_community(
                self.urls, COMMUNITY, "c", "E1", self.folder / "E1", kind=self.kind, wiring=wiring, within_s=20
            ) as community,
            run_unit("E1", community.ports) as unit,
            community.ports.ctl.watch() as view,
        ):
            looking = asyncio.create_task(self.look(view))
            for _ in range(3):
                self.begin()
            until = loop.time() + seconds
            await asyncio.sleep(2)
            while loop.time() < until:
                await self.harm()
                await asyncio.sleep(self.random.uniform(0.3, self.life_s))
            await self.calm(community.ports)
            await asyncio.sleep(self.life_s + 1)
            for process in [*self.processes]:
                self.end(process)
            looking.cancel()
            await self.calm(community.ports)
            return await self.judge(community.ports, unit)

    def begin(self) -> None:
        name = f"C{len(self.processes) + len(self.gone)}"
        self.processes.append(Process(self.urls, name, self.folder, self.kind))

    def end(self, process: Process) -> None:
        complaint = process.kill()
        if complaint:
            self.broken.append(f"a candidate ended by itself: {complaint[-600:]}")
        self.processes.remove(process)
        self.gone.append(process)

    async def harm(self) -> None:
        fault = self.random.choice(("kill", "freeze", "kill server", "freeze server", "nothing"))
        self.faults[fault] += 1
        process, server = self.random.choice(self.processes), self.random.choice(self.servers)
        match fault:
            case "kill":
                self.end(process)
                self.begin()
            case "freeze":
                process.send(signal.SIGSTOP)
                await asyncio.sleep(self.random.uniform(0.5, 2 * self.life_s))
                process.send(signal.SIGCONT)
            case "kill server":
                server.kill()
                await asyncio.sleep(self.random.uniform(0, 2))
                server.start()
            case "freeze server":
                server.freeze()
                await asyncio.sleep(self.random.uniform(0.2, 4))
                server.thaw()

    async def look(self, view: View) -> None:
        """I5, all the time: a view shows a deal and its locks together or not at all."""
        while True:
            await asyncio.sleep(0.05)
            if view.fresh:
                self.looks += 1
                self.broken += locks_disagree({key: entry.value or b"" for key, entry in view.entries().items()})

    async def calm(self, ports: CommunityPorts) -> None:
        async with asyncio.timeout(60):
            while True:
                try:
                    await ports.ctl.keys("gm.")
                    if ports.link.connected:
                        return
                except Outage:
                    pass
                await asyncio.sleep(0.1)

    async def judge(self, ports: CommunityPorts, unit: SmallUnit) -> dict[str, Any]:
        told = [line for process in self.gone for line in process.told]
        by_kind = collections.defaultdict(list)
        for line in told:
            by_kind[line["what"]].append(line)
        self.epochs_grow(by_kind["acquired"])
        self.windows_are_apart(by_kind["sends"])
        self.unit_obeys_in_order(unit, by_kind["not sent"])
        await self.nothing_is_lost(ports, by_kind)
        keys = await ports.ctl.keys()
        self.broken += locks_disagree({key: (await ports.ctl.get(key)).value or b"" for key in keys})
        times = sorted(line["at_s"] for line in by_kind["sends"])
        return {
            "faults": dict(self.faults),
            "terms": len(by_kind["acquired"]),
            "commands": len(by_kind["sends"]),
            "acted upon": len(set(unit.acted)),
            "facts kept": len(by_kind["kept"]),
            "unsure": len(by_kind["unsure"]) + len(by_kind["unsure deal"]),
            "deals": len(by_kind["dealt"]),
            "records": len(by_kind["recorded"]),
            "looks at deals and locks": self.looks,
            "longest time without a master, s": round(max(b - a for a, b in itertools.pairwise(times)), 1),
            "broken": self.broken[:5],
        }

    def epochs_grow(self, acquired: list[dict[str, Any]]) -> None:
        """I1: in the order of the store, every term has a higher number, and an id of its own."""
        in_order = sorted(acquired, key=lambda line: line["fence"])
        numbers = [line["epoch"] for line in in_order]
        if numbers != sorted(set(numbers)) or len({line["term"] for line in in_order}) != len(in_order):
            self.broken.append(f"epochs do not grow: {numbers}")
        if len(numbers) < 2:
            self.broken.append("there was no change of master: nothing was tried")

    def windows_are_apart(self, sends: list[dict[str, Any]]) -> None:
        """I2: no master sends after the first message of the next one."""
        windows: dict[int, list[float]] = collections.defaultdict(list)
        for line in sends:
            windows[line["epoch"]].append(line["at_s"])
        order = sorted(windows)
        for one, other in itertools.pairwise(order):
            if max(windows[one]) >= min(windows[other]):
                self.broken.append(f"terms {one} and {other} sent at the same time")

    def unit_obeys_in_order(self, unit: SmallUnit, not_sent: list[dict[str, Any]]) -> None:
        """I3 and I8: the unit went from lower to higher commands only, and obeyed none that was never sent."""
        if unit.acted != sorted(unit.acted):
            self.broken.append("the unit acted on an older command after a newer one")
        obeyed = {(o.epoch.number, o.seq) for o in unit.outcomes}
        late = obeyed & {(line["epoch"], line["seq"]) for line in not_sent}
        if late:
            self.broken.append(f"delivered after a disconnection: {sorted(late)}")
        if not unit.acted:
            self.broken.append("the unit never acted: nothing was tried")

    async def nothing_is_lost(self, ports: CommunityPorts, told: dict[str, list[dict[str, Any]]]) -> None:
        """I4 and I7: what was acknowledged is there, in the order of the epochs; what was not, is what was tried."""
        possible: dict[str, set[str]] = collections.defaultdict(set)
        for line in (*told["kept"], *told["unsure"]):
            possible[line["key"]].add(line["value"])
        kept = {line["key"]: line for line in told["kept"]}
        for key, values in possible.items():
            entry = await ports.ctl.get(key)
            found = None if entry.value is None else entry.value.decode()
            if key in kept and (found is None or int(found) < int(kept[key]["value"])):
                self.broken.append(f"acknowledged and lost: {key}")
            elif found is not None and found not in values:
                self.broken.append(f"{key} holds {found}, which was known not to be written")
        in_order = sorted(kept.values(), key=lambda line: line["revision"])
        if [line["epoch"] for line in in_order] != sorted(line["epoch"] for line in in_order):
            self.broken.append("a master of an older term wrote after one of a newer")
        if len({line["revision"] for line in in_order}) != len(in_order):
            self.broken.append("a revision was given out twice")
        await self.records_are_there(ports, told["recorded"])

    async def records_are_there(self, ports: CommunityPorts, recorded: list[dict[str, Any]]) -> None:
        last = await ports.streams.last_seq("DEALLOG")
        found = collections.Counter[str]()
        seqs = {}
        reader = ports.streams.read("DEALLOG")
        while len(seqs) < last:
            message = await anext(reader)
            found[message.subject] += 1
            seqs[message.seq] = message.subject
        await reader.aclose()  # type: ignore[attr-defined]  # a generator
        for line in recorded:
            if seqs.get(line["seq"]) != line["subject"]:
                self.broken.append(f"a record is lost: {line['subject']}")
        twice = [subject for subject, count in found.items() if count > 1]
        if twice:
            self.broken.append(f"records stand twice: {twice}")


def locks_disagree(ctl: dict[str, bytes]) -> list[str]:
    """I5: a unit is locked for a deal if and only if it is in it, within its capacity, in one direction."""
    deals = {key.removeprefix("deal."): set(json.loads(value)) for key, value in ctl.items() if key.startswith("deal.")}
    locks = {key.removeprefix("lock."): Lock.from_json(v) for key, v in ctl.items() if key.startswith("lock.")}
    found = []
    for unit_id, lock in locks.items():
        if len({entry.direction for entry in lock.entries}) > 1:
            found.append(f"{unit_id} is locked in both directions")
        if sum(entry.ampere for entry in lock.entries) > CAPACITY_A:
            found.append(f"{unit_id} is locked beyond its capacity")
    locked = {(entry.deal_id, unit_id) for unit_id, lock in locks.items() for entry in lock.entries}
    dealt = {(deal_id, unit_id) for deal_id, units in deals.items() for unit_id in units}
    if locked != dealt:
        found.append(f"deals and locks disagree: {sorted(locked ^ dealt)[:4]}")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--servers", type=int, choices=(1, 3), default=1)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    args = parser.parse_args()
    print(f"seed {args.seed}, {args.servers} server(s), {args.seconds:g} s", flush=True)  # noqa: T201  a report
    with tempfile.TemporaryDirectory(prefix="apis-rules-chaos-") as name:
        folder = Path(name)
        cluster = Cluster(folder) if args.servers == 3 else None
        servers = cluster.servers if cluster else [Server(folder / "server")]
        for server in servers:
            server.start(wait=False)
        for server in servers:
            server.wait_listening()
        campaign = Campaign(servers, "cluster" if cluster else "embedded", args.seed, folder)
        try:
            report = asyncio.run(campaign.run(args.seconds))
        finally:
            for process in campaign.processes:
                process.kill()
            for server in servers:
                server.stop()
    print(json.dumps(report, indent=1), flush=True)  # noqa: T201  a report
    return 1 if report["broken"] else 0


if __name__ == "__main__":
    sys.exit(main())
