"""``apis-rules policy``: what a running community goes by, how a file differs from it, and how it is changed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from apis_rules.author.verbs.output import add_format, print_rows
from apis_rules.compose.look import add_place

if TYPE_CHECKING:
    import argparse

    from apis_rules.compose.onlooker import Onlooker
    from apis_rules.compose.publish import Publication

COLUMNS: Final = ("key", "community", "file")
WAIT_S: Final = 30.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "action",
        choices=("show", "diff", "publish"),
        help="print the community's policy; how FILE differs from it; make FILE the community's",
    )
    parser.add_argument("file", nargs="?", metavar="FILE", type=Path)
    parser.add_argument("--rules", metavar="DIR", type=Path, help="with own rule files that all nodes hold already")
    parser.add_argument("--timeout", type=float, default=WAIT_S, metavar="S", help="to wait for the nodes")
    add_place(parser)
    add_format(parser)
    parser.epilog = (
        "example:\n  apis-rules policy show > policy.json\n  apis-rules policy diff policy.json\n"
        "  apis-rules policy publish policy.json"
    )


def run(args: argparse.Namespace) -> int:
    """Print, compare, or publish; 1 where a node that runs does not go by what was published."""
    from apis_rules.compose.look import with_last_run
    from apis_rules.compose.publish import find_reference, plan_publication, publish, until_in_force
    from apis_rules.decide.rule_files import declare_rules
    from apis_rules.documents.diagnostics import Location
    from apis_rules.documents.reading import load_policy
    from apis_rules.documents.source import refusal
    from apis_rules.documents.watched import read_contents

    async def show(onlooker: Onlooker) -> int:
        reference, _ = await find_reference(onlooker)
        sys.stdout.write(reference.text if reference.text.endswith("\n") else f"{reference.text}\n")
        return 0

    if args.action == "show":
        return with_last_run(args, show)
    if args.file is None:
        example = f"'apis-rules policy {args.action} policy.json'"
        raise refusal(Location("<argument FILE>"), "AR101", "it is not said which policy is meant", example)
    policy = load_policy(args.file)
    for doubt in policy.warnings:
        print(doubt, file=sys.stderr)
    rules = None if args.rules is None else declare_rules(read_contents(args.rules)).of_the_community

    async def compare(onlooker: Onlooker) -> int:
        before, _ = await find_reference(onlooker)
        found = await plan_publication(onlooker, policy, rules)
        rows = [{"key": k, "community": before.value(k), "file": found.reference.value(k)} for k in found.keys]
        if rows or args.format != "table":
            print_rows(rows, COLUMNS, args.format)
        else:
            print("the file says what the community goes by")
        return 0

    async def change(onlooker: Onlooker) -> int:
        found = await plan_publication(onlooker, policy, rules)
        if not found.keys:
            print("the file says what the community goes by; nothing is published")
            return 0
        await publish(onlooker, found)
        print(_published(found))
        said = await until_in_force(onlooker, found.reference, args.timeout)
        late = sorted(unit_id for unit_id, goes in said.items() if not goes)
        now = ", ".join(sorted(set(said) - set(late)))
        print(f"in force at {now}" if said else "no node runs: it is in force at the next start")
        if late:
            print(f"not in force after {args.timeout:g} s at {', '.join(late)}", file=sys.stderr)
        return 1 if late else 0

    return with_last_run(args, compare if args.action == "diff" else change)


def _published(publication: Publication) -> str:
    keys = publication.keys
    sentence = f"published, with {len(keys)} {'key' if len(keys) == 1 else 'keys'} changed: {', '.join(keys)}"
    if publication.leaving:
        sentence += f"; {', '.join(publication.leaving)} will end its deals and leave"
    return sentence
