"""``apis-rules deals``: the deals of a running community, now or as they go on."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from apis_rules.compose.look import add_place

if TYPE_CHECKING:
    import argparse
    from collections.abc import Awaitable, Callable

    from apis_rules.compose.onlooker import Onlooker


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_place(parser)
    parser.add_argument("--follow", action="store_true", help="go on with a line per change")
    parser.add_argument("--format", choices=("table", "json", "jsonl"), default="table")
    parser.epilog = "example:\n  apis-rules deals\n  apis-rules deals --follow"


def _show(form: str) -> Callable[[Onlooker], Awaitable[int]]:
    from dataclasses import asdict

    from rich.console import Console

    from apis_rules.compose.screen import draw_deals

    async def show(onlooker: Onlooker) -> int:
        deals = onlooker.overview().deals
        if form == "json":
            print(json.dumps([asdict(d) for d in deals], indent=2))
        elif form == "jsonl":
            for deal in deals:
                print(json.dumps(asdict(deal)))
        elif deals:
            Console().print(draw_deals(deals))
        else:
            print("no deal is running")
        return 0

    return show


def run(args: argparse.Namespace) -> int:
    """Print the deals that are not over, or what happens to deals from now on."""
    from apis_rules.compose.lines import tell_deal
    from apis_rules.compose.look import with_onlooker

    async def follow(onlooker: Onlooker) -> int:
        from_seq = await onlooker.ports.streams.last_seq("DEALLOG") + 1
        changes = onlooker.records.changes()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(onlooker.follow_deals(from_seq))
            told: dict[str, str] = {}
            done = 0
            async for _ in changes:
                for deal in onlooker.overview().deals:
                    if told.get(deal.deal_id) != deal.state:
                        told[deal.deal_id] = deal.state
                        parties = f"{deal.discharge_unit_id} -> {deal.charge_unit_id}"
                        print(f"{deal.deal_id} {parties} {deal.deal_amount_wh} Wh: {deal.state}", flush=True)
                for record in onlooker.finished[done:]:
                    print(f"{record.deal_id} done: {tell_deal(record)}", flush=True)
                done = len(onlooker.finished)
        return 0

    return with_onlooker(args, follow if args.follow else _show(args.format))
