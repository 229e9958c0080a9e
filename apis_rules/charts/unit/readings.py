"""What an answer of the driver shows: mode, direction, numbers; and how it is merged into what was known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from apis_rules.ports.types import ConverterMode, DcdcStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

WORDS: Final = {
    ConverterMode.WAIT: "wait",
    ConverterMode.CHARGE: "charge",
    ConverterMode.DISCHARGE: "discharge",
    ConverterMode.VOLTAGE_REFERENCE: "reference",
}
"""The words of the chart's fact ``mode``; beside them ``either`` and ``other``."""

MODES: Final = {word: mode for mode, word in WORDS.items()}


def merge_documents(known: Mapping[str, Any], answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return *known* with everything that *answer* says laid over it, part by part, at any depth.

    A status answer may name the operation mode without its code. A code that contradicts it is older, and goes.
    """
    merged = _merge(known, answer)
    fresh = answer.get("dcdc", {}).get("status", {})
    if "operationMode" in fresh and "status" not in fresh:
        status = DcdcStatus.model_validate(merged["dcdc"]["status"])
        if status.mode is None or status.mode.operation_mode != status.operation_mode:
            merged["dcdc"]["status"].pop("status", None)
    return merged


def _merge(known: Mapping[str, Any], answer: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(known)
    for key, value in answer.items():
        old = merged.get(key)
        merged[key] = _merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def shown_mode(status: DcdcStatus) -> str | None:
    """Return the word for the mode that one answer shows; None where it says nothing of the mode.

    The code and the text must agree; ``other`` where they do not, or are unknown. Without a code, charge and discharge
    are told apart by the running state, and are ``either`` where it is missing too.
    """
    if status.status is None and status.operation_mode is None:
        return None
    if status.status is not None:
        mode = status.mode
        agrees = mode is not None and status.operation_mode in (None, mode.operation_mode)
        return WORDS[mode] if mode is not None and agrees else "other"
    candidates = [m for m in ConverterMode if m.operation_mode == status.operation_mode]
    if len(candidates) > 1:
        running = [m for m in candidates if WORDS[m] == status.running_state]
        return WORDS[running[0]] if running else "either"
    return WORDS[candidates[0]] if candidates else "other"
