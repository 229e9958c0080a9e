"""The user as whom a node speaks to the servers: a file with the seed of an NKey, or with a JWT and its seed."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Final

from apis_transport.errors import CannotOpen

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_JWT: Final = b"BEGIN NATS USER JWT"
_SEED: Final = b"BEGIN USER NKEY SEED"


def load_credentials(path: Path) -> Mapping[str, str]:
    """Return the client's option for the credentials at *path*; it reads them again at each connection.

    Raises:
        CannotOpen: AR513, there is nothing in it that could be used.
    """
    try:
        import nkeys
    except ImportError:
        raise _unusable(
            path, "cannot be used without the package nkeys", "pip install 'apis-rules[credentials]'"
        ) from None
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise _unusable(path, f"cannot be read: {error.strerror}", "nats.credentialsFile names it") from error
    marked = [after for line, after in pairwise(lines) if _SEED in line]
    of_jwt = any(_JWT in line for line in lines)
    seed = marked[0] if of_jwt and marked else lines[0]
    try:
        nkeys.from_seed(bytearray(seed.strip()))
    except nkeys.NkeysError as error:
        raise _unusable(path, "holds no user's seed", "a *.creds file, or a file with a seed SU… alone") from error
    return {"user_credentials" if of_jwt else "nkeys_seed": str(path)}


def _unusable(path: Path, what: str, hint: str) -> CannotOpen:
    return CannotOpen("AR513", str(path), what, hint)
