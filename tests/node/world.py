"""A whole community in virtual time: twins for the store, the modelled grid for the converters, real nodes on top.

``World`` starts, kills, freezes and cuts off nodes, watches the grid for what must never happen, and checks the books.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from apis_rules.documents.config import Config
from apis_rules.documents.reading import load_hw_config, load_policy, load_scenario
from apis_rules.documents.wiring import load_wiring
from apis_rules.errors import Outage
from apis_rules.grid.device import ModelDevice
from apis_rules.grid.invariants import HoldersAtOnce, PeakCurrent, UnheldCurrent
from apis_rules.grid.model import Grid
from apis_rules.grid.plant import Plant
from apis_rules.grid.settings import community
from apis_rules.node.identity import Documents, Identity
from apis_rules.node.records import LOCK, MODE, ModeRecord, Records
from apis_rules.node.runtime import Node
from apis_rules.node.state_dir import MemoryStateStore
from apis_rules.node.surroundings import Surroundings
from apis_rules.ports.bundle import NodePorts
from apis_rules.ports.memory import MemoryCommunity
from apis_rules.ports.state import Write
from apis_rules.ports.types import ConverterMode, DealRecord, ErrorEvent, OperationMode
from apis_rules.resources import data_dir

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Mapping
    from contextlib import AbstractAsyncContextManager

    from apis_rules.node.supervision import Progress

RULES = data_dir("rules")
SCRAM_DELAY_S = 5.0
SMALL_DEALS = {
    "mediator": {
        "deal": {"gridCurrentA": 2, "amountMinWh": 50, "amountMaxWh": 50, "amountUnitWh": 50},
        "negotiationTimeoutMsec": 500,
    }
}
"""Of the policy: deals of 50 Wh, which take about 260 s of unit time."""


@dataclass
class House:
    """One unit: its node while it runs, and what outlives the node."""

    unit_id: str
    device: ModelDevice
    store: MemoryStateStore = field(default_factory=MemoryStateStore)
    files: dict[Path, bytes] = field(default_factory=dict)
    node: Node | None = None
    task: asyncio.Task[int] | None = None
    mortal: Mortal | None = None
    boots: int = 0

    async def write(self, file: Path, content: bytes) -> None:
        self.files[file] = content


NO_CURRENT_A = 0.05


class Mortal:
    """A unit's device as one process sees it: when the process is killed, nothing more of it leaves.

    What it had sent before may still land. A frozen process sends and hears nothing until it goes on.
    """

    def __init__(self, device: ModelDevice) -> None:
        self._device = device
        self._goes = asyncio.Event()
        self._goes.set()
        self.dead = False

    def freeze(self) -> None:
        self._goes.clear()

    def thaw(self) -> None:
        self._goes.set()

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._device, name)

        async def while_alive(*args: Any, **kwargs: Any) -> Any:
            await self._goes.wait()
            if self.dead:
                raise Outage("this process is dead")
            answer = await call(*args, **kwargs)
            await self._goes.wait()
            return answer

        return while_alive


class Dealless:
    """How long, in seconds of unit time, a current-controlled converter drew current while its unit had no deal.

    Attributes:
        longest_s: longest time in one piece, by unit; an excluded unit does not count.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._running_s: dict[str, float] = {}
        self._revision = -1
        self._parties: set[str] = set()
        self.longest_s: dict[str, float] = {}

    def __call__(self, grid: Grid, dt_s: float) -> None:
        """Look at one step."""
        if self._world.store.ctl.revision != self._revision:
            self._revision = self._world.store.ctl.revision
            records = self._world.records
            excluded = {u for u, (lock, _) in records.locks().items() if lock.exclusion is not None}
            self._parties = {u for d, _ in records.deals().values() for u in d.record.units} | excluded
        for unit_id, mode, current_a in zip(grid.unit_ids, grid.modes(), grid.unit_current_a, strict=True):
            if mode.current_controlled and abs(current_a) > NO_CURRENT_A and unit_id not in self._parties:
                self._running_s[unit_id] = self._running_s.get(unit_id, 0.0) + dt_s
                self.longest_s[unit_id] = max(self.longest_s.get(unit_id, 0.0), self._running_s[unit_id])
            else:
                self._running_s.pop(unit_id, None)


