"""Configurations for the servers of one community: one file for each board."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from apis_rules.documents.wiring import load_wiring
from apis_transport.errors import CannotOpen
from apis_transport.server_config import render_cluster, render_server

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from apis_rules.documents.wiring import Wiring

CLIENT_PORT: Final = 4222
ROUTE_PORT: Final = 6222

_HOST: Final = re.compile(r"(?!-)[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.%]+\]")


def plan_cluster(hosts: Sequence[str], name: str, store_dir: str, *, wiring: Wiring | None = None) -> Mapping[str, str]:
    """Return the text of each host's configuration file, by the file's name.

    Raises:
        CannotOpen: AR525, a host is no host, stands twice, or there are not three or five of them.
    """
    for host in hosts:
        if not _HOST.fullmatch(host):
            raise _refusal(f"{host!r} is not a host name or address", "IPv6 addresses stand in brackets")
    if len(set(hosts)) != len(hosts):
        raise _refusal("a host stands twice", "one server on each board")
    if len(hosts) not in {3, 5}:
        raise _refusal(f"{len(hosts)} hosts", "three or five: a majority must remain when one fails")
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        raise _refusal(f"{name!r} is not a name for a cluster", "letters, digits, _ and - only")
    limits = (wiring or load_wiring()).server
    return {
        f"nats-server-{_file_name(host)}.conf": _head(host, hosts)
        + render_server(
            limits,
            # A server that comes back under another name counts as one more member, and the majority moves.
            name=f"{name}-{_file_name(host)}",
            listen=f"{host}:{CLIENT_PORT}",
            store_dir=store_dir,
            cluster=render_cluster(
                name, f"{host}:{ROUTE_PORT}", [f"nats://{other}:{ROUTE_PORT}" for other in hosts if other != host]
            ),
        )
        for host in hosts
    }


def _head(host: str, hosts: Sequence[str]) -> str:
    urls = ",".join(f"nats://{other}:{CLIENT_PORT}" for other in hosts)
    return (
        f"# For {host}. Start: nats-server -c THIS_FILE. Nodes: apis-rules run CONFIG.json --nats {urls}\n"
        "# Stop with SIGTERM and restart one server at a time. A board that has lost its store comes back under a new\n"
        "# server_name, after the old one was removed (nats server cluster peer-remove), never with an empty store.\n"
        "# Nothing here asks for credentials: add tls and authorization before a network that others can reach.\n"
    )


def _file_name(host: str) -> str:
    return re.sub(r"[^A-Za-z0-9-]+", "-", host).strip("-")


def _refusal(message: str, hint: str) -> CannotOpen:
    return CannotOpen("AR525", "<argument HOST,HOST,HOST>", message, hint)
