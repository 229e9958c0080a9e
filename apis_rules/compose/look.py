"""What the verbs that look at a running community have in common: where it is, and how it is opened."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from apis_rules.compose.answers import refused_verb
from apis_rules.compose.onlooker import Onlooker, open_onlooker
from apis_rules.compose.options import LAST_RUN_FILE, RUN_FILE, STORE, Running, load_running, state_root
from apis_rules.compose.places import running_elsewhere
from apis_rules.documents.diagnostics import Location
from apis_rules.documents.reading import load_config
from apis_rules.documents.source import refusal
from apis_rules.errors import PortError
from apis_transport.embedded import embedded_server

if TYPE_CHECKING:
    import argparse
    from collections.abc import Awaitable, Callable

T = TypeVar("T")

RUNS_HINT: Final = "'apis-rules run' starts one; of one elsewhere: --config CONFIG.json of one of its nodes, --nats URL"


def add_place(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments that say which community is meant."""
    parser.add_argument("--nats", metavar="URL[,URL]", default="", help="where its shared state is")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--state-dir", type=Path, metavar="DIR", help="of the run that is meant")
    which.add_argument(
        "--config",
        type=Path,
        metavar="CONFIG.json",
        help="of a node of the community, if it runs elsewhere",
    )


def find_running(args: argparse.Namespace) -> Running:
    """Return the running community that is meant.

    Raises:
        InputError: none is known.
    """
    urls = tuple(url for url in args.nats.split(",") if url)
    if args.config is not None:
        return running_elsewhere(load_config(args.config), urls)
    root = state_root(args.state_dir)
    try:
        running = load_running(root)
    except (OSError, ValueError) as error:
        why = "" if isinstance(error, FileNotFoundError) else f" ({error})"
        message = f"no running community is known here{why}"
        raise refusal(Location(str(root / RUN_FILE)), "AR701", message, RUNS_HINT) from error
    return replace(running, urls=urls or running.urls)


def has_ended(args: argparse.Namespace, running: Running) -> bool:
    """Return whether the run that *running* describes has taken its run file away; of one elsewhere nobody knows."""
    if args.config is not None:
        return False
    try:
        return load_running(state_root(args.state_dir)).pid != running.pid
    except FileNotFoundError:
        return True


def with_onlooker(args: argparse.Namespace, work: Callable[[Onlooker], Awaitable[T]]) -> T:
    """Open the community that is meant, and do *work* with it.

    Raises:
        InputError: none is known, its store is not there, or AR730, AR731: it refuses what is asked or does not answer.
    """
    return asyncio.run(_look(args, find_running(args), work))


async def _look(args: argparse.Namespace, running: Running, work: Callable[[Onlooker], Awaitable[T]]) -> T:
    async with open_onlooker(running) as onlooker:
        try:
            return await work(onlooker)
        except PortError as error:
            raise refused_verb(error, args, onlooker.overview()) from error


def with_last_run(args: argparse.Namespace, work: Callable[[Onlooker], Awaitable[T]]) -> T:
    """Open the community that runs or has run last, and do *work* with it.

    Where its server was its own and has ended with it, one is started over its store meanwhile.

    Raises:
        InputError: none is known, or its store is not there.
    """
    root = state_root(args.state_dir)
    if (root / RUN_FILE).exists() or args.nats or args.config:
        return with_onlooker(args, work)
    try:
        last = load_running(root, LAST_RUN_FILE)
    except (OSError, ValueError) as error:
        why = "" if isinstance(error, FileNotFoundError) else f" ({error})"
        message = f"no community is known that runs or has run here{why}"
        raise refusal(Location(str(root)), "AR701", message, "name its --state-dir, or 'apis-rules run'") from error

    async def main() -> T:
        async with AsyncExitStack() as stack:
            found = last
            if (root / STORE).is_dir():
                server = await stack.enter_async_context(embedded_server(root / STORE))
                found = replace(last, urls=(server.url,), credentials=None)
            return await _look(args, found, work)

    return asyncio.run(main())


def check_unit(unit_id: str, onlooker: Onlooker) -> None:
    """Raise ``InputError`` where *unit_id* is no member, nor one of which something is still open."""
    if not onlooker.knows(unit_id):
        members = ", ".join(onlooker.members)
        raise refusal(Location("<argument UNIT>"), "AR101", f"there is no unit {unit_id}", f"members: {members}")
