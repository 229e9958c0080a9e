"""``apis-rules explain``: why a unit requests and accepts what it does, and what else would take how much."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from apis_rules.author.answers import open_answerer
from apis_rules.author.arguments import clock, energy_argument, time_argument
from apis_rules.author.inputs import add_inputs, finish, load_inputs, open_bounds, tell_stranger
from apis_rules.author.rows import Rows
from apis_rules.author.states import states_of
from apis_rules.author.verbs.decisions import describe
from apis_rules.author.verbs.output import add_format, print_rows
from apis_rules.author.why import Why, explain_rules, reason_document
from apis_rules.decide.intent import Asker, compile_scenario
from apis_rules.decide.ruleset import Evaluator
from apis_rules.decide.scenario import Question

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from apis_rules.author.gates import Gates

COLUMNS: Final = ("question", "rule", "rule_holds", "comparison", "holds", "margin", "unit", "place")
HEADINGS: Final = {
    Question.STATUS: "status",
    Question.REQUEST: "request",
    Question.ACCEPT_CHARGE: "accept by charging",
    Question.ACCEPT_DISCHARGE: "accept by discharging",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_inputs(parser)
    parser.add_argument("--at", metavar="TIME", default="00:00:00", help="time of day (default: 00:00:00)")
    parser.add_argument("--remaining-wh", metavar="WH", help="energy in the battery")
    parser.add_argument("--unit", metavar="ID", help="the unit that decides")
    parser.add_argument("--asked-by", metavar="ID", help="the unit that asks: applies the conditions on partners")
    add_format(parser)
    parser.epilog = "example:\n  apis-rules explain --scenario scenario.json --at 12:00:00 --remaining-wh 2400"


def run(args: argparse.Namespace) -> int:
    """Print every rule with the comparisons that decided."""
    inputs = load_inputs(args)
    tell_stranger(inputs, args.unit)
    time_s = time_argument("--at", args.at)
    remaining_wh = energy_argument("--remaining-wh", args.remaining_wh)
    asker = Asker(args.asked_by) if args.asked_by else None
    scenario = compile_scenario(inputs.scenario, partners=asker is not None)
    whys = explain_rules(scenario, time_s, remaining_wh, asker)
    if args.format != "table":
        rows = (reason_document(why, reason) for found in whys.values() for why in found for reason in why.reasons)
        print_rows(rows, COLUMNS, args.format)
        return finish(inputs.warnings, strict=args.strict)
    states = states_of([time_s], [remaining_wh])
    with (
        open_answerer(Evaluator.PURE, scenario, asker) as answer,
        open_bounds(inputs, Evaluator.PURE, unit_id=args.unit, asker=args.asked_by) as bounds,
    ):
        made = next(Rows(scenario.rules, bounds).documents(states, answer(states)))
        percent = 100 * remaining_wh / inputs.nominal_wh
        print(f"at {clock(time_s)} with {remaining_wh} Wh ({percent:.1f} % of {inputs.nominal_wh:g} Wh)")
        accept = made["accept"]
        results = (made["status"] or "none", *map(describe, (made["request"], accept["charge"], accept["discharge"])))
        for (question, heading), result in zip(HEADINGS.items(), results, strict=True):
            print(f"\n{heading}: {'none' if result == '-' else result}")
            if bounds.gates is not None:
                _print_gates(bounds.gates, whys[question], remaining_wh, inputs.nominal_wh)
            _print_whys(whys[question])
    return finish(inputs.warnings, strict=args.strict)


def _print_gates(gates: Gates, whys: Sequence[Why], remaining_wh: int, nominal_wh: float) -> None:
    for why in whys:
        if why.holds and why.rule.offer is not None:
            columns = {
                "remaining_wh": np.array([remaining_wh]),
                "rsoc_percent": np.array([100 * remaining_wh / nominal_wh]),
                "amount_wh": np.array([why.rule.offer.amount_wh(remaining_wh)]),
            }
            closed = gates.closed(why.rule, columns).why(0)
            print(f"  gate  {closed or 'all are open'}")


def _print_whys(whys: Sequence[Why]) -> None:
    for why in whys:
        print(f"  {'yes' if why.holds else 'no '}  {why.rule.name}   ({why.rule.location})")
        for reason in why.reasons:
            print(f"         {reason.sentence}")
    if not whys:
        print("  no    there is no rule for it")
