"""Where the fault table is tried: the simulated community in virtual time, and real processes over HTTP and NATS."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
from abc import ABC, abstractmethod
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from apis_rules.compose.kept import load_records
from apis_rules.compose.onlooker import Onlooker, open_onlooker
from apis_rules.compose.options import Running
from apis_rules.compose.steer import set_mode
from apis_rules.errors import PortError
from apis_rules.grid.faults import Fault
from apis_rules.ports.types import Deal, DealRecord, ErrorEvent, OperationMode
from tests.compose.houses import UNITS, Houses, Program, now_s, write_community
from tests.nats_servers import Server
from tests.node.world import SMALL_DEALS, World, world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Mapping
    from pathlib import Path

    from apis_rules.grid.model import Grid
    from apis_rules.node.records import ModeRecord, Records

RSOC = [92.0, 27.0, 91.0, 26.0]
ACCELERATION = 20.0
REAL_ACCELERATION = 10.0
"""Of drivers that answer over HTTP, as soon as the machine lets them."""

PAUSE_S = 0.05


DEALS = {**SMALL_DEALS["mediator"]["deal"], "amountMaxWh": 200}  # type: ignore[dict-item]  # of a plain dict
"""Of 50 s, so that a fault finds them running until it is noticed."""


def _step_clock(grid: Grid, by_s: float) -> None:
    shown = grid.clock
    grid.clock = lambda *at: shown(*at) + timedelta(seconds=by_s)  # type: ignore[method-assign]


class Place(ABC):
    """A community of four that trades, with everything that a row of the table does to it and looks at."""

    @property
    @abstractmethod
    def records(self) -> Records:
        """The shared state as it is seen."""

    @abstractmethod
    def now_s(self) -> float:
        """Time that passes here."""

    @abstractmethod
    def modes(self) -> dict[str, str]:
        """What the converters do, from inside the grid."""

    @abstractmethod
    def events(self) -> list[ErrorEvent]:
        """All error events that are kept."""

    @abstractmethod
    def master(self) -> str | None:
        """Who commands."""

    @abstractmethod
    async def finals(self) -> list[DealRecord]:
        """All final records."""

    @abstractmethod
    async def add(self, fault: Fault) -> None:
        """Let something of the grid or a driver go wrong."""

    @abstractmethod
    async def clear(self) -> None:
        """Mend all of that."""

    @abstractmethod
    async def step_clock(self, by_s: float) -> None:
        """Set the units' clock."""

    @abstractmethod
    async def kill(self, unit_id: str) -> None:
        """End a node's processes at once."""

    @abstractmethod
    def signal_nodes(self, unit_id: str, number: signal.Signals) -> None:
        """Send a signal to the node's process alone, not to its supervisor."""

    @abstractmethod
    async def start(self, unit_id: str) -> None:
        """Start it again."""

    @abstractmethod
    def ended(self, unit_id: str) -> bool:
        """Whether a node has ended by itself."""

    @abstractmethod
    def freeze(self, unit_id: str) -> None:
        """Suspend a node's process."""

    @abstractmethod
    def thaw(self, unit_id: str) -> None:
        """Let it go on."""

    @abstractmethod
    def broker(self, *, up: bool) -> None:
        """Take the store away, or bring it back."""

    @abstractmethod
    def disk(self, unit_id: str, *, full: bool) -> None:
        """Let a node's disk take nothing any more."""

    @abstractmethod
    async def set_mode(self, word: str) -> None:
        """Set the community's mode, as an operator."""

    @abstractmethod
    async def lost(self, seen: Collection[str]) -> list[str]:
        """Return what is missing: of these deals, or of a final record at a party whose node runs."""

    def deals(self, *states: str) -> dict[str, Deal]:
        """The deals that are in one of these states."""
        return {i: deal for i, (deal, _) in self.records.deals().items() if deal.state in states or not states}

    def mode(self) -> ModeRecord | None:
        return self.records.mode()

    async def until(self, condition: Callable[[], Any], within_s: float, what: str) -> float:
        """Wait until *condition* holds; return when that was."""
        end_s = self.now_s() + within_s
        while not condition():
            if self.now_s() > end_s:
                raise AssertionError(f"not within {within_s:g} s: {what}\n{self.tell()}")
            await asyncio.sleep(PAUSE_S)
        return self.now_s()

    def tell(self) -> str:
        grid, _ = self.records.grid()
        deals = [f"{d.state} {d.record.units}" for d in self.deals().values()]
        events = [f"{e.rule} {e.kind} {e.unit_id} {e.message}" for e in self.events()[-8:]]
        return "\n".join([f"{self.modes()} grid {grid.state} {grid.holder} master {self.master()}", *deals, *events])