class World:
    """The community. All times are virtual."""

    def __init__(
        self, units: int, acceleration: float, seed: int, policy: Mapping[str, Any], rsoc: Any, *, ideal: bool
    ) -> None:
        loop = asyncio.get_running_loop()
        self.times = load_wiring().times_of("embedded")
        self.store = MemoryCommunity(life_s=int(self.times.life_s))
        settings = community(units, seed=seed, rsoc_percent=rsoc, ideal_sensors=ideal)
        self.plant = Plant(Grid(settings), now_s=loop.time, acceleration=acceleration)
        self.unheld = UnheldCurrent(low_v=290, high_v=385)
        self.holders = HoldersAtOnce()
        self.peak = PeakCurrent()
        self.dealless = Dealless(self)
        self.acceleration = acceleration
        self._unjudged: dict[str, list[Progress]] = {}
        self.plant.grid_now().observers.extend([self.unheld, self.holders, self.peak, self.dealless])
        self.seed = seed
        self.unit_ids = [f"E{n:03d}" for n in range(1, units + 1)]
        self.hardware = load_hw_config(RULES / "hwConfig.json").model
        base = load_policy(RULES / "policy.json").model
        document = base.to_document() | {"memberUnitIds": self.unit_ids, **policy}
        self.policy = type(base).model_validate(document)
        self.houses = {u: House(u, ModelDevice(self.plant, u, runtime_s=loop.time)) for u in self.unit_ids}

    def start(self, unit_id: str, refusal: str = "") -> House:
        """Start the node of a unit, anew if it ran before."""
        house = self.houses[unit_id]
        house.boots += 1
        config = Config.model_validate(
            {
                "unitId": unit_id,
                "communityId": "test",
                "clusterId": "test",
                "systemType": "dcdc_emulator",
                "hwConfigFile": "h",
                "policyFile": "p",
                "scenarioFile": "s",
                "dealLogDirFormat": f"'/{unit_id}/'uuuu'/'MM'/'dd",
            }
        )
        documents = Documents(
            config,
            self.hardware,
            self.policy,
            load_scenario(RULES / "scenario.json").model,
            self.times.as_values(SCRAM_DELAY_S),
        )
        identity = Identity(unit_id, "test", "test", unit_id, "1", "2.0.0", f"{unit_id}-{house.boots}", "one clock")
        around = Surroundings(
            times=self.times,
            store=house.store,
            temporary=Path("/tmp"),  # noqa: S108 - only a name: files are kept in memory
            source=random.Random(f"{self.seed} {unit_id} {house.boots}"),
            write=house.write,
            refusal=refusal,
        )
        ports = self.store.connect(unit_id)
        line, device = self.store.lines[unit_id], Mortal(house.device)
        house.mortal = device

        def line_changed() -> None:
            device.dead = device.dead or line.killed

        line.on_change.append(line_changed)
        house.node = Node(identity, documents, NodePorts(ports, device), around)
        house.task = asyncio.get_running_loop().create_task(house.node.run(), name=unit_id)
        return house

    async def kill(self, unit_id: str) -> None:
        """End a node's process at once: nothing it was doing has an effect any more; its converter stays as it is."""
        house = self.houses[unit_id]
        self.store.lines[unit_id].kill()
        assert house.task is not None
        # What it still tries has no effect, so its end is not waited for.
        house.task.cancel()
        await asyncio.wait([house.task], timeout=0.001)
        house.node = None

    def freeze(self, unit_id: str) -> None:
        """Suspend a node's process (SIGSTOP); what its converter does goes on."""
        self.store.lines[unit_id].freeze()
        mortal = self.houses[unit_id].mortal
        assert mortal is not None
        mortal.freeze()
        node = self.houses[unit_id].node
        if node is not None and node.services is not None:
            # A suspended process does not judge its own loops.
            self._unjudged[unit_id] = node.services.supervisor._loops
            node.services.supervisor._loops = []

    def thaw(self, unit_id: str) -> None:
        """Let it go on."""
        self.store.lines[unit_id].thaw()
        mortal = self.houses[unit_id].mortal
        assert mortal is not None
        node = self.houses[unit_id].node
        if node is not None and node.services is not None and unit_id in self._unjudged:
            node.services.supervisor._loops = self._unjudged.pop(unit_id)
            for loop in node.services.supervisor._loops:
                loop.beat()
        mortal.thaw()

    async def until(self, condition: Callable[[], Any], within_s: float, what: str = "") -> None:
        """Wait in virtual time."""
        loop = asyncio.get_running_loop()
        end_s = loop.time() + within_s
        while not condition():
            for house in self.houses.values():
                if house.task is not None and house.task.done() and house.node is not None:
                    house.task.result()
            if loop.time() > end_s:
                raise AssertionError(f"not within {within_s} s: {what or condition}\n{self.tell()}")
            await asyncio.sleep(0.05)

    @property
    def master(self) -> str | None:
        """The unit whose node is Grid Master."""
        for unit_id, house in self.houses.items():
            if house.node and house.node.services and house.node.services.board.is_master:
                return unit_id
        return None

    @property
    def waiting(self) -> tuple[str, ...]:
        """Why the Grid Master activates nothing, as it says."""
        master = self.master
        node = self.houses[master].node if master else None
        plan = node.services.grid_master.plan if node and node.services else None
        return plan.waiting if plan else ()

    def deals_in(self, *states: str) -> list[str]:
        """The ids of the deals that are in one of these states."""
        return [i for i, (deal, _) in self.records.deals().items() if deal.state in states]

    def events(self, rule: str) -> list[ErrorEvent]:
        """The error events called *rule* that the community keeps."""
        kept = (ErrorEvent.from_json(m.body) for m in self.store.logs["ERRLOG"]._messages)
        return [e for e in kept if e.rule == rule]

    async def operator_sets(self, mode: str) -> None:
        """Set the community's mode, as the verb does."""
        self.store.ctl.write([Write(MODE, ModeRecord(mode=OperationMode(mode)).to_json())])

    def exclude(self, unit_id: str, reason: str = "cut off by hand") -> None:
        """Declare a unit's converter cut off from the bus, as the verb does."""
        key = LOCK + unit_id
        changed = self.records.lock(unit_id).model_copy(update={"exclusion": reason})
        self.store.ctl.write([Write(key, changed.to_json(), self.store.ctl.get(key).at)])

    async def one_deal(self) -> str:
        """Wait until a deal runs; return its id."""
        await self.until(lambda: self.deals_in("started"), 60, "a deal")
        return self.deals_in("started")[0]

    async def at_rest(self, within_s: float) -> None:
        """Wait until nobody holds the voltage or is active, and no deal is left that was switched."""
        await self.until(
            lambda: (
                self.records.grid()[0].state == "dead"
                and not self.records.active()[0].units
                and not any(d.switched for d, _ in self.records.deals().values())
            ),
            within_s,
            "rest",
        )

    # What must hold at every moment, and at the end.

    def check_grid(self, *, dead: Collection[str] = (), dealless_s: float = 0.0) -> None:
        """No current without a voltage or a deal, one holder, currents within what hardware and lines bear.

        The converter of a *dead* unit stays as it is on a bus without voltage; it draws nothing there. For
        *dealless_s* a converter may go on whose deal was lost with the store.
        """
        self.plant.grid_now()
        seconds = {u: s / self.acceleration for u, s in self.unheld.longest_s.items() if u not in dead}
        assert max(seconds.values(), default=0.0) <= 1.5, f"current without a voltage: {seconds}"
        seconds = {u: s / self.acceleration for u, s in self.dealless.longest_s.items()}
        assert max(seconds.values(), default=0.0) <= dealless_s, f"current without a deal: {seconds}"
        assert self.holders.without_droop_s / self.acceleration <= 0.2, "two units held the voltage without droop"
        limit_a = self.hardware.grid_current_capacity_a + self.hardware.grid_current_allowance_a
        assert all(a <= limit_a for a in self.peak.units_a.values()), self.peak.units_a

    def check_books(self) -> None:
        """One final record for each ended deal, in both parties' files and equal; locks go with their deals."""
        counted = Counter(r.deal_id for r in self.final_records)
        assert not [d for d, n in counted.items() if n != 1], counted
        running = set(self.records.deals())
        for unit_id, (lock, _) in self.records.locks().items():
            assert {e.deal_id for e in lock.entries} <= running, (unit_id, lock)
        for record in self.final_records:
            for unit_id in record.units:
                house = self.houses[unit_id]
                if house.node is None:
                    continue
                written = [c for f, c in house.files.items() if f.name == record.deal_id]
                assert written == [record.to_json()], f"the file of {record.deal_id} at {unit_id}"

    def check_still(self) -> None:
        """Nobody is active, nothing is open: the community is at rest."""
        grid, _ = self.records.grid()
        assert grid.state == "dead", self.tell()
        assert not self.records.active()[0].units, self.tell()
        assert {self.plant.grid_now().unit(u).mode for u in self.unit_ids} == {ConverterMode.WAIT}, self.tell()

    @property
    def records(self) -> Records:
        """The store's own content."""
        return Records(_Direct(self.store))  # type: ignore[arg-type]  # looks, never waits

    @property
    def final_records(self) -> list[DealRecord]:
        """The final records in the stream, in order."""
        log = self.store.logs["DEALLOG"]
        return [DealRecord.from_json(m.body) for m in log._messages]

    def mode(self, unit_id: str) -> str:
        return self.plant.grid_now().unit(unit_id).mode.name

    def tell(self) -> str:
        """Describe the moment, for a failed test."""
        lines = [f"t={asyncio.get_running_loop().time():.2f}"]
        grid, _ = self.records.grid()
        lines.append(f"grid {grid.state} holder={grid.holder} next={grid.next_holder} reason={grid.reason}")
        lines.append(f"active {dict(self.records.active()[0].units)}")
        for deal_id, (deal, _) in self.records.deals().items():
            lines.append(
                f"deal {deal_id[:8]} {deal.state} {deal.record.units} {deal.record.cumulate_amount_wh} {deal.detail}"
            )
        for unit_id in self.unit_ids:
            state = self.plant.grid_now().unit(unit_id)
            house = self.houses[unit_id]
            life = house.node.state if house.node else "dead"
            master = house.node and house.node.services and house.node.services.board.is_master
            trading = house.node.services.board.trading if house.node and house.node.services else ""
            lines.append(
                f"{unit_id} {life} {state.mode.name} {state.grid_voltage_v:.1f} V {state.grid_current_a:.2f} A "
                f"{state.rsoc_percent:.1f} % {'MASTER' if master else ''} {trading}"
            )
            if master and house.node.services.grid_master.plan:
                lines.append(f"   waiting {house.node.services.grid_master.plan.waiting}")
        return "\n".join(lines)


class _Direct:
    """A view of the store itself."""

    def __init__(self, store: MemoryCommunity) -> None:
        self._store = store

    def get(self, key: str) -> Any:
        return self._store.ctl.get(key)

    def entries(self, prefix: str = "") -> Mapping[str, Any]:
        return {k: self._store.ctl.get(k) for k in self._store.ctl.keys(prefix)}


@asynccontextmanager
async def world(
    units: int = 4,
    *,
    acceleration: float = 10.0,
    seed: int = 1,
    policy: Mapping[str, Any] | None = None,
    rsoc: Any = None,
    ideal: bool = False,
    started: bool = True,
) -> AsyncIterator[World]:
    """Open a community with all nodes running; whatever still runs at the end is cancelled."""
    opened = World(units, acceleration, seed, policy or {}, rsoc, ideal=ideal)
    for unit_id in opened.unit_ids if started else ():
        opened.start(unit_id)
    try:
        yield opened
    finally:
        running = [h.task for h in opened.houses.values() if h.task is not None and not h.task.done()]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def pair(acceleration: float) -> AbstractAsyncContextManager[World]:
    """Open a community of two that trade one small deal after the other."""
    return world(2, acceleration=acceleration, policy=SMALL_DEALS, rsoc=[92.0, 27.0])
