"""Hard limits before each write: the rules of ``rules/hard-limits.yaml``, asked through the pure evaluator alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from apis_rules.charts.unit.calls import SetCurrent, SetMode, SetVoltage
from apis_rules.decide.decision import Decider
from apis_rules.decide.ruleset import Evaluator
from apis_rules.ports.types import ConverterMode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from apis_rules.charts.unit.calls import Write
    from apis_rules.decide.decision import CompiledRules

_WORDS: Final = {
    ConverterMode.WAIT: "wait",
    ConverterMode.CHARGE: "charge",
    ConverterMode.DISCHARGE: "discharge",
    ConverterMode.VOLTAGE_REFERENCE: "voltage-reference",
}


def compile_limits(rules: CompiledRules) -> Callable[[Mapping[str, Any], Write], str | None]:
    """Return the function that ``UnitBrain`` asks: (last reading, write) → the first limit broken, or None."""
    decider = Decider(rules, Evaluator.PURE)

    def broken(document: Mapping[str, Any], write: Write) -> str | None:
        # Nothing here waits: a limit with a debounce counts from its first moment on.
        first = decider.decide({"unit": document, "write": _as_fact(write)}, now_s=0.0).first
        return f"{first.rule.id}: {first.message}" if first else None

    return broken


def _as_fact(write: Write) -> dict[str, Any]:
    """Return *write* as rules see it under ``$.write``."""
    match write:
        case SetMode(mode, voltage_v, current_a, droop):
            return {
                "mode": _WORDS[mode],
                "gridVoltageV": voltage_v,
                "gridCurrentA": current_a,
                "droopRatio": droop,
            }
        case SetVoltage(voltage_v, droop):
            return {"mode": "voltage-reference", "gridVoltageV": voltage_v, "droopRatio": droop}
        case SetCurrent(current_a):
            return {"gridCurrentA": current_a}
