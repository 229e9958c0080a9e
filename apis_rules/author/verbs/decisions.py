"""How ``dry-run`` prints decisions: tables for people, and the three formats for programs."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from apis_rules.author.answers import NONE, Answers
from apis_rules.author.arguments import clock
from apis_rules.author.rows import PROPOSALS, Rows, describe_offer
from apis_rules.author.verbs.output import print_rows
from apis_rules.decide.scenario import Question

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from apis_rules.author.states import States
    from apis_rules.decide.regions import Region
    from apis_rules.decide.scenario import ScenarioRule

TABLE_ROWS: Final = 200
"""A table is for people: what goes beyond is counted, not shown."""

_PROPOSAL_COLUMNS: Final = ("request", "accept by charging", "accept by discharging")
_STATE_COLUMNS: Final = ("unit", "time", "Wh", "%", "status", *_PROPOSAL_COLUMNS)
_WHY_COLUMNS: Final = ("why this request", "why this charge", "why this discharge")
_SWEEP_COLUMNS: Final = ("time of day", "Wh", "%", "status", *_PROPOSAL_COLUMNS)


@dataclass(frozen=True, slots=True)
class Block:
    """States with their answers."""

    states: States
    answers: Answers


@dataclass(frozen=True, slots=True)
class Printer:
    """Prints decisions.

    Attributes:
        explain: gives the sentences of one state, for ``--explain``; None without.
    """

    rows: Rows
    nominal_wh: float
    explain: Callable[[int, int | None], dict[str, str]] | None = None

    def _documents(self, block: Block) -> Iterator[dict[str, Any]]:
        states = block.states
        for row, document in enumerate(self.rows.documents(states, block.answers)):
            if self.explain is not None:
                document["why"] = self.explain(int(states.time_s[row]), document["remaining_wh"])
            yield document

    def write(self, blocks: Iterable[Block], form: str, out: BinaryIO) -> None:
        """Write decisions as ``json`` (one array), ``jsonl`` or ``csv``."""
        if form == "csv":
            out.writelines(
                self.rows.csv_block(block.states, block.answers, header=number == 0)
                for number, block in enumerate(blocks)
            )
            return
        texts = (json.dumps(d, ensure_ascii=False) for block in blocks for d in self._documents(block))
        if form == "jsonl":
            out.writelines(f"{text}\n".encode() for text in texts)
            return
        separator = "[\n"
        for text in texts:
            out.write(f"{separator}{text}".encode())
            separator = ",\n"
        out.write(b"\n]\n")

    def print(self, blocks: Iterable[Block]) -> None:
        """Print the first states as a table, and how often each rule held in all of them."""
        shown: list[dict[str, Any]] = []
        held: Counter[str] = Counter()
        total = 0
        for block in blocks:
            total += len(block.states)
            held += self.rows.count(block.answers)
            documents = itertools.islice(self._documents(block), TABLE_ROWS - len(shown))
            shown += [_table_row(document, self.nominal_wh) for document in documents]
        named = any(row["unit"] for row in shown)
        columns = _STATE_COLUMNS if named else _STATE_COLUMNS[1:]
        print_rows(shown, columns if self.explain is None else (*columns, *_WHY_COLUMNS), "table")
        if total > len(shown):
            print(f"... and {total - len(shown)} states more; --format csv or jsonl writes all of them\n")
        counts = [{"states": times, "rule": rule} for rule, times in held.most_common()]
        print_rows(counts, ["states", "rule"], "table")
        print(f"{total} states")


def describe(proposal: dict[str, Any] | None) -> str:
    """Write a request or accept for people."""
    if proposal is None:
        return "-"
    text = f"{proposal['type']} {proposal['amountWh']} Wh"
    if proposal["pointPerWh"] is not None:
        text += f" at {proposal['pointPerWh']}"
    if proposal["pairUnitId"] is not None:
        text += f" with {proposal['pairUnitId']}"
    if proposal.get("declined") is not None:
        return f"{text}, not offered: {proposal['declined']}"
    if "dealAmountWh" in proposal:
        deal = proposal["dealAmountWh"]
        text += f", a deal of {deal} Wh" if deal else ", no deal"
    return text


def _table_row(document: dict[str, Any], nominal_wh: float) -> dict[str, Any]:
    remaining, accept = document["remaining_wh"], document["accept"]
    cells = [
        document.get("unit_id"),
        document["time"],
        remaining,
        None if remaining is None else f"{100 * remaining / nominal_wh:.1f}",
        document["status"],
        *(describe(proposal) for proposal in (document["request"], accept["charge"], accept["discharge"])),
    ]
    row = dict(zip(_STATE_COLUMNS, cells, strict=True))
    why = document.get("why", {})
    return row | {column: why.get(key) for column, key in zip(_WHY_COLUMNS, PROPOSALS, strict=True)}


def print_sweep(parts: Sequence[Region], corners: Answers, rules: Sequence[ScenarioRule], nominal_wh: float) -> None:
    """Print one line per region: a span of energy in a part of the day, with what holds throughout.

    Args:
        parts: the regions.
        corners: what an engine answered to the first state of each.
        rules: of the scenario.
        nominal_wh: what 100 % are.
    """
    table: list[dict[str, Any]] = []
    for row, region in enumerate(parts):
        held = {q: None if i[row] == NONE else rules[i[row]] for q, i in corners.rules.items()}
        status = held[Question.STATUS]
        low, high = region.energies.start, min(region.energies.end, int(nominal_wh))
        cells = [
            ", ".join(f"{clock(span.start)}-{clock(span.end)}" for span in region.seconds),
            f"{low:.0f}-{high:.0f}",
            f"{100 * low / nominal_wh:.1f}-{100 * high / nominal_wh:.1f}",
            "none" if status is None else status.status,
            *(_offered(held[question]) for question in PROPOSALS.values()),
        ]
        table.append(dict(zip(_SWEEP_COLUMNS, cells, strict=True)))
    print_rows(table, _SWEEP_COLUMNS, "table")


def _offered(rule: ScenarioRule | None) -> str:
    return "-" if rule is None or rule.offer is None else describe_offer(rule.offer)