class Simulated(Place):
    """In virtual time."""

    def __init__(self, w: World) -> None:
        self.w = w

    @property
    def records(self) -> Records:
        return self.w.records

    def now_s(self) -> float:
        return asyncio.get_running_loop().time()

    def modes(self) -> dict[str, str]:
        return {u: self.w.mode(u) for u in self.w.unit_ids}

    def events(self) -> list[ErrorEvent]:
        return self.w.error_events()

    def master(self) -> str | None:
        return self.w.master

    async def finals(self) -> list[DealRecord]:
        return self.w.final_records

    async def add(self, fault: Fault) -> None:
        self.w.plant.add_fault(fault)

    async def clear(self) -> None:
        self.w.plant.clear_faults()

    async def step_clock(self, by_s: float) -> None:
        _step_clock(self.w.plant.grid_now(), by_s)

    async def kill(self, unit_id: str) -> None:
        await self.w.kill(unit_id)

    def signal_nodes(self, unit_id: str, number: signal.Signals) -> None:
        raise NotImplementedError("there are no supervisors here")

    async def start(self, unit_id: str) -> None:
        self.w.start(unit_id)

    def ended(self, unit_id: str) -> bool:
        return unit_id in self.w.ended()

    def freeze(self, unit_id: str) -> None:
        self.w.freeze(unit_id)

    def thaw(self, unit_id: str) -> None:
        self.w.thaw(unit_id)

    def broker(self, *, up: bool) -> None:
        for line in self.w.store.lines.values():
            line.restore() if up else line.cut()

    def disk(self, unit_id: str, *, full: bool) -> None:
        self.w.houses[unit_id].store.full = full

    async def set_mode(self, word: str) -> None:
        await self.w.operator_sets(word)

    async def lost(self, seen: Collection[str]) -> list[str]:
        kept = [r.deal_id for r in self.w.final_records]
        return [i for i in seen if kept.count(i) != 1] + self.w.unwritten()


@asynccontextmanager
async def simulated(policy: Mapping[str, Any]) -> AsyncIterator[Simulated]:
    small = {"mediator": {**SMALL_DEALS["mediator"], "deal": DEALS}}
    async with world(4, acceleration=ACCELERATION, seed=2, policy={**small, **policy}, rsoc=RSOC) as w:
        yield Simulated(w)


