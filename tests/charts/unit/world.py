"""One unit, its converter and a driver that answers when the test says so: enough of a world to try the brain in."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from apis_rules.charts.converter import WALK_SETTINGS
from apis_rules.charts.unit import (
    Action,
    Answered,
    Call,
    Due,
    Event,
    Lost,
    NotDone,
    Ordered,
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
from apis_rules.charts.unit.readings import WORDS
from apis_rules.ports.types import Command, CommandName, CommandParams, ConverterMode, Epoch, Outcome

WRITES = SetMode | SetVoltage | SetCurrent


def brain(**changes: Any) -> UnitBrain:
    return UnitBrain(replace(WALK_SETTINGS, **changes), lambda _document, _write: None)


BRAIN = brain()


def epoch(number: int, term_id: str = "") -> Epoch:
    return Epoch(number=number, term_id=term_id or f"term{number}")


@dataclass
class Converter:
    """Does at once what it is told; as a holder it gives the bus its voltage, else the bus has *bus_v*."""

    mode: ConverterMode = ConverterMode.WAIT
    target_v: float = 350.0
    target_a: float = 0.0
    droop: float = 0.0
    bus_v: float = 350.0
    obeys: bool = True
    wrong_sign: bool = False
    writes: list[str] = field(default_factory=list)

    def perform(self, call: Call) -> None:
        if isinstance(call, WRITES | Stop):
            self.writes.append(str(call))
        if not self.obeys:
            return
        match call:
            case SetMode(mode, voltage_v, current_a, droop):
                self.mode, self.target_v, self.target_a, self.droop = mode, voltage_v, current_a, droop
            case SetVoltage(voltage_v, droop):
                self.target_v, self.droop = voltage_v, droop
            case SetCurrent(current_a):
                self.target_a = current_a
            case Stop(voltage_v):
                self.mode, self.target_v, self.target_a, self.droop = ConverterMode.WAIT, voltage_v, 0.0, 0.0

    @property
    def voltage_v(self) -> float:
        return self.target_v if self.mode is ConverterMode.VOLTAGE_REFERENCE else self.bus_v

    @property
    def current_a(self) -> float:
        if not self.mode.current_controlled:
            return 0.0
        sign = 1 if self.mode is ConverterMode.CHARGE else -1
        return self.target_a * (-sign if self.wrong_sign else sign)

    def document(self) -> dict[str, Any]:
        return {
            "dcdc": {
                "status": {"status": self.mode.code, "operationMode": self.mode.operation_mode},
                "meter": {"vg": self.voltage_v, "ig": self.current_a},
                "vdis": {"dvg": self.target_v, "drg": self.droop},
                "param": {"dig": self.target_a},
            }
        }


class World:
    """Runs the brain. Requests wait in ``under_way`` until the test answers them; ``run`` answers all by itself."""

    def __init__(self, unit_brain: UnitBrain = BRAIN, *, bus_v: float = 350.0) -> None:
        self.brain = unit_brain
        self.converter = Converter(bus_v=bus_v)
        self.now_s = 1000.0
        self.disk_works = True
        self.disk_hangs = False
        self.unremembered: list[Remember] = []
        self.under_way: dict[int, tuple[Call, float]] = {}
        self.actions: list[Action] = []
        self.told: list[str] = []
        self.outcomes: list[Outcome] = []
        self.disk: UnitMemory | None = None
        self.unit: UnitRecord
        self.due_s = 0.0
        self.boots = 0
        self.seq = 0
        self.start()

    def start(self, clock_id: str = "clock") -> None:
        """Start the program; what was under way before is forgotten by it, not by the driver."""
        self.boots += 1
        self.under_way.clear()
        self.unremembered.clear()
        step = self.brain.start("E001", f"boot{self.boots}", self.disk, clock_id, self.now_s)
        self._take(step.unit, step.actions, step.due_s)

    def give(self, event: Event) -> list[str]:
        """Give the brain one event; return what it wanted done, one line each."""
        told = len(self.told)
        step = self.brain.decide(self.unit, event, self.now_s)
        self._take(step.unit, step.actions, step.due_s)
        return self.told[told:]

    def _take(self, unit: UnitRecord, actions: tuple[Action, ...], due_s: float) -> None:
        self.unit, self.due_s = unit, due_s
        for action in actions:
            self.actions.append(action)
            self.told.append(str(action))
            match action:
                case Request(request_id, call):
                    self.under_way[request_id] = (call, self.now_s)
                case Report(outcome):
                    self.outcomes.append(outcome)
                case Remember():
                    self.unremembered.append(action)
                    if not self.disk_hangs:
                        self.finish_remembering()
                case _:
                    pass

    def finish_remembering(self) -> None:
        """Let the disk do what it was asked, or fail at it."""
        waiting, self.unremembered = self.unremembered, []
        for action in waiting:
            if self.disk_works:
                self.disk = action.memory
            self.give(Remembered(action.number, ok=self.disk_works))

    def pending(self, kind: Any) -> int | None:
        return next((i for i, (call, _) in self.under_way.items() if isinstance(call, kind)), None)

    def answer(self, request_id: int) -> list[str]:
        """Let the driver carry out one request, as far as the brain still lets it, and answer."""
        call, sent_at_s = self.under_way.pop(request_id)
        if isinstance(call, WRITES) and (reason := self.brain.check_write(self.unit, request_id)):
            return self.give(NotDone(request_id, reason))
        self.converter.perform(call)
        return self.give(Answered(request_id, self.converter.document(), "2030/01/01-00:00:00", sent_at_s))

    def lose(self, request_id: int) -> Call:
        """Let the driver be silent; what it does with the request later is the caller's business."""
        call, _ = self.under_way.pop(request_id)
        self.give(Lost(request_id, "no answer"))
        return call

    def refuse(self, request_id: int) -> None:
        """Let the driver say no; the converter does nothing."""
        del self.under_way[request_id]
        self.give(NotDone(request_id, "ERCD=fffe"))

    def run(self, limit: int = 300) -> None:
        """Answer everything, stops first, and let waits pass, until nothing is under way."""
        for _ in range(limit):
            if self.under_way:
                stop = self.pending(Stop)
                self.answer(next(iter(self.under_way)) if stop is None else stop)
            elif self.unit.at_rest and not self.unit.command_open:
                return
            else:
                self.sleep_until(self.due_s)
        raise AssertionError(f"not at rest but {self.unit.state}, under way {self.under_way}")

    def sleep_until(self, at_s: float) -> list[str]:
        self.now_s = max(self.now_s, at_s)
        return self.give(Due())

    def pass_time(self, seconds: float, *, refresh: bool = False) -> None:
        """Let time pass with a driver that answers at once; with *refresh* the master refreshes each second."""
        end_s = self.now_s + seconds
        while self.now_s < end_s:
            if refresh:
                self.refresh()
            self.sleep_until(min(end_s, max(self.due_s, self.now_s + 0.01), self.now_s + 1.0))
            while self.under_way:
                self.answer(next(iter(self.under_way)))

    def refresh(self) -> None:
        term = self.unit.memory.epoch
        assert term is not None
        self.give(Refreshed(term, (self.unit.refresh or 0) + 1, ()))

    def command(
        self, name: CommandName, *, term: Epoch | None = None, seq: int | None = None, **params: Any
    ) -> Command:
        """Make the master's next command to this boot of the unit."""
        self.seq = self.seq + 1 if seq is None else seq
        return Command(
            epoch=term or self.unit.memory.epoch or epoch(1),
            seq=self.seq,
            boot=self.unit.boot,
            refresh=self.unit.refresh or 0,
            name=name,
            params=CommandParams(**params),
        )

    def order(self, name: CommandName, **given: Any) -> list[str]:
        return self.give(Ordered(self.command(name, **given)))

    def obey(self, name: CommandName, **given: Any) -> Outcome:
        """Order and carry out; return the outcome."""
        self.order(name, **given)
        self.run()
        return self.outcomes[-1]

    def reach(self, state: str) -> World:
        """Bring the unit to rest in *state* by commands, as a master would."""
        self.run()
        match state:
            case "charging":
                self.obey(CommandName.CHARGE, grid_current_a=1.0)
            case "discharging":
                self.obey(CommandName.DISCHARGE, grid_current_a=1.0)
            case "holding":
                self.converter.bus_v = 0.0
                self.obey(CommandName.VOLTAGE_REFERENCE)
                self.converter.bus_v = 350.0
            case "drooping":
                self.reach("holding")
                self.obey(CommandName.WILL_HAND_OVER)
            case _:
                pass
        assert self.unit.state == state, self.told
        return self

    @property
    def shows(self) -> str:
        """The word for what the converter really does."""
        return WORDS[self.converter.mode]
