"""``apis-rules stop``: end one node, or all nodes of a running community, in order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apis_rules.compose.look import add_place

if TYPE_CHECKING:
    import argparse

    from apis_rules.compose.onlooker import Onlooker


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_place(parser)
    parser.add_argument("--unit", metavar="U", help="this one only")
    parser.add_argument("--timeout", type=float, default=60.0, metavar="S", help="to wait for the end")
    parser.epilog = "example:\n  apis-rules stop\n  apis-rules stop --unit E002"


def run(args: argparse.Namespace) -> int:
    """Ask for the end and wait for it; 1 where a node is still there."""
    from apis_rules.compose.look import check_unit, find_running, has_ended, with_onlooker
    from apis_rules.compose.steer import stop_units

    running = find_running(args)

    async def stop(onlooker: Onlooker) -> int:
        if args.unit is not None:
            check_unit(args.unit, onlooker)
        units = [args.unit] if args.unit else onlooker.members
        left = await stop_units(onlooker, units, args.timeout, lambda: has_ended(args, running))
        if left:
            print(f"still running after {args.timeout:g} s: {', '.join(left)}")
            return 1
        print("stopped")
        return 0

    return with_onlooker(args, stop)
