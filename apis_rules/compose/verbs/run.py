"""``apis-rules run``: one node, all nodes of a folder, or the example community."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from apis_rules.arguments import number, whole_number
from apis_rules.supervisor.life import DEFAULT_RESTARTS

if TYPE_CHECKING:
    import argparse


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "target", nargs="?", type=Path, metavar="CONFIG.json|DIR", help="nothing: the example community"
    )
    parser.add_argument("--nats", metavar="URL[,URL]", default="", help="where the shared state is")
    parser.add_argument("--for", dest="for_", metavar="TIME", help="end after this time, such as 10m")
    parser.add_argument("--until-deals", type=whole_number(1, 10**6), metavar="N", help="end when N deals are over")
    parser.add_argument(
        "--observe",
        action="store_true",
        help="only look: show the community, and what the units of the files would do; never ask, never switch",
    )
    parser.add_argument(
        "--accelerate", type=number(0.001, 86_400), default=10.0, metavar="N", help="speed of the example's clock"
    )
    parser.add_argument(
        "--start-timeout", type=number(0.1, 86_400), default=30.0, metavar="S", help="to wait for store and driver"
    )
    parser.add_argument("--state-dir", type=Path, metavar="DIR", help="for what outlives a run")
    parser.add_argument(
        "--new-store", action="store_true", help="make the shared state anew: the old one is lost for good"
    )
    parser.add_argument(
        "--no-supervisor",
        action="store_true",
        help="no process above the nodes: nobody starts dead ones again or brings their converters to WAIT",
    )
    parser.add_argument(
        "--restarts",
        type=whole_number(0, 100),
        default=DEFAULT_RESTARTS,
        metavar="N",
        help="how often within two minutes dead nodes are started again (%(default)s)",
    )
    parser.add_argument(
        "--logging", type=Path, metavar="FILE", help="a logging.properties; else the one beside the config, if any"
    )
    parser.add_argument("--format", choices=("table", "json"), default="table", help="json: a summary at the end")
    parser.epilog = (
        "example:\n  apis-rules run\n  apis-rules run --until-deals 3 --format json\n"
        "  apis-rules run config.json --observe --nats nats://house1.local:4222"
    )


def run(args: argparse.Namespace) -> int:
    """Run until stopped: here, or in a process below this one."""
    return _run_here(args) if args.no_supervisor or args.observe else _supervise(args)


def _supervise(args: argparse.Namespace) -> int:
    # Nothing but the standard library is loaded into a process that watches.
    from apis_rules.supervisor.process import Supervisor

    at = args.arguments.index(args.verb) + 1
    arguments = (*args.arguments[:at], "--no-supervisor", *args.arguments[at:])
    return Supervisor(arguments, args.restarts, needs_scratch=args.target is None and args.state_dir is None).run()


def _run_here(args: argparse.Namespace) -> int:
    import asyncio
    import sys

    from apis_rules.compose.options import RunOptions, parse_duration
    from apis_rules.errors import InputError, plain_error

    if args.observe:
        from apis_rules.compose.observe import observe as run_or_observe
    else:
        from apis_rules.compose.run import run_nodes as run_or_observe

    options = RunOptions(
        target=args.target,
        nats=tuple(url for url in args.nats.split(",") if url),
        for_s=None if args.for_ is None else parse_duration(args.for_, "--for"),
        until_deals=args.until_deals,
        accelerate=args.accelerate,
        start_timeout_s=args.start_timeout,
        format=args.format,
        state_dir=args.state_dir,
        new_store=args.new_store,
        logging=args.logging,
    )
    try:
        return asyncio.run(run_or_observe(options))
    except BaseExceptionGroup as group:
        failure = plain_error(group)
        if failure is None:
            raise
        if isinstance(failure, InputError):
            raise failure from group
        print(f"apis-rules run: {failure}", file=sys.stderr)
        return 1
