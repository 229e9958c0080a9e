"""What the verbs that look at a running community have in common: where it is, and how it is opened."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from apis_rules.compose.onlooker import Onlooker, open_onlooker
from apis_rules.compose.options import LAST_RUN_FILE, RUN_FILE, STORE, Running, load_running, state_root
from apis_rules.documents.diagnostics import Location
from apis_rules.documents.source import refusal
from apis_transport.embedded import embedded_server

if TYPE_CHECKING:
    import argparse
    from collections.abc import Awaitable, Callable

T = TypeVar("T")


def add_place(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments that say which community is meant."""
    parser.add_argument("--nats", metavar="URL[,URL]", default="", help="where its shared state is")
    parser.add_argument("--state-dir", type=Path, metavar="DIR", help="of the run that is meant")


def find_running(args: argparse.Namespace) -> Running:
    """Return the running community that is meant.

    Raises:
        InputError: none is known.
    """
    root = state_root(args.state_dir)
    try:
        running = load_running(root)
    except (OSError, ValueError) as error:
        message = f"no running community is known here ({error})"
        raise refusal(Location(str(root / RUN_FILE)), "AR701", message, "'apis-rules run' starts one") from error
    urls = tuple(url for url in args.nats.split(",") if url)
    return replace(running, urls=urls or running.urls)


def has_ended(args: argparse.Namespace, running: Running) -> bool:
    """Return whether the run that *running* describes has taken its run file away."""
    try:
        return load_running(state_root(args.state_dir)).pid != running.pid
    except FileNotFoundError:
        return True


def with_onlooker(args: argparse.Namespace, work: Callable[[Onlooker], Awaitable[T]]) -> T:
    """Open the community that is meant, and do *work* with it.

    Raises:
        InputError: none is known, or its store is not there.
    """
    running = find_running(args)

    async def main() -> T:
        async with open_onlooker(running) as onlooker:
            return await work(onlooker)

    return asyncio.run(main())


def with_last_run(args: argparse.Namespace, work: Callable[[Onlooker], Awaitable[T]]) -> T:
    """Open the community that runs or has run last, and do *work* with it.

    Where its server was its own and has ended with it, one is started over its store meanwhile.

    Raises:
        InputError: none is known, or its store is not there.
    """
    root = state_root(args.state_dir)
    if (root / RUN_FILE).exists() or args.nats:
        return with_onlooker(args, work)
    try:
        last = load_running(root, LAST_RUN_FILE)
    except (OSError, ValueError) as error:
        message = f"no community is known that runs or has run here ({error})"
        raise refusal(Location(str(root)), "AR701", message, "name its --state-dir, or 'apis-rules run'") from error

    async def main() -> T:
        async with AsyncExitStack() as stack:
            found = last
            if (root / STORE).is_dir():
                server = await stack.enter_async_context(embedded_server(root / STORE))
                found = replace(last, urls=(server.url,), credentials=None)
            onlooker = await stack.enter_async_context(open_onlooker(found))
            return await work(onlooker)

    return asyncio.run(main())


def check_unit(unit_id: str, onlooker: Onlooker) -> None:
    """Raise ``InputError`` where *unit_id* is no member, nor one of which something is still open."""
    if not onlooker.knows(unit_id):
        members = ", ".join(onlooker.members)
        raise refusal(Location("<argument UNIT>"), "AR101", f"there is no unit {unit_id}", f"members: {members}")


def check_member(unit_id: str, running: Running) -> None:
    """Raise ``InputError`` where *unit_id* is no member of the community."""
    if unit_id not in running.members:
        members = ", ".join(running.members)
        raise refusal(Location("<argument UNIT>"), "AR101", f"there is no unit {unit_id}", f"members: {members}")
