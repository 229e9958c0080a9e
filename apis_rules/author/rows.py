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
from apis_rules.ports.types.negotiation import DeclineReason, Direction

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import polars as pl
    from numpy.typing import NDArray

    from apis_rules.author.answers import Answers
    from apis_rules.author.gates import Gates
    from apis_rules.author.states import States
    from apis_rules.decide.amounts import DealLimits
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
    "declined": "declined",
    "dealAmountWh": "deal_amount_wh",
}
"""Key in JSON → end of the name of the column."""
_TOO_SMALL: Final = str(DeclineReason.TOO_SMALL)


def plain(number: float | None) -> float | int | None:
    """Write a whole price as a whole number, as files do."""
    return int(number) if number is not None and float(number).is_integer() else number


def describe_offer(offer: Offer) -> str:
    """Write what stands in a scenario for people."""
    text = f"{offer.direction} {'up' if offer.direction is Direction.CHARGE else 'down'} to {offer.limit_wh} Wh"
    if offer.point_per_wh is not None:
        text += f" at {plain(offer.point_per_wh)}"
    return text if offer.pair_unit_id is None else f"{text} with {offer.pair_unit_id}"


@dataclass(frozen=True, slots=True)
class Bounds:
    """What stands between a scenario's proposal and a deal.

    Attributes:
        nominal_wh: what 100 % are.
        gates: None where neither policy nor own rules were named: then nothing is said about offers.
        limits: of the policy; None without one: then nothing is said about deals.
        asked_wh: the amount of the request that accepts answer, where there is a certain one.
    """

    nominal_wh: float
    gates: Gates | None = None
    limits: DealLimits | None = None
    asked_wh: int | None = None


@dataclass(frozen=True, slots=True)
class _Column:
    """One kind of proposal over a block.

    Attributes:
        rules: per state an index into the scenario's rules, or ``NONE``.
        amounts: in Wh; without meaning where there is no rule.
        declined: index into *reasons*; 0, which is none, where it is offered.
        deals: the size of the deal with a partner that matches, 0 for none.
    """

    rules: NDArray[np.int16]
    amounts: NDArray[np.int64]
    declined: NDArray[np.int64]
    reasons: list[str | None]
    deals: NDArray[np.int64]


class Rows:
    """Turns blocks of answers into rows."""

    def __init__(self, rules: Sequence[ScenarioRule], bounds: Bounds) -> None:
        self._rules = rules
        self._bounds = bounds
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
        skipped = set() if bounds.gates else {"offered", "declined"}
        self._skipped = skipped if bounds.limits else {*skipped, "dealAmountWh"}

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
        declined = np.zeros(len(rules), dtype=np.int64)
        reasons: list[str | None] = [None]
        deals = declined
        gates, limits = self._bounds.gates, self._bounds.limits
        if gates is not None:
            for index in np.unique(rules[rules != NONE]):
                here = np.flatnonzero(rules == index)
                remaining = states.remaining_wh[here]
                closed = gates.closed(
                    self._rules[index],
                    {
                        "remaining_wh": remaining,
                        "rsoc_percent": 100 * remaining / self._bounds.nominal_wh,
                        "amount_wh": amounts[here],
                    },
                )
                # The gate numbered g of this rule is the reason numbered g + len(reasons); none, -1, becomes 0.
                declined[here] = np.where(closed.gates == NONE, 0, closed.gates + len(reasons))
                reasons += [rule.id for rule in closed.rules]
        if limits is not None:
            # The minimum holds for accepts as for requests, whatever the gates of accepts look at.
            small = (declined == 0) & (amounts < limits.amount_min_wh)
            declined[small] = len(reasons)
            reasons.append(_TOO_SMALL)
            asked = self._bounds.asked_wh if question is not Question.REQUEST else None
            deals = limits.deal_amounts_wh(amounts if asked is None else np.minimum(amounts, asked))
            deals = np.where(declined == 0, deals, 0)
        return _Column(rules, amounts, declined, reasons, deals)

    def _proposal(self, column: _Column, row: int) -> dict[str, Any] | None:
        rule = int(column.rules[row])
        if rule == NONE:
            return None
        reason = column.reasons[column.declined[row]]
        document = {
            "type": self._values["type"][rule],
            "amountWh": int(column.amounts[row]),
            "pointPerWh": self._values["pointPerWh"][rule],
            "pairUnitId": self._values["pairUnitId"][rule],
            "rule": self._values["rule"][rule],
            "offered": reason is None,
            "declined": reason,
            "dealAmountWh": int(column.deals[row]) or None,
        }
        return {key: value for key, value in document.items() if key not in self._skipped}

    def _names(self, states: States) -> list[str]:
        names = [] if states.unit_ids is None else ["unit_id"]
        names += ["time", "remaining_wh", "status"]
        for proposal in PROPOSALS:
            names += [f"{proposal}_{field}" for field in self._fields(proposal).values()]
        return names

    def _fields(self, proposal: str) -> dict[str, str]:
        skipped = self._skipped if proposal == "request" else {*self._skipped, "type"}
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
            _looked_up(self._values["status"], answers.rules[Question.STATUS]),
        ]
        for name, question in PROPOSALS.items():
            column = self._column(states, answers, question)
            made = column.rules != NONE
            series = {
                key: _looked_up(self._values[key], column.rules) for key in ("type", "pointPerWh", "pairUnitId", "rule")
            }
            series["amountWh"] = _known(column.amounts, made)
            series["offered"] = _known(column.declined == 0, made)
            series["declined"] = _looked_up(column.reasons, np.where(made, column.declined, 0))
            series["dealAmountWh"] = _known(column.deals, made & (column.deals > 0))
            columns += [series[key] for key in self._fields(name)]
        names = self._names(states)
        frame = pl.DataFrame([series.alias(name) for name, series in zip(names, columns, strict=True)])
        return frame.write_csv(include_header=header, time_format="%H:%M:%S").encode()


def _looked_up(values: Sequence[object], indexes: NDArray[Any]) -> pl.Series:
    """Return the text of the value at each index; ``NONE`` takes the last, which is None."""
    import polars as pl

    texts = pl.Series([None if v is None else str(v) for v in values], dtype=pl.String)
    return texts.gather(pl.Series(np.where(indexes == NONE, len(values) - 1, indexes)))


def _known(values: NDArray[Any], known: NDArray[np.bool_]) -> pl.Series:
    import polars as pl

    return pl.select(pl.when(pl.Series(known)).then(pl.Series(values))).to_series()


def _cell(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else value
