"""The numbers of policy and wiring that the Grid Master goes by, and those of each unit's hardware."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from apis_rules.ports.types import Direction

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Branch:
    """One line of the grid: what it can carry, and the units on either side of it."""

    name: str
    capacity_a: float
    forward: frozenset[str]
    backward: frozenset[str]


@dataclass(frozen=True, slots=True)
class UnitLimits:
    """Of one unit's hardware (hwConfig, specification 6.2).

    Attributes:
        efficient_ratio: grid voltage / battery voltage at which its converter is most efficient; None where not known.
    """

    capacity_a: float
    allowance_a: float
    efficient_ratio: float | None = None


@dataclass(frozen=True, slots=True)
class MasterSettings:
    """Volts, amperes, seconds and percent (specification 6.4, 7.1-7.6).

    Attributes:
        members: the units of the community.
        large_units: units that should hold the voltage where they take part.
        reference_side: the side of a first deal that holds the voltage.
        energy_side: the side whose energy is the deal's amount.
        branches: lines to be checked; None: the sum of all deals' currents is limited by *sum_max_a* instead.
        holder_reserve: whether the holder must stay within its limits when any one party drops out.
        take_over_actual: whether a new holder starts from the voltage it reads instead of the old one's set-point.
        optimises: whether the voltage follows what is most efficient.
        test_features: whether deals fail on purpose where their ``testFeature`` asks for it; only tests set this.
        absence_s: how long others' deals go on while a party is unaccounted for.
        drain_s: how long a bus of our own may take to fall.
        holder_dead_man_s: after which a holder that cannot be reached has stopped by itself.
        command_limit_s: after which a command without an outcome has failed; far above what a stepping command takes.
        repeat_s: between two sendings of a command, or of a step that failed.
        reading_age_s: an older reading says nothing.
        sample_age_s: energy is sampled that shortly before and after a switch.
        store_s: between two writes of the energy booked so far.
        dead_for_s: how long the voltage must be low and not rising to call the bus dead.
        stop_lead_s: how long a stop takes until the current is off; half of its energy still flows.
    """

    members: tuple[str, ...]
    large_units: frozenset[str]
    operation_v: float
    range_min_v: float
    range_max_v: float
    separation_v: float
    allowance_v: float
    drop_allowance_v: float
    uvlo_mask_v: float
    reference_side: Direction
    energy_side: Direction
    sum_max_a: float | None
    branches: tuple[Branch, ...] | None
    holder_reserve: bool
    take_over_actual: bool
    optimises: bool
    reset_limit: int
    discharge_rsoc_min: float
    charge_rsoc_max: float
    authorization_trials: int
    compensation_trials: int
    drift_allowance_a: float
    ramp_limit_s: float
    scram_delay_s: float
    settle_s: float
    hand_over_s: float
    drain_s: float
    absence_s: float
    holder_dead_man_s: float
    test_features: bool = False
    command_limit_s: float = 20.0
    repeat_s: float = 2.0
    reading_age_s: float = 2.5
    sample_age_s: float = 0.3
    store_s: float = 5.0
    dead_for_s: float = 2.0
    stop_lead_s: float = 0.2

    @classmethod
    def from_documents(cls, policy: Mapping[str, Any], times: Mapping[str, float]) -> MasterSettings:
        """Take the numbers out of a checked policy.

        Args:
            policy: with every key of the shipped policy's form, defaults filled in.
            times: the wiring's times in effect, in seconds: ``absence_s``, ``drain_s``, ``hand_over_s``,
                ``holder_dead_man_s``.

        Raises:
            KeyError: a document lacks one; a checked document does not.
        """
        controller, master, safety = policy["controller"], policy["gridMaster"], policy["safety"]
        reference = controller["dcdc"]["voltageReference"]
        voltages = policy["operationGridVoltageVRange"]
        force_stop = master["deal"]["forceStopCondition"]
        topology = safety["gridTopologyBasedEvaluation"]
        return cls(
            members=tuple(policy["memberUnitIds"]),
            large_units=frozenset(policy["largeCapacityUnitIds"]),
            operation_v=policy["operationGridVoltageV"],
            range_min_v=voltages["min"],
            range_max_v=voltages["max"],
            separation_v=policy["gridVoltageSeparationV"],
            allowance_v=policy["gridVoltageAllowanceV"],
            drop_allowance_v=policy["gridVoltageDropAllowanceV"],
            uvlo_mask_v=policy["gridUvloMaskV"],
            reference_side=_side(master["voltageReferenceSide"]),
            energy_side=_side(master["deal"]["referenceSide"]),
            sum_max_a=safety.get("sumOfDealGridCurrentMaxA"),
            branches=_branches(topology) if topology["enabled"] else None,
            holder_reserve=policy["holderReserve"],
            take_over_actual=master["voltageReferenceTakeOverDvg"] == "actual",
            optimises=master["gridVoltageOptimization"]["enabled"],
            reset_limit=master["deal"]["resetLimit"],
            discharge_rsoc_min=force_stop["dischargeUnitLowerLimitRsoc"],
            charge_rsoc_max=force_stop["chargeUnitUpperLimitRsoc"],
            authorization_trials=reference["authorization"]["numberOfTrials"],
            compensation_trials=master["currentCompensation"]["limitOfTrials"],
            drift_allowance_a=master["currentCompensation"]["driftAllowanceA"],
            ramp_limit_s=reference["rampUp"]["first"]["timeoutMsec"] / 1000,
            scram_delay_s=controller["scramVoltageReferenceDelayMsec"] / 1000,
            settle_s=master["settleTimeMsec"] / 1000,
            hand_over_s=_limit(master, "handOverTimeLimitMsec", times["hand_over_s"]),
            drain_s=_limit(master, "drainTimeLimitMsec", times["drain_s"]),
            absence_s=times["absence_s"],
            holder_dead_man_s=times["holder_dead_man_s"],
        )

    @property
    def stop_voltage_v(self) -> float:
        """Voltages around the lower limit at which a converter cannot start end here: min + UVLO mask."""
        return self.range_min_v + self.uvlo_mask_v

    @property
    def live_voltage_v(self) -> float:
        """Above this somebody else already feeds the bus: twice the separation above min."""
        return self.range_min_v + 2 * self.separation_v

    @property
    def optimum_range_v(self) -> tuple[float, float]:
        """Between which the voltage may be moved (specification 7.6, from the policy's keys)."""
        low = max(self.range_min_v + self.drop_allowance_v, self.range_min_v + 3 * self.separation_v)
        high = min(self.range_max_v - self.drop_allowance_v, self.range_max_v - self.separation_v)
        return low, high

    @property
    def authorization_voltages_v(self) -> tuple[float, ...]:
        """The voltages that an authorization may try, lowest first; never the operating voltage itself."""
        first = self.range_min_v + 3 * self.separation_v
        steps = int((self.range_max_v - self.separation_v - first) / self.separation_v + 1e-9)
        tried = (first + i * self.separation_v for i in range(steps + 1))
        return tuple(v for v in tried if abs(v - self.operation_v) >= self.allowance_v)


def _side(text: str) -> Direction:
    return Direction.DISCHARGE if text == "dischargeUnit" else Direction.CHARGE


def _limit(master: Mapping[str, Any], key: str, otherwise_s: float) -> float:
    own = master.get(key)
    return otherwise_s if own is None else own / 1000


def _branches(topology: Mapping[str, Any]) -> tuple[Branch, ...]:
    return tuple(
        Branch(
            name,
            abs(topology["branchCurrentCapacityA"][name]),
            frozenset(topology["branchAssociation"][name]["forwardUnitIds"]),
            frozenset(topology["branchAssociation"][name]["backwardUnitIds"]),
        )
        for name in topology["branchIds"]
    )
