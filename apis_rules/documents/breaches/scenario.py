"""Rules between the keys of a scenario.json; gaps and overlaps are the analysis of ``author``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from apis_rules.documents.breaches.sight import Sight
from apis_rules.documents.kinds import looks_like_window
from apis_rules.documents.scenario import Band

if TYPE_CHECKING:
    from apis_rules.documents.diagnostics import Findings
    from apis_rules.documents.document import Document, Path


def check_scenario(document: Document, findings: Findings) -> None:
    """Note what does not fit together."""
    sight = Sight(document, findings)
    windows = [key for key in sight.mapping(()) if looks_like_window(key)]
    if not windows:
        sight.error(
            (),
            "AR217",
            "the scenario holds no section, so it never asks for or offers anything",
            'add one for a time of day: "00:00:00-24:00:00": { … }',
        )
    for window in windows:
        _section(sight, window)


def _section(sight: Sight, window: str) -> None:
    statuses: set[str] = set()
    for text, status in sight.mapping((window, "batteryStatus")).items():
        if not isinstance(status, str):
            continue
        statuses.add(status)
        try:
            Band.parse(text, status)
        except ValueError as error:
            sight.key_error((window, "batteryStatus", text), "AR212", str(error))
    strategy = sight.document.get((window, "acceptSelection", "strategy")) or sight.text("acceptSelection.strategy")
    for question in ("request", "accept"):
        for status, offers in sight.mapping((window, question)).items():
            at = (window, question, status)
            if statuses and status not in statuses:
                sight.key_error(
                    at,
                    "AR211",
                    f"{question} names the status {status!r}, which no band of batteryStatus has",
                    f"known here: {', '.join(sorted(statuses))}",
                )
            if isinstance(offers, dict) and question == "request":
                _request(sight, at, offers, strategy)


def _request(sight: Sight, at: Path, offers: dict[str, Any], strategy: Any) -> None:
    if {"charge", "discharge"} <= offers.keys():
        sight.key_warning(
            (*at, "discharge"),
            "AR215",
            "a request in both directions: charge is asked for, discharge never",
            "keep one of them",
        )
    for direction, offer in offers.items():
        # A price under a misspelt key is found as that.
        unpriced = isinstance(offer, dict) and offer.keys() <= {"limitWh", "pairUnitId"}
        if strategy == "pointAndAmount" and unpriced:
            sight.key_warning(
                (*at, direction),
                "AR216",
                f"a {direction} request without pointPerWh takes no accept: "
                "the strategy pointAndAmount compares prices",
                "give it a price, or use the strategy amount",
            )
