"""``apis-rules choose``: which accept a unit takes, and why not the others."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from apis_rules.author.arguments import candidate_argument, object_argument, refuse, time_argument
from apis_rules.author.choice import document, judge, load_accepts, verdict_document
from apis_rules.author.formats import FORMATS
from apis_rules.author.inputs import add_inputs, finish, load_inputs
from apis_rules.author.table import format_table
from apis_rules.decide.choosing import Strategy
from apis_rules.decide.ruleset import Evaluator

if TYPE_CHECKING:
    import argparse

    from apis_rules.author.inputs import Inputs


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_inputs(parser)
    parser.add_argument("--request", metavar="JSON", required=True, help="the own request, or a file with it")
    parser.add_argument("--accepts", metavar="FILE", required=True, help="accepts as they arrived: JSON or JSON lines")
    parser.add_argument("--strategy", choices=[*map(str, Strategy)], help="instead of the scenario's")
    parser.add_argument("--at", metavar="TIME", help="time of day, for the scenario's strategy")
    parser.add_argument("--engine", choices=[*map(str, Evaluator)], default="durable", help="who evaluates the rules")
    parser.add_argument("--format", choices=FORMATS, default="table")
    parser.epilog = (
        "example:\n"
        '  apis-rules choose --strategy amount --request \'{"type": "charge", "unitId": "E001", "amountWh": 200}\' '
        "--accepts accepts.jsonl"
    )


def run(args: argparse.Namespace) -> int:
    """Choose, and print the verdicts."""
    request = candidate_argument("--request", object_argument("--request", args.request), unit_id="the requester")
    accepts = load_accepts(Path(args.accepts))
    inputs = load_inputs(args)
    strategy = Strategy(args.strategy) if args.strategy else _strategy(args, inputs)
    verdicts = judge(strategy, request, accepts, Evaluator(args.engine), inputs.limits)
    rows = [verdict_document(verdict) for verdict in verdicts]
    if args.format == "json":
        print(json.dumps(document(strategy, request, verdicts)))
    elif args.format == "jsonl":
        for row in rows:
            print(json.dumps(row))
    elif args.format == "csv":
        writer = csv.DictWriter(sys.stdout, ["unitId", "amountWh", "pointPerWh", "rank", "why"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    else:
        _print_table(document(strategy, request, verdicts), rows)
    return finish(inputs, strict=args.strict)


def _strategy(args: argparse.Namespace, inputs: Inputs) -> Strategy:
    if not args.scenario or not args.at:
        refuse("--strategy", "how accepts are chosen is not said", "--strategy amount, or --scenario FILE --at TIME")
    strategy = inputs.scenario.strategy_at(time_argument("--at", args.at))
    if strategy is None:
        refuse("--at", f"no window of {args.scenario} holds at {args.at}")
    return strategy


def _print_table(result: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    header = ["unit", "Wh", "points/Wh", "rank", "why"]
    print(format_table(header, [list(row.values()) for row in rows], right=(1, 2, 3)))
    taken = result["chosen"] or "none"
    deal = f", a deal of {result['dealAmountWh']} Wh" if result.get("dealAmountWh") else ""
    print(f"\nchosen by {result['strategy']}: {taken}{deal}")
