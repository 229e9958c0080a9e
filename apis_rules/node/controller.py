"""The *controller* (specification 3.2, 7): carries events to the unit's brain, and performs what it wants done.

Everything that decides stands in ``charts.unit`` and in ``statecharts/converter.yaml``. Here stand the device, the
disk, the messages and the time: one loop takes one event after the other; requests to the driver run beside it and come
back as events, so that a stop never waits for them.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from apis_rules.charts.unit import (
    Acknowledge,
    Announced,
    AnnounceVoltageGoing,
    Answered,
    Decline,
    Due,
    Lost,
    ManualChanged,
    NotDone,
    Ordered,
    ReadAll,
    ReadStatus,
    ReadWanted,
    Refreshed,
    Remember,
    Remembered,
    Report,
    Request,
    SetCurrent,
    SetMode,
    SetVoltage,
    Stop,
    StopLocal,
    Tell,
    UnitMemory,
    VoltageGoing,
)
from apis_rules.errors import Outage, Refused, Unknown
from apis_rules.node import messages
from apis_rules.node.board import OwnReading
from apis_rules.node.narration import tell_command, tell_outcome
from apis_rules.node.unit_clock import format_unit_time
from apis_rules.ports.state import Write
from apis_rules.ports.types import OperationMode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from apis_rules.charts.unit import Action, Call, Event, UnitBrain, UnitRecord, UnitStep
    from apis_rules.node.board import Board
    from apis_rules.node.errors import Errors
    from apis_rules.node.local_safety import LocalSafety
    from apis_rules.node.state_dir import StateStore
    from apis_rules.node.supervision import Progress
    from apis_rules.ports.bundle import NodePorts
    from apis_rules.ports.device import Guard, Reading
    from apis_rules.ports.types import Epoch

log = logging.getLogger(__name__)

MEMORY_FILE: Final = "unit.json"
ANNOUNCE_LIMIT_S: Final = 60.0
FRESH_LIMIT_S: Final = 6.0
LOOK_S: Final = 1.0
PUBLISHED_LIFE_S: Final = 20
DATA_KEY: Final = "data."


class Controller:
    """One unit's controller.

    Attributes:
        unit: the unit as it stands; others look at it, only this service changes it.
        failure: what the driver's last failed request was told.
    """

    def __init__(
        self,
        brain: UnitBrain,
        ports: NodePorts,
        board: Board,
        store: StateStore,
        errors: Errors,
        safety: LocalSafety,
        progress: Progress,
    ) -> None:
        self._brain = brain
        self._ports = ports
        self._board = board
        self._store = store
        self._errors = errors
        self._safety = safety
        self._progress = progress
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        self._tasks: asyncio.TaskGroup | None = None
        self._announced: defaultdict[str, list[asyncio.Future[Acknowledge | Decline]]] = defaultdict(list)
        self._moved = asyncio.Condition()
        identity = board.identity
        step = brain.start(
            identity.unit_id, identity.boot, self._load_memory(), identity.clock_id, ports.community.clock.now_s()
        )
        self.unit: UnitRecord = step.unit
        self.failure = ""
        self._due_s = step.due_s
        self._first_actions = step.actions
        self._published_at_s = float("-inf")
        self._checked_at_s = float("-inf")

    def exchange_brain(self, brain: UnitBrain) -> None:
        """Go by other settings from the next event on."""
        self._brain = brain

    def put(self, event: Event) -> None:
        """Let the brain know of something."""
        self._events.put_nowait(event)

    async def run(self) -> None:
        """Serve until cancelled."""
        unit_id = self._board.identity.unit_id
        community = self._ports.community
        bus = community.bus
        async with (
            asyncio.TaskGroup() as tasks,
            bus.serve(unit_id, messages.ANNOUNCE, self._announcement),
            bus.serve(unit_id, messages.REFRESH, self._refresh),
            bus.serve(unit_id, messages.DATA, self._data),
            bus.listen(messages.VOLTAGE_GOING) as going,
            community.commands.inbox(unit_id) as inbox,
        ):
            self._tasks = tasks
            tasks.create_task(self._take_orders(inbox))
            tasks.create_task(self._hear_going(going))
            tasks.create_task(self._follow_mode())
            for action in self._first_actions:
                self._perform(action)
            await self._loop()

    async def stop_local(self, reason: str, within_s: float) -> bool:
        """Bring the converter to WAIT; return whether it was confirmed in time."""
        log.info("stops by itself: %s", reason)
        self.put(StopLocal(reason))
        return await self.wait_until_waiting(within_s)

    async def wait_until_waiting(self, within_s: float) -> bool:
        """Return whether the converter was confirmed in WAIT within the time."""
        try:
            async with asyncio.timeout(within_s), self._moved:
                await self._moved.wait_for(lambda: self.unit.confirmed_wait and self._events.empty())
        except TimeoutError:
            return False
        return True

    def report(self) -> messages.UnitReport | None:
        """Return the unit's data as others get it; None before the first reading."""
        reading = self._board.reading
        if reading is None:
            return None
        hardware = self._board.documents.hw_config
        return messages.UnitReport(
            unit_id=self._board.identity.unit_id,
            boot=self._board.identity.boot,
            data=self._board.unit_data(),
            age_s=max(0.0, self._ports.community.clock.now_s() - reading.read_at_s),
            unit_time_s=reading.unit_time_s,
            hardware=messages.Hardware(
                capacity_a=hardware.grid_current_capacity_a,
                allowance_a=hardware.grid_current_allowance_a,
                efficient_ratio=hardware.efficient_battery_grid_voltage_ratio,
            ),
            epoch=self.unit.memory.epoch,
            trading=self._board.trading,
            trouble=self._board.trouble,
            goes_by=self._board.goes_by,
        )

    async def _loop(self) -> None:
        clock = self._ports.community.clock
        while True:
            self._progress.beat()
            if not self._board.reading_fresh and clock.now_s() - self._checked_at_s >= LOOK_S:
                self._check()  # a driver that gives no answer gives no occasion either
                self._publish(moved=False)
            wait_s = min(max(0.0, self._due_s - clock.now_s()), LOOK_S)
            try:
                async with asyncio.timeout(wait_s):
                    event: Event = await self._events.get()
            except TimeoutError:
                if clock.now_s() < self._due_s:
                    continue
                event = Due()
            step = self._brain.decide(self.unit, event, clock.now_s())
            await self._take(step, event)

    async def _take(self, step: UnitStep, event: Event) -> None:
        before = self.unit
        self.unit, self._due_s = step.unit, step.due_s
        for action in step.actions:
            self._perform(action)
        if isinstance(event, Answered):
            self._take_reading(event)
        if step.unit.state != before.state or isinstance(event, Answered):
            self._board.changed("unit")
            self._publish(moved=step.unit.state != before.state)
        async with self._moved:
            self._moved.notify_all()

    def _perform(self, action: Action) -> None:
        match action:
            case Request(request_id, call):
                self._start(self._ask_driver(request_id, call))
            case Remember(number, memory, durable):
                self._start(self._remember(number, memory, durable=durable))
            case Report():
                tell_outcome(action.outcome)
                self._start(self._tell_outcome(action))
            case Acknowledge(epoch) | Decline(epoch):
                for waiting in self._announced.pop(epoch.term_id, []):
                    if not waiting.done():
                        waiting.set_result(action)
            case AnnounceVoltageGoing():
                self._start(self._tell_going())
            case Tell(problem, detail):
                self._errors.raise_event(problem, detail)

    def _start(self, coroutine: Any) -> None:
        if self._tasks is None:
            raise RuntimeError("the controller is not running")
        self._tasks.create_task(coroutine)

    async def _ask_driver(self, request_id: int, call: Call) -> None:
        def guard() -> None:
            reason = self._brain.check_write(self.unit, request_id)
            if reason is not None:
                raise Refused(reason)

        try:
            reading = await self._call(call, guard)
        except Unknown as error:
            self.failure = str(error)
            self.put(Lost(request_id, self.failure))
        except (Outage, Refused) as error:
            self.failure = str(error)
            self.put(NotDone(request_id, self.failure))
        else:
            self.put(Answered(request_id, reading.document, reading.time, reading.sent_at_s))

    async def _call(self, call: Call, guard: Guard) -> Reading:
        device = self._ports.device
        match call:
            case ReadAll():
                return await device.read()
            case ReadStatus():
                return await device.read_status()
            case SetMode(mode, voltage_v, current_a, droop_ratio):
                return await device.set_mode(mode, voltage_v, current_a, droop_ratio, guard=guard)
            case SetVoltage(voltage_v, droop_ratio):
                return await device.set_voltage(voltage_v, droop_ratio, guard=guard)
            case SetCurrent(current_a):
                return await device.set_current(current_a, guard=guard)
            case Stop(voltage_v):
                return await device.stop(voltage_v)

    async def _remember(self, number: int, memory: UnitMemory, *, durable: bool) -> None:
        try:
            await self._store.save(MEMORY_FILE, memory.to_json(), durable=durable)
        except OSError as error:
            self._errors.raise_event("disk", f"{MEMORY_FILE}: {error}")
            self.put(Remembered(number, ok=False))
        else:
            self.put(Remembered(number, ok=True))

    def _load_memory(self) -> UnitMemory | None:
        content = self._store.load(MEMORY_FILE)
        if content is None:
            return None
        try:
            return UnitMemory.from_json(content)
        except ValidationError:
            # A unit without a memory obeys the next epoch it hears of; one that cannot start obeys nobody.
            log.warning("%s is damaged and counts as lost", MEMORY_FILE)
            return None

    async def _tell_outcome(self, report: Report) -> None:
        try:
            await self._ports.community.commands.report(report.outcome)
        except Outage:
            # The master asks again with the same number and gets the stored outcome.
            self._errors.note("outcome not told: not connected")

    async def _tell_going(self) -> None:
        body = messages.Going(unit_id=self._board.identity.unit_id, reason="the voltage reference stops").to_json()
        try:
            await self._ports.community.bus.broadcast(messages.VOLTAGE_GOING, body)
        except Outage:
            # The others see the voltage go by themselves, at their next reading.
            self._errors.note("voltage going not told: not connected")

    def _take_reading(self, reading: Answered) -> None:
        if self._board.reading is None and "battery" not in reading.document:
            # After a failed first reading only the converter was answered: rules must not take the rest for missing.
            return
        clock = self._ports.community.clock
        age_s = clock.now_s() - reading.sent_at_s
        unit_time_s = self._board.unit_clock.at(reading.time, reading.sent_at_s, clock.utc_s() - age_s)
        self._board.reading = OwnReading(
            document=self.unit.document,
            time=format_unit_time(unit_time_s),
            read_at_s=reading.sent_at_s,
            unit_time_s=unit_time_s,
        )
        self._check()

    def _check(self) -> None:
        """Ask the safety rules about the last reading, where there is one."""
        now_s = self._checked_at_s = self._ports.community.clock.now_s()
        if self._board.reading is not None:
            for event in self._safety.look(self._board, self._errors, now_s, switching=self._suppressed()):
                self.put(event)

    def _suppressed(self) -> bool:
        return self._brain.checks_suppressed(self.unit, self._ports.community.clock.now_s())

    def _publish(self, *, moved: bool) -> None:
        """Leave the unit's data where displays and tools find it, at most once a second unless the mode changed."""
        now_s = self._ports.community.clock.now_s()
        if not moved and now_s - self._published_at_s < 1.0:
            return
        self._published_at_s = now_s
        report = self.report()
        if report is not None:
            self._start(self._put_data(report.to_json()))

    async def _put_data(self, body: bytes) -> None:
        key = DATA_KEY + self._board.identity.unit_id
        try:
            await self._ports.community.unit.write(Write(key, body, time_limit_s=PUBLISHED_LIFE_S))
        except (Outage, Unknown, Refused):
            # The next reading is published again; who needs this one asks the unit itself.
            self._errors.note("unit data not published")

    async def _take_orders(self, inbox: Any) -> None:
        async for command in inbox:
            tell_command(command)
            self.put(Ordered(command))
            self._board.changed("command")

    async def _hear_going(self, going: Any) -> None:
        async for message in messages.heard(messages.Going, going):
            self.put(VoltageGoing(message.unit_id))

    async def _follow_mode(self) -> None:
        manual = False
        async for _ in self._board.changes("records"):
            now_manual = self._board.effective_mode is OperationMode.MANUAL
            if now_manual != manual:
                manual = now_manual
                self.put(ManualChanged(manual))

    async def _announcement(self, body: bytes) -> bytes:
        announcement = messages.read_message(messages.Announcement, body)
        answer = await self._acknowledged(announcement.epoch)
        identity = self._board.identity
        common: Mapping[str, Any] = {"unit_id": identity.unit_id, "boot": identity.boot, "report": self.report()}
        if isinstance(answer, Decline):
            return messages.AnnouncementAnswer(declined=answer.reason, highest=answer.highest, **common).to_json()
        return messages.AnnouncementAnswer(outcome=answer.outcome, status=answer.status, **common).to_json()

    async def _acknowledged(self, epoch: Epoch) -> Acknowledge | Decline:
        waiting: asyncio.Future[Acknowledge | Decline] = asyncio.get_running_loop().create_future()
        self._announced[epoch.term_id].append(waiting)
        self.put(Announced(epoch))
        try:
            async with asyncio.timeout(ANNOUNCE_LIMIT_S):
                return await waiting
        except TimeoutError:
            raise Refused("an earlier command has not ended") from None

    async def _refresh(self, body: bytes) -> bytes:
        refresh = messages.read_message(messages.Refresh, body)
        self.put(Refreshed(refresh.epoch, refresh.number, refresh.deal_ids))
        return b""

    async def _data(self, body: bytes) -> bytes:
        wanted = messages.read_message(messages.DataWanted, body)
        if wanted.fresh:
            await self._read_again()
        report = self.report()
        if report is None:
            raise Refused("no reading yet")
        return report.to_json()

    async def _read_again(self) -> None:
        """Wait for a full reading that is asked for from now on."""
        asked_at_s = self._ports.community.clock.now_s()
        self.put(ReadWanted(full=True))
        try:
            async with asyncio.timeout(FRESH_LIMIT_S), self._moved:
                await self._moved.wait_for(
                    lambda: (
                        self.unit.read_all_at_s is not None
                        and self._board.reading is not None
                        and self._board.reading.read_at_s >= asked_at_s
                    )
                )
        except TimeoutError:
            raise Refused("the driver does not answer") from None
