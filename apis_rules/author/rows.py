"""Answers as rows: JSON objects for programs, flat columns for tables of data."""

from __future__ import annotations

import csv
import io
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from apis_rules.author.answers import NONE
from apis_rules.author.states import UNKNOWN, fast
from apis_rules.decide.scenario import Question
from apis_rules.ports.types.negotiation import Direction

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import polars as pl
    from numpy.typing import NDArray

    from apis_rules.author.answers import Answers
    from apis_rules.author.states import States
    from apis_rules.decide.amounts import DealLimits
    from apis_rules.decide.intent import Intent, Proposal
    from apis_rules.decide.scenario import Offer, ScenarioRule

PROPOSALS: Final = {
    "request": Question.REQUEST,
    "accept_charge": Question.ACCEPT_CHARGE,
    "accept_discharge": Question.ACCEPT_DISCHARGE,
}
_FIELDS: Final = {
    "type": "type",
    "amountWh": "amount_wh",
    "pointPerWh": "point_per_wh",
    "pairUnitId": "pair_unit_id",
    "rule": "rule",
    "offered": "offered",
    "dealAmountWh": "deal_amount_wh",
}
"""Key in JSON → end of the name of the column."""


def plain(number: float | None) -> float | int | None:
    """Write a whole price as a whole number, as files do."""
    return int(number) if number is not None and float(number).is_integer() else number


@dataclass(frozen=True, slots=True)
class _Column:
    """One proposal's values over a block.

    Attributes:
        rules: per state an index into the scenario's rules, or ``NONE``.
        amounts: per state, in Wh; without meaning where there is no rule.
        deals: per state the size of the deal with a partner that matches, 0 for none; None without a policy.
    """

    rules: NDArray[np.int16]
    amounts: NDArray[np.int64]
    deals: NDArray[np.int64] | None


