"""A deal while it lives in shared state, and the record that outlives it (specification 9.3)."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Final

from apis_rules.ports.types.command import Command
from apis_rules.ports.types.model import StoredModel, WireModel
from apis_rules.ports.types.negotiation import Direction

FINAL_STATES: Final = frozenset({"disposed"})
"""States of ``statecharts/deal.yaml`` from which nothing follows."""


class Note(WireModel):
    """Something that happened to a deal: an abort or a reset, with its reason."""

    date_time: str
    reason: str


class DealRecord(StoredModel):
    """The energy-sharing record: the existing keys, with a UTC twin (milliseconds, ``Z``) beside each time.

    Times without ``_utc`` are the unit clock, ``yyyy/MM/dd-HH:mm:ss``; ``--`` where a step was left out by an abort.
    Currents at the grid are signed: the discharging unit's is negative. ``cumulate_amount_wh`` is the energy booked at
    the policy's reference side; each side's own integral stands beside it. ``unconfirmed`` is true where the deal ended
    by excluding a unit whose converter could not be confirmed in WAIT.
    """

    unit_id: str
    negotiation_id: str
    request_unit_id: str
    accept_unit_id: str
    request_date_time: str
    accept_date_time: str
    request_point_per_wh: float | None = None
    accept_point_per_wh: float | None = None
    request_deal_grid_current_a: float
    accept_deal_grid_current_a: float
    type: Direction
    charge_unit_id: str
    discharge_unit_id: str
    point_per_wh: float | None = None
    charge_unit_efficient_grid_voltage_v: float | None = None
    discharge_unit_efficient_grid_voltage_v: float | None = None
    deal_grid_current_a: float
    request_amount_wh: int
    accept_amount_wh: int
    deal_amount_wh: int
    request_pair_unit_id: str | None = None
    accept_pair_unit_id: str | None = None
    deal_id: str
    create_date_time: str
    create_date_time_utc: str | None = None
    compensation_target_voltage_reference_grid_current_a: float | None = None
    activate_date_time: str | None = None
    activate_date_time_utc: str | None = None
    is_master: bool | None = None
    ramp_up_date_time: str | None = None
    ramp_up_date_time_utc: str | None = None
    warm_up_date_time: str | None = None
    warm_up_date_time_utc: str | None = None
    discharge_unit_compensated_grid_current_a: float | None = None
    charge_unit_compensated_grid_current_a: float | None = None
    start_date_time: str | None = None
    start_date_time_utc: str | None = None
    cumulate_date_time: str | None = None
    cumulate_date_time_utc: str | None = None
    cumulate_amount_wh: float | None = None
    discharge_unit_amount_wh: float | None = None
    charge_unit_amount_wh: float | None = None
    stop_date_time: str | None = None
    stop_date_time_utc: str | None = None
    deactivate_date_time: str | None = None
    deactivate_date_time_utc: str | None = None
    abort_date_time: str | None = None
    abort_reason: str | None = None
    abort: tuple[Note, ...] | None = None
    reset: tuple[Note, ...] | None = None
    scram_date_time: str | None = None
    scram_reason: str | None = None
    unconfirmed: bool | None = None
    test_feature: dict[str, Any] | None = None

    def unit_of(self, direction: Direction) -> str:
        """Return the id of the unit that charges, or that discharges."""
        return self.charge_unit_id if direction is Direction.CHARGE else self.discharge_unit_id

    @cached_property
    def units(self) -> tuple[str, str]:
        """Both parties, the discharging one first. They never change, so a changed copy keeps them."""
        return (self.discharge_unit_id, self.charge_unit_id)


class EnergySample(WireModel):
    """The power of one side at one moment.

    Attributes:
        at_s: the unit clock of that side, seconds of its local date since 1970.
        power_w: this deal's share of the power at the battery, positive in the direction of the side.
        rate: unit seconds in a second, as far as known then; a new master has not watched the clock yet.
        switched: whether a command that may change the power was given at this moment.
    """

    at_s: float
    power_w: float
    rate: float = 1.0
    switched: bool = False


class DealSide(WireModel):
    """What one side contributes to its unit's current for this deal.

    Attributes:
        on: whether a command that switches this side on was stored; only its confirmed stop takes it back.
        leaving: whether its stop was stored.
        set_a: the contribution that was last confirmed.
        to_a: the contribution that was last commanded; where the two differ, the truth lies between.
        amount_wh: energy booked so far, at the battery.
        sample: the end of what is booked; None while no energy of the deal flows.
    """

    on: bool = False
    leaving: bool = False
    set_a: float = 0.0
    to_a: float = 0.0
    amount_wh: float = 0.0
    sample: EnergySample | None = None


class DealDetail(WireModel):
    """What the chart of a deal remembers between steps.

    Attributes:
        reference_unit_id: the side that is switched on first and off last: the voltage reference where it is a party.
        drift_a: current of the voltage reference before this deal, measured minus what the set-points make of it.
        trials: corrections made by the compensation.
        flowing: whether energy is booked.
        outcome: why the deal ends; None while it runs and where it reached its amount.
    """

    reference_unit_id: str | None = None
    drift_a: float = 0.0
    trials: int = 0
    flowing: bool = False
    outcome: str | None = None
    charge: DealSide = DealSide()
    discharge: DealSide = DealSide()


class Deal(StoredModel):
    """``deal.<id>`` in shared state: where the deal stands, and the record it will leave.

    Attributes:
        state: name of a state of ``statecharts/deal.yaml``, so that a new Grid Master resumes from what is stored.
        open_command, open_unit_id: the command that was stored before it was sent and has no outcome yet, and to whom.
        switched: whether any converter was ever commanded for this deal; then exactly one final record is due.
        detail: what the chart remembers between steps.
    """

    state: str
    record: DealRecord
    open_unit_id: str | None = None
    open_command: Command | None = None
    switched: bool = False
    detail: DealDetail = DealDetail()


class LockEntry(WireModel):
    """One deal's share of a unit's current."""

    deal_id: str
    direction: Direction
    ampere: float


class Lock(StoredModel):
    """``lock.<unit>``: the deals a unit is in, all of one direction and within its capacity, or its exclusion.

    Attributes:
        exclusion: the operator's reason where the unit's converter was declared cut off from the bus.
        excluded_current_a: its last set current, which counts in every capacity check until it is confirmed in WAIT.
    """

    entries: tuple[LockEntry, ...] = ()
    exclusion: str | None = None
    excluded_current_a: float | None = None
