"""The numbers of policy, hwConfig and wiring that a unit goes by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class UnitSettings:
    """Volts, amperes and seconds, all absolute values. The names tell the keys of the specification's files (6.2, 6.4).

    Attributes:
        capacity_a: ``gridCurrentCapacityA``; also the current set-point of a unit that holds the voltage.
        dead_man_s: D: how long a current-controlled converter goes on without a refresh.
        holder_dead_man_s: H: the same for the voltage reference; later, so that no current is left without a voltage.
        hand_over_s: how long a hand-over may take; dynamic checks are suppressed that long at most.
        request_timeout_s: a write without an answer may still land for so long.
        active_read_s: an active converter is read at least this often.
    """

    grid_voltage_v: float
    range_min_v: float
    range_max_v: float
    separation_v: float
    voltage_allowance_v: float
    voltage_step_v: float
    uvlo_mask_v: float
    current_step_a: float
    current_allowance_a: float
    capacity_a: float
    droop_ratio: float
    check_tries: int
    check_wait_s: float
    repeat_s: float
    ramp_up_s: float
    read_period_s: float
    request_timeout_s: float
    dead_man_s: float
    holder_dead_man_s: float
    hand_over_s: float
    active_read_s: float = 0.9

    @classmethod
    def from_documents(
        cls, policy: Mapping[str, Any], hw_config: Mapping[str, Any], times: Mapping[str, float]
    ) -> UnitSettings:
        """Take the numbers out of checked documents.

        Args:
            policy: with every key of the shipped policy's form, defaults filled in.
            hw_config: likewise.
            times: the wiring's times in effect, in seconds: ``dead_man_s``, ``holder_dead_man_s``, ``hand_over_s``.

        Raises:
            KeyError: a document lacks one; a checked document does not.
        """
        controller = policy["controller"]
        checkpoint = controller["dcdc"]["checkpoint"]
        voltages = policy["operationGridVoltageVRange"]
        return cls(
            grid_voltage_v=policy["operationGridVoltageV"],
            range_min_v=voltages["min"],
            range_max_v=voltages["max"],
            separation_v=policy["gridVoltageSeparationV"],
            voltage_allowance_v=policy["gridVoltageAllowanceV"],
            voltage_step_v=policy["gridVoltageStepV"],
            uvlo_mask_v=policy["gridUvloMaskV"],
            current_step_a=policy["gridCurrentStepA"],
            current_allowance_a=hw_config["gridCurrentAllowanceA"],
            capacity_a=hw_config["gridCurrentCapacityA"],
            droop_ratio=hw_config["droopRatio"],
            check_tries=checkpoint["retryLimit"],
            check_wait_s=checkpoint["retryWaitMsec"] / 1000,
            repeat_s=controller["stopMeCheckPeriodMsec"] / 1000,
            ramp_up_s=controller["dcdc"]["voltageReference"]["rampUp"]["first"]["timeoutMsec"] / 1000,
            read_period_s=controller["dataAcquisitionPeriodMsec"] / 1000,
            request_timeout_s=controller["requestTimeoutMsec"] / 1000,
            dead_man_s=times["dead_man_s"],
            holder_dead_man_s=times["holder_dead_man_s"],
            hand_over_s=times["hand_over_s"],
        )

    @property
    def stop_voltage_v(self) -> float:
        """Where the voltage is taken before a holder stops: too low for any converter to start (specification 7.3)."""
        return self.range_min_v + self.uvlo_mask_v

    @property
    def chart_values(self) -> dict[str, float]:
        """The values that ``converter.yaml`` names."""
        return {
            "range_min_v": self.range_min_v,
            "separation_v": self.separation_v,
            "voltage_allowance_v": self.voltage_allowance_v,
            "current_allowance_a": self.current_allowance_a,
            "check_wait_s": self.check_wait_s,
            "repeat_s": self.repeat_s,
        }
