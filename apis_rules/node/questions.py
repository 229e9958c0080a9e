"""The rules of a node, compiled with its policy and hwConfig, and the document that they are asked about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from apis_rules.decide.reload import RulesInForce, RuleSources
from apis_rules.decide.rule_files import ASKED
from apis_rules.errors import InputError
from apis_rules.node.records import EPOCH

if TYPE_CHECKING:
    from apis_rules.node.board import Board
    from apis_rules.node.identity import Documents


class Troubles(Protocol):
    """What rules are told of errors."""

    @property
    def local_present(self) -> bool:
        """Whether this unit has an error, or had one within the sustaining time."""

    @property
    def community_sustaining(self) -> bool:
        """Whether the community has an error, or had one within the sustaining time."""


def rule_sources(documents: Documents) -> RuleSources:
    """Return everything that decides what the rules of a node are."""
    constants = {"policy": documents.policy.to_document(), "hwConfig": documents.hw_config.to_document()}
    return RuleSources({question: documents.rules.questions[question] for question in ASKED}, constants)


def open_rules(documents: Documents) -> RulesInForce:
    """Put the rules of a node in force at its start. Own files are tried out in child processes first.

    Raises:
        InputError: they cannot be used.
        Unsupported: durable-rules cannot be used on this machine.
    """
    rules = RulesInForce()
    opened = rules.put(rule_sources(documents), trial=bool(documents.rules.own))
    if not opened.accepted:
        raise InputError(opened.findings)
    return rules


def describe(board: Board, errors: Troubles, **node: object) -> dict[str, Any]:
    """Return what rules are asked about: the unit's data, its deals, and what the node knows of itself.

    What *node* names is laid over; a reader that needs more than this asks for it there.
    """
    records, unit_id = board.records, board.identity.unit_id
    age_s = board.clock.now_s() - board.reading.read_at_s if board.reading else None
    return {
        **board.describe(),
        "node": {
            "dealsKnown": records.fresh,
            "readingAgeS": age_s,
            "draining": board.draining,
            "excluded": records.lock(unit_id).exclusion is not None,
            "hasMaster": records.entry(EPOCH).value is not None and records.fresh,
            "mode": str(board.effective_mode),
            "communityMode": str(board.community_mode),
            "localMode": str(board.local_mode) if board.local_mode else None,
            "localErrors": errors.local_present,
            "communityErrors": errors.community_sustaining,
            **node,
        },
    }
