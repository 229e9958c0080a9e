"""What the guards of ``converter.yaml`` see: the unit's record and one answer of the driver, as named facts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from apis_rules.charts.unit.readings import shown_mode

if TYPE_CHECKING:
    from apis_rules.charts.unit.record import Job, UnitRecord
    from apis_rules.charts.unit.settings import UnitSettings
    from apis_rules.ports.types import DcdcData

_NO_DROOP: Final = 0.001
"""A droop below this is quantisation of 0."""

_NEARER_V: Final = 0.2
"""A voltage that has come nearer by less than this may only have been measured differently."""

_SHOWN_FOR_GOAL: Final = {
    "charge": ("charge", "either"),
    "discharge": ("discharge", "either"),
    "holding": ("reference",),
    "drooping": ("reference",),
}
"""Where charge and discharge are not told apart by the mode, the sign of the current tells them."""


def gather_facts(unit: UnitRecord, settings: UnitSettings, answer: DcdcData | None = None) -> dict[str, object]:
    """Return the facts of *unit*; those about what is measured only where *answer* shows them."""
    facts: dict[str, object] = {
        "may_hold": unit.may_hold,
        "manual": unit.manual,
        "just_started": unit.just_started,
        "settled": unit.stop_settled,
        "write_pending": unit.write_pending,
        "tries_left": unit.tries_left,
        **_distances(unit, settings),
    }
    if unit.job:
        facts["goal"] = unit.job.goal
        facts["voltages_left"] = len(unit.job.voltages_v)
    if answer:
        facts |= _measured(unit, answer)
    return facts


def _distances(unit: UnitRecord, settings: UnitSettings) -> dict[str, object]:
    own = unit.set_points
    if unit.job:
        target_a = unit.job.target_current_a
        current_left_a = 0.0 if target_a is None else abs(target_a - own.grid_current_a)
        return {"current_left_a": current_left_a, "voltage_left_v": abs(unit.job.target_voltage_v - own.grid_voltage_v)}
    return {
        "current_left_a": own.grid_current_a,
        "voltage_left_v": max(0.0, own.grid_voltage_v - settings.stop_voltage_v),
    }


def _measured(unit: UnitRecord, answer: DcdcData) -> dict[str, object]:
    droop = answer.vdis.droop_ratio
    facts: dict[str, object] = {
        "grid_voltage_v": answer.meter.grid_voltage_v,
        "grid_current_a": answer.meter.grid_current_a,
        "drooping": (unit.set_points.droop_ratio if droop is None else droop) > _NO_DROOP,
    }
    mode = shown_mode(answer.status)
    facts["mode"] = mode
    if unit.job:
        facts["mode_as_asked"] = mode in _SHOWN_FOR_GOAL.get(unit.job.goal, ())
        error_v = facts["voltage_error_v"] = _voltage_error_v(unit.job, answer)
        nearest_v = unit.nearest_v
        facts["approaching"] = error_v is not None and (nearest_v is None or error_v < nearest_v - _NEARER_V)
        facts["current_error_a"] = _current_error_a(unit.job, answer)
    return facts


def _voltage_error_v(job: Job, answer: DcdcData) -> float | None:
    measured = answer.meter.grid_voltage_v
    if not job.checks_voltage:
        return 0.0
    return None if measured is None else abs(measured - job.target_voltage_v)


def _current_error_a(job: Job, answer: DcdcData) -> float | None:
    measured = answer.meter.grid_current_a
    if job.target_current_a is None:
        asked = 0.0
        if not job.checks_no_current:
            return 0.0
    else:
        asked = -job.target_current_a if job.goal == "discharge" else job.target_current_a
    return None if measured is None else abs(measured - asked)
