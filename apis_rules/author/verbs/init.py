"""``apis-rules init DIR``: a commented working set of files, to be changed and checked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from apis_rules.author.workset import write_workset

if TYPE_CHECKING:
    import argparse


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("folder", metavar="DIR", type=Path, help="a folder that is empty or not there yet")
    parser.epilog = "example:\n  apis-rules init site && apis-rules check site && apis-rules test site"


def run(args: argparse.Namespace) -> int:
    """Write the files and print their names and what to do next."""
    for path in write_workset(args.folder):
        print(path)
    folder = args.folder
    print(
        f"\nNext: apis-rules check {folder}\n      apis-rules dry-run --scenario {folder}/scenario.json\n"
        f"      apis-rules test {folder}\n      apis-rules run {folder}"
    )
    return 0
