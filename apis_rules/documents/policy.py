"""policy.json: what the community allows and how its members act together (specification 6.4).

Every member must hold the same one; they compare ``Policy.canonical_hash``.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, model_validator

from apis_rules.documents.lines import with_sides
from apis_rules.documents.model import (
    Count,
    FileModel,
    Flag,
    Name,
    Number,
    Period,
    Seconds,
    UnitId,
    Whole,
    canonical_hash,
)

Positive: TypeAlias = Annotated[Number, Field(gt=0)]
NotNegative: TypeAlias = Annotated[Number, Field(ge=0)]
Percent: TypeAlias = Annotated[Number, Field(ge=0, le=100)]
Side: TypeAlias = Literal["chargeUnit", "dischargeUnit"]
Mode: TypeAlias = Literal["autonomous", "heteronomous", "stop", "manual"]


class VoltageRange(FileModel):
    """``operationGridVoltageVRange``, in V."""

    min: Positive
    max: Positive


class Branch(FileModel):
    """The units on either side of one line of the grid."""

    forward_unit_ids: tuple[UnitId, ...]
    backward_unit_ids: tuple[UnitId, ...]


class Topology(FileModel):
    """``safety.gridTopologyBasedEvaluation``: the lines of the grid, and what each can carry.

    Attributes:
        branch_lines: line → the two places that it joins, units or junctions; its sides may then be left out of
            ``branchAssociation``.
    """

    enabled: Flag = False
    branch_ids: tuple[Name, ...] = ()
    branch_lines: dict[Name, tuple[UnitId, UnitId]] = Field(default_factory=dict)
    branch_association: dict[Name, Branch] = Field(default_factory=dict)
    branch_current_capacity_a: dict[Name, Positive] = Field(default_factory=dict)


class PolicySafety(FileModel):
    """``safety``. Without topology the sum of all deals' currents has one limit."""

    sum_of_dealing_unit_grid_current_allowance_per_unit_a: NotNegative
    sum_of_deal_grid_current_max_a: Positive | None = None
    grid_topology_based_evaluation: Topology = Topology()


class Checkpoint(FileModel):
    """How often and how far apart it is looked whether a converter has followed."""

    retry_limit: Count
    retry_wait_s: Seconds


class FirstRampUp(FileModel):
    """``rampUp.first``."""

    timeout_s: Period


class RampUp(FileModel):
    """``voltageReference.rampUp``."""

    first: FirstRampUp


class Authorization(FileModel):
    """``voltageReference.authorization``: how many voltages are tried."""

    number_of_trials: Count


class VoltageReference(FileModel):
    """``controller.dcdc.voltageReference``."""

    ramp_up: RampUp
    authorization: Authorization


class Dcdc(FileModel):
    """``controller.dcdc``."""

    checkpoint: Checkpoint
    voltage_reference: VoltageReference


class Controller(FileModel):
    """The service that talks to the converter."""

    dcdc: Dcdc
    scram_voltage_reference_delay_s: Seconds = 5.0
    stop_me_timeout_s: Period = 60.0
    stop_me_check_period_s: Period = 1.0
    data_acquisition_period_s: Period = 5.0
    request_timeout_s: Period = 5.0
    retry_limit: Count = 3


class User(FileModel):
    """The service that reads the scenario and asks for energy."""

    error_handling_period_s: Period = 1.0
    error_sustaining_s: Seconds = 30.0
    house_keeping_period_s: Period = 60.0


class DealLimits(FileModel):
    """What one deal may be: a current, and an amount in whole units between two limits."""

    grid_current_a: Positive
    amount_min_wh: Whole
    amount_max_wh: Count
    amount_unit_wh: Count


class Mediator(FileModel):
    """The service that negotiates and keeps the records of deals.

    Attributes:
        reservation_time_s: how long an accepting unit keeps what it has offered free for the unit that asked.
    """

    deal: DealLimits
    negotiation_timeout_s: Period = 2.0
    reservation_time_s: Period = 5.0
    deal_logging_period_s: Period = 5.0


class MasterDealSelection(FileModel):
    """Which deal's voltage reference follows when the present one's deal ends."""

    strategy: Literal["newestDeal"] = "newestDeal"


class GridMasterSelection(FileModel):
    """Where the Grid Master should be.

    Attributes:
        fixed_unit_id: the unit under the strategy ``fixed``; no meaning under the others.
        candidate_unit_ids: who may take its place, best first; empty: every member.
    """

    strategy: Literal["voltageReferenceUnit", "anywhere", "fixed"] = "voltageReferenceUnit"
    fixed_unit_id: UnitId | None = None
    candidate_unit_ids: tuple[UnitId, ...] = ()


