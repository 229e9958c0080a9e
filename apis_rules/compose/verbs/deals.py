"""``apis-rules deals``: the deals of a running community: now, as they go on, those that are over, one of them."""

from __future__ import annotations

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from apis_rules.compose.look import add_place

if TYPE_CHECKING:
    import argparse
    from collections.abc import Awaitable, Callable

    from apis_rules.compose.onlooker import Onlooker
    from apis_rules.compose.summary import Summary

    Work = Callable[[Onlooker], Awaitable[int]]

_DEAL_COLUMNS: Final = (
    "deal_id", "created_utc", "ended_utc", "discharge_unit_id", "charge_unit_id", "deal_amount_wh", "booked_wh",
    "discharge_wh", "charge_wh", "point_per_wh", "points", "duration_s", "ended",
)  # fmt: skip
_SHORT_COLUMNS: Final = ("deal", "ended at", "from", "to", "agreed Wh", "booked", "gave", "got", "points", "ended")
_UNIT_COLUMNS: Final = ("unit_id", "deals", "given_wh", "taken_wh", "earned_points", "paid_points")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "action",
        nargs="?",
        choices=("show", "create", "stop"),
        help="show ID: one deal with its steps and reasons; create FILE: make a deal; stop ID: end one in order",
    )
    parser.add_argument("what", nargs="?", metavar="ID|FILE", help="the deal's id, or how it begins; or a file")
    parser.add_argument("--reason", metavar="TEXT", help="why a deal is stopped; it stands in its record")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--follow", action="store_true", help="go on with a line per change")
    which.add_argument("--since", metavar="T", help="those that ended since then, with totals: 2h, 14:00, 2026-11-24")
    parser.add_argument("--format", choices=("table", "json", "jsonl", "csv"), default="table")
    add_place(parser)
    parser.epilog = (
        "example:\n  apis-rules deals\n  apis-rules deals --follow\n"
        "  apis-rules deals --since 1d --format csv > deals.csv\n  apis-rules deals show 3f2a91c0\n"
        "  apis-rules deals create deal.json\n  apis-rules deals stop 3f2a91c0 --reason 'cable is moved'\n\n"
        'deal.json: {"chargeUnitId": "E002", "dischargeUnitId": "E001", "dealGridCurrentA": 1, "dealAmountWh": 50}'
    )


def run(args: argparse.Namespace) -> int:
    """Print deals."""
    from apis_rules.compose.look import with_onlooker

    return with_onlooker(args, _work(args))


def _work(args: argparse.Namespace) -> Work:
    from apis_rules.documents.diagnostics import Location
    from apis_rules.documents.source import refusal

    if args.action is not None:
        if args.what is None:
            wanted = "FILE" if args.action == "create" else "ID"
            message = f"it is not said which deal to {args.action}"
            raise refusal(Location(f"<argument {wanted}>"), "AR101", message, f"'deals {args.action} {wanted}'")
        if args.action == "create":
            return _create(Path(args.what))
        if args.action == "stop":
            return _stop(args.what, args.reason)
        return _show_one(args.what, args.format)
    if args.since is not None:
        from apis_rules.compose.since import parse_since

        return _show_ended(parse_since(args.since, datetime.now().astimezone()), args.format)
    if args.follow and args.format == "json":
        message = "what goes on has no end, and JSON would have no last bracket"
        raise refusal(Location("<argument --format>"), "AR101", message, "--format jsonl")
    return _follow(args.format) if args.follow else _show_running(args.format)


def _show_running(form: str) -> Work:
    from dataclasses import asdict

    from rich.console import Console

    from apis_rules.author.verbs.output import print_rows
    from apis_rules.compose.screen import draw_deals

    async def show(onlooker: Onlooker) -> int:
        deals = onlooker.overview().deals
        if form != "table":
            columns = ("deal_id", "state", "discharge_unit_id", "charge_unit_id", "deal_amount_wh", "amount_wh",
                       "current_a", "point_per_wh")  # fmt: skip
            print_rows([asdict(d) for d in deals], columns, form)
        elif deals:
            Console().print(draw_deals(deals))
        else:
            print("no deal is running")
        return 0

    return show


