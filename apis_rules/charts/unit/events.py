"""What reaches the unit, and what it wants done. All frozen values; the node carries them between ports and brain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

    from apis_rules.charts.unit.calls import Call
    from apis_rules.charts.unit.record import UnitMemory
    from apis_rules.ports.types import Command, DcdcData, Epoch, Outcome


# What reaches the unit.


@dataclass(frozen=True, slots=True)
class Ordered:
    """A command from the inbox, whichever path it came by."""

    command: Command


@dataclass(frozen=True, slots=True)
class Announced:
    """A Grid Master says that its term has begun, and waits to be acknowledged."""

    epoch: Epoch


@dataclass(frozen=True, slots=True)
class Refreshed:
    """The Grid Master's sign of life for this unit. Only it, or an accepted command, restarts the dead-man time."""

    epoch: Epoch
    number: int
    deal_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class VoltageGoing:
    """The unit that holds the voltage says that it will stop."""

    unit_id: str


@dataclass(frozen=True, slots=True)
class Answered:
    """The driver answered a request.

    Attributes:
        document, time, sent_at_s: of the ``Reading``.
    """

    request_id: int
    document: Mapping[str, Any]
    time: str | None
    sent_at_s: float


@dataclass(frozen=True, slots=True)
class NotDone:
    """A request is known not to be done: the driver was not reached or said no, or the guard stopped it."""

    request_id: int
    reason: str


@dataclass(frozen=True, slots=True)
class Lost:
    """A request was sent and not answered: it may be done, even later."""

    request_id: int
    reason: str


@dataclass(frozen=True, slots=True)
class Remembered:
    """The memory with this number was written to the disk, or could not be."""

    number: int
    ok: bool


@dataclass(frozen=True, slots=True)
class Due:
    """The moment that the last step named has come."""


@dataclass(frozen=True, slots=True)
class Struck:
    """A local rule found its first fault: a full reading is wanted when its debounce is over."""

    read_at_s: float


@dataclass(frozen=True, slots=True)
class Faulted:
    """A local rule found an error of this unit.

    Attributes:
        hard: whether it is a hard limit, at which even the unit that holds the voltage stops by itself.
    """

    rule: str
    hard: bool


@dataclass(frozen=True, slots=True)
class StopLocal:
    """The node wants the converter in WAIT: its program ends, or it may not join."""

    reason: str


@dataclass(frozen=True, slots=True)
class ReadWanted:
    """Somebody waits for a reading that is younger than now."""

    full: bool


@dataclass(frozen=True, slots=True)
class ManualChanged:
    """The community entered or left manual mode."""

    manual: bool


Event: TypeAlias = (
    Ordered
    | Announced
    | Refreshed
    | VoltageGoing
    | Answered
    | NotDone
    | Lost
    | Remembered
    | Due
    | Struck
    | Faulted
    | StopLocal
    | ReadWanted
    | ManualChanged
)


# What the unit wants done, in the order given.


@dataclass(frozen=True, slots=True)
class Request:
    """Ask the driver; the answer comes back with the same number. A ``Stop`` overtakes every other."""

    request_id: int
    call: Call

    def __str__(self) -> str:
        return str(self.call)


@dataclass(frozen=True, slots=True)
class Remember:
    """Write the memory to the disk and answer ``Remembered``.

    Attributes:
        durable: whether it must be there after a loss of power; else it only outlives this process.
    """

    number: int
    memory: UnitMemory
    durable: bool

    def __str__(self) -> str:
        return "remember" if self.durable else "note"


@dataclass(frozen=True, slots=True)
class Report:
    """Tell the community what became of a command."""

    outcome: Outcome

    def __str__(self) -> str:
        return f"report {self.outcome.epoch.number}/{self.outcome.seq} {self.outcome.failed or 'ok'}"


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """Answer an announcement: no command of an older epoch is open any more.

    Attributes:
        outcome: of the last command, None where there never was one.
        status: the converter, freshly read; None where it could not be read.
    """

    epoch: Epoch
    outcome: Outcome | None
    status: DcdcData | None

    def __str__(self) -> str:
        return f"acknowledge {self.epoch.number}"


@dataclass(frozen=True, slots=True)
class Decline:
    """Refuse an announcement.

    Attributes:
        highest: the epoch that this unit has seen, so that a master with a store that went back learns of it.
    """

    epoch: Epoch
    highest: Epoch | None
    reason: str

    def __str__(self) -> str:
        return f"decline {self.epoch.number}: {self.reason}"


@dataclass(frozen=True, slots=True)
class AnnounceVoltageGoing:
    """Tell every unit that the voltage goes; send it and wait for nothing."""

    def __str__(self) -> str:
        return "announce voltage going"


@dataclass(frozen=True, slots=True)
class Tell:
    """Tell the error catalogue what was found or done without an order."""

    problem: str
    detail: str = ""

    def __str__(self) -> str:
        return f"tell {self.problem}" + (f": {self.detail}" if self.detail else "")


Action: TypeAlias = Request | Remember | Report | Acknowledge | Decline | AnnounceVoltageGoing | Tell
