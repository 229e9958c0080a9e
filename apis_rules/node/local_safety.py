"""The safety floor of one unit: hard limits and local rules on every reading."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apis_rules.charts.unit import Faulted, Struck
from apis_rules.decide.decision import NO_STRIKES
from apis_rules.decide.outcomes import RaiseError
from apis_rules.decide.rule_files import HARD_LIMITS, LOCAL_SAFETY
from apis_rules.node.questions import describe

if TYPE_CHECKING:
    from apis_rules.charts.unit import Event
    from apis_rules.decide.decision import Hit, Strikes
    from apis_rules.decide.reload import RulesInForce
    from apis_rules.node.board import Board
    from apis_rules.node.errors import Errors


class LocalSafety:
    """One unit's local checks. What a debounce remembers stays here between readings."""

    def __init__(self, rules: RulesInForce) -> None:
        self._rules = rules
        # What a debounce has seen stays over an exchange of rules: files that change again and again delay no error.
        self._strikes: Strikes = NO_STRIKES

    def look(self, board: Board, errors: Errors, now_s: float, *, switching: bool) -> tuple[Event, ...]:
        """Check the reading that the board now shows; raise what is wrong, and return what the unit must know."""
        document = describe(board, errors, switching=switching)
        events: list[Event] = []
        limits = self._rules.decide(HARD_LIMITS, document, now_s)
        for hit in limits.hits:
            _raise(hit, errors)
            events.append(Faulted(hit.rule.id, hard=True))
        decision = self._rules.decide(LOCAL_SAFETY, document, now_s, self._strikes)
        self._strikes = decision.strikes
        for hit in decision.hits:
            _raise(hit, errors)
            if not hit.pending:
                events.append(Faulted(hit.rule.id, hard=False))
        if decision.wake_at_s is not None:
            events.append(Struck(decision.wake_at_s))
        for alarm in (*limits.alarms, *decision.alarms):
            errors.raise_event("engine_differs", alarm)
        return tuple(events)


def _raise(hit: Hit, errors: Errors) -> None:
    outcome = hit.outcome
    if not isinstance(outcome, RaiseError):
        raise TypeError(f"rule {hit.rule.id} of a safety question raises no error")
    errors.raise_found(hit.rule.id, outcome, hit.message, hit.element)
