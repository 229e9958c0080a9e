"""Deals that fail on purpose where their ``testFeature`` asks for it, so that tests see what follows.

The flags are the existing system's: ``dcdc.failBefore…`` and ``dcdc.failAfter…`` of a step. A stop cannot be prevented
here: before or after it, it is only told to have failed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from apis_rules.ports.types import Deal

ABORTS: Final[Mapping[str, frozenset[str]]] = {
    "failBeforeActivate": frozenset({"created"}),
    "failAfterActivate": frozenset({"ramping", "activated"}),
    "failBeforeAuthorize": frozenset({"ramped"}),
    "failAfterAuthorize": frozenset({"activated"}),
    "failBeforeWarmUp": frozenset({"activated"}),
    "failAfterWarmUp": frozenset({"compensating"}),
    "failBeforeCompensate": frozenset({"compensating"}),
    "failAfterCompensate": frozenset({"started"}),
}
"""Flag → states of ``deal.yaml`` in which the deal is aborted."""

FAILURES: Final[Mapping[str, frozenset[str]]] = {
    "failBeforeStop": frozenset({"stopping"}),
    "failAfterStop": frozenset({"stopping"}),
    "failBeforeDeactivate": frozenset({"deactivating"}),
    "failAfterDeactivate": frozenset({"deactivating"}),
}
"""Flag → states in which the present step is told to have failed."""


def event_on_purpose(deal: Deal) -> tuple[str, str] | None:
    """Return the event that the deal's ``testFeature`` asks for in its present state, and why; None: none."""
    wanted = (deal.record.test_feature or {}).get("dcdc", {})
    for event, table in (("abort", ABORTS), ("failed", FAILURES)):
        for flag, states in table.items():
            if wanted.get(flag) is True and deal.state in states:
                return event, f"testFeature: {flag}"
    return None
