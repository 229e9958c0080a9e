"""The unit's side of a command: what it accepts, how it carries it out, and when it stops by itself (pure).

The Grid Master commands; the unit is the last line. ``UnitBrain`` takes one event after the other (an order, an answer
of the driver, the time) and returns the unit's new record and what is to be done. It reads no clock and does no I/O;
the node performs the actions and feeds back what came of them. What may follow what is declared in
``statecharts/converter.yaml``; here stand the facts, the orders' checks and the times.
"""

from apis_rules.charts.unit.brain import UnitBrain, UnitStep
from apis_rules.charts.unit.calls import (
    Call,
    ReadAll,
    ReadStatus,
    SetCurrent,
    SetMode,
    SetVoltage,
    Stop,
)
from apis_rules.charts.unit.events import (
    Acknowledge,
    Action,
    Announced,
    AnnounceVoltageGoing,
    Answered,
    Decline,
    Due,
    Event,
    Faulted,
    Lost,
    ManualChanged,
    NotDone,
    Ordered,
    ReadWanted,
    Refreshed,
    Remember,
    Remembered,
    Report,
    Request,
    StopLocal,
    Struck,
    Tell,
    VoltageGoing,
)
from apis_rules.charts.unit.record import UnitMemory, UnitRecord
from apis_rules.charts.unit.settings import UnitSettings

__all__ = [
    "Acknowledge",
    "Action",
    "AnnounceVoltageGoing",
    "Announced",
    "Answered",
    "Call",
    "Decline",
    "Due",
    "Event",
    "Faulted",
    "Lost",
    "ManualChanged",
    "NotDone",
    "Ordered",
    "ReadAll",
    "ReadStatus",
    "ReadWanted",
    "Refreshed",
    "Remember",
    "Remembered",
    "Report",
    "Request",
    "SetCurrent",
    "SetMode",
    "SetVoltage",
    "Stop",
    "StopLocal",
    "Struck",
    "Tell",
    "UnitBrain",
    "UnitMemory",
    "UnitRecord",
    "UnitSettings",
    "UnitStep",
    "VoltageGoing",
]
