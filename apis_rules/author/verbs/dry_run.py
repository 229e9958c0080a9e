"""``apis-rules dry-run``: what a unit in given battery states would request and accept."""

from __future__ import annotations

import functools
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from apis_rules.author.answers import Answerer, open_answerer
from apis_rules.author.arguments import candidate_argument, object_argument, refuse, time_argument
from apis_rules.author.inputs import Inputs, add_inputs, finish, load_inputs, open_bounds, tell, tell_stranger
from apis_rules.author.rows import Rows
from apis_rules.author.states import open_states, read_states
from apis_rules.author.sweep import corners, parts_of_day, sweep
from apis_rules.author.verbs.decisions import Block, Printer, print_sweep
from apis_rules.author.verbs.output import add_format
from apis_rules.author.why import sentences
from apis_rules.decide.intent import Asker, compile_scenario
from apis_rules.decide.ruleset import Evaluator

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from apis_rules.author.states import States
    from apis_rules.decide.choosing import Candidate
    from apis_rules.decide.intent import CompiledScenario


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_inputs(parser)
    parser.add_argument("--states", metavar="FILE", help="CSV or JSON lines with remaining_wh or rsoc, time, unit_id")
    parser.add_argument("--at", metavar="TIME", help="time of day of states without one; of the sweep")
    parser.add_argument("--request", metavar="JSON", help="a request of another unit: what would be accepted of it")
    parser.add_argument("--unit", metavar="ID", help="the unit that decides")
    parser.add_argument("--asked-by", metavar="ID", help="the unit that asks: applies the conditions on partners")
    parser.add_argument("--engine", choices=[*map(str, Evaluator)], default="vector", help="who evaluates the rules")
    add_format(parser)
    parser.add_argument("--explain", action="store_true", help="say for each state why, and by how much why not")
    parser.add_argument("--plot", metavar="FILE", help="draw the scenario to a .png or .svg")
    parser.epilog = (
        "examples:\n"
        "  apis-rules dry-run --scenario scenario.json --plot scenario.png\n"
        "  apis-rules dry-run --scenario scenario.json --states day.csv --format csv > decisions.csv"
    )


def run(args: argparse.Namespace) -> int:
    """Decide about the states of a file, or sweep the whole battery."""
    inputs = load_inputs(args)
    tell_stranger(inputs, args.unit)
    asker, asked = _asker(args)
    at_s = time_argument("--at", args.at) if args.at else None
    scenario = compile_scenario(inputs.scenario, partners=asker is not None)
    if args.explain and args.format == "csv":
        refuse("--format", "csv has no place for explanations", "--format jsonl")
    explain = functools.partial(sentences, scenario, asker=asker) if args.explain else None
    if args.plot:
        from apis_rules.author.picture import draw_scenario

        title = Path(args.scenario).name if args.scenario else "bundled scenario"
        draw_scenario(scenario, inputs.most_wh, title, Path(args.plot))
    evaluator = Evaluator(args.engine)
    only = asked.direction.opposite if asked else None
    asked_by = asker.unit_id if asker else None
    with (
        open_answerer(evaluator, scenario, asker, only) as answer,
        open_bounds(inputs, evaluator, unit_id=args.unit, asker=asked_by, asked=asked) as bounds,
    ):
        printer = Printer(Rows(scenario.rules, bounds), inputs.nominal_wh, explain)
        if args.states:
            _decide_states(args, inputs, answer, printer, at_s)
        else:
            _sweep(args, inputs, scenario, answer, printer, at_s)
    return finish(inputs.warnings, strict=args.strict)


def _asker(args: argparse.Namespace) -> tuple[Asker | None, Candidate | None]:
    """Return who asks, and the request where there is a certain one."""
    if args.asked_by is not None and args.asked_by == args.unit:
        refuse("--asked-by", f"{args.unit} does not ask itself", "name another unit")
    if args.request is None:
        return (Asker(args.asked_by) if args.asked_by else None), None
    request = candidate_argument("--request", object_argument("--request", args.request), unit_id=args.asked_by)
    if args.asked_by not in (None, request.unit_id):
        refuse("--asked-by", f"the request comes from {request.unit_id}", "leave one of them out")
    if request.unit_id == args.unit:
        refuse("--request", f"{args.unit} does not answer its own request", "name another unitId")
    if request.pair_unit_id is not None and args.unit is None:
        refuse("--request", "it names a partner, so --unit has to say who decides", "--unit E001")
    for_other = request.pair_unit_id is not None and request.pair_unit_id != args.unit
    return Asker(request.unit_id, for_other), request


def _decide_states(
    args: argparse.Namespace, inputs: Inputs, answer: Answerer, printer: Printer, at_s: int | None
) -> None:
    with open_states(args.states) as (stream, size):
        read = read_states(stream, args.states, nominal_wh=inputs.nominal_wh, at_s=at_s or 0)
        blocks = (Block(states, answer(states)) for states in _told(read, inputs, at_s, size, args.format))
        if args.format == "table":
            printer.print(blocks)
        else:
            printer.write(blocks, args.format, sys.stdout.buffer)


def _told(read: Iterator[States], inputs: Inputs, at_s: int | None, size: int, form: str) -> Iterator[States]:
    """Pass blocks on; say beside them what was assumed, and how far it has come where that takes a while."""
    first = next(read)
    if first.in_percent and inputs.nominal_assumed:
        tell(f"states in percent: taken of the bundled {inputs.nominal_wh:g} Wh; --hw-config names another")
    if not first.timed and at_s is None and len(inputs.scenario.sections) > 1:
        tell("states without a time: taken at 00:00:00; --at TIME names another time of day")
    if size <= first.bytes_read or not sys.stderr.isatty() or (form != "table" and sys.stdout.isatty()):
        yield first
        yield from read
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("states", total=size, completed=first.bytes_read)
        yield first
        for states in read:
            progress.update(task, completed=states.bytes_read)
            yield states


def _sweep(
    args: argparse.Namespace,
    inputs: Inputs,
    scenario: CompiledScenario,
    answer: Answerer,
    printer: Printer,
    at_s: int | None,
) -> None:
    if inputs.nominal_assumed:
        tell(f"a battery of the bundled {inputs.nominal_wh:g} Wh; --hw-config FILE names another")
    parts = parts_of_day(scenario, inputs.most_wh, at_s)
    if args.format == "table" and not args.explain:
        print_sweep(parts, answer(corners(parts, at_s)), scenario.rules, inputs.nominal_wh)
        return
    states = corners(parts, at_s) if args.format == "table" else sweep(parts, inputs.nominal_wh, at_s)
    block = Block(states, answer(states))
    if args.format == "table":
        printer.print([block])
    else:
        printer.write([block], args.format, sys.stdout.buffer)
