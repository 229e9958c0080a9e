"""``apis-rules exclude``: declare a unit's converter cut off from the bus, so that the others may go on without it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apis_rules.compose.look import add_place

if TYPE_CHECKING:
    import argparse

    from apis_rules.compose.onlooker import Onlooker


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("unit", metavar="UNIT")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--reason", metavar="TEXT", help="who cut it off and how; it is kept with the unit's deals")
    what.add_argument("--clear", action="store_true", help="take the exclusion back")
    add_place(parser)
    parser.epilog = "example:\n  apis-rules exclude E002 --reason 'breaker opened by M. Sato'"


def run(args: argparse.Namespace) -> int:
    """Write the exclusion where creators of deals and the Grid Master see it."""
    from apis_rules.compose.look import check_unit, with_onlooker
    from apis_rules.compose.steer import exclude
    from apis_rules.documents.diagnostics import Location
    from apis_rules.documents.source import refusal

    if args.reason is not None and not args.reason.strip():
        raise refusal(Location("<argument --reason>"), "AR101", "an exclusion needs a reason", "say who cut it off")

    async def change(onlooker: Onlooker) -> int:
        check_unit(args.unit, onlooker)
        await exclude(onlooker, args.unit, None if args.clear else args.reason)
        print(f"{args.unit} is {'no longer ' if args.clear else ''}excluded")
        return 0

    return with_onlooker(args, change)
