"""The configuration of a nats-server as this system needs it: every write on disk before it is acknowledged."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from apis_rules.documents.wiring import Server


def render_server(
    limits: Server,
    *,
    name: str,
    listen: str,
    store_dir: Path | str,
    ports_file_dir: Path | None = None,
    cluster: str = "",
) -> str:
    """Return the text of a configuration file."""
    lines = [
        f"server_name: {_quoted(name)}",
        f"listen: {_quoted(listen)}",
        f"max_payload: {limits.max_payload_kb}KB",
        'ping_interval: "5s"',
        "jetstream {",
        f"  store_dir: {_quoted(str(store_dir))}",
        "  # Without this a power cut loses acknowledged writes, and revisions are given out twice.",
        "  sync_interval: always",
        f"  max_file: {limits.max_file_mb}MB",
        f"  max_mem: {limits.max_memory_mb}MB",
        "}",
    ]
    if ports_file_dir is not None:
        lines.append(f"ports_file_dir: {_quoted(str(ports_file_dir))}")
    return "\n".join(lines) + "\n" + cluster


def render_cluster(name: str, listen: str, routes: Sequence[str]) -> str:
    """Return the part of a configuration file that makes a server a member of a cluster."""
    lines = [
        "cluster {",
        f"  name: {_quoted(name)}",
        f"  listen: {_quoted(listen)}",
        "  routes: [",
        *(f"    {_quoted(route)}" for route in routes),
        "  ]",
        "}",
    ]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
