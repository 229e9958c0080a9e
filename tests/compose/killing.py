"""A community of one process per node in which something is killed at the very moment that the store shows a state."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from apis_rules.compose.display import SUMMED_DEALS
from apis_rules.compose.onlooker import open_onlooker
from apis_rules.compose.options import Running
from apis_rules.compose.steer import set_mode
from apis_rules.errors import PortError
from apis_rules.node.controller import DATA_KEY
from apis_rules.node.records import STOP, StopRequest
from apis_rules.ports.state import Write
from apis_rules.ports.types import OperationMode
from tests.compose.houses import UNITS, Houses, Program, now_s, until, write_community
from tests.nats_servers import Server

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from apis_rules.compose.onlooker import Onlooker
    from apis_rules.compose.overview import Overview
    from apis_rules.ports.types import Deal, DealRecord
    from tests.compose.site import Site

DEAL_STATES: Final = (
    "created", "energising", "ramping", "ramped", "joining", "activated", "warming_up", "compensating", "started",
    "stopping", "stopped", "deactivating", "parting", "deactivated",
)  # fmt: skip
HAND_OVER_STEPS: Final = ("announcing", "taking", "settling", "yielding", "straightening")
ENDING_STATES: Final = frozenset({"stopping", "stopped", "deactivating", "parting", "deactivated"})
MOMENTS: Final = (*HAND_OVER_STEPS, *reversed(DEAL_STATES))
"""The rarer first: where two are there at once, the first of them counts."""

PROVOKE_S: Final = 0.5
RSOC: Final = (78.0, 25.0, 74.0, 27.0)
"""With which the houses trade in two pairs."""


@dataclass(frozen=True)
class Hit:
    """What was killed, when, and what it was a part of.

    Attributes:
        moment: state of a deal, or step of a hand-over.
        unit_id: whose node it was; None: broker or emulator.
        was_active: whether its converter was active.
        asked: deals whose end had been asked for before.
        revision: of the unit's last data.
    """

    moment: str
    victim: str
    unit_id: str | None
    at_s: float
    deals: dict[str, Deal]
    holder: str | None
    master: str | None
    epoch: int
    was_active: bool
    asked: frozenset[str]
    revision: int


@dataclass
class Order:
    """What is to be killed at the next of the *moments*; *whole*: with the process above, as by a loss of power."""

    victim: str
    moments: Collection[str]
    whole: bool
    hit: Hit | None = None
    done: threading.Event = field(default_factory=threading.Event)


class Community:
    """The grid, the broker, four nodes with their supervisors, and somebody who watches the store and kills."""

    def __init__(
        self, folder: Path, *, accelerate: float = 20.0, restarts: int = 5, store: Server | Site | None = None
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.houses = Houses(accelerate=accelerate, rsoc=RSOC)
        self.server = store or Server(folder / "nats")
        self.server.start()
        self.nodes: dict[str, Program] = {}
        self.epochs: list[tuple[float, int]] = []
        self.asked: dict[str, str] = {}
        """Deals whose end was asked for → the state in which they were."""

        self._restarts = restarts
        self._order: Order | None = None
        self._pids: dict[str, tuple[int, int]] = {}
        write_community(folder, self.houses.addresses)
        for unit_id in UNITS:
            self.start(unit_id)
        for unit_id in UNITS:
            self.await_node(unit_id)
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._watch()), daemon=True)
        self._thread.start()
        assert self._ready.wait(20)

    def start(self, unit_id: str) -> None:
        """Start a node with its supervisor."""
        config = self.folder / f"config.{unit_id}.json"
        place = ("--nats", self.server.url, "--state-dir", self.folder / "state", "--restarts", self._restarts)
        self.nodes[unit_id] = Program("run", config, *place)

    def await_node(self, unit_id: str) -> None:
        """Return when the node takes part."""
        program = self.nodes[unit_id]
        program.wait_line("Grid Master", 60)
        self._pids[unit_id] = (program.pid, program.nodes)

    def start_again(self, unit_id: str) -> None:
        """Start a node whose processes are dead."""
        self.nodes[unit_id].__exit__()
        self.start(unit_id)
        self.await_node(unit_id)

    def renew_pid(self, unit_id: str, old: int) -> None:
        """Wait until the supervisor has started the nodes again."""
        program = self.nodes[unit_id]
        until(lambda: program.child("--no-supervisor") not in (None, old), 15, f"{unit_id} is started again")
        self._pids[unit_id] = (program.pid, program.nodes)

    def nodes_pid(self, unit_id: str) -> int:
        return self._pids[unit_id][1]

    # The watch.

    async def _watch(self) -> None:
        urls = tuple(self.server.url.split(","))
        place = Running(urls, "example", "example", tuple(UNITS), "autonomous", os.getpid())
        async with open_onlooker(place) as looker:
            self._looker: Onlooker = looker
            looker.keep_deals(SUMMED_DEALS)
            self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
            async with asyncio.TaskGroup() as tasks:
                following = [tasks.create_task(looker.follow_deals(1)), tasks.create_task(self._follow())]
                self._ready.set()
                await self._stop.wait()
                for task in following:
                    task.cancel()

    async def _follow(self) -> None:
        async for _ in self._looker.records.changes():
            self._look()

    def _look(self) -> None:
        records = self._looker.records
        epoch = records.epoch()
        if epoch is not None and (not self.epochs or epoch.number != self.epochs[-1][1]):
            self.epochs.append((now_s(), epoch.number))
        order = self._order
        if order is None or not records.fresh:
            return
        grid, deals = records.grid()[0], {i: d for i, (d, _) in records.deals().items()}
        shown = {d.state for d in deals.values()} | {grid.state} & set(HAND_OVER_STEPS)
        moment = next((m for m in MOMENTS if m in shown and m in order.moments), None)
        if moment is None:
            return
        overview = self._looker.overview()
        unit_id = self._choose(order.victim, moment, overview, deals, grid.next_holder)
        if order.victim in ("master", "party") and unit_id is None:
            return
        self._order = None
        self._kill(order, unit_id)
        order.hit = Hit(
            moment=moment,
            victim=order.victim,
            unit_id=unit_id,
            at_s=now_s(),
            deals=deals,
            holder=grid.holder,
            master=overview.master,
            epoch=0 if epoch is None else epoch.number,
            was_active=unit_id is not None and unit_id in records.active()[0].units,
            asked=frozenset(self.asked),
            revision=0 if unit_id is None else self._looker.units.get(DATA_KEY + unit_id).revision,
        )
        order.done.set()

    def _choose(
        self, victim: str, moment: str, overview: Overview, deals: dict[str, Deal], next_holder: str | None
    ) -> str | None:
        if victim == "master":
            return overview.master
        if victim != "party":
            return None
        if moment in HAND_OVER_STEPS:
            parties = [u for u in (next_holder, overview.holder) if u]
        else:
            deal = next(d for d in deals.values() if d.state == moment)
            parties = sorted(deal.record.units, key=lambda u: u == overview.holder)
        return next((u for u in parties if u != overview.master), None)

    def _kill(self, order: Order, unit_id: str | None) -> None:
        if unit_id is not None:
            above, nodes = self._pids[unit_id]
            for pid in (above, nodes) if order.whole else (nodes,):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        elif order.victim == "broker":
            self.server.kill()
        else:
            self.houses.end()

    def kill_at(self, victim: str, moments: Collection[str], within_s: float, *, whole: bool) -> Hit:
        """Kill at the next of *moments*; return what was hit.

        Raises:
            TimeoutError: none of them came.
        """
        order = Order(victim, moments, whole)
        self._order = order
        until_s = now_s() + within_s
        while not order.done.wait(PROVOKE_S):
            if now_s() > until_s:
                self._order = None
                raise TimeoutError(f"none of {', '.join(moments)} within {within_s:g} s")
            self._provoke(set(moments))
        assert order.hit is not None
        return order.hit

    def _provoke(self, moments: set[str]) -> None:
        """Ask for ends of deals where only those lead to what is wanted."""
        overview = self.overview()
        started = [d for d in overview.deals if d.state == "started"]
        of_holder = [d for d in started if overview.holder in (d.discharge_unit_id, d.charge_unit_id)]
        if moments & set(HAND_OVER_STEPS) and len(started) > len(of_holder):
            self.ask_to_stop({d.deal_id for d in of_holder})
        elif moments & ENDING_STATES and started and not moments & (set(DEAL_STATES) - ENDING_STATES):
            self.ask_to_stop({started[0].deal_id})

    def ask_to_stop(self, deal_ids: Collection[str]) -> None:
        """Ask for the end of deals, as a party of theirs does."""
        deals = {d.deal_id: d for d in self.overview().deals if d.deal_id in deal_ids and d.deal_id not in self.asked}

        async def ask() -> None:
            for deal_id, deal in deals.items():
                request = StopRequest(reason="asked for by a test")
                with suppress(PortError):
                    key = f"{STOP}{deal_id}.{deal.charge_unit_id}"
                    await self._looker.ports.ctl.write(Write(key, request.to_json()))
                    self.asked[deal_id] = deal.state

        asyncio.run_coroutine_threadsafe(ask(), self._loop).result(10)

    # What it looks like.

    def overview(self) -> Overview:
        """Return the community as the store shows it."""

        async def look() -> Overview:
            return self._looker.overview()

        return asyncio.run_coroutine_threadsafe(look(), self._loop).result(10)

    def deal_ids(self) -> set[str]:
        """The deals that are not over."""
        return {d.deal_id for d in self.overview().deals}

    def revision_of(self, unit_id: str) -> int:
        """The revision of the unit's last data in the store."""

        async def look() -> int:
            return self._looker.units.get(DATA_KEY + unit_id).revision

        return asyncio.run_coroutine_threadsafe(look(), self._loop).result(10)

    def let_trade(self) -> None:
        """Take back what an error's reaction has set: an operator who has looked."""

        async def autonomous() -> None:
            if self._looker.overview().mode != OperationMode.AUTONOMOUS:
                await set_mode(self._looker, OperationMode.AUTONOMOUS, None)

        asyncio.run_coroutine_threadsafe(autonomous(), self._loop).result(10)

    def final_records(self) -> list[DealRecord]:
        """Every final record in the stream."""
        return list(self._looker.finished)

    def files(self, deal_id: str) -> dict[str, bytes]:
        """Return unit id → its file on the deal."""
        return {
            unit_id: file.read_bytes()
            for unit_id in UNITS
            for file in (self.folder / "dealLog" / unit_id).glob(f"*/*/*/{deal_id}")
        }

    def told(self) -> str:
        """What the store shows, and what all nodes have said."""
        shown = json.dumps(self.overview().to_document(), indent=1)
        return f"{shown}\n" + "\n".join(f"=== {u}\n{n.told}" for u, n in self.nodes.items())

    def end(self) -> list[int]:
        """End all nodes in order; return their exit codes."""
        for program in self.nodes.values():
            if program.running:
                program.signal(signal.SIGTERM)
        return [program.end(60) for program in self.nodes.values()]

    def close(self) -> None:
        """Take everything down."""
        for program in self.nodes.values():
            program.__exit__()
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        self.server.stop()
        self.houses.stop()
