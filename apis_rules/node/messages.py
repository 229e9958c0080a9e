"""What nodes say to each other over the bus, beside requests and their answers (``ports.types``)."""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pydantic import ValidationError

from apis_rules.errors import Refused
from apis_rules.ports.types import (
    CommandName,
    CommandParams,
    DcdcData,
    Direction,
    Epoch,
    OperationMode,
    Outcome,
    UnitData,
)
from apis_rules.ports.types.model import StoredModel, WireModel

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

log = logging.getLogger(__name__)

REQUEST: Final = "request"
SETTLED: Final = "settled"
DATA: Final = "data"
ANNOUNCE: Final = "announce"
REFRESH: Final = "refresh"
VOLTAGE_GOING: Final = "voltage-going"
ERRORS: Final = "errors"
TERMINATE: Final = "terminate"
SET_MODE: Final = "mode"
TAKE_OVER: Final = "take-over"

CREATE_DEAL: Final = "create-deal"
DIRECT: Final = "direct"
TAKE_PART: Final = "take-part"
MASTER_KEY: Final = "master"
"""Where the Grid Master's report lies, among what units say of themselves."""


M = TypeVar("M", bound=WireModel)


def read_message(kind: type[M], body: bytes) -> M:
    """Read what another node sent.

    Raises:
        Refused: it is no such message; the sender is told, and this node goes on.
    """
    try:
        message: M = _read(kind, body)
    except ValidationError as error:
        raise Refused(f"not a {kind.__name__}: {error.errors()[0]['msg']}") from error
    return message


@lru_cache(maxsize=16)
def _read(kind: type[M], body: bytes) -> M:
    """Read a message; what is told to everybody is read once for all nodes in one process."""
    return kind.from_json(body)


async def heard(kind: type[M], bodies: AsyncIterator[bytes]) -> AsyncIterator[M]:
    """Yield what is broadcast; what is no such message (another version's, a stranger's) is logged and left out."""
    async for body in bodies:
        try:
            message = read_message(kind, body)
        except Refused as refused:
            log.warning("a broadcast is left out: %s", refused)
            continue
        yield message


class Hardware(WireModel):
    """What a Grid Master must know of a unit's hardware (hwConfig, specification 6.2)."""

    capacity_a: float
    allowance_a: float
    efficient_ratio: float | None = None


class DataWanted(WireModel):
    """Asks a unit for its data. *fresh*: read from the driver after the question came."""

    fresh: bool = False


class UnitReport(StoredModel):
    """A unit's data, how old it is, and who says it.

    Attributes:
        boot: identity of the running node; commands name it.
        age_s: how long before this answer the driver was asked.
        unit_time_s: the unit clock at that reading, seconds of its local date since 1970.
        epoch: the highest that the unit has seen.
        trading: why it does not trade, for people; empty where it does.
        trouble: what a degraded node lacks, for people.
        goes_by: hash of the reference that is in force there.
    """

    unit_id: str
    boot: str
    data: UnitData
    age_s: float
    unit_time_s: float
    hardware: Hardware
    epoch: Epoch | None = None
    trading: str = ""
    trouble: str = ""
    goes_by: str = ""


class Announcement(WireModel):
    """A Grid Master's term has begun."""

    epoch: Epoch
    owner: str


class AnnouncementAnswer(WireModel):
    """Either the term is acknowledged, and no older command is open, or *declined* says why not.

    Attributes:
        highest: the epoch that a declining unit has seen.
        outcome: of the last command, None where there never was one.
        status: the converter, freshly read.
    """

    unit_id: str
    boot: str
    declined: str | None = None
    highest: Epoch | None = None
    outcome: Outcome | None = None
    status: DcdcData | None = None
    report: UnitReport | None = None


class Refresh(WireModel):
    """The Grid Master's sign of life for one unit."""

    epoch: Epoch
    number: int
    deal_ids: tuple[str, ...] = ()


class Going(WireModel):
    """The unit that holds the voltage says that it will stop."""

    unit_id: str
    reason: str


class Settled(WireModel):
    """A negotiation has ended: who was not chosen need not keep anything free for it."""

    negotiation_id: str
    chosen_unit_id: str | None = None


class MasterReport(StoredModel):
    """What the Grid Master says of itself, for displays and tools."""

    unit_id: str
    epoch: int
    waiting: tuple[str, ...] = ()


class LocalMode(WireModel):
    """A unit's own mode, as an operator sets it; None follows the community."""

    mode: OperationMode | None = None


class OutsideDeal(WireModel):
    """A deal that nobody negotiated, put to the unit that is to be its requester (``documents.deal_order``)."""

    charge_unit_id: str
    discharge_unit_id: str
    type: Direction
    deal_grid_current_a: float
    deal_amount_wh: int
    point_per_wh: float | None = None
    charge_unit_efficient_grid_voltage_v: float | None = None
    discharge_unit_efficient_grid_voltage_v: float | None = None
    test_feature: dict[str, Any] | None = None


class DealCreated(WireModel):
    """The deal stands in shared state."""

    deal_id: str


class DirectOrder(WireModel):
    """An operator's command for one converter, put to the Grid Master; *params* as the command needs them."""

    unit_id: str
    name: CommandName
    params: CommandParams = CommandParams()


class DirectAnswer(WireModel):
    """What became of an operator's command that was not refused.

    Attributes:
        done: whether the unit has carried it out and verified it; else it is still on its way.
    """

    done: bool
