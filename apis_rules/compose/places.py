"""Where a run finds its files, its shared state, and a folder for what outlives it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from apis_rules.compose.options import NATS_URL_VARIABLE, STORE, Running
from apis_rules.compose.parent import Supervised
from apis_rules.documents.community import resolve
from apis_rules.documents.diagnostics import Location
from apis_rules.documents.source import refusal
from apis_transport.embedded import embedded_server
from apis_transport.kept_server import kept_server

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AsyncExitStack

    from apis_rules.compose.options import RunOptions
    from apis_rules.compose.parent import Parent
    from apis_rules.documents.community import Site
    from apis_rules.documents.config import Config
    from apis_rules.documents.reading import Loaded


def scratch_folder(parent: Parent, stack: AsyncExitStack) -> Path:
    """Return a folder for what nobody asked to be kept."""
    return Path(parent.scratch or stack.enter_context(tempfile.TemporaryDirectory(prefix="apis-rules-")))


def check_writable(root: Path) -> None:
    """Make sure that something can be kept in *root*. Raises ``InputError`` where it cannot."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=root):
            pass
    except OSError as error:
        raise refusal(
            Location(str(root)),
            "AR104",
            f"cannot keep what nodes store: {error.strerror}",
            "name another --state-dir",
        ) from error


def named_urls(options: RunOptions) -> tuple[str, ...]:
    """Return where the shared state is, as the command or the environment says; empty where neither does."""
    named = options.nats or tuple(os.environ.get(NATS_URL_VARIABLE, "").split(","))
    return tuple(url for url in named if url)


def find_urls(options: RunOptions, sites: Sequence[Site]) -> tuple[str, ...]:
    """Return where the shared state is, as the command, the environment or the configs say; empty where none does."""
    return named_urls(options) or tuple(
        sorted({url for site in sites if site.config for url in site.config.model.nats.urls})
    )


def credentials_of(config: Loaded[Config]) -> Path | None:
    """Return the file with the credentials for the servers, None where the config names none."""
    name = config.model.nats.credentials_file
    return None if name is None else resolve(name, Path(config.document.file)).resolve()


def running_of(urls: tuple[str, ...], site: Site, pid: int) -> Running:
    """Return what verbs must know of the community that *site* belongs to."""
    if site.config is None or site.policy is None:
        raise ValueError("a node needs all four of its files")
    config, policy = site.config.model, site.policy.model
    members = tuple(policy.member_unit_ids)
    file = credentials_of(site.config)
    credentials = None if file is None else str(file)
    return Running(
        urls, config.community_id, config.cluster_id, members, policy.operation_mode, pid, credentials=credentials
    )


def running_elsewhere(config: Loaded[Config], urls: tuple[str, ...]) -> Running:
    """Return what verbs must know of the community of *config*, at *urls* or where the environment or the config says.

    Members and mode are what the community goes by; they are found in its store.

    Raises:
        InputError: AR700, it is not said where the store is.
    """
    model = config.model
    named = urls or tuple(url for url in os.environ.get(NATS_URL_VARIABLE, "").split(",") if url) or model.nats.urls
    if not named:
        message = "it is not said where the community's shared state is"
        raise refusal(Location(config.document.file), "AR700", message, "--nats nats://HOST:4222, or nats.urls in it")
    file = credentials_of(config)
    credentials = None if file is None else str(file)
    return Running(tuple(named), model.community_id, model.cluster_id, (), "stop", 0, credentials=credentials)


async def find_store(
    options: RunOptions, sites: Sequence[Site], root: Path, stack: AsyncExitStack, parent: Parent
) -> tuple[str, ...]:
    """Return the URLs of the shared state; start a server of our own where none is named."""
    if urls := find_urls(options, sites):
        return urls
    if options.target is not None and options.target.is_file():
        raise refusal(
            Location(str(options.target)),
            "AR700",
            "it is not said where the community's shared state is",
            "--nats nats://HOST:4222, or nats.urls in the config, or 'apis-rules run DIR' for a server of its own",
        )
    if isinstance(parent, Supervised):
        return (await stack.enter_async_context(kept_server(root / STORE, parent)),)
    server = await stack.enter_async_context(embedded_server(root / STORE))
    return (server.url,)
