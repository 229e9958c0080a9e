"""``apis-rules battery``: who claims a battery that several nodes share; take the claim of a dead one away."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("config", type=Path, metavar="CONFIG.json", help="of any node at that battery")
    parser.add_argument(
        "--clear",
        metavar="OWNER",
        help="take this one's claims away: its node does not run, and its converter is known to wait",
    )
    parser.epilog = (
        "example:\n  apis-rules battery config.json\n  apis-rules battery config.json --clear community/north/E001"
    )


def run(args: argparse.Namespace) -> int:
    """Print the claims, or take those of one owner away."""
    import tempfile

    from apis_rules.battery_claims import Unclaimable, clear_claim, list_claims
    from apis_rules.documents.diagnostics import Location
    from apis_rules.documents.reading import load_config
    from apis_rules.documents.source import refusal
    from apis_rules.node.battery import claim_paths

    config = load_config(args.config).model
    paths = claim_paths(config.file_system_exclusive_lock_file_format, Path(tempfile.gettempdir()))
    try:
        if args.clear is not None:
            cleared = [clear_claim(path, args.clear) for path in paths.values()]
            if not any(cleared):
                message = f"{args.clear} claims nothing of this battery"
                raise refusal(Location("<argument --clear>"), "AR101", message, "'apis-rules battery' lists the claims")
            print(f"the claims of {args.clear} are taken away")
            return 0
        claims = [(d, claim, runs) for d, path in paths.items() for claim, runs in list_claims(path)]
    except Unclaimable as error:
        hint = "'apis-rules doc AR720'"
        raise refusal(Location(str(args.config)), "AR720", str(error), hint) from error
    for direction, claim, runs in claims:
        print(f"{direction:9}  {claim.ampere:5g} A  {claim.owner}{'' if runs else '  does not run'}")
    if not config.battery_capacity_management.enabled:
        print(f"{config.unit_id} claims nothing: batteryCapacityManagement.enabled is false, so its battery is its own")
    elif not claims:
        print("nobody claims this battery")
    return 0