def _show_ended(since: datetime, form: str) -> Work:
    from apis_rules.compose.kept import load_records
    from apis_rules.compose.summary import sum_up

    async def show(onlooker: Onlooker) -> int:
        _print_ended(sum_up(await load_records(onlooker.ports.streams, since)), form)
        return 0

    return show


def _print_ended(summary: Summary, form: str) -> None:
    """Print deals, then the total of each unit; in rows for programs, ``row`` says which of the two one is."""
    from apis_rules.author.verbs.output import print_rows

    document = summary.to_document()
    deals: list[dict[str, Any]] = document["deals"]
    units: list[dict[str, Any]] = document["units"]
    if form == "json":
        json.dump(document, sys.stdout, indent=2)
        print()
    elif form == "table":
        print_rows([_short(deal) for deal in deals], _SHORT_COLUMNS, form)
        print_rows(units, _UNIT_COLUMNS, form)
        print(f"{len(deals)} deals, {summary.given_wh:g} Wh given, {summary.loss_wh:g} Wh lost")
    else:
        rows = [{"row": "deal", **d} for d in deals] + [{"row": "unit", **u} for u in units]
        print_rows(rows, ("row", *_DEAL_COLUMNS, *_UNIT_COLUMNS), form)


def _short(deal: dict[str, Any]) -> dict[str, Any]:
    """Return what a line of a terminal has room for; ``deals show`` has the rest."""
    ended = datetime.fromisoformat(deal["ended_utc"]).astimezone() if deal["ended_utc"] else None
    values = {
        "deal": deal["deal_id"][:8],
        "ended at": f"{ended:%m-%d %H:%M:%S}" if ended else None,
        "from": deal["discharge_unit_id"],
        "to": deal["charge_unit_id"],
        "agreed Wh": deal["deal_amount_wh"],
        "ended": deal["ended"],
    }
    for column, key in (("booked", "booked_wh"), ("gave", "discharge_wh"), ("got", "charge_wh"), ("points", "points")):
        values[column] = None if deal[key] is None else f"{deal[key]:.1f}"
    return values


def _show_one(wanted: str, form: str) -> Work:
    from apis_rules.compose.deal_story import find_deal, tell_story
    from apis_rules.compose.kept import load_decisions, load_records

    async def show(onlooker: Onlooker) -> int:
        streams = onlooker.ports.streams
        living = {deal_id: deal for deal_id, (deal, _) in onlooker.records.deals().items()}
        state, record = find_deal(wanted, living, await load_records(streams))
        story = tell_story(state, record, await load_decisions(streams))
        if form == "table":
            for line in story.lines():
                print(line)
        else:
            print(json.dumps(story.to_document(), indent=2 if form == "json" else None))
        return 0

    return show


def _create(file: Path) -> Work:
    from apis_rules.compose.steer import create_deal
    from apis_rules.documents.deal_order import load_deal_order

    order, warnings = load_deal_order(file)
    for warning in warnings:
        print(warning, file=sys.stderr)

    async def create(onlooker: Onlooker) -> int:
        print(await create_deal(onlooker, order))
        return 0

    return create


def _stop(wanted: str, reason: str | None) -> Work:
    from apis_rules.compose.deal_story import find_deal
    from apis_rules.compose.steer import stop_deal

    async def stop(onlooker: Onlooker) -> int:
        living = {deal_id: deal for deal_id, (deal, _) in onlooker.records.deals().items()}
        _, record = find_deal(wanted, living, [])
        await stop_deal(onlooker, record.deal_id, reason or "stopped on the command line")
        print(f"{record.deal_id} is asked to end")
        return 0

    return stop


def _follow(form: str) -> Work:
    from apis_rules.compose.deal_changes import Teller, follow_changes

    async def follow(onlooker: Onlooker) -> int:
        await follow_changes(onlooker, Teller(form))
        return 0

    return follow
