"""One house of the planner's world: a converter, and the pure unit side that drives it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from apis_rules.charts.master.energy import format_time, parse_time
from apis_rules.charts.unit import (
    Acknowledge,
    AnnounceVoltageGoing,
    Answered,
    Decline,
    Due,
    Event,
    Lost,
    NotDone,
    Remember,
    Remembered,
    Report,
    Request,
    SetCurrent,
    SetMode,
    SetVoltage,
    Stop,
    Tell,
    UnitBrain,
    UnitMemory,
    UnitRecord,
    UnitSettings,
)
from apis_rules.documents.reading import load_hw_config, load_policy
from apis_rules.ports.types import ConverterMode, UnitData
from apis_rules.resources import data_dir

if TYPE_CHECKING:
    from tests.charts.master.world import World

TIMES = {
    "dead_man_s": 12.0,
    "absence_s": 10.0,
    "drain_s": 5.0,
    "hand_over_s": 12.0,
    "holder_dead_man_s": 20.0,
}
"""Of an embedded server, with the shipped scram delay."""

POLICY = load_policy(data_dir("rules") / "policy.json").model.to_document()
HARDWARE = load_hw_config(data_dir("rules") / "hwConfig.json").model.to_document()


@cache
def brain_of(times: tuple[tuple[str, float], ...]) -> UnitBrain:
    """The unit side that goes by these times of the wiring."""
    settings = UnitSettings.from_documents(POLICY, HARDWARE, dict(times))
    return UnitBrain(settings, lambda _document, _write: None)


START_UNIT_S = parse_time("2026/01/01-12:00:00")
WAIT, VR = ConverterMode.WAIT, ConverterMode.VOLTAGE_REFERENCE
LOST_AFTER_S = 5.0


@dataclass
class House:
    """A unit, its battery and its converter. ``record`` is None while no process runs.

    Attributes:
        device_s: how long the driver takes for one request.
        reachable: whether the community hears the node, and it the community.
        refuse_next, lose_next: so many of the next writes fail, or are carried out without an answer.
        mute_next: so many of the next outcomes are lost on their way.
        guarded: whether a parent process goes on where this one dies.
        deal_of: the rank of an order that came here -> its deal.
    """

    unit_id: str
    world: World = field(repr=False)
    capacity_a: float = 2.3
    allowance_a: float = 0.125
    sensor_a: float = 0.0
    rsoc: float = 60.0
    rate: float = 10.0
    device_s: float = 0.03
    reachable: bool = True
    driver_up: bool = True
    refuse_next: int = 0
    lose_next: int = 0
    mute_next: int = 0
    mode: ConverterMode = WAIT
    target_v: float = 0.0
    target_a: float = 0.0
    droop: float = 0.0
    record: UnitRecord | None = None
    disk: UnitMemory | None = None
    boots: int = 0
    life: int = 0
    acknowledged: Any = None
    data: UnitData | None = None
    read_at_s: float = float("-inf")
    unit_time_s: float | None = None
    energy_wh: float = 0.0
    writes: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    due_s: float = float("inf")
    due_ticket: int = 0
    guarded: bool = False
    deal_of: dict[tuple[int, int], str | None] = field(default_factory=dict)

    @property
    def up(self) -> bool:
        """Whether the community hears of the unit."""
        return self.record is not None and self.reachable

    @property
    def brain(self) -> UnitBrain:
        return brain_of(self.world.times)

    @property
    def boot(self) -> str:
        return f"{self.unit_id}-boot{self.boots}"

    # -- the process --------------------------------------------------------------------------------------------------

    def start(self) -> None:
        self.boots += 1
        self.life += 1
        step = self.brain.start(self.unit_id, self.boot, self.disk, "clock", self.world.now_s)
        self._take(step.unit, step.actions, step.due_s)

    def kill(self) -> None:
        """The process is gone; what it asked of the driver may still be done."""
        self.record = None
        self.life += 1

    def give(self, event: Event) -> None:
        if self.record is None:
            return
        step = self.brain.decide(self.record, event, self.world.now_s)
        self._take(step.unit, step.actions, step.due_s)

    def _take(self, record: UnitRecord, actions: tuple[Any, ...], due_s: float) -> None:
        self.record = record
        for action in actions:
            self._perform(action)
        if self.record is record and due_s != self.due_s:
            self.due_s = due_s
            self.due_ticket += 1
            self.world.at(max(due_s, self.world.now_s + 0.01), self.unit_id, "wake", self.due_ticket, self.life)

    def get(self, event: Event) -> None:
        """A message of the community arrives, if it can."""
        if self.reachable:
            self.give(event)

    def wake(self, ticket: int, life: int) -> None:
        if ticket == self.due_ticket and life == self.life:
            self.due_s = float("inf")
            self.give(Due())

    def _perform(self, action: Any) -> None:
        match action:
            case Request(request_id, call):
                if self.record is not None and self.record.job is not None:
                    self.world.reached |= {self.deal_of.get(self.record.job.order.rank)} - {None}
                sent_s = self.world.now_s
                self.world.at(sent_s + self.device_s, self.unit_id, "ask_driver", request_id, call, sent_s, self.life)
            case Remember(number, memory):
                self.disk = memory
                self.give(Remembered(number, ok=True))
            case Report(outcome):
                if self.mute_next:
                    self.mute_next -= 1
                elif self.reachable:
                    self._show()
                    self.world.hear(self, outcome)
            case Acknowledge(epoch, outcome):
                if self.reachable and epoch == self.world.epoch:
                    self._show()
                    self.acknowledged = epoch
                    if outcome is not None:
                        self.world.hear(self, outcome, acknowledging=True)
                    self.world.touch()
            case Decline(_, highest):
                if self.reachable and highest is not None:
                    self.world.highest_reported = max(self.world.highest_reported, highest.number)
            case AnnounceVoltageGoing():
                self.world.tell_all(self.unit_id)
            case Tell(problem):
                self.told.append(problem)

    def supervise(self) -> None:
        """The parent process puts a converter that nobody drives to WAIT: one that holds, when its own time is out."""
        self.world.move_to_now()
        if self.record is not None or not self.guarded or self.mode is WAIT:
            return
        refreshed_at_s = self.disk.refreshed_at_s if self.disk else None
        until_s = (refreshed_at_s or 0.0) + dict(self.world.times)["holder_dead_man_s"]
        if self.mode is VR and self.world.now_s < until_s:
            self.world.at(until_s, self.unit_id, "supervise")
        else:
            self._switch(Stop(0.0))

    def restart(self) -> None:
        """The parent process starts the node again."""
        if self.record is None:
            self.start()

    def rejoin(self) -> None:
        """The network is whole again."""
        self.reachable = True

    def repair(self) -> None:
        """The driver answers again."""
        self.driver_up = True

    # -- the driver ---------------------------------------------------------------------------------------------------

    def ask_driver(self, request_id: int, call: Any, sent_s: float, life: int) -> None:
        self.world.move_to_now()
        writes = isinstance(call, SetMode | SetVoltage | SetCurrent)
        mine = life == self.life and self.record is not None
        if not self.driver_up:
            if mine:
                self.give(NotDone(request_id, "driver not reached"))
            return
        if writes and mine:
            assert self.record is not None
            reason = self.brain.check_write(self.record, request_id)
            if reason is not None:
                self.give(NotDone(request_id, reason))
                return
        if writes and self.refuse_next:
            self.refuse_next -= 1
            self.give(NotDone(request_id, "refused"))
            return
        self._switch(call)
        if not mine:
            return
        if writes and self.lose_next:
            self.lose_next -= 1
            self.world.at(self.world.now_s + LOST_AFTER_S, self.unit_id, "lose", request_id, life)
            return
        known = self.record.document if self.record else None
        self.give(Answered(request_id, self.document(), format_time(self.unit_clock_s()), sent_s))
        if self.reachable and self.record is not None and self.record.document is not known:
            self._show(sent_s)

    def lose(self, request_id: int, life: int) -> None:
        if life == self.life:
            self.give(Lost(request_id, "no answer"))

    def _switch(self, call: Any) -> None:
        match call:
            case SetMode(mode, voltage_v, current_a, droop):
                self.mode, self.target_v, self.target_a, self.droop = mode, voltage_v, current_a, droop
            case SetVoltage(voltage_v, droop):
                self.target_v, self.droop = voltage_v, droop
            case SetCurrent(current_a):
                self.target_a = current_a
            case Stop():
                self.mode, self.target_a, self.droop = WAIT, 0.0, 0.0
            case _:
                return
        self.writes.append(str(call))
        self.world.check()

    def unit_clock_s(self) -> float:
        return START_UNIT_S + self.world.now_s * self.rate

    def document(self) -> dict[str, Any]:
        """What the driver answers now."""
        true_a = self.grid_current_a()
        measured_a = true_a + (self.sensor_a if self.mode is not WAIT else 0.0)
        battery_w = self.world.bus.power_w(true_a)
        return {
            "dcdc": {
                "status": {"status": self.mode.code, "operationMode": self.mode.operation_mode},
                "meter": {"vg": self.world.bus.voltage_v, "ig": measured_a, "wb": battery_w, "vb": 52.0},
                "vdis": {"dvg": self.target_v, "drg": self.droop},
                "param": {"dig": self.target_a},
            },
            "battery": {"rsoc": self.rsoc},
        }

    def _show(self, asked_at_s: float | None = None) -> None:
        """The community gets the unit's newest reading; when the driver looked nobody knows, but that it was asked."""
        if self.record is not None and self.record.document:
            read_at_s = self.world.now_s if asked_at_s is None else asked_at_s
            if read_at_s >= self.read_at_s:
                self.data = UnitData.model_validate(self.record.document)
                self.read_at_s = read_at_s
                self.unit_time_s = START_UNIT_S + read_at_s * self.rate
            self.world.touch()

    # -- physics ------------------------------------------------------------------------------------------------------

    def grid_current_a(self) -> float:
        """True current from the grid into the unit."""
        return self.world.bus.currents_a()[self.unit_id]
