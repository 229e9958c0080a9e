"""``apis-rules decisions``: what the units of a running community have decided, as JSON lines for ``replay``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from apis_rules.compose.look import add_place

if TYPE_CHECKING:
    import argparse

    from apis_rules.compose.onlooker import Onlooker


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--unit", metavar="U", help="of this unit alone")
    add_place(parser)
    parser.epilog = (
        "example:\n  apis-rules decisions --unit E001 > decisions.jsonl\n"
        "  apis-rules replay decisions.jsonl --scenario scenario.json"
    )


def run(args: argparse.Namespace) -> int:
    """Print the decisions that were kept, oldest first."""
    from apis_rules.compose.kept import load_decisions
    from apis_rules.compose.look import check_unit, with_onlooker

    async def show(onlooker: Onlooker) -> int:
        if args.unit is not None:
            check_unit(args.unit, onlooker)
        for decision in await load_decisions(onlooker.ports.streams):
            if args.unit in (None, decision["unitId"]):
                print(json.dumps(decision))
        return 0

    return with_onlooker(args, show)
