"""``apis-rules diff OLD NEW``: the decisions that change between two versions of scenarios and rules."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Final

from apis_rules.author.answers import open_answerer
from apis_rules.author.arguments import refuse, rules_argument, time_argument
from apis_rules.author.difference import Change, compare_over_states, compare_rules, compare_scenarios
from apis_rules.author.gates import rule_path
from apis_rules.author.inputs import finish, read_inputs
from apis_rules.author.states import open_states, read_states
from apis_rules.author.verbs.output import add_format, print_rows
from apis_rules.decide.intent import Asker, compile_scenario
from apis_rules.decide.rulefile import load_rules
from apis_rules.decide.ruleset import Evaluator
from apis_rules.documents.diagnostics import Findings, Location
from apis_rules.documents.kinds import Kind, recognise
from apis_rules.documents.load import ENDINGS, load_document
from apis_rules.documents.source import refusal

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from apis_rules.documents.diagnostics import Diagnostic

COLUMNS: Final = ("question", "old", "new", "states", "percent", "examples")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("old", metavar="OLD", type=Path, help="a scenario, a rule file, or a folder with them")
    parser.add_argument("new", metavar="NEW", type=Path, help="the same, as it shall become")
    parser.add_argument("--hw-config", metavar="FILE", type=Path, help="hardware of the unit: the size of its battery")
    parser.add_argument("--rules", metavar="DIR", help="files where a folder has none (default: the bundled ones)")
    parser.add_argument("--states", metavar="FILE", help="compare over these states (default: every second and Wh)")
    parser.add_argument("--at", metavar="TIME", default="00:00:00", help="time of day of states without one")
    parser.add_argument("--asked-by", metavar="ID", help="the unit that asks: applies the conditions on partners")
    parser.add_argument("--engine", choices=[*map(str, Evaluator)], default="vector", help="who decides about --states")
    parser.add_argument("--strict", action="store_true", help="exit 1 where a decision changes, or for warnings")
    add_format(parser)
    parser.epilog = "example:\n  apis-rules diff scenario.json scenario-new.json"


def run(args: argparse.Namespace) -> int:
    """Print every change with its count and examples."""
    changes: list[Change] = []
    warnings = []
    for kind, old, new in _pairs(args.old, args.new, rules_argument(args.rules)):
        if kind is Kind.RULES:
            changes += compare_rules(load_rules(old), load_rules(new))
        else:
            found, doubts = _scenarios(args, old, new)
            changes += found
            warnings += doubts
    print_rows((change.document() for change in changes), COLUMNS, args.format)
    if args.format == "table":
        print(f"{len(changes)} changes" if changes else "no decision changes")
    return max(finish(warnings, strict=args.strict), int(args.strict and bool(changes)))


def _scenarios(args: argparse.Namespace, old: Path, new: Path) -> tuple[list[Change], list[Diagnostic]]:
    before, after = (read_inputs(path, None, args.hw_config, None) for path in (old, new))
    asker = Asker(args.asked_by) if args.asked_by else None
    was, becomes = (compile_scenario(i.scenario, partners=asker is not None) for i in (before, after))
    warnings = [*before.warnings, *after.warnings]
    if args.states is None:
        return compare_scenarios(was, becomes, after.most_wh), warnings
    evaluator = Evaluator(args.engine)
    with contextlib.ExitStack() as stack:
        stream, _ = stack.enter_context(open_states(args.states))
        answers = [stack.enter_context(open_answerer(evaluator, s, asker)) for s in (was, becomes)]
        at_s = time_argument("--at", args.at)
        blocks = read_states(stream, args.states, nominal_wh=after.nominal_wh, at_s=at_s)
        return compare_over_states((was, answers[0]), (becomes, answers[1]), blocks), warnings


def _pairs(old: Path, new: Path, rules: Path | None) -> Iterator[tuple[Kind, Path, Path]]:
    """Yield what is compared with what: two files, or the files of the same names in two folders.

    A file that one folder lacks is the one that would be in force there: the bundled one.
    """
    if old.is_dir() != new.is_dir():
        refuse("NEW", f"{new} and {old} are not both folders, or both files")
    if not old.is_dir():
        kinds = [_kind(path) for path in (old, new)]
        if kinds[0] is not kinds[1]:
            refuse("NEW", f"{new} holds {kinds[1]}, and {old} {kinds[0]}", "two of one kind can be compared")
        yield kinds[0], old, new
        return
    names = sorted({p.name for p in (*old.iterdir(), *new.iterdir()) if p.suffix in ENDINGS})
    compared = False
    for name in names:
        before, after = old / name, new / name
        there = before if before.is_file() else after
        kind = recognise(load_document(there, Findings()).value)
        if kind in (Kind.SCENARIO, Kind.RULES):
            before, after = (p if p.is_file() else rule_path(name, rules) for p in (before, after))
            if not (before.is_file() and after.is_file()):
                raise refusal(Location(str(there)), "AR308", "has nothing to be compared with in the other folder")
            compared = True
            yield kind, before, after
    if not compared:
        raise refusal(Location(str(old)), "AR116", "holds neither a scenario nor a rule file")


def _kind(path: Path) -> Kind:
    kind = recognise(load_document(path, Findings()).value)
    if kind not in (Kind.SCENARIO, Kind.RULES):
        hint = "decisions are compared: of scenarios, or of rule files"
        raise refusal(Location(str(path)), "AR115", f"holds {kind or 'nothing known'}", hint)
    return kind
