"""``apis-rules choose``: which accept a unit takes, and why not the others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from apis_rules.author.arguments import candidate_argument, object_argument, refuse, time_argument
from apis_rules.author.choice import document, judge, load_accepts
from apis_rules.author.inputs import add_scenario_and_policy, finish
from apis_rules.author.verbs.output import add_format, print_rows
from apis_rules.decide.choosing import Strategy
from apis_rules.decide.declared import deal_limits, declared_scenario
from apis_rules.decide.ruleset import Evaluator
from apis_rules.documents.reading import load_policy, load_scenario

if TYPE_CHECKING:
    import argparse

    from apis_rules.documents.reading import Loaded
    from apis_rules.documents.scenario import Scenario


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_scenario_and_policy(parser, "scenario of the unit, for its strategy at the time of --at")
    parser.add_argument("--request", metavar="JSON", required=True, help="the own request, or a file with it")
    parser.add_argument("--accepts", metavar="FILE", required=True, help="accepts as they arrived: JSON or JSON lines")
    parser.add_argument("--strategy", choices=[*map(str, Strategy)], help="instead of the scenario's")
    parser.add_argument("--at", metavar="TIME", help="time of day, for the scenario's strategy")
    parser.add_argument("--engine", choices=[*map(str, Evaluator)], default="durable", help="who evaluates the rules")
    add_format(parser)
    parser.epilog = (
        "example:\n"
        '  apis-rules choose --strategy amount --request \'{"type": "charge", "unitId": "E001", "amountWh": 200}\' '
        "--accepts accepts.jsonl"
    )


def run(args: argparse.Namespace) -> int:
    """Choose, and print the verdicts."""
    request = candidate_argument("--request", object_argument("--request", args.request), unit_id="the requester")
    accepts = load_accepts(Path(args.accepts))
    policy = load_policy(Path(args.policy)) if args.policy else None
    scenario = load_scenario(Path(args.scenario)) if args.scenario else None
    strategy = Strategy(args.strategy) if args.strategy else _strategy(args, scenario)
    limits = deal_limits(policy.model) if policy else None
    verdicts = judge(strategy, request, accepts, Evaluator(args.engine), limits)
    result = document(strategy, request, verdicts)
    if args.format == "json":
        print(json.dumps(result, ensure_ascii=False))
    else:
        print_rows(result["accepts"], ["unitId", "amountWh", "pointPerWh", "rank", "why"], args.format)
    if args.format == "table":
        deal = f", a deal of {result['dealAmountWh']} Wh" if result.get("dealAmountWh") else ""
        print(f"chosen by {strategy}: {result['chosen'] or 'none'}{deal}")
    warnings = [*(policy.warnings if policy else ()), *(scenario.warnings if scenario else ())]
    return finish(warnings, strict=args.strict)


def _strategy(args: argparse.Namespace, scenario: Loaded[Scenario] | None) -> Strategy:
    if scenario is None or not args.at:
        refuse("--strategy", "how accepts are chosen is not said", "--strategy amount, or --scenario FILE --at TIME")
    strategy = declared_scenario(scenario.model).strategy_at(time_argument("--at", args.at))
    if strategy is None:
        refuse("--at", f"no window of {args.scenario} holds at {args.at}")
    return strategy
