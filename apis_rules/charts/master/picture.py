"""Everything the Grid Master knows when it plans: records, readings, outcomes, wishes. Values only."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

from apis_rules.charts.master.memory import Memory

if TYPE_CHECKING:
    from collections.abc import Mapping

    from apis_rules.charts.master.settings import UnitLimits
    from apis_rules.ports.types import (
        ActiveRecord,
        CommandName,
        CommandParams,
        ConverterMode,
        Deal,
        Epoch,
        GridRecord,
        Lock,
        OperationMode,
        Outcome,
        UnitData,
    )

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Stored(Generic[T]):
    """A record with the revision of its last change; revision 0 where the key was never written."""

    value: T
    revision: int = 0


@dataclass(frozen=True, slots=True)
class Heard:
    """An outcome, and when it came in (runtime clock)."""

    outcome: Outcome
    at_s: float


@dataclass(frozen=True, slots=True)
class UnitPicture:
    """What is known of one unit.

    Attributes:
        boot: as it last announced itself; None where it was never heard.
        data: its newest reading; the status inside an outcome or an acknowledgement is merged in by the caller.
        read_at_s: runtime clock when the *device* was read.
        unit_time_s: the unit clock at that reading, seconds of its local date since 1970.
        acknowledged: whether it has acknowledged this term.
        outcomes: of this term's commands, and the one that came with its acknowledgement; newest last, eight suffice.
    """

    unit_id: str
    limits: UnitLimits
    boot: str | None = None
    data: UnitData | None = None
    read_at_s: float = float("-inf")
    unit_time_s: float | None = None
    acknowledged: bool = False
    outcomes: tuple[Heard, ...] = ()

    @property
    def mode(self) -> ConverterMode | None:
        """The converter's mode, None where it is not known."""
        return self.data.dcdc.status.mode if self.data else None

    @property
    def grid_voltage_v(self) -> float | None:
        """What it measures at the grid."""
        return self.data.dcdc.meter.grid_voltage_v if self.data else None

    @property
    def grid_current_a(self) -> float | None:
        """Positive from the grid into the battery."""
        return self.data.dcdc.meter.grid_current_a if self.data else None

    @property
    def battery_power_w(self) -> float | None:
        """Positive into the battery."""
        return self.data.dcdc.meter.battery_power_w if self.data else None

    @property
    def rsoc_percent(self) -> float | None:
        """State of charge."""
        return self.data.battery.rsoc_percent if self.data else None


class ReactionKind(enum.StrEnum):
    """How the community answers an error."""

    SCRAM = "scram"
    DRAIN = "drain"


@dataclass(frozen=True, slots=True)
class Reaction:
    """What the error reactions demand now, and why."""

    kind: ReactionKind
    reason: str


@dataclass(frozen=True, slots=True)
class ManualOrder:
    """An operator's direct command; only WAIT, CHARGE, DISCHARGE and VOLTAGE_REFERENCE."""

    order_id: str
    unit_id: str
    name: CommandName
    params: CommandParams


@dataclass(frozen=True, slots=True)
class Picture:
    """What the Grid Master knows at one moment.

    Attributes:
        complete: whether the view of shared state is fresh and contains this term's own epoch.
        act_until_s: when the last acknowledged renewal was sent + the lease's life - its margin (runtime clock).
        renewed: whether the last renewal was acknowledged in time; absence counts only then.
        refresh: number of the last refresh that was sent.
        stop_requests: deal → unit → reason, as the parties wrote them.
        amnesia: whether the store was lost or went back, and no operator has set a mode since.
        sustaining: whether the time after a community error has not passed.
        recorded: deals whose final record is known to be in the stream.
        draws: random numbers in [0, 1) for the order of an authorization; sixteen are enough.
        utc: wall clock, ``yyyy-MM-ddTHH:mm:ss.mmmZ``.
        local_s: own clock as seconds of the local date since 1970, where a unit's clock is not known.
        memory: what the last plan of this term returned; at its start ``Memory()``.
    """

    complete: bool
    epoch: Epoch
    term_started_s: float
    act_until_s: float
    refresh: int
    grid: Stored[GridRecord]
    active: Stored[ActiveRecord]
    mode: OperationMode
    utc: str
    local_s: float
    units: Mapping[str, UnitPicture]
    deals: Mapping[str, Stored[Deal]] = field(default_factory=dict)
    locks: Mapping[str, Stored[Lock]] = field(default_factory=dict)
    stop_requests: Mapping[str, Mapping[str, Stored[str]]] = field(default_factory=dict)
    renewed: bool = True
    amnesia: bool = False
    sustaining: bool = False
    reaction: Reaction | None = None
    recorded: frozenset[str] = frozenset()
    orders: tuple[ManualOrder, ...] = ()
    draws: tuple[float, ...] = (0.0,) * 16
    memory: Memory = field(default_factory=Memory)
