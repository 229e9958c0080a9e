"""What a unit decides, written down: for the decision log that can be made again, and for the action log.

Kept is a decision with an effect (a deal, a place kept free) or one that differs from the last of its kind; the same
answer to the same question, given every few seconds, is kept once.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from apis_rules.ports.types import Accept
from apis_rules.ports.types.model import FORMAT

if TYPE_CHECKING:
    from apis_rules.decide.choosing import Strategy
    from apis_rules.decide.intent import Proposal
    from apis_rules.node.mediator import Negotiated
    from apis_rules.ports.decisions import DecisionLog
    from apis_rules.ports.types import Decline, Request

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a decision was made from.

    Attributes:
        time: the unit clock, as records have it; empty where it is not known.
        rules: hash of the scenario.
    """

    time: str
    remaining_wh: int | None
    rules: str


class Diary:
    """One unit's diary.

    Args:
        decisions: None where no decisions are kept.
    """

    def __init__(self, unit_id: str, decisions: DecisionLog | None) -> None:
        self._unit_id = unit_id
        self._decisions = decisions
        self._last: dict[tuple[str, ...], object] = {}

    def asks(self, request: Request) -> None:
        """Write down that a request goes out."""
        log.debug(
            "request %s: %s of %d Wh at %s/Wh",
            request.negotiation_id, request.type, request.amount_wh, _price(request.point_per_wh),
        )  # fmt: skip

    def asked_nothing(self, seen: Seen, reason: str) -> None:
        """Write down that the scenario asks for nothing."""
        if self._is_new(("request",), reason):
            log.info("asks for nothing: %s", reason)
            self._keep("request", seen, {"rule": None, "request": None, "dealId": None, "reason": reason})

    def asked(self, seen: Seen, rule: str, request: Request, negotiated: Negotiated, strategy: Strategy) -> None:
        """Write down a request and what became of it."""
        new = self._is_new(("request",), (rule, negotiated.reason))
        if negotiated.deal_id is None and not new:
            return
        log.info(
            "request %s: %s of %d Wh at %s/Wh by %s: %s",
            request.negotiation_id, request.type, request.amount_wh, _price(request.point_per_wh), rule,
            f"deal {negotiated.deal_id}" if negotiated.deal_id else negotiated.reason,
        )  # fmt: skip
        chosen = negotiated.chosen
        self._keep(
            "request",
            seen,
            {
                "rule": rule,
                "request": request.to_document(),
                "dealId": negotiated.deal_id,
                "reason": negotiated.reason,
                "strategy": str(strategy) if negotiated.accepts else None,
                "chosen": chosen.unit_id if chosen else None,
                "accepts": [
                    {"unitId": a.unit_id, "amountWh": a.amount_wh, "pointPerWh": a.point_per_wh}
                    for a in negotiated.accepts
                ],
                "declines": {d.unit_id: str(d.reason) for d in negotiated.declines},
            },
        )

    def answered(self, seen: Seen, asked: Request, proposal: Proposal | None, answer: Accept | Decline) -> None:
        """Write down what the scenario answers to another unit's request."""
        accepted = isinstance(answer, Accept)
        rule = proposal.rule if proposal else None
        new = self._is_new(("accept", asked.unit_id, asked.type, str(asked.pair_unit_id)), (rule, accepted))
        level = logging.INFO if accepted else logging.DEBUG
        outcome = f"accepted by {rule}" if accepted else f"declined: {getattr(answer, 'reason', '')}"
        log.log(
            level,
            "request %s of %s: %s of %d Wh at %s/Wh: %s",
            asked.negotiation_id, asked.unit_id, asked.type, asked.amount_wh, _price(asked.point_per_wh), outcome,
        )  # fmt: skip
        if accepted or new:
            self._keep(
                "accept",
                seen,
                {
                    "rule": rule,
                    "negotiationId": asked.negotiation_id,
                    "asked": asked.to_document(),
                    "accept": _document(proposal),
                    "reason": "" if accepted else str(getattr(answer, "reason", "")),
                },
            )

    def _is_new(self, kind: tuple[str, ...], outcome: object) -> bool:
        """Return whether the last decision of this kind came out otherwise."""
        before = self._last.get(kind)
        self._last[kind] = outcome
        return before != outcome

    def _keep(self, question: str, seen: Seen, decision: dict[str, Any]) -> None:
        if self._decisions is None:
            return
        made_from = {"time": seen.time, "remainingWh": seen.remaining_wh, "rules": seen.rules}
        self._decisions.record(
            {"format": FORMAT, "question": question, "unitId": self._unit_id, **made_from, **decision}
        )


def _document(proposal: Proposal | None) -> dict[str, Any] | None:
    if proposal is None:
        return None
    offer = proposal.offer
    return {
        "type": str(offer.direction),
        "amountWh": proposal.amount_wh,
        "pointPerWh": offer.point_per_wh,
        "pairUnitId": offer.pair_unit_id,
    }


def _price(point_per_wh: float | None) -> str:
    return "no price" if point_per_wh is None else f"{point_per_wh:g}"
