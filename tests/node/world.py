"""A whole community in virtual time: twins for the store, the modelled grid for the converters, real nodes on top."""

from __future__ import annotations

import asyncio
import random
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
from apis_rules.node.records import Records
from apis_rules.node.runtime import Node, Surroundings
from apis_rules.node.state_dir import MemoryStateStore
from apis_rules.ports.bundle import NodePorts
from apis_rules.ports.memory import MemoryCommunity
from apis_rules.ports.types import DealRecord
from apis_rules.resources import data_dir

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

RULES = data_dir("rules")
SCRAM_DELAY_S = 5.0


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


class Mortal:
    """A unit's device as one process sees it: when the process is killed, nothing more of it leaves.

    What it had sent before may still land.
    """

    def __init__(self, device: ModelDevice) -> None:
        self._device = device
        self.dead = False

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._device, name)

        async def while_alive(*args: Any, **kwargs: Any) -> Any:
            if self.dead:
                raise Outage("this process is dead")
            return await call(*args, **kwargs)

        return while_alive


class World:
    """The community. All times are virtual."""

    def __init__(self, units: int, acceleration: float, seed: int, policy: Mapping[str, Any], rsoc: Any) -> None:
        loop = asyncio.get_running_loop()
        self.times = load_wiring().times_of("embedded")
        self.store = MemoryCommunity(life_s=int(self.times.life_s))
        settings = community(units, seed=seed) if rsoc is None else community(units, seed=seed, rsoc_percent=rsoc)
        self.plant = Plant(Grid(settings), now_s=loop.time, acceleration=acceleration)
        self.unheld = UnheldCurrent(low_v=290, high_v=385)
        self.holders = HoldersAtOnce()
        self.peak = PeakCurrent()
        self.plant.grid_now().observers.extend([self.unheld, self.holders, self.peak])
        self.seed = seed
        self.unit_ids = [f"E{n:03d}" for n in range(1, units + 1)]
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
            load_hw_config(RULES / "hwConfig.json").model,
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
        house.task.cancel()
        await asyncio.wait([house.task])
        house.node = None

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
) -> AsyncIterator[World]:
    """Open a community with all nodes running; whatever still runs at the end is cancelled."""
    opened = World(units, acceleration, seed, policy or {}, rsoc)
    for unit_id in opened.unit_ids:
        opened.start(unit_id)
    try:
        yield opened
    finally:
        running = [h.task for h in opened.houses.values() if h.task is not None and not h.task.done()]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
