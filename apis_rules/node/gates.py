"""What stands before the scenario: ``rules/request.yaml``, ``accept.yaml`` and ``choose.yaml``, asked live."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from apis_rules.decide.outcomes import Decline as DeclineOutcome
from apis_rules.decide.rule_files import ACCEPT, CHOOSE, REQUEST
from apis_rules.node.questions import describe

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from apis_rules.decide.decision import Decision, Hit
    from apis_rules.decide.reload import RulesInForce
    from apis_rules.node.battery import Battery
    from apis_rules.node.board import Board
    from apis_rules.node.errors import Errors
    from apis_rules.node.mediator import Places
    from apis_rules.ports.types import Accept, DeclineReason, Request


@dataclass(frozen=True, slots=True)
class Closed:
    """A gate that is closed, and why."""

    reason: DeclineReason
    sentence: str


class Gates:
    """The gates of one unit."""

    def __init__(self, board: Board, errors: Errors, battery: Battery, rules: RulesInForce) -> None:
        self._board = board
        self._errors = errors
        self._battery = battery
        self._rules = rules

    def closed_for_request(self, places: Places, request: Mapping[str, Any]) -> Closed | None:
        """Return the first closed gate of an own request, None where it may be made."""
        return self._first(REQUEST, places, request, "request")

    def closed_for_accept(self, places: Places, request: Mapping[str, Any]) -> Closed | None:
        """Return the first closed gate of an answer to another unit's request."""
        return self._first(ACCEPT, places, request, "accept")

    def closed_for_outside(self, places: Places, request: Mapping[str, Any]) -> Closed | None:
        """Return the first closed gate of a part in a deal from outside; *request* is the other party's."""
        return self._first(ACCEPT, places, request, "deal", outside=True)

    def closed_for_choice(self, places: Places, request: Request, accepts: Sequence[Accept]) -> dict[str, Closed]:
        """Return the units whose accepts may not be taken, each with the first gate that is closed for it.

        Args:
            places: what is kept free, the place of the request itself left out.
            request: an own one.
            accepts: the answers to it.
        """
        offered = [accept.to_document() for accept in accepts]
        decision = self._ask(CHOOSE, places, "request", request=request.to_document(), accepts=offered)
        closed: dict[str, Closed] = {}
        for hit in decision.hits:
            for unit_id in (hit.element,) if hit.rule.for_each else (accept.unit_id for accept in accepts):
                closed.setdefault(unit_id, _closed(hit))
        return closed

    def _first(
        self, question: str, places: Places, request: Mapping[str, Any], permission: str, *, outside: bool = False
    ) -> Closed | None:
        first = self._ask(question, places, permission, outside=outside, request=request).first
        return None if first is None else _closed(first)

    def _ask(
        self, question: str, places: Places, permission: str, *, outside: bool = False, **about: object
    ) -> Decision:
        board = self._board
        document = describe(
            board,
            self._errors,
            ready=permission in board.allowed and board.reading_fresh and board.records.fresh,
            outside=outside,
            **self._battery.facts(),
        )
        # A place that is kept free counts as a deal of its direction.
        document["deals"] = document["deals"] + places.as_deals(board.identity.unit_id)
        document |= about
        decision = self._rules.decide(question, document, board.clock.now_s())
        for alarm in decision.alarms:
            self._errors.raise_event("engine_differs", alarm)
        return decision


def _closed(hit: Hit) -> Closed:
    outcome = hit.outcome
    if not isinstance(outcome, DeclineOutcome):
        raise TypeError(f"rule {hit.rule.id} of a gate does not decline")
    return Closed(outcome.reason, hit.message)