class Real(Place):
    """Programs, a broker and a grid behind HTTP."""

    def __init__(self, houses: Houses, server: Server, folder: Path, *, apart: bool, supervised: bool) -> None:
        self.houses = houses
        self.server = server
        self.folder = folder
        self.programs: dict[str, Program] = {}
        self._supervised = supervised
        self._events: list[ErrorEvent] = []
        self._onlooker: Onlooker | None = None
        for name in UNITS if apart else ("all",):
            self._start(name)

    def _start(self, name: str) -> None:
        target = self.folder if name == "all" else self.folder / f"config.{name}.json"
        options = () if self._supervised else ("--no-supervisor",)
        place = ("--nats", self.server.url, "--state-dir", self.folder / "state")
        self.programs[name] = Program("run", target, *place, *options)

    @property
    def onlooker(self) -> Onlooker:
        assert self._onlooker is not None
        return self._onlooker

    @property
    def records(self) -> Records:
        return self.onlooker.records

    def now_s(self) -> float:
        return now_s()

    def modes(self) -> dict[str, str]:
        return {u: m.name for u, m in self.houses.modes().items()}

    def events(self) -> list[ErrorEvent]:
        return self._events

    def master(self) -> str | None:
        return self.onlooker.overview().master

    async def finals(self) -> list[DealRecord]:
        return await load_records(self.onlooker.ports.streams)

    async def add(self, fault: Fault) -> None:
        await asyncio.to_thread(self.houses.look, lambda _: self.houses.plant.add_fault(fault))

    async def clear(self) -> None:
        await asyncio.to_thread(self.houses.look, lambda _: self.houses.plant.clear_faults())

    async def step_clock(self, by_s: float) -> None:
        await asyncio.to_thread(self.houses.look, lambda grid: _step_clock(grid, by_s))

    async def kill(self, unit_id: str) -> None:
        await asyncio.to_thread(self.programs[unit_id].kill)

    def signal_nodes(self, unit_id: str, number: signal.Signals) -> None:
        os.kill(self.programs[unit_id].nodes, number)

    async def start(self, unit_id: str) -> None:
        await asyncio.to_thread(self.programs[unit_id].__exit__)
        self._start(unit_id)

    def ended(self, unit_id: str) -> bool:
        return not self.programs[unit_id].running

    def freeze(self, unit_id: str) -> None:
        self.programs[unit_id].signal(signal.SIGSTOP)

    def thaw(self, unit_id: str) -> None:
        self.programs[unit_id].signal(signal.SIGCONT)

    def broker(self, *, up: bool) -> None:
        if up:
            self.server.start()
        else:
            self.server.kill()

    def disk(self, unit_id: str, *, full: bool) -> None:
        # A process that may make no file longer than nothing is told so by the system at each write, as by a full disk.
        program = self.programs[unit_id]
        if not program.running:
            return  # the next one begins without that limit
        pid = program.nodes if self._supervised else program.pid
        _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (0 if full else hard, hard))

    async def set_mode(self, word: str) -> None:
        for _ in range(20):
            try:
                await set_mode(self.onlooker, OperationMode(word), None)
            except PortError:
                await asyncio.sleep(0.5)
            else:
                return
        raise AssertionError(f"mode {word} not set")

    async def lost(self, seen: Collection[str]) -> list[str]:
        finals = await self.finals()
        kept = [r.deal_id for r in finals]
        missing = [i for i in seen if kept.count(i) != 1]
        for record in finals:
            for unit_id in record.units:
                program = self.programs.get(unit_id, self.programs.get("all"))
                assert program is not None
                files = list((self.folder / "dealLog" / unit_id).rglob(record.deal_id))
                if program.running and [f.read_bytes() for f in files] != [record.to_json()]:
                    missing.append(f"{record.deal_id} at {unit_id}")
        return missing

    async def follow(self) -> None:
        """Collect the events until cancelled."""
        async for message in self.onlooker.ports.streams.read("ERRLOG"):
            self._events.append(ErrorEvent.from_json(message.body))

    def tell(self) -> str:
        return super().tell() + "\n" + "\n".join(p.told[-1500:] for p in self.programs.values())


@asynccontextmanager
async def real(
    folder: Path, policy: Mapping[str, Any], *, apart: bool = False, supervised: bool = True
) -> AsyncIterator[Real]:
    """Start the grid, a broker and the nodes: in one program, or *apart* in one each."""
    await asyncio.to_thread(folder.mkdir, parents=True)
    houses = await asyncio.to_thread(Houses, REAL_ACCELERATION, RSOC)
    server = Server(folder / "nats")
    place = None
    try:
        await asyncio.to_thread(server.start)
        write_community(folder, houses.addresses)
        file = folder / "policy.json"
        written = json.loads(file.read_text())
        written["mediator"]["deal"].update({**DEALS, "amountMaxWh": 100})
        for key, value in policy.items():
            written[key] = {**written[key], **value} if isinstance(value, dict) else value
        file.write_text(json.dumps(written))
        place = Real(houses, server, folder, apart=apart, supervised=supervised)
        for program in place.programs.values():
            await asyncio.to_thread(program.wait_line, "Grid Master", 90)
        running = Running((server.url,), "example", "example", tuple(UNITS), "autonomous", os.getpid())
        async with open_onlooker(running) as onlooker:
            place._onlooker = onlooker
            following = asyncio.create_task(place.follow())
            try:
                yield place
            finally:
                following.cancel()
    finally:
        if place is not None:
            for program in place.programs.values():
                await asyncio.to_thread(program.__exit__)
        await asyncio.to_thread(server.stop)
        await asyncio.to_thread(houses.stop)