class Rows:
    """Turns blocks of answers into rows.

    Args:
        rules: of the scenario.
        limits: of the policy, which add ``offered`` and ``dealAmountWh``; None without one.
        asked_wh: the amount of the request that accepts answer, where there is a certain one.
    """

    def __init__(self, rules: Sequence[ScenarioRule], limits: DealLimits | None, asked_wh: int | None = None) -> None:
        self._rules = rules
        self._limits = limits
        self._asked_wh = asked_wh
        offers = [rule.offer for rule in rules]
        self._limit_wh = np.array([0 if o is None else o.limit_wh for o in offers] + [0], dtype=np.int64)
        self._sign = np.array([1 if o and o.direction is Direction.CHARGE else -1 for o in offers] + [0])
        self._values: dict[str, list[Any]] = {
            "type": [None if o is None else str(o.direction) for o in offers] + [None],
            "pointPerWh": [None if o is None else plain(o.point_per_wh) for o in offers] + [None],
            "pairUnitId": [None if o is None else o.pair_unit_id for o in offers] + [None],
            "rule": [rule.name for rule in rules] + [None],
            "status": [rule.status for rule in rules] + [None],
        }

    def documents(self, states: States, answers: Answers) -> Iterator[dict[str, Any]]:
        """Yield one object per state, in the form of ``--format jsonl``."""
        columns = {name: self._column(states, answers, question) for name, question in PROPOSALS.items()}
        statuses = answers.rules[Question.STATUS].tolist()
        remaining = states.remaining_wh.tolist()
        for row, status in enumerate(statuses):
            document: dict[str, Any] = {} if states.unit_ids is None else {"unit_id": states.unit_ids[row]}
            document |= {
                "time": states.time(row),
                "remaining_wh": None if remaining[row] == UNKNOWN else remaining[row],
                "status": self._values["status"][status],
                "request": self._proposal(columns["request"], row),
                "accept": {
                    "charge": self._proposal(columns["accept_charge"], row),
                    "discharge": self._proposal(columns["accept_discharge"], row),
                },
            }
            yield document

    def intent_document(self, intent: Intent) -> dict[str, Any]:
        """Return one decision in the form of ``documents``, without its state."""
        accepts = {str(direction): intent.accepts.get(direction) for direction in Direction}
        return {
            "status": intent.status,
            "request": self._made(intent.request),
            "accept": {direction: self._made(proposal) for direction, proposal in accepts.items()},
        }

    def _made(self, proposal: Proposal | None) -> dict[str, Any] | None:
        if proposal is None:
            return None
        amount = proposal.amount_wh
        deal = None if self._limits is None else self._limits.deal_amount_wh(amount, amount)
        return self._document(proposal.offer, amount, proposal.rule, deal)

    def _document(self, offer: Offer, amount_wh: int, rule: str, deal_wh: int | None) -> dict[str, Any]:
        document: dict[str, Any] = {
            "type": str(offer.direction),
            "amountWh": amount_wh,
            "pointPerWh": plain(offer.point_per_wh),
            "pairUnitId": offer.pair_unit_id,
            "rule": rule,
        }
        if self._limits is not None:
            document |= {"offered": self._limits.offers(amount_wh), "dealAmountWh": deal_wh}
        return document

    def count(self, answers: Answers) -> Counter[str]:
        """Return how often each rule holds in a block."""
        found: Counter[str] = Counter()
        for indexes in answers.rules.values():
            for index, times in zip(*np.unique(indexes, return_counts=True), strict=True):
                if index != NONE:
                    found[self._rules[index].name] += int(times)
        return found

    def csv_block(self, states: States, answers: Answers, *, header: bool) -> bytes:
        """Return the lines of ``--format csv`` for a block, with the line of names before them where *header*."""
        return self._fast_csv(states, answers, header=header) if fast() else self._csv(states, answers, header=header)

    def _column(self, states: States, answers: Answers, question: Question) -> _Column:
        rules = answers.rules[question]
        amounts = self._sign[rules] * (self._limit_wh[rules] - states.remaining_wh)
        deals = None
        if self._limits is not None:
            asked = self._asked_wh if question is not Question.REQUEST else None
            deals = self._limits.deal_amounts_wh(amounts if asked is None else np.minimum(amounts, asked))
        return _Column(rules, amounts, deals)

    def _proposal(self, column: _Column, row: int) -> dict[str, Any] | None:
        rule = self._rules[column.rules[row]]
        if column.rules[row] == NONE or rule.offer is None:
            return None
        deal = None if column.deals is None else int(column.deals[row]) or None
        return self._document(rule.offer, int(column.amounts[row]), rule.name, deal)

    def _names(self, states: States) -> list[str]:
        names = [] if states.unit_ids is None else ["unit_id"]
        names += ["time", "remaining_wh", "status"]
        for proposal in PROPOSALS:
            names += [f"{proposal}_{field}" for field in self._fields(proposal).values()]
        return names

    def _fields(self, proposal: str) -> dict[str, str]:
        skipped = set() if self._limits is not None else {"offered", "dealAmountWh"}
        if proposal != "request":
            skipped.add("type")
        return {key: field for key, field in _FIELDS.items() if key not in skipped}

    def _csv(self, states: States, answers: Answers, *, header: bool) -> bytes:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        if header:
            writer.writerow(self._names(states))
        for document in self.documents(states, answers):
            accept = document.pop("accept")
            proposals = document.pop("request"), accept["charge"], accept["discharge"]
            row = list(document.values())
            for name, proposal in zip(PROPOSALS, proposals, strict=True):
                row += [_cell((proposal or {}).get(key)) for key in self._fields(name)]
            writer.writerow(row)
        return text.getvalue().encode()

    def _fast_csv(self, states: States, answers: Answers, *, header: bool) -> bytes:
        import polars as pl

        nanoseconds = pl.Series(states.time_s).cast(pl.Int64) * 1_000_000_000
        columns: list[pl.Series] = [] if states.unit_ids is None else [pl.Series(states.unit_ids)]
        columns += [
            nanoseconds.cast(pl.Time),
            _known(states.remaining_wh, states.remaining_wh != UNKNOWN),
            self._looked_up("status", answers.rules[Question.STATUS]),
        ]
        for name, question in PROPOSALS.items():
            column = self._column(states, answers, question)
            made = column.rules != NONE
            series = {key: self._looked_up(key, column.rules) for key in ("type", "pointPerWh", "pairUnitId", "rule")}
            series["amountWh"] = _known(column.amounts, made)
            if self._limits is not None and column.deals is not None:
                series["offered"] = _known(column.amounts >= self._limits.amount_min_wh, made)
                series["dealAmountWh"] = _known(column.deals, made & (column.deals > 0))
            columns += [series[key] for key in self._fields(name)]
        names = self._names(states)
        frame = pl.DataFrame([series.alias(name) for name, series in zip(names, columns, strict=True)])
        return frame.write_csv(include_header=header, time_format="%H:%M:%S").encode()

    def _looked_up(self, key: str, rules: NDArray[np.int16]) -> pl.Series:
        import polars as pl

        values = [None if v is None else str(v) for v in self._values[key]]
        return pl.Series(values, dtype=pl.String).gather(pl.Series(np.where(rules == NONE, len(values) - 1, rules)))


def _known(values: NDArray[Any], known: NDArray[np.bool_]) -> pl.Series:
    import polars as pl

    return pl.select(pl.when(pl.Series(known)).then(pl.Series(values))).to_series()


def _cell(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else value
