"""Which kind of document a file is, told by its keys."""

from __future__ import annotations

import enum
import re
from typing import TYPE_CHECKING, Any, Final

from apis_rules.documents.source import refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from apis_rules.documents.document import Document


class Kind(enum.StrEnum):
    """The kinds of documents; the value is what ``--kind`` takes. An example is what rules are asked about."""

    CONFIG = "config"
    HW_CONFIG = "hwConfig"
    SCENARIO = "scenario"
    POLICY = "policy"
    RULES = "rules"
    ERRORS = "errors"
    CASES = "cases"
    CHART = "chart"
    WALK = "walk"
    WIRING = "wiring"
    DRIVER = "driver"
    LOGGING = "logging"
    FAULTS = "faults"
    EXAMPLE = "example"


_WINDOW_LIKE = re.compile(r"\s*\d{1,2}:\d{1,2}(:\d{1,2})?\s*-\s*\d{1,2}:\d{1,2}(:\d{1,2})?\s*")

_TELLING: Final[Mapping[Kind, frozenset[str]]] = {
    Kind.CONFIG: frozenset({
        "unitId", "systemType", "hwConfigFile", "policyFile", "scenarioFile", "connection", "programId", "clusterId",
        "communityId", "stateFileFormat", "dealLogDirFormat",
    }),
    Kind.HW_CONFIG: frozenset({
        "batteryNominalCapacityWh", "gridCurrentCapacityA", "gridCurrentAllowanceA", "droopRatio",
        "efficientBatteryGridVoltageRatio",
    }),
    Kind.POLICY: frozenset({
        "memberUnitIds", "operationMode", "largeCapacityUnitIds", "operationGridVoltageV", "gridMaster", "mediator",
        "controller", "gridUvloMaskV", "gridVoltageSeparationV", "operationGridVoltageVRange",
    }),
    Kind.SCENARIO: frozenset({"acceptSelection"}),
    Kind.RULES: frozenset({"question", "facts", "rules"}),
    Kind.ERRORS: frozenset({"errors"}),
    Kind.CASES: frozenset({"cases"}),
    Kind.CHART: frozenset({"states", "transitions", "triggers", "initial"}),
    Kind.WALK: frozenset({"walk", "walks"}),
    Kind.WIRING: frozenset({"buckets", "subjects", "streams"}),
    Kind.DRIVER: frozenset({"driver", "hosts", "set_mode", "set_voltage", "set_current"}),
    Kind.LOGGING: frozenset({"handlers", ".level"}),
    Kind.FAULTS: frozenset({"faults", "random"}),
    Kind.EXAMPLE: frozenset({"unit", "units", "event", "node", "branch"}),
}  # fmt: skip
"""Keys at the top of a document that only this kind has."""


def looks_like_window(key: str) -> bool:
    """Whether *key* is meant as a time of day, rightly written or not."""
    return _WINDOW_LIKE.fullmatch(key) is not None


def recognise(value: Any) -> Kind | None:
    """Return the kind whose keys stand at the top of *value* most often, or None where none does."""
    if not isinstance(value, dict):
        return None
    scores = {kind: len(keys & value.keys()) for kind, keys in _TELLING.items()}
    scores[Kind.SCENARIO] += sum(looks_like_window(key) for key in value)
    best = max(scores, key=lambda kind: scores[kind])
    return best if scores[best] else None


def kind_of(document: Document) -> Kind:
    """Return the kind of *document*.

    Raises:
        InputError: its keys do not tell.
    """
    kind = recognise(document.value)
    if kind is None:
        if not isinstance(document.value, dict):
            held = "a list" if isinstance(document.value, list) else "a single value"
            message = f"holds {held}; every document is an object with keys"
            raise refusal(document.location(), "AR115", message, "begin it with its first key, as in 'question: …'")
        message = "has no key that tells what kind of document it is"
        raise refusal(document.location(), "AR115", message, f"say it with --kind {'|'.join(Kind)}")
    return kind
