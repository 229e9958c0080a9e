"""``apis-rules doc CODE``: a diagnostic code explained."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apis_rules.documents.codes import explain

if TYPE_CHECKING:
    import argparse


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("code", metavar="CODE", help="for example AR101; 'all' lists every code with its title")
    parser.epilog = "example:\n  apis-rules doc AR101"


def run(args: argparse.Namespace) -> int:
    """Print the section of one code, or the list of all."""
    print(explain(args.code))
    return 0
