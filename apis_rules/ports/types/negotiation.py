"""A request for energy and its answers (specification 4.5)."""

from __future__ import annotations

import enum

from apis_rules.ports.types.model import WireModel


class Direction(enum.StrEnum):
    """What the speaker's own battery would do."""

    CHARGE = "charge"
    DISCHARGE = "discharge"

    @property
    def opposite(self) -> Direction:
        """What the partner's battery would do."""
        return Direction.DISCHARGE if self is Direction.CHARGE else Direction.CHARGE


class DeclineReason(enum.StrEnum):
    """Why a unit does not accept."""

    NOT_MEMBER = "not-member"
    NOT_AUTONOMOUS = "not-autonomous"
    ERRORS = "errors"
    COMMUNITY_ERRORS = "community-errors"
    NO_CAPACITY = "no-capacity"
    OPPOSITE_DIRECTION = "opposite-direction"
    NO_SCENARIO = "no-scenario"
    SCENARIO = "scenario"
    PARTNER = "partner"
    TOO_SMALL = "too-small"
    BATTERY_LOCKED = "battery-locked"
    NOT_READY = "not-ready"


class Request(WireModel):
    """Broadcast by a unit that wants to charge or discharge.

    Attributes:
        type: the requester's own direction.
        amount_wh: as its scenario says, before the policy's limits.
        point_per_wh: what it offers (charge) or asks (discharge); None where its scenario names no price.
        pair_unit_id: the only unit it wants to deal with, or None.
        date_time: the requester's unit clock, ``yyyy/MM/dd-HH:mm:ss``.
    """

    negotiation_id: str
    unit_id: str
    type: Direction
    amount_wh: int
    deal_grid_current_a: float
    date_time: str
    point_per_wh: float | None = None
    pair_unit_id: str | None = None
    efficient_grid_voltage_v: float | None = None


class Accept(WireModel):
    """An answer that holds a place free at the acceptor for ``reserved_s`` seconds from when it was sent.

    ``type`` is the acceptor's own direction, the opposite of the request's; ``amount_wh`` follows the acceptor's own
    limit and is not cut to the request's. ``grid_current_capacity_a`` is for all deals of the acceptor together.
    """

    negotiation_id: str
    unit_id: str
    type: Direction
    amount_wh: int
    deal_grid_current_a: float
    grid_current_capacity_a: float
    date_time: str
    reserved_s: float
    point_per_wh: float | None = None
    pair_unit_id: str | None = None
    efficient_grid_voltage_v: float | None = None


class Decline(WireModel):
    """An answer that says no, so that the requester need not wait for the end of its window."""

    negotiation_id: str
    unit_id: str
    reason: DeclineReason
    detail: str = ""