class InterlockInconsistency(FileModel):
    """``gridMasterEnsuring.interlockInconsistency``."""

    retry_wait_s: Seconds = 2.0


class GridMasterEnsuring(FileModel):
    """``gridMasterEnsuring``."""

    interlock_inconsistency: InterlockInconsistency = InterlockInconsistency()


class Absence(FileModel):
    """``gridMasterWatching.absence``."""

    ensure_wait_s: Seconds = 5.0


class GridMasterWatching(FileModel):
    """``gridMasterWatching``."""

    absence: Absence = Absence()


class ForceStopCondition(FileModel):
    """States of charge at which a running deal is ended."""

    discharge_unit_lower_limit_rsoc_percent: Annotated[Percent, Field(alias="dischargeUnitLowerLimitRsoc")]
    charge_unit_upper_limit_rsoc_percent: Annotated[Percent, Field(alias="chargeUnitUpperLimitRsoc")]


class GridMasterDeal(FileModel):
    """``gridMaster.deal``."""

    force_stop_condition: ForceStopCondition
    reference_side: Side = "chargeUnit"
    reset_limit: Whole


class CurrentCompensation(FileModel):
    """How often and how finely the current of a deal is corrected."""

    limit_of_trials: Count
    drift_allowance_a: NotNegative


class GridVoltageOptimization(FileModel):
    """Whether the grid voltage follows what is most efficient."""

    enabled: Flag = False


class GridMaster(FileModel):
    """The service that commands all converters while its node is the master.

    Attributes:
        settle_time_s: after each step of a hand-over, before the voltages and currents are looked at.
        hand_over_time_limit_s, drain_time_limit_s: the longest these may take; None: as ``transport/wiring.yaml`` says.
    """

    voltage_reference_side: Side = "chargeUnit"
    voltage_reference_take_over_dvg: Literal["theoretical", "actual"] = "theoretical"
    master_deal_selection: MasterDealSelection = MasterDealSelection()
    grid_master_selection: GridMasterSelection = GridMasterSelection()
    grid_master_ensuring: GridMasterEnsuring = GridMasterEnsuring()
    grid_master_watching: GridMasterWatching = GridMasterWatching()
    deal: GridMasterDeal
    current_compensation: CurrentCompensation
    grid_voltage_optimization: GridVoltageOptimization = GridVoltageOptimization()
    helo_period_s: Period = 5.0
    data_collection_period_s: Period = 5.0
    data_collection_timeout_s: Period = 2.0
    main_loop_period_s: Period = 5.0
    error_sustaining_s: Seconds = 30.0
    settle_time_s: Seconds = 1.0
    hand_over_time_limit_s: Period | None = None
    drain_time_limit_s: Period | None = None


class Policy(FileModel):
    """A policy file.

    Attributes:
        holder_reserve: activate a deal only if the unit that holds the voltage stays within its limits when any one
            party drops out.
        grid_voltage_step_v: the largest step in which a voltage reference is moved.
    """

    refreshing_period_s: Period = 5.0
    operation_mode: Mode = "stop"
    member_unit_ids: Annotated[tuple[UnitId, ...], Field(min_length=1)]
    large_capacity_unit_ids: tuple[UnitId, ...] = ()
    holder_reserve: Flag = False
    operation_grid_voltage_v: Positive
    operation_grid_voltage_range_v: Annotated[VoltageRange, Field(alias="operationGridVoltageVRange")]
    grid_voltage_separation_v: Positive
    grid_voltage_allowance_v: Positive
    grid_voltage_drop_allowance_v: NotNegative
    grid_voltage_step_v: Positive = 350.0
    grid_current_step_a: Positive
    grid_uvlo_mask_v: NotNegative
    safety: PolicySafety
    helo_period_s: Period = 5.0
    controller: Controller
    user: User = User()
    mediator: Mediator
    grid_master: GridMaster

    @model_validator(mode="before")
    @classmethod
    def _derive_sides(cls, given: Any) -> Any:
        return with_sides(given)

    def canonical_document(self) -> dict[str, Any]:
        """Return the policy with every default, and with what is a set (units, branches) in one order."""
        document = self.to_document()
        for key in ("memberUnitIds", "largeCapacityUnitIds"):
            document[key].sort()
        topology = document["safety"]["gridTopologyBasedEvaluation"]
        topology["branchIds"].sort()
        for branch in topology["branchAssociation"].values():
            branch["forwardUnitIds"].sort()
            branch["backwardUnitIds"].sort()
        return document

    @property
    def canonical_hash(self) -> str:
        """``sha256:…`` of what the policy means: two files with one meaning have one hash, whatever their form."""
        return canonical_hash(self.canonical_document())
