"""Houses with real nodes, one store and one grid, all in virtual time.

``VirtualCommunity`` starts, kills, freezes and cuts off nodes, and shows what the store and the grid hold. Randomness
comes from its seed alone, so two communities that are treated alike live alike.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from apis_rules import __version__
from apis_rules.compose.simulation.process import ProcessDevice
from apis_rules.grid.device import ModelDevice
from apis_rules.node.identity import Identity
from apis_rules.node.records import LOCK, MODE, WATCHED, ModeRecord, RecordTables
from apis_rules.node.runtime import Node
from apis_rules.node.state_dir import MemoryStateStore
from apis_rules.node.surroundings import Surroundings
from apis_rules.ports.bundle import NodePorts
from apis_rules.ports.memory import MemoryCommunity
from apis_rules.ports.state import Write
from apis_rules.ports.types import DealRecord, ErrorEvent, OperationMode

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from apis_rules.documents.policy import Policy
    from apis_rules.grid.plant import Plant
    from apis_rules.node.identity import Documents
    from apis_rules.node.surroundings import NodeFiles
    from apis_rules.ports.memory import StoreSnapshot
    from apis_rules.ports.memory.faults import Line
    from apis_rules.ports.memory.picture import Picture
    from apis_rules.ports.state import Entry

TEMPORARY: Final = Path("/tmp")  # noqa: S108 - only a name: files are kept in memory
DIES_WITHIN_S: Final = 0.001
PAST_S: Final = 3600.0


@dataclass
class House:
    """One unit: its node while it runs, and what outlives the node.

    Attributes:
        files: deal logs, by path.
        ping: asks for the page of its hardware watchdog, where it has one.
        boots: how often its node was started.
        displaced: whether another instance has its unit id.
    """

    unit_id: str
    device: ModelDevice
    store: MemoryStateStore = field(default_factory=MemoryStateStore)
    files: dict[Path, bytes] = field(default_factory=dict)
    node: Node | None = None
    task: asyncio.Task[int] | None = None
    process: ProcessDevice | None = None
    ping: Callable[[], Awaitable[None]] | None = None
    boots: int = 0
    displaced: bool = False

    async def write(self, file: Path, content: bytes) -> None:
        """Keep a deal log."""
        self.files[file] = content


class VirtualCommunity:
    """The community. Needs a running loop in virtual time.

    Args:
        plant: the grid, on the loop's clock.
        documents: what each node goes by, by unit id.
        times: of the wiring, in effect.
        seed: of every chance in it.

    Attributes:
        store: the twins' own side, for looks and faults.
        houses: by unit id.
        store_lost_at_s: loop's time of the last loss or rewind of the store.
        failures: nodes that were ended by an error that nothing has an answer for, in order: unit id and error.
        node_files: by unit id, where a node reads its files again while it runs.
    """

    def __init__(self, plant: Plant, documents: Mapping[str, Documents], times: Any, seed: int) -> None:
        loop = asyncio.get_running_loop()
        self.plant = plant
        self.documents = documents
        self.times = times
        self.seed = seed
        self.store = MemoryCommunity(life_s=int(times.life_s))
        self.unit_ids = list(documents)
        self.houses = {u: House(u, ModelDevice(plant, u, runtime_s=loop.time)) for u in self.unit_ids}
        self.node_files: dict[str, NodeFiles] = {}
        self.store_lost_at_s = -math.inf
        self.failures: list[tuple[str, BaseException]] = []
        self._past: deque[tuple[float, StoreSnapshot]] = deque()
        self.records = RecordTables(_StoreItself(self.store))

    def start(self, unit_id: str, refusal: str = "") -> House:
        """Start the node of a unit, anew if it ran before."""
        house, documents = self.houses[unit_id], self.documents[unit_id]
        house.boots += 1
        config = documents.config
        identity = Identity(
            unit_id,
            config.community_id,
            config.cluster_id,
            config.display_name,
            config.serial_number,
            __version__,
            f"{unit_id}-{house.boots}",
            "one clock",
        )
        around = Surroundings(
            times=self.times,
            store=house.store,
            temporary=TEMPORARY,
            source=random.Random(f"{self.seed} {unit_id} {house.boots}"),  # noqa: S311 - chance of a model, no secret
            write=house.write,
            refusal=refusal,
            ping=house.ping,
            work=_at_once,
            files=self.node_files.get(unit_id),
            displaced=lambda: house.displaced,
        )
        ports = self.store.connect(unit_id)
        line, process = self.store.lines[unit_id], ProcessDevice(house.device)
        house.process = process

        def line_changed() -> None:
            process.dead = process.dead or line.killed

        line.on_change.append(line_changed)
        house.node = Node(identity, documents, NodePorts(ports, process), around)
        house.task = asyncio.get_running_loop().create_task(house.node.run(), name=unit_id)
        house.task.add_done_callback(lambda task: self._note_end(task, line))
        return house

    def _note_end(self, task: asyncio.Task[int], line: Line) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None and not line.killed:
            self.failures.append((task.get_name(), error))

    async def kill(self, unit_id: str) -> None:
        """End a node's process at once: nothing it was doing has an effect any more; its converter stays as it is."""
        house = self.houses[unit_id]
        if house.task is None:
            raise RuntimeError(f"{unit_id} does not run")
        self.store.lines[unit_id].kill()
        # What it still tries has no effect, so its end is not waited for.
        house.task.cancel()
        await asyncio.wait([house.task], timeout=DIES_WITHIN_S)
        house.node = None

    def freeze(self, unit_id: str) -> None:
        """Suspend a node's process (SIGSTOP); what its converter does goes on."""
        house = self.houses[unit_id]
        self.store.lines[unit_id].freeze()
        if house.process is not None:
            house.process.freeze()
        if house.node is not None and house.node.services is not None:
            house.node.services.supervisor.suspend()

    def thaw(self, unit_id: str) -> None:
        """Let it go on."""
        house = self.houses[unit_id]
        self.store.lines[unit_id].thaw()
        if house.node is not None and house.node.services is not None:
            house.node.services.supervisor.resume()
        if house.process is not None:
            house.process.thaw()

    async def close(self) -> None:
        """Cancel whatever still runs."""
        running = [h.task for h in self.houses.values() if h.task is not None and not h.task.done()]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def mend(self) -> None:
        """Put right whatever is wrong: the store, wires, disks and devices; dead nodes are started."""
        self.plant.clear_faults()
        for unit_id in self.unit_ids:
            self.plant.grid_to_command().clear_alarm(unit_id)
        for unit_id, house in self.houses.items():
            line = self.store.lines[unit_id]
            house.store.full = False
            line.restore()
            line.forget_faults()
            if house.process is not None:
                self.thaw(unit_id)
        if not self.store.up:
            self.store.start()
        for unit_id, house in self.houses.items():
            if house.node is None or (house.task is not None and house.task.done()):
                self.start(unit_id)

    def ended(self) -> list[str]:
        """Return the units whose node has ended by itself."""
        return [u for u, h in self.houses.items() if h.node is not None and h.task is not None and h.task.done()]

    def remember_store(self) -> None:
        """Keep what the store holds now, for a rewind; what is older than an hour is forgotten."""
        now_s = asyncio.get_running_loop().time()
        self._past.append((now_s, self.store.snapshot()))
        while self._past[0][0] < now_s - PAST_S:
            self._past.popleft()

    def lose_store(self) -> None:
        """Restart the store with nothing in it."""
        self.store_lost_at_s = asyncio.get_running_loop().time()
        self.store.lose()

    def rewind_store(self, by_s: float) -> None:
        """Restart the store with what it held *by_s* ago, as far as that was remembered."""
        self.store_lost_at_s = asyncio.get_running_loop().time()
        moment_s = self.store_lost_at_s - by_s
        older = [kept for at_s, kept in self._past if at_s <= moment_s]
        if older:
            self.store.rewind(older[-1])
        else:
            self.lose_store()

    # What is to be seen.

    @property
    def master(self) -> str | None:
        """The unit whose node is Grid Master."""
        return next((u for u, h in self.houses.items() if h.node is not None and h.node.is_master), None)

    @property
    def policy(self) -> Policy:
        """The community's policy."""
        return next(iter(self.documents.values())).policy

    @property
    def resting(self) -> bool:
        """Whether nobody holds the voltage or is active, and no deal is left that was switched."""
        return (
            self.records.grid()[0].state == "dead"
            and not self.records.active()[0].units
            and not any(deal.switched for deal, _ in self.records.deals().values())
        )

    @property
    def waiting(self) -> tuple[str, ...]:
        """Why the Grid Master activates nothing, as it says."""
        master = self.master
        node = self.houses[master].node if master else None
        plan = node.services.grid_master.plan if node and node.services else None
        return plan.waiting if plan else ()

    @property
    def final_records(self) -> list[DealRecord]:
        """The final records in the stream, in order."""
        return [DealRecord.from_json(m.body) for m in self.store.logs["DEALLOG"].messages()]

    def unwritten(self) -> list[str]:
        """The final records that do not stand, as they are and once, in the files of a party whose node runs."""
        return [
            f"{record.deal_id} at {unit_id}"
            for record in self.final_records
            for unit_id in record.units
            if (house := self.houses[unit_id]).node is not None
            and [c for f, c in house.files.items() if f.name == record.deal_id] != [record.to_json()]
        ]

    def error_events(self) -> list[ErrorEvent]:
        """The error events that the community keeps, in order."""
        return [ErrorEvent.from_json(m.body) for m in self.store.logs["ERRLOG"].messages()]

    # What operators do.

    def set_mode(self, mode: OperationMode) -> None:
        """Set the community's mode, as the verb does."""
        self.store.ctl.write([Write(MODE, ModeRecord(mode=mode).to_json())])

    def exclude(self, unit_id: str, reason: str = "cut off by hand") -> None:
        """Declare a unit's converter cut off from the bus, as the verb does."""
        key = LOCK + unit_id
        changed = self.records.lock(unit_id).model_copy(update={"exclusion": reason})
        self.store.ctl.write([Write(key, changed.to_json(), self.store.ctl.get(key).at)])


async def _at_once(work: Callable[[], Any]) -> Any:
    """There are no threads in virtual time."""
    return work()


class _StoreItself:
    """The store as it is shown from inside: always current."""

    def __init__(self, store: MemoryCommunity) -> None:
        self._ctl = store.ctl
        self._picture = self._ctl.picture(WATCHED)
        self._ctl.subscribe(self._follow)

    def _follow(self, batch: Sequence[Entry]) -> None:
        if self._picture.life is self._ctl.life and self._picture.revision + 1 == batch[0].revision:
            self._picture, _ = self._picture.after(batch)

    @property
    def _now(self) -> Picture:
        if self._picture.life is not self._ctl.life or self._picture.revision != self._ctl.revision:
            self._picture = self._ctl.picture(WATCHED)
        return self._picture

    def get(self, key: str) -> Entry:
        return self._now.get(key)

    def entries(self, prefix: str = "") -> Mapping[str, Entry]:
        return self._now.below(prefix)

    @property
    def fresh(self) -> bool:
        return True

    @property
    def revision(self) -> int:
        return self._ctl.revision

    @property
    def store_id(self) -> str:
        return self._ctl.store_id
