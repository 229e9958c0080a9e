"""The values that a chart takes from the policy, hwConfig and wiring, by their paths."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final

from apis_rules.documents.hw_config import HwConfig
from apis_rules.documents.policy import Policy
from apis_rules.documents.shapes import all_keys
from apis_rules.documents.wiring import Times

if TYPE_CHECKING:
    from collections.abc import Mapping

    from apis_rules.charts.model import Chart
    from apis_rules.documents.model import FileModel

_MILLISECONDS: Final = "Msec"


def chart_values(chart: Chart, documents: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """Return a number for each value of *chart*; what a file has in milliseconds becomes seconds.

    Args:
        chart: the chart.
        documents: ``policy``, ``hwConfig`` and ``wiring`` → the document with the keys of its file, defaults included;
            the wiring's ``times`` are those in force.

    Raises:
        ValueError: a path leads to no number.
    """
    return {name: _number(value.about, documents) for name, value in chart.values.items()}


def times_in_force(policy: Policy, times: Times) -> dict[str, float]:
    """Return the times of a mastership by name, with the time limits that the policy sets instead of the wiring's."""
    limits = {
        "hand_over_s": policy.grid_master.hand_over_time_limit_s,
        "drain_s": policy.grid_master.drain_time_limit_s,
    }
    own = {name: limit_s for name, limit_s in limits.items() if limit_s is not None}
    return {**times.as_values(policy.controller.scram_voltage_reference_delay_s), **own}


def broken_times(policy: Policy, times: Times) -> tuple[tuple[str, str], ...]:
    """Return what does not hold between the times of the wiring and *policy*: the key, and one sentence."""
    in_force = times_in_force(policy, times)
    changed = times.model_copy(update={name: in_force[name] for name in ("hand_over_s", "drain_s")})
    return changed.broken(policy.controller.scram_voltage_reference_delay_s)


def place_of(key: str) -> tuple[str, ...]:
    """Return where in a policy the time stands by which *key*, one of ``broken_times``, can be mended."""
    return _IN_POLICY.get(key, ("controller", "scramVoltageReferenceDelayMsec"))


_IN_POLICY: Final = {
    "hand_over_s": ("gridMaster", "handOverTimeLimitMsec"),
    "holder_reserve_s": ("gridMaster", "drainTimeLimitMsec"),
}


def _number(path: str, documents: Mapping[str, Any]) -> float:
    value: Any = documents
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else None
    if number is None:
        raise ValueError(f"{path} is no number: {value!r}")
    return number / 1000 if path.endswith(_MILLISECONDS) else float(number)


@cache
def known_paths() -> frozenset[str]:
    """Return every path into the policy, hwConfig and the wiring's times that their models know."""
    times = {*Times.model_fields, "holder_dead_man_s"} - {"replicas"}
    models: dict[str, type[FileModel]] = {"policy": Policy, "hwConfig": HwConfig}
    keys = {f"{name}.{key}" for name, model in models.items() for key in all_keys(model)}
    return frozenset(keys | {f"wiring.times.{name}" for name in times})


def problem_with(name: str, path: str) -> str | None:
    """Return what is wrong with the value *name* that stands at *path*, None where nothing is."""
    if path.endswith(_MILLISECONDS) and not name.endswith("_s"):
        return f"{path} is read as seconds, so the name ends in _s"
    return None if path in known_paths() else f"there is no value {path}"
