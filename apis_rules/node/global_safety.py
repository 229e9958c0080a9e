"""The Grid Master's checks over all units (specification 12.1), after each collection of their data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from apis_rules.decide.decision import NO_STRIKES
from apis_rules.decide.outcomes import RaiseError
from apis_rules.decide.rule_files import GLOBAL_SAFETY
from apis_rules.ports.types import Level

if TYPE_CHECKING:
    from collections.abc import Iterable

    from apis_rules.decide.decision import Strikes
    from apis_rules.decide.reload import RulesInForce
    from apis_rules.node.board import Board
    from apis_rules.node.errors import Errors
    from apis_rules.node.neighbours import Neighbour
    from apis_rules.ports.types import Epoch

ACTIVE_AGE_S: Final = 2.5
"""A unit that may be active and whose reading is older is unaccounted for (as in ``MasterSettings``)."""


class GlobalSafety:
    """One Grid Master's checks. What a debounce remembers lasts for one term; a warning that stays is told once."""

    def __init__(self, board: Board, errors: Errors, rules: RulesInForce) -> None:
        self._board = board
        self._errors = errors
        self._rules = rules
        self.begin_term()

    def begin_term(self) -> None:
        """Forget what an earlier term has seen."""
        self._strikes: Strikes = NO_STRIKES
        self._warned: frozenset[tuple[str, str]] = frozenset()

    def look(self, units: Iterable[Neighbour], epoch: Epoch) -> None:
        """Check the readings that are young enough; raise what is wrong in the name of the term."""
        records = self._board.records
        deals, (grid, _) = [deal for deal, _ in records.deals().values()], records.grid()
        document = {
            "units": [u.data.to_document() for u in units if u.data is not None and self._young(u)],
            "deals": [deal.to_document() for deal in deals],
            "grid": grid.to_document(),
            "node": {"switching": grid.open_command is not None or any(d.open_command is not None for d in deals)},
        }
        decision = self._rules.decide(GLOBAL_SAFETY, document, self._board.clock.now_s(), self._strikes)
        self._strikes = decision.strikes
        warned = set()
        for hit in decision.hits:
            outcome = hit.outcome
            if not isinstance(outcome, RaiseError):
                raise TypeError(f"rule {hit.rule.id} of a safety question raises no error")
            if outcome.level is Level.WARN:
                warned.add((hit.rule.id, hit.message))
            if outcome.level is not Level.WARN or (hit.rule.id, hit.message) not in self._warned:
                self._errors.raise_found_by_master(hit.rule.id, outcome, hit.message, epoch)
        self._warned = frozenset(warned)
        for alarm in decision.alarms:
            self._errors.raise_event("engine_differs", alarm)

    def _young(self, unit: Neighbour) -> bool:
        policy = self._board.documents.policy
        idle_s = policy.grid_master.data_collection_period_s + 2 * policy.controller.data_acquisition_period_s
        active = unit.unit_id in self._board.records.active()[0].units
        return self._board.clock.now_s() - unit.read_at_s <= (ACTIVE_AGE_S if active else idle_s)
