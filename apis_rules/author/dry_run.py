"""A dry run: states in, decisions out, with one of three engines and in one of four formats."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from apis_rules.author.answers import NONE, Answers
from apis_rules.author.arguments import clock
from apis_rules.author.rows import PROPOSALS, Rows, plain
from apis_rules.author.table import format_table
from apis_rules.decide.scenario import Question
from apis_rules.ports.types.negotiation import Direction

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from apis_rules.author.states import States
    from apis_rules.decide.regions import Region
    from apis_rules.decide.scenario import ScenarioRule

TABLE_ROWS: Final = 200
"""A table is for people: what goes beyond is counted, not shown."""


@dataclass(frozen=True, slots=True)
class Block:
    """States with their answers."""

    states: States
    answers: Answers


def write_blocks(blocks: Iterable[Block], rows: Rows, form: str, out: BinaryIO) -> None:
    """Write decisions as ``json`` (one array), ``jsonl`` or ``csv``."""
    if form == "csv":
        header = True
        for block in blocks:
            out.write(rows.csv_block(block.states, block.answers, header=header))
            header = False
        return
    documents = (document for block in blocks for document in rows.documents(block.states, block.answers))
    if form == "jsonl":
        out.writelines(json.dumps(document, ensure_ascii=False).encode() + b"\n" for document in documents)
        return
    separator = b"[\n"
    for document in documents:
        out.write(separator + json.dumps(document, ensure_ascii=False).encode())
        separator = b",\n"
    out.write(b"[]\n" if separator == b"[\n" else b"\n]\n")


def describe(proposal: dict[str, Any] | None) -> str:
    """Write a request or accept for people."""
    if proposal is None:
        return "-"
    text = f"{proposal['type']} {proposal['amountWh']} Wh"
    if proposal["pointPerWh"] is not None:
        text += f" at {proposal['pointPerWh']}"
    if proposal["pairUnitId"] is not None:
        text += f" with {proposal['pairUnitId']}"
    if "offered" in proposal:
        deal = proposal["dealAmountWh"]
        text += f" -> deal {deal} Wh" if deal else " -> no deal"
    return text


def state_table(blocks: Iterable[Block], rows: Rows, nominal_wh: float) -> str:
    """Return the first states as a table, and how often each rule held in all of them."""
    shown: list[list[object]] = []
    rules: Counter[str] = Counter()
    total = 0
    for block in blocks:
        total += len(block.states)
        rules += rows.count(block.answers)
        documents = itertools.islice(rows.documents(block.states, block.answers), TABLE_ROWS - len(shown))
        shown += [_table_row(document, nominal_wh) for document in documents]
    named = any(row[0] is not None for row in shown)
    header = ["unit", "time", "Wh", "%", "status", "request", "accept by charging", "accept by discharging"]
    first = 0 if named else 1
    text = format_table(header[first:], [row[first:] for row in shown], right=(2 - first, 3 - first))
    if total > len(shown):
        text += f"\n... and {total - len(shown)} states more; --format csv or jsonl writes all"
    counted = "\n".join(f"{count:>{len(str(total))}}  {rule}" for rule, count in rules.most_common())
    return f"{text}\n\nrules that held, of {total} states:\n{counted or 'none'}"


def _table_row(document: dict[str, Any], nominal_wh: float) -> list[object]:
    remaining = document["remaining_wh"]
    percent = None if remaining is None else f"{100 * remaining / nominal_wh:.1f}"
    accept = document["accept"]
    return [
        document.get("unit_id"),
        document["time"],
        remaining,
        percent,
        document["status"],
        describe(document["request"]),
        describe(accept["charge"]),
        describe(accept["discharge"]),
    ]


def sweep_table(parts: Sequence[Region], corners: Answers, rules: Sequence[ScenarioRule], nominal_wh: float) -> str:
    """Return one line per region: a span of energy in a part of the day, with what holds throughout.

    Args:
        parts: the regions.
        corners: what an engine answered to the first state of each.
        rules: of the scenario.
        nominal_wh: what 100 % are.
    """
    table: list[list[object]] = []
    for row, region in enumerate(parts):
        held = {q: None if i[row] == NONE else rules[i[row]] for q, i in corners.rules.items()}
        status = held[Question.STATUS]
        low, high = region.energies.start, min(region.energies.end, int(nominal_wh))
        table.append(
            [
                ", ".join(f"{clock(span.start)}-{clock(span.end)}" for span in region.seconds),
                f"{low:.0f}-{high:.0f}",
                f"{100 * low / nominal_wh:.1f}-{100 * high / nominal_wh:.1f}",
                "none" if status is None else status.status,
                *(_describe_offer(held[question]) for question in PROPOSALS.values()),
            ]
        )
    header = ["time of day", "Wh", "%", "status", "request", "accept by charging", "accept by discharging"]
    return format_table(header, table, right=(1, 2))


def _describe_offer(rule: ScenarioRule | None) -> str:
    if rule is None or rule.offer is None:
        return "-"
    offer = rule.offer
    text = f"{offer.direction} {'up' if offer.direction is Direction.CHARGE else 'down'} to {offer.limit_wh} Wh"
    if offer.point_per_wh is not None:
        text += f" at {plain(offer.point_per_wh)}"
    return text if offer.pair_unit_id is None else f"{text} with {offer.pair_unit_id}"
