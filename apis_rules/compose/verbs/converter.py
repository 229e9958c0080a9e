"""``apis-rules converter``: command one converter directly; only in manual mode, through the Grid Master."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apis_rules.arguments import number
from apis_rules.compose.look import add_place

if TYPE_CHECKING:
    import argparse

    from apis_rules.compose.onlooker import Onlooker


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("unit", metavar="UNIT")
    parser.add_argument("order", choices=("wait", "charge", "discharge", "reference"))
    parser.add_argument(
        "value", nargs="?", type=number(-10_000, 10_000), metavar="A|V", help="amperes, or volts for reference"
    )
    add_place(parser)
    parser.epilog = (
        "Only in manual mode; 'reference' only on a dead grid. Leaving manual mode brings every converter to WAIT.\n\n"
        "example:\n  apis-rules mode set manual\n  apis-rules converter E001 reference 350\n"
        "  apis-rules converter E002 charge 1.5\n  apis-rules converter E002 wait\n  apis-rules mode set autonomous"
    )


def run(args: argparse.Namespace) -> int:
    """Give the command and say what became of it."""
    from apis_rules.compose.look import check_unit, with_onlooker
    from apis_rules.compose.steer import order_directly, parse_order

    order = parse_order(args.unit, args.order, args.value)

    async def command(onlooker: Onlooker) -> int:
        check_unit(args.unit, onlooker)
        done = await order_directly(onlooker, order)
        print(f"{args.unit}: {'done' if done else 'under way; apis-rules status shows it'}")
        return 0

    return with_onlooker(args, command)
