"""The rule files of a node, compiled with its policy and hwConfig, and the document that they are asked about."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final, Protocol

from apis_rules.decide.decision import Decider, compile_rules
from apis_rules.decide.rulefile import load_rules
from apis_rules.node.records import EPOCH
from apis_rules.resources import data_dir

if TYPE_CHECKING:
    from apis_rules.decide.decision import CompiledRules
    from apis_rules.decide.rulefile import RuleFile
    from apis_rules.node.board import Board
    from apis_rules.node.identity import Documents

REQUEST: Final = "request.yaml"
ACCEPT: Final = "accept.yaml"
LOCAL_SAFETY: Final = "local-safety.yaml"
GLOBAL_SAFETY: Final = "global-safety.yaml"
HARD_LIMITS: Final = "hard-limits.yaml"
REACTIONS: Final = "reactions.yaml"


class Troubles(Protocol):
    """What rules are told of errors."""

    @property
    def local_present(self) -> bool:
        """Whether this unit has an error, or had one within the sustaining time."""

    @property
    def community_sustaining(self) -> bool:
        """Whether the community has an error, or had one within the sustaining time."""


def compile_question(file: str, documents: Documents) -> CompiledRules:
    """Compile one of the node's rule files.

    Raises:
        InputError: it cannot be used.
    """
    constants = {"policy": documents.policy.to_document(), "hwConfig": documents.hw_config.to_document()}
    return compile_rules(_bundled(file), constants)


def open_question(file: str, documents: Documents) -> Decider:
    """Compile one of the node's rule files and put it into the engine.

    Raises:
        InputError: it cannot be used.
        Unsupported: durable-rules cannot be used on this machine.
    """
    return Decider(compile_question(file, documents))


@cache
def _bundled(file: str) -> RuleFile:
    """Return a rule file that comes with the program; it is read and checked once per process."""
    return load_rules(data_dir("rules") / file)


def describe(board: Board, errors: Troubles, **node: object) -> dict[str, Any]:
    """Return what rules are asked about: the unit's data, its deals, and what the node knows of itself.

    What *node* names is laid over; a reader that needs more than this asks for it there.
    """
    records, unit_id = board.records, board.identity.unit_id
    age_s = board.clock.now_s() - board.reading.read_at_s if board.reading else None
    return {
        "unit": board.unit_data().to_document(),
        "deals": [deal.to_document() for deal in records.deals_of(unit_id).values()],
        "grid": records.grid()[0].to_document(),
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
