"""Choosing among accepts with one of three engines, and the reason for each that was not taken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from apis_rules.author.answers import open_match
from apis_rules.author.arguments import EXAMPLE, candidate_argument, read_json, refuse
from apis_rules.author.rows import plain
from apis_rules.decide.choosing import ELIGIBLE, Candidate, Strategy, choice_facts, compile_choice, order_accepts
from apis_rules.decide.ruleset import Evaluator, Ruleset
from apis_rules.documents.diagnostics import Location
from apis_rules.documents.source import read_text
from apis_rules.ports.types.negotiation import Direction

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from apis_rules.decide.amounts import DealLimits


@dataclass(frozen=True, slots=True)
class Verdict:
    """One accept, as it was judged.

    Attributes:
        rank: 1 for the one that is taken; None where it may not be taken.
        why: one sentence.
        deal_wh: the size of the deal that it would make; None without a policy, or where there is none.
    """

    accept: Candidate
    rank: int | None
    why: str
    deal_wh: int | None


def load_accepts(path: Path) -> list[Candidate]:
    """Read accepts in the order in which they arrived: a JSON array, or one object per line.

    Raises:
        InputError: it cannot be read, or is something else.
    """
    text = read_text(path)
    top = Location(str(path), 1, 1)
    if text.lstrip().startswith("["):
        found = [(top, value) for value in read_json(top, text)]
    else:
        lines = [(Location(str(path), at, 1), line) for at, line in enumerate(text.split("\n"), 1) if line.strip()]
        found = [(place, read_json(place, line)) for place, line in lines]
    for place, value in found:
        if not isinstance(value, dict):
            refuse(place, f"{value!r} is no accept", EXAMPLE)
    return [candidate_argument(place, value) for place, value in found]


def judge(
    strategy: Strategy,
    request: Candidate,
    accepts: Sequence[Candidate],
    evaluator: Evaluator,
    limits: DealLimits | None = None,
) -> list[Verdict]:
    """Judge each accept; with *limits*, one that makes no deal may not be taken."""
    ruleset = compile_choice(strategy, request.direction)
    eligible = _eligible(ruleset, request, accepts, evaluator)
    deals = [_deal(request, accept, limits) for accept in accepts]
    allowed = [may and (limits is None or deal is not None) for may, deal in zip(eligible, deals, strict=True)]
    order = order_accepts(strategy, accepts, allowed)
    verdicts = []
    for index, accept in enumerate(accepts):
        if not eligible[index]:
            why = _why_not(request, accept)
        elif not allowed[index]:
            why = "the deal would stay below the policy's minimum"
        else:
            why = "taken" if index == order[0] else _why_behind(strategy, accepts[order[0]], accept)
        rank = order.index(index) + 1 if allowed[index] else None
        verdicts.append(Verdict(accept, rank, why, deals[index]))
    return verdicts


def document(strategy: Strategy, request: Candidate, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Return what ``--format json`` prints."""
    taken = next((verdict for verdict in verdicts if verdict.rank == 1), None)
    result: dict[str, Any] = {"chosen": None if taken is None else taken.accept.unit_id, "strategy": str(strategy)}
    if taken is not None:
        # The deal's price is the charging side's offer.
        buyer = request if request.direction is Direction.CHARGE else taken.accept
        result |= {"dealPointPerWh": plain(buyer.point_per_wh), "dealAmountWh": taken.deal_wh}
    result["accepts"] = [verdict_document(verdict) for verdict in verdicts]
    return result


def verdict_document(verdict: Verdict) -> dict[str, Any]:
    """Return one accept and its verdict as plain values."""
    return {
        "unitId": verdict.accept.unit_id,
        "amountWh": verdict.accept.amount_wh,
        "pointPerWh": plain(verdict.accept.point_per_wh),
        "rank": verdict.rank,
        "why": verdict.why,
    }


def _eligible(ruleset: Ruleset, request: Candidate, accepts: Sequence[Candidate], evaluator: Evaluator) -> list[bool]:
    facts = [choice_facts(request, accept) for accept in accepts]
    if evaluator is Evaluator.VECTOR:
        names = ruleset.kinds
        columns = {name: np.array([np.nan if f[name] is None else f[name] for f in facts]) for name in names}
        return [bool(held) for held in ruleset.masks(columns, len(facts))[ELIGIBLE]]
    with open_match(ruleset, evaluator) as match:
        return [bool(match(fact)) for fact in facts]


def _deal(request: Candidate, accept: Candidate, limits: DealLimits | None) -> int | None:
    if limits is None or request.amount_wh is None or accept.amount_wh is None:
        return None
    return limits.deal_amount_wh(request.amount_wh, accept.amount_wh)


def _why_not(request: Candidate, accept: Candidate) -> str:
    if accept.direction is request.direction:
        return f"it would {accept.direction} as well"
    if request.pair_unit_id not in (None, accept.unit_id):
        return f"only {request.pair_unit_id} is wanted"
    if accept.amount_wh is None or accept.amount_wh <= 0:
        return "it offers no energy"
    if request.point_per_wh is None:
        return "the request names no price"
    if accept.point_per_wh is None:
        return "it names no price"
    side = "above" if request.direction is Direction.CHARGE else "below"
    return f"its price of {plain(accept.point_per_wh)} is {side} the own {plain(request.point_per_wh)}"


def _why_behind(strategy: Strategy, best: Candidate, accept: Candidate) -> str:
    if strategy is Strategy.POINT_AND_AMOUNT and accept.point_per_wh != best.point_per_wh:
        return f"{best.unit_id} has the better price"
    return f"{best.unit_id} offers more" if accept.amount_wh != best.amount_wh else f"{best.unit_id} answered first"
