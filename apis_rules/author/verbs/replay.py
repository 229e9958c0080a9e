"""``apis-rules replay LOG``: recorded decisions made once more, with the same scenario or another one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from apis_rules.author.inputs import finish
from apis_rules.author.replay import Replayed, replay
from apis_rules.author.verbs.output import add_format, print_rows
from apis_rules.decide.declared import declared_scenario
from apis_rules.decide.intent import compile_scenario
from apis_rules.documents.reading import load_scenario
from apis_rules.documents.source import read_text

if TYPE_CHECKING:
    import argparse

COLUMNS: Final = ("line", "question", "time", "remaining_wh", "recorded", "recomputed")
LARGEST_BYTES: Final = 1_000_000_000


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("log", metavar="LOG", type=Path, help="decisions as JSON lines")
    parser.add_argument("--scenario", metavar="FILE", type=Path, required=True, help="with which to decide again")
    parser.add_argument("--strict", action="store_true", help="exit 1 also where a decision could not be made again")
    add_format(parser)
    parser.epilog = "example:\n  apis-rules replay decisions.jsonl --scenario scenario.json"


def run(args: argparse.Namespace) -> int:
    """Print the decisions that come out otherwise; exit 1 where there is one."""
    loaded = load_scenario(args.scenario)
    scenario = compile_scenario(declared_scenario(loaded.model, loaded.document))
    lines = read_text(args.log, limit_bytes=LARGEST_BYTES).splitlines()
    made = list(replay(lines, str(args.log), scenario))
    known = [decision for decision in made if decision.known]
    other = [decision for decision in known if not decision.same]
    print_rows([_row(decision) for decision in other], COLUMNS, args.format)
    if args.format == "table":
        unknown = len(made) - len(known)
        print(f"{len(known) - len(other)} of {len(known)} decisions come out the same; {unknown} cannot be made again")
    finish(loaded.warnings, strict=False)
    return int(bool(other) or (args.strict and len(known) < len(made)))


def _row(decision: Replayed) -> dict[str, Any]:
    return {
        "line": decision.line,
        "question": decision.question,
        "time": decision.time,
        "remaining_wh": decision.remaining_wh,
        "recorded": _text(decision.recorded),
        "recomputed": _text(decision.recomputed),
    }


def _text(document: dict[str, Any] | None) -> str:
    return "none" if document is None else json.dumps(document, ensure_ascii=False)
