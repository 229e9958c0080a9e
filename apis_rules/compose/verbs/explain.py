"""``apis-rules explain``: why a unit asks and accepts; ``explain stop``: why a community stopped."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from apis_rules.author.verbs import explain

if TYPE_CHECKING:
    import argparse
    from datetime import datetime

    from apis_rules.compose.onlooker import Onlooker


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    from apis_rules.compose.look import add_place

    parser.add_argument(
        "what", nargs="?", choices=("stop",), help="stop: why a community stopped that runs or has run last"
    )
    parser.add_argument("--since", metavar="T", help="with stop: only what was told since then: 2h, 14:00, 2026-11-24")
    explain.configure(parser)
    add_place(parser)
    parser.epilog = f"{parser.epilog}\n  apis-rules explain stop\n  apis-rules explain stop --since 2h --state-dir DIR"


def run(args: argparse.Namespace) -> int:
    """Print the reasons of a decision, or the story of a stop."""
    from datetime import UTC, datetime

    from apis_rules.compose.look import with_last_run
    from apis_rules.compose.since import parse_since
    from apis_rules.documents.diagnostics import Location
    from apis_rules.documents.source import refusal

    if args.what is None:
        if args.remaining_wh is None:
            message = "it is not said how much energy is in the battery"
            raise refusal(Location("<argument --remaining-wh>"), "AR101", message, "--remaining-wh 2400")
        return explain.run(args)
    since = parse_since(args.since, datetime.now().astimezone()) if args.since else None
    return with_last_run(args, lambda onlooker: _tell(onlooker, since, datetime.now(UTC), args.format))


async def _tell(onlooker: Onlooker, since: datetime | None, now: datetime, form: str) -> int:
    from apis_rules.compose.kept import load_decisions, load_errors, load_records
    from apis_rules.compose.stop_story import tell_stop

    records, streams = onlooker.records, onlooker.ports.streams
    story = tell_stop(
        await load_errors(streams),
        await load_records(streams),
        await load_decisions(streams),
        records.mode(),
        records.grid()[0],
        records.sustain(),
        now,
        since,
    )
    if form == "table":
        for line in story.lines():
            print(line)
    else:
        print(json.dumps(story.to_document(), indent=2 if form == "json" else None))
    return 0
