"""From the models of files to what decisions are made from; each part keeps its place in the file."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from apis_rules.decide.amounts import DealLimits
from apis_rules.decide.choosing import Strategy
from apis_rules.decide.scenario import Band, Offer, Scenario, Section
from apis_rules.decide.tree import NOWHERE
from apis_rules.ports.types.negotiation import Direction

if TYPE_CHECKING:
    from collections.abc import Mapping

    from apis_rules.documents.diagnostics import Location
    from apis_rules.documents.document import Document
    from apis_rules.documents.policy import Policy
    from apis_rules.documents.scenario import Offers as FileOffers
    from apis_rules.documents.scenario import Scenario as FileScenario


def declared_scenario(model: FileScenario, document: Document | None = None) -> Scenario:
    """Return the scenario of a file; *document* tells the places."""

    def place(*path: str) -> Location:
        return NOWHERE if document is None else document.key_location(path)

    def offers(kind: str, window: str, declared: Mapping[str, FileOffers]) -> dict[str, dict[Direction, Offer]]:
        return {
            status: {
                direction: Offer(
                    direction,
                    offer.limit_wh,
                    offer.point_per_wh,
                    offer.pair_unit_id,
                    place(window, kind, status, direction, "limitWh"),
                )
                for direction in Direction
                if (offer := getattr(both, direction)) is not None
            }
            for status, both in declared.items()
        }

    sections = []
    for text, window in model.windows.items():
        section = model.sections[text]
        bands = tuple(
            Band(
                band.status,
                -math.inf if band.lower_wh is None else band.lower_wh,
                math.inf if band.upper_wh is None else band.upper_wh,
                place(text, "batteryStatus", key),
            )
            for key, band in zip(section.battery_status, section.bands, strict=True)
        )
        sections.append(
            Section(
                window=text,
                from_s=window.start_s,
                to_s=window.end_s,
                bands=bands,
                requests=offers("request", text, section.request),
                accepts=offers("accept", text, section.accept),
                strategy=Strategy(model.strategy_of(section)),
                location=place(text),
            )
        )
    return Scenario(tuple(sections))


def deal_limits(policy: Policy) -> DealLimits:
    """Return what a policy says about the size of one deal."""
    deal = policy.mediator.deal
    return DealLimits(deal.amount_min_wh, deal.amount_max_wh, deal.amount_unit_wh)
