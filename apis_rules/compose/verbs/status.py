"""``apis-rules status``: a running community at one glance."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from apis_rules.compose.look import add_place

if TYPE_CHECKING:
    import argparse

    from apis_rules.compose.onlooker import Onlooker


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_place(parser)
    parser.add_argument("--format", choices=("table", "json"), default="table")
    parser.epilog = "example:\n  apis-rules status\n  apis-rules status --format json"


def run(args: argparse.Namespace) -> int:
    """Print the overview."""
    from rich.console import Console

    from apis_rules.compose.look import with_onlooker
    from apis_rules.compose.screen import draw

    async def show(onlooker: Onlooker) -> int:
        overview = onlooker.overview()
        if args.format == "json":
            print(json.dumps(overview.to_document(), indent=2))
        else:
            Console().print(draw(overview))
        return 0

    return with_onlooker(args, show)
