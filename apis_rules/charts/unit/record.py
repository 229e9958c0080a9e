"""What a unit remembers: on the disk, over restarts, and while it runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from apis_rules.ports.types import CommandName, ConverterMode, DcdcData, Epoch, Outcome, WireModel
from apis_rules.ports.types.model import StoredModel

if TYPE_CHECKING:
    from collections.abc import Mapping

    from apis_rules.charts.machine import Timers
    from apis_rules.charts.unit.calls import Call
    from apis_rules.ports.types import Command

KEPT_OUTCOMES: Final = 8
"""More than the commands that can be under way to one unit: one open, one stop over it, and both asked for again."""


_AT_REST: Final = frozenset({"waiting", "charging", "discharging", "holding", "drooping", "blind"})
_STOPPING: Final = frozenset({"easing", "sending", "confirming", "retrying"})


class Order(WireModel):
    """The identity of a command: it is obeyed once."""

    epoch: Epoch
    seq: int

    @property
    def rank(self) -> tuple[int, int]:
        """Later orders have the higher rank."""
        return (self.epoch.number, self.seq)


class UnitMemory(StoredModel):
    """What outlives the process; one small file.

    Attributes:
        format: number of this form of the file.
        epoch: the highest that was seen.
        seq: the highest that was obeyed in it, -1 where none was.
        open: the orders that were begun and have no outcome yet: at most one command, and the stops that passed it.
        outcomes: the last ones, oldest first.
        refreshed_at_s: runtime clock of the last refresh; None where none ever came.
        clock_id: identity of the runtime clock, which is another one after the machine was started anew.
    """

    format: int = 1
    epoch: Epoch | None = None
    seq: int = -1
    open: tuple[Order, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    refreshed_at_s: float | None = None
    clock_id: str | None = None

    def outcome_of(self, epoch: Epoch, seq: int) -> Outcome | None:
        """Return the stored outcome of an order, None where it has none."""
        return next((o for o in reversed(self.outcomes) if o.epoch == epoch and o.seq == seq), None)


@dataclass(frozen=True, slots=True)
class SetPoints:
    """What this unit last wrote, whether the converter took it or not. Steps are counted from here, not from a look."""

    mode: ConverterMode | None = None
    grid_voltage_v: float = 0.0
    grid_current_a: float = 0.0
    droop_ratio: float = 0.0


@dataclass(frozen=True, slots=True)
class Job:
    """The open command as steps.

    Attributes:
        goal: where it leads, a word of the chart's fact of the same name.
        mode: to be written first; None where the mode stays.
        target_current_a: None for a voltage reference, whose current follows from the others.
        first_current_a: written together with the mode.
        voltages_v: still to travel through after ``target_voltage_v``.
        checks_voltage, checks_no_current: what a look must show beside mode, direction and ``target_current_a``.
    """

    order: Order
    name: CommandName
    goal: str
    target_voltage_v: float
    droop_ratio: float = 0.0
    mode: ConverterMode | None = None
    target_current_a: float | None = None
    first_current_a: float = 0.0
    voltages_v: tuple[float, ...] = ()
    checks_voltage: bool = False
    checks_no_current: bool = False


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A request that was sent to the driver and is not answered."""

    request_id: int
    call: Call


