"""Answers as rows: JSON objects for programs, flat columns for tables of data."""

from __future__ import annotations

import csv
import io
from collections import Counter
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from apis_rules.author.answers import NONE
from apis_rules.author.arguments import clock
from apis_rules.author.states import UNKNOWN, fast
from apis_rules.decide.columns import deal_amounts_wh
from apis_rules.decide.scenario import DAY_S, Question
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

    _Series: TypeAlias = "_Lookup | _Numbers"

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


@cache
def _clocks() -> list[str]:
    return [clock(second) for second in range(DAY_S)]


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
        columns = dict(self._columns(states, answers))
        return _fast_csv(columns, header=header) if fast() else _plain_csv(columns, header=header)

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
            deals = deal_amounts_wh(limits, amounts if asked is None else np.minimum(amounts, asked))
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

    def _columns(self, states: States, answers: Answers) -> Iterator[tuple[str, _Series]]:
        if states.unit_ids is not None:
            yield "unit_id", _Lookup([*states.unit_ids, None], np.arange(len(states)))
        # Every second of the day has its text once; a column of states is an index into them.
        yield "time", _Lookup(_clocks(), states.time_s)
        yield "remaining_wh", _Numbers(states.remaining_wh, states.remaining_wh != UNKNOWN)
        yield "status", _Lookup(self._values["status"], answers.rules[Question.STATUS])
        for name, question in PROPOSALS.items():
            column = self._column(states, answers, question)
            made = column.rules != NONE
            series: dict[str, _Series] = {
                key: _Lookup(self._values[key], column.rules) for key in ("type", "pointPerWh", "pairUnitId", "rule")
            }
            series["amountWh"] = _Numbers(column.amounts, made)
            series["offered"] = _Lookup(["false", "true", None], np.where(made, column.declined == 0, NONE))
            series["declined"] = _Lookup([*column.reasons, None], np.where(made, column.declined, NONE))
            series["dealAmountWh"] = _Numbers(column.deals, made & (column.deals > 0))
            skipped = self._skipped if name == "request" else {*self._skipped, "type"}
            for key, field in _FIELDS.items():
                if key not in skipped:
                    yield f"{name}_{field}", series[key]


@dataclass(frozen=True, slots=True)
class _Lookup:
    """A column of texts: indexes into *values*, of which the last, for ``NONE``, is None."""

    values: Sequence[object]
    indexes: NDArray[Any]

    def plain(self) -> list[object]:
        return [self.values[i] for i in self.indexes.tolist()]

    def fast(self) -> pl.Series:
        import polars as pl

        texts = pl.Series([None if v is None else str(v) for v in self.values], dtype=pl.String)
        return texts.gather(pl.Series(np.where(self.indexes == NONE, len(self.values) - 1, self.indexes)))


@dataclass(frozen=True, slots=True)
class _Numbers:
    """A column of whole numbers, empty where they are not *known*."""

    values: NDArray[np.int64]
    known: NDArray[np.bool_]

    def plain(self) -> list[object]:
        return [v if known else None for v, known in zip(self.values.tolist(), self.known.tolist(), strict=True)]

    def fast(self) -> pl.Series:
        import polars as pl

        return pl.select(pl.when(pl.Series(self.known)).then(pl.Series(self.values))).to_series()


def _plain_csv(columns: dict[str, _Series], *, header: bool) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if header:
        writer.writerow(columns)
    writer.writerows(zip(*(series.plain() for series in columns.values()), strict=True))
    return text.getvalue().encode()


def _fast_csv(columns: dict[str, _Series], *, header: bool) -> bytes:
    import polars as pl

    return pl.DataFrame({name: s.fast() for name, s in columns.items()}).write_csv(include_header=header).encode()
