"""Which of several accepts a requester takes (specification 6.3, ``acceptSelection.strategy``), and why not the others.

Whether an accept is eligible is a condition of the tree, so that each engine can be asked; the order among eligible
ones is sorting: the best price (with ``pointAndAmount``), then the largest amount, then who answered first. A missing
price makes a comparison false: under ``pointAndAmount`` neither an accept without a price nor any accept for a
requester without one is eligible.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from apis_rules.decide.ruleset import Ruleset, compile_ruleset
from apis_rules.decide.tree import All, Comparison, Condition, Constant, FactKind, Name, Operator
from apis_rules.ports.types.negotiation import Direction

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Strategy(enum.StrEnum):
    """How accepts are ordered."""

    AMOUNT = "amount"
    POINT_AND_AMOUNT = "pointAndAmount"


@dataclass(frozen=True, slots=True)
class Candidate:
    """An accept, or the request that it answers, reduced to what choosing looks at.

    Attributes:
        direction: the speaker's own; an accept's is the opposite of its request's.
        amount_wh: None where an accept names none; such an accept cannot be taken.
    """

    unit_id: str
    direction: Direction
    amount_wh: int | None
    point_per_wh: float | None = None
    pair_unit_id: str | None = None


ELIGIBLE: Final = "eligible"

FACTS: Final[Mapping[str, FactKind]] = {
    "amount_wh": FactKind.NUMBER,
    "point_per_wh": FactKind.NUMBER,
    "own_point_per_wh": FactKind.NUMBER,
    "opposite_direction": FactKind.FLAG,
    "wanted_partner": FactKind.FLAG,
}


def compile_choice(strategy: Strategy, own: Direction) -> Ruleset:
    """Return the ruleset with the one rule ``ELIGIBLE`` for a requester of direction *own*, over ``FACTS``."""
    parts = [_holds("opposite_direction"), _holds("wanted_partner")]
    if strategy is Strategy.AMOUNT:
        parts.append(Comparison(Name("amount_wh"), Operator.GT, Constant(0)))
    else:
        no_worse = Operator.LE if own is Direction.CHARGE else Operator.GE
        parts.append(Comparison(Name("amount_wh"), Operator.GE, Constant(0)))
        parts.append(Comparison(Name("point_per_wh"), no_worse, Name("own_point_per_wh")))
    return compile_ruleset("choose", [(ELIGIBLE, All(tuple(parts)))], FACTS)


def choice_facts(request: Candidate, accept: Candidate) -> dict[str, float | bool | None]:
    """Return the facts of one accept; a value that is not there is None."""
    return {
        "amount_wh": accept.amount_wh,
        "point_per_wh": accept.point_per_wh,
        "own_point_per_wh": request.point_per_wh,
        "opposite_direction": accept.direction is request.direction.opposite,
        "wanted_partner": request.pair_unit_id is None or accept.unit_id == request.pair_unit_id,
    }


def order_accepts(strategy: Strategy, accepts: Sequence[Candidate], eligible: Sequence[bool]) -> list[int]:
    """Return the indexes of the eligible accepts, best first.

    Args:
        strategy: of the section in effect.
        accepts: in the order in which they arrived; all of one direction.
        eligible: for each whether ``ELIGIBLE`` holds.
    """

    def rank(index: int) -> tuple[float, int]:
        accept = accepts[index]
        price = 0.0
        if strategy is Strategy.POINT_AND_AMOUNT and accept.point_per_wh is not None:
            # Who discharges sells: a buyer wants the lowest price, a seller the highest.
            price = accept.point_per_wh if accept.direction is Direction.DISCHARGE else -accept.point_per_wh
        return price, -(accept.amount_wh or 0)

    return sorted((i for i, may in enumerate(eligible) if may), key=rank)


def choose_accept(strategy: Strategy, request: Candidate, accepts: Sequence[Candidate]) -> int | None:
    """Return the index of the accept to take, or None, by the scalar evaluator."""
    ruleset = compile_choice(strategy, request.direction)
    eligible = [bool(ruleset.match(choice_facts(request, accept))) for accept in accepts]
    return next(iter(order_accepts(strategy, accepts, eligible)), None)


def _holds(flag: str) -> Condition:
    return Comparison(Name(flag), Operator.EQ, Constant(value=True))
