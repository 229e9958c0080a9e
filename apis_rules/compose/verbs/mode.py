"""``apis-rules mode``: look at or set the operation mode of a running community, or of one unit (specification 4.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apis_rules.compose.look import add_place

if TYPE_CHECKING:
    import argparse

    from apis_rules.compose.onlooker import Onlooker


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("action", choices=("get", "set"))
    parser.add_argument("mode", nargs="?", metavar="MODE", help="autonomous, heteronomous, stop, manual or clear")
    parser.add_argument("--unit", metavar="U", help="the mode of this unit alone")
    add_place(parser)
    parser.epilog = (
        "example:\n  apis-rules mode get\n  apis-rules mode set autonomous\n  apis-rules mode set stop --unit E002"
    )


def run(args: argparse.Namespace) -> int:
    """Print the modes, or set one."""
    from apis_rules.compose.look import check_unit, with_onlooker
    from apis_rules.compose.steer import parse_mode, set_mode

    _check(args)

    async def get(onlooker: Onlooker) -> int:
        if args.unit is not None:
            check_unit(args.unit, onlooker)
        overview = onlooker.overview()
        if args.unit is None:
            print(overview.mode)
        for unit in overview.units:
            if unit.unit_id == args.unit:
                print(unit.operation_mode or "not heard of")
        return 0

    if args.action == "get":
        return with_onlooker(args, get)
    mode = parse_mode(args.mode, args.unit)

    async def change(onlooker: Onlooker) -> int:
        if args.unit is not None:
            check_unit(args.unit, onlooker)
        await set_mode(onlooker, mode, args.unit)
        whose = "the community's mode" if args.unit is None else f"{args.unit}'s own mode"
        print(f"{whose} is {mode or ('as the policy says' if args.unit is None else 'none')}")
        return 0

    return with_onlooker(args, change)


def _check(args: argparse.Namespace) -> None:
    from apis_rules.documents.diagnostics import Location
    from apis_rules.documents.source import refusal

    if args.action == "get" and args.mode is not None:
        raise refusal(Location("<argument MODE>"), "AR101", "get takes no mode", f"'mode set {args.mode}' sets one")
    if args.action == "set" and args.mode is None:
        raise refusal(Location("<argument MODE>"), "AR101", "it is not said which mode to set", "'mode set autonomous'")
