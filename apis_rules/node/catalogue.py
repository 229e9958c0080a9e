"""The errors that the program raises by name (``rules/errors.yaml``), and what is done about any error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apis_rules.decide.outcomes import React
from apis_rules.decide.rule_files import REACTIONS

if TYPE_CHECKING:
    from apis_rules.decide.error_catalogue import CataloguedError
    from apis_rules.decide.outcomes import Action
    from apis_rules.decide.reload import RulesInForce
    from apis_rules.node.identity import Documents
    from apis_rules.ports.types import ErrorEvent


class Catalogue:
    """What errors are called, and the table of reactions, asked live."""

    def __init__(self, documents: Documents, rules: RulesInForce) -> None:
        self._documents = documents
        self._rules = rules

    def entry(self, name: str) -> CataloguedError:
        """Return the error called *name*. Raises ``KeyError``: a name that no file declares is a mistake here."""
        return self._documents.rules.errors[name]

    def reactions(self, event: ErrorEvent) -> tuple[Action, ...]:
        """Return what is done about an event, in order; nothing for a warning."""
        hit = self._rules.decide(REACTIONS, {"event": event.to_document()}, 0.0).first
        outcome = hit.outcome if hit else None
        return outcome.actions if isinstance(outcome, React) else ()