@dataclass(frozen=True)
class UnitRecord:
    """A running unit. Frozen: every event makes a new one.

    Attributes:
        state: name of a state of ``converter.yaml``.
        memory: what is (or is being) written to the disk.
        mark: rank below which every open command ends at its next write.
        job: the open command.
        stops: orders to stop that are obeyed and not yet confirmed.
        ended: orders whose outcome is due with the next reading, with the reason of the failure.
        awaiting_command: begins as soon as the memory of this number is on the disk.
        acknowledging: an announced epoch that waits for its acknowledgement.
        acknowledgement_number: of the memory that must be on the disk before; None once it is.
        acknowledge_from_s: a full reading asked for from then on goes with the acknowledgement.
        set_points: the unit's own.
        shown_mode: the mode of the last fresh answer.
        document: the last full reading with every later status merged in.
        nearest_v: how near the voltage has come to what was asked since it was written; None: not looked yet.
        step, stop, watch: requests under way: of the chart, to WAIT, of the reading plan.
        stragglers: writes under way that a stop has overtaken; nothing more of them may leave.
        unsettled_until_s: until then an unanswered write may still land.
        stop_settled: whether the last stop was sent when no earlier write could land after it.
        written_at_s: when the last write left; a reading asked for earlier says nothing about it.
        read_at_s, read_all_at_s: when the last reading, and the last full one, was asked for.
        refresh: number of the last refresh in the present epoch.
        suppressed_until_s: until then the dynamic local checks are left out.
    """

    state: str
    unit_id: str
    boot: str
    memory: UnitMemory
    timers: Timers
    mark: tuple[int, int] = (-1, -1)
    job: Job | None = None
    stops: tuple[Order, ...] = ()
    ended: tuple[tuple[Order, str | None], ...] = ()
    awaiting_command: tuple[int, Command] | None = None
    acknowledging: Epoch | None = None
    acknowledgement_number: int | None = None
    acknowledge_from_s: float | None = None
    set_points: SetPoints = SetPoints()
    shown_mode: str = "other"
    document: Mapping[str, Any] = field(default_factory=dict)
    time: str | None = None
    tries_left: int = 0
    nearest_v: float | None = None
    step: UnderWay | None = None
    stop: UnderWay | None = None
    watch: UnderWay | None = None
    stragglers: tuple[UnderWay, ...] = ()
    unsettled_until_s: float | None = None
    stop_settled: bool = False
    written_at_s: float | None = None
    read_at_s: float | None = None
    read_all_at_s: float | None = None
    read_wanted: bool = False
    read_all_wanted: bool = False
    struck_at_s: float | None = None
    refresh: int | None = None
    deal_ids: tuple[str, ...] = ()
    suppressed_until_s: float | None = None
    manual: bool = False
    just_started: bool = True
    next_number: int = 1

    def changed(self, **changes: Any) -> UnitRecord:
        """Return a copy with *changes*. Several are made for each event: ``dataclasses.replace`` reads every field."""
        if not changes.keys() <= self.__dict__.keys():
            raise TypeError(f"a unit has no {', '.join(sorted(changes.keys() - self.__dict__.keys()))}")
        copy = object.__new__(UnitRecord)
        copy.__dict__.update(self.__dict__, **changes)
        if "document" in changes:
            copy.__dict__.pop("dcdc", None)
        return copy

    @cached_property
    def dcdc(self) -> DcdcData:
        """The converter as last read; read once per document."""
        return DcdcData.model_validate(self.document.get("dcdc", {}))

    @property
    def confirmed_wait(self) -> bool:
        """Whether WAIT was confirmed: written after every other write was settled, and read back without a current."""
        return self.state == "waiting"

    @property
    def may_hold(self) -> bool:
        """Whether the converter is the voltage reference, or may have become it by the last write."""
        return self.shown_mode == "reference" or self.set_points.mode is ConverterMode.VOLTAGE_REFERENCE

    @property
    def write_pending(self) -> bool:
        """Whether an earlier write is under way or was lost, and may land after whatever is written now."""
        return bool(self.stragglers) or self.unsettled_until_s is not None

    @property
    def at_rest(self) -> bool:
        """Whether nothing is being done to the converter."""
        return self.state in _AT_REST

    @property
    def stopping(self) -> bool:
        """Whether the unit is on its way to WAIT and will not rest before."""
        return self.state in _STOPPING

    @property
    def command_open(self) -> bool:
        """Whether a command was accepted and has not ended."""
        return bool(self.job or self.stops or self.ended or self.awaiting_command)
