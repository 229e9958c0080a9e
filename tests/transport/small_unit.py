"""The smallest unit that obeys by the real rules: ports, the pure unit side, an ideal converter that may be slow."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

from apis_rules.charts.converter import WALK_SETTINGS
from apis_rules.charts.unit import (
    Acknowledge,
    Announced,
    Answered,
    Call,
    Decline,
    Due,
    Event,
    Lost,
    NotDone,
    Ordered,
    ReadAll,
    ReadStatus,
    Refreshed,
    Remember,
    Remembered,
    Report,
    Request,
    SetCurrent,
    SetMode,
    SetVoltage,
    Stop,
    UnitBrain,
    UnitMemory,
    UnitRecord,
)
from apis_rules.errors import Outage, PortError, Refused, Unknown
from apis_rules.ports.bundle import CommunityPorts
from apis_rules.ports.device import Reading
from apis_rules.ports.memory.device import MemoryDevice
from apis_rules.ports.memory.faults import Line
from apis_rules.ports.types import Command, CommandName, CommandParams, ConverterMode, Epoch, Outcome

SETTINGS = replace(WALK_SETTINGS, current_step_a=0.25, check_wait_s=0.01, request_timeout_s=1.0)


class SmallUnit:
    """One unit. Made by ``run_unit``.

    Attributes:
        driver: the wire to its converter; ``latency_s`` makes it slow.
        disk: ``works``, ``fails`` or ``hangs``.
        acted: every command that wrote to the converter, as (epoch number, seq), in order.
    """

    def __init__(self, unit_id: str, ports: CommunityPorts, memory: UnitMemory | None = None) -> None:
        self.unit_id = unit_id
        self.ports = ports
        self.driver = Line(latency_s=0.001)
        self.device = MemoryDevice(self.driver)
        self.disk = "works"
        self.memory = memory
        self.acted: list[tuple[int, int]] = []
        self.outcomes: list[Outcome] = []
        self.brain = UnitBrain(SETTINGS, lambda _document, _write: None)
        self.unit: UnitRecord
        self._due_s = 0.0
        self._due = asyncio.Event()
        self._announcements: dict[str, asyncio.Future[bytes]] = {}
        self._tasks: asyncio.TaskGroup

    async def run(self, ready: asyncio.Event) -> None:
        bus, commands = self.ports.bus, self.ports.commands
        async with (
            commands.inbox(self.unit_id) as inbox,
            bus.serve(self.unit_id, "announce", self._announced),
            bus.serve(self.unit_id, "refresh", self._refreshed),
            asyncio.TaskGroup() as tasks,
        ):
            self._tasks = tasks
            now_s = self.ports.clock.now_s()
            step = self.brain.start(self.unit_id, "boot1", self.memory, "clock", now_s)
            self._take(step)
            tasks.create_task(self._keep_time())
            while self.unit.state == "looking":
                await asyncio.sleep(0.005)
            ready.set()
            async for command in inbox:
                self._give(Ordered(command))

    @property
    def mode(self) -> ConverterMode:
        return self.device._mode

    def _give(self, event: Event) -> None:
        self._take(self.brain.decide(self.unit, event, self.ports.clock.now_s()))

    def _take(self, step) -> None:
        self.unit, self._due_s = step.unit, step.due_s
        self._due.set()
        for action in step.actions:
            match action:
                case Request(request_id, call):
                    self._tasks.create_task(self._ask(request_id, call))
                case Remember():
                    self._tasks.create_task(self._remember(action))
                case Report(outcome):
                    self.outcomes.append(outcome)
                    self._tasks.create_task(self._report(outcome))
                case Acknowledge(epoch, outcome, _):
                    self._answer(epoch, outcome.to_json() if outcome else b"{}")
                case Decline(epoch, _, reason):
                    self._answer(epoch, f"declined: {reason}".encode())

    async def _ask(self, request_id: int, call: Call) -> None:
        def guard() -> None:
            if reason := self.brain.check_write(self.unit, request_id):
                raise Refused(reason)
            if self.unit.job is not None:  # else it eases a stop
                self.acted.append((self.unit.job.order.epoch.number, self.unit.job.order.seq))

        try:
            reading = await self._call(call, guard)
        except (Outage, Refused) as error:
            self._give(NotDone(request_id, str(error)))
        except Unknown as error:
            self._give(Lost(request_id, str(error)))
        else:
            self._give(Answered(request_id, reading.document, reading.time, reading.sent_at_s))

    async def _call(self, call: Call, guard) -> Reading:
        match call:
            case ReadAll():
                return await self.device.read()
            case ReadStatus():
                return await self.device.read_status()
            case SetMode(mode, voltage_v, current_a, droop):
                return await self.device.set_mode(mode, voltage_v, current_a, droop, guard=guard)
            case SetVoltage(voltage_v, droop):
                return await self.device.set_voltage(voltage_v, droop, guard=guard)
            case SetCurrent(current_a):
                return await self.device.set_current(current_a, guard=guard)
            case Stop(voltage_v):
                return await self.device.stop(voltage_v)

    async def _remember(self, remember: Remember) -> None:
        while self.disk == "hangs":
            await asyncio.sleep(0.05)
        if self.disk == "works":
            self.memory = remember.memory
        self._give(Remembered(remember.number, ok=self.disk == "works"))

    async def _report(self, outcome: Outcome) -> None:
        with suppress(Outage):  # the master asks again
            await self.ports.commands.report(outcome)

    def _answer(self, epoch: Epoch, body: bytes) -> None:
        waiting = self._announcements.pop(epoch.term_id, None)
        if waiting is not None:
            waiting.set_result(body)

    async def _announced(self, body: bytes) -> bytes:
        epoch = Epoch.from_json(body)
        self._announcements[epoch.term_id] = waiting = asyncio.get_running_loop().create_future()
        self._give(Announced(epoch))
        return await waiting

    async def _refreshed(self, body: bytes) -> bytes:
        number, _, epoch = body.partition(b" ")
        self._give(Refreshed(Epoch.from_json(epoch), int(number), ()))
        return b"ok"

    async def _keep_time(self) -> None:
        clock = self.ports.clock
        while True:
            self._due.clear()
            try:
                async with asyncio.timeout(max(0.0, self._due_s - clock.now_s())):
                    await self._due.wait()
            except TimeoutError:
                self._give(Due())


@asynccontextmanager
async def run_unit(unit_id: str, ports: CommunityPorts, memory: UnitMemory | None = None) -> AsyncIterator[SmallUnit]:
    """Run a unit while the context is open."""
    unit = SmallUnit(unit_id, ports, memory)
    ready = asyncio.Event()
    running = asyncio.create_task(unit.run(ready))
    try:
        async with asyncio.timeout(10):
            await ready.wait()
        yield unit
        if running.done():
            running.result()
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


def order(
    epoch: Epoch, seq: int, name: CommandName, *, refresh: int = 1, boot: str = "boot1", current_a: float | None = None
) -> Command:
    return Command(
        epoch=epoch, seq=seq, boot=boot, refresh=refresh, name=name, params=CommandParams(grid_current_a=current_a)
    )


async def outcome_of(feed: AsyncIterator[Outcome], epoch: Epoch, seq: int, within_s: float = 10) -> Outcome:
    """Wait for what became of a command."""
    async with asyncio.timeout(within_s):
        async for outcome in feed:
            if (outcome.epoch, outcome.seq) == (epoch, seq):
                return outcome
    raise PortError("the outcomes ended")
