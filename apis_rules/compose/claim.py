"""One process of a machine commands a converter, whichever state folder, store and community it works with.

The lock of a state folder and the presence in a community's store say that a *unit* runs. A second run with another
folder and a server of its own would see neither of them, and command the same converter.
"""

from __future__ import annotations

import hashlib
import socket
import struct
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from apis_rules.file_lock import PROCESS, Locked, living

if TYPE_CHECKING:
    from collections.abc import Iterator

    from apis_rules.documents.config import Config

_CREDENTIALS: Final = struct.Struct("3i")
"""What the kernel tells of a peer: process, user, group."""

_MOST_ASKED: Final = 4096
"""Each start that is refused leaves its question behind until the lock is free."""


def converter_name(config: Config) -> str:
    """Return what stands for the converter of *config* on this machine."""
    place = f"{config.system_type} {config.connection.model_dump_json()} {config.unit_id}"
    return f"apis-rules/converter-{hashlib.sha256(place.encode()).hexdigest()[:16]}"


@contextmanager
def converter_lock(config: Config) -> Iterator[int]:
    """Hold the lock on the converter of *config*; give its descriptor, for another process that shall share it.

    It is a name of the kernel (an abstract socket), not a file: nobody can clean it away, other users and services with
    a folder for temporary files of their own see it too, and it goes with the last process that has the descriptor.

    Raises:
        Locked: another process has it.
    """
    name = f"\0{converter_name(config)}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as held:
        try:
            held.bind(name)
        except OSError:
            raise Locked(_owner(name)) from None
        held.listen(_MOST_ASKED)
        yield held.fileno()


def _owner(name: str) -> str:
    """Return who made the lock; empty where that process is gone and another one holds it now."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.setblocking(False)
        try:
            asking.connect(name)
            told = asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        except OSError:
            return ""
    return living(f"{PROCESS}{_CREDENTIALS.unpack(told)[0]}")
