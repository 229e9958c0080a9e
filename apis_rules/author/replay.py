"""Recorded decisions made once more: whether the same rules, or others, decide the same."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from apis_rules.author.arguments import time_of_day
from apis_rules.author.rows import plain
from apis_rules.decide.intent import Asker
from apis_rules.documents.diagnostics import Location
from apis_rules.documents.source import refusal
from apis_rules.ports.types.negotiation import Direction

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from apis_rules.decide.intent import CompiledScenario, Intent, Proposal

KEYS: Final = ("type", "amountWh", "pointPerWh", "pairUnitId")
"""What is compared of a request or accept."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """One recorded decision.

    Attributes:
        line: of the log.
        recorded, recomputed: what was and what would be requested or accepted; None: nothing.
        known: whether the record says what the scenario was asked with; otherwise nothing is recomputed.
    """

    line: int
    question: str
    time: str
    remaining_wh: int | None
    recorded: dict[str, Any] | None
    recomputed: dict[str, Any] | None
    known: bool

    @property
    def same(self) -> bool:
        """Whether both decide alike."""
        return self.recorded == self.recomputed


def replay(lines: Iterable[str], name: str, scenario: CompiledScenario) -> Iterator[Replayed]:
    """Recompute each request and accept of a decision log in JSON lines; other questions are passed over.

    Args:
        lines: of the log.
        name: of the log, for diagnostics.
        scenario: compiled with partners.

    Raises:
        InputError: AR303, a line is no JSON object.
    """
    for number, text in enumerate(lines, 1):
        if not text.strip():
            continue
        try:
            record = json.loads(text)
        except (ValueError, RecursionError):
            record = None
        if not isinstance(record, dict):
            raise refusal(Location(name, number, 1), "AR303", "this line is no JSON object", "one decision per line")
        if record.get("question") in ("request", "accept"):
            yield _replay(number, record, scenario)


def _replay(line: int, record: dict[str, Any], scenario: CompiledScenario) -> Replayed:
    question = str(record["question"])
    time, remaining_wh = record.get("time"), record.get("remainingWh")
    time_s = time_of_day(time) if isinstance(time, str) else None
    recorded = _compared(record.get(question))
    if time_s is None or not isinstance(remaining_wh, int):
        return Replayed(line, question, str(time), None, recorded, None, known=False)
    asked = record.get("asked") or {}
    asker = None
    if question == "accept":
        pair = asked.get("pairUnitId")
        asker = Asker(str(asked.get("unitId")), for_other=pair not in (None, record.get("unitId")))
    intent = scenario.decide_intent(time_s, remaining_wh, asker)
    made = intent.request if question == "request" else _accept(intent, asked)
    return Replayed(line, question, str(time), remaining_wh, recorded, _document(made), known=True)


def _accept(intent: Intent, asked: dict[str, Any]) -> Proposal | None:
    return next((intent.accepts.get(d) for d in Direction if d.opposite == asked.get("type")), None)


def _document(made: Proposal | None) -> dict[str, Any] | None:
    if made is None:
        return None
    offer = made.offer
    values = (str(offer.direction), made.amount_wh, plain(offer.point_per_wh), offer.pair_unit_id)
    return _compared(dict(zip(KEYS, values, strict=True)))


def _compared(document: Any) -> dict[str, Any] | None:
    """Return what is compared; a message leaves out what is None."""
    if not isinstance(document, dict):
        return None
    return {key: document[key] for key in KEYS if document.get(key) is not None}
