"""Values that nodes, stores and devices exchange. All frozen; units stand in names; JSON keys are the specification's.

Python names are ``snake_case``; the wire and the files keep the existing keys (``dealGridCurrentA``). Unknown keys of a
message are kept where the specification leaves room for them (unit data) and ignored elsewhere, so that a newer node
can talk to an older one.
"""

from apis_rules.ports.types.command import Command, CommandName, CommandParams, Outcome
from apis_rules.ports.types.deal import (
    FINAL_STATES,
    Deal,
    DealDetail,
    DealRecord,
    DealSide,
    EnergySample,
    Lock,
    LockEntry,
    Note,
)
from apis_rules.ports.types.epoch import Epoch, EpochRelation
from apis_rules.ports.types.error_event import Category, ErrorEvent, Extent, Level
from apis_rules.ports.types.grid import ActiveRecord, ActiveUnit, GridRecord
from apis_rules.ports.types.model import WireModel
from apis_rules.ports.types.negotiation import Accept, Decline, DeclineReason, Direction, Request
from apis_rules.ports.types.unit_data import (
    ApisData,
    BatteryData,
    ConverterMode,
    DcdcData,
    DcdcMeter,
    DcdcParam,
    DcdcStatus,
    DcdcVdis,
    OesunitData,
    OperationMode,
    OperationModes,
    UnitData,
)

__all__ = [
    "FINAL_STATES",
    "Accept",
    "ActiveRecord",
    "ActiveUnit",
    "ApisData",
    "BatteryData",
    "Category",
    "Command",
    "CommandName",
    "CommandParams",
    "ConverterMode",
    "DcdcData",
    "DcdcMeter",
    "DcdcParam",
    "DcdcStatus",
    "DcdcVdis",
    "Deal",
    "DealDetail",
    "DealRecord",
    "DealSide",
    "Decline",
    "DeclineReason",
    "Direction",
    "EnergySample",
    "Epoch",
    "EpochRelation",
    "ErrorEvent",
    "Extent",
    "GridRecord",
    "Level",
    "Lock",
    "LockEntry",
    "Note",
    "OesunitData",
    "OperationMode",
    "OperationModes",
    "Outcome",
    "Request",
    "UnitData",
    "WireModel",
]
