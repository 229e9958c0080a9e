"""Makes and checks the buckets and logs of one cluster on the servers.

They are made once, when a community is new. A node that knows the store (``continuity``) never makes them again: what
was lost would look like a community in which nothing has ever happened. Those that exist must be as the wiring says; a
server that is too old accepts a bucket whose values should expire, and never lets them.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from typing import TYPE_CHECKING, Any, Final

from apis_rules.errors import Outage, PortError
from apis_transport.connection import NobodyListens
from apis_transport.errors import CannotOpen
from apis_transport.jetstream import AlreadyThere, NoStream, StoreFull
from apis_transport.mirror import STORE_ID

if TYPE_CHECKING:
    from collections.abc import Iterator

    from apis_rules.documents.wiring import Bucket
    from apis_transport.jetstream import JetStream
    from apis_transport.names import Names

_log = logging.getLogger(__name__)

_SECOND: Final = 1_000_000_000
_MIB: Final = 1 << 20
_CREATE_LIMIT_S: Final = 20.0
_RETRY_S: Final = 0.1
_COMPARED: Final = (
    "subjects",
    "storage",
    "num_replicas",
    "max_msgs_per_subject",
    "max_age",
    "allow_msg_ttl",
    "subject_delete_marker_ttl",
    "allow_atomic",
    "allow_direct",
    "republish",
    "discard",
)


def stream_of(names: Names, bucket: Bucket) -> str:
    """Return the name on the server of the stream behind *bucket*."""
    return f"KV_{names.bucket(bucket.name)}"


def before_of(names: Names, bucket: Bucket) -> str:
    """Return what stands before a key in its subject."""
    return f"$KV.{names.bucket(bucket.name)}."


async def open_store(jetstream: JetStream, names: Names, replicas: int, within_s: float, *, create: bool) -> None:
    """Check every bucket and log, and make those that are missing where *create* says so, or that nobody can miss.

    Raises:
        CannotOpen: AR512 no leader in time, AR515 made otherwise than the wiring says, AR516 no room, AR520 missing.
    """
    for wanted in _configurations(names, replicas):
        volatile = wanted["storage"] == "memory"
        found = await _patiently(jetstream, wanted, within_s, create=create or volatile)
        _compare(wanted, found)


def _configurations(names: Names, replicas: int) -> Iterator[dict[str, Any]]:
    wiring = names.wiring
    for key, bucket in wiring.buckets.items():
        before = before_of(names, bucket)
        config: dict[str, Any] = {
            "name": stream_of(names, bucket),
            "subjects": [f"{before}>"],
            "storage": bucket.storage,
            "num_replicas": replicas,
            "max_bytes": bucket.max_mb * _MIB,
            "max_msgs_per_subject": bucket.history,
            "max_age": (bucket.time_limit_s or 0) * _SECOND,
            "discard": "new",
            "allow_rollup_hdrs": True,
            "deny_delete": True,
            "allow_direct": False,
            "allow_atomic": True,
            "allow_msg_ttl": bucket.expiry_marker_s is not None,
            "subject_delete_marker_ttl": (bucket.expiry_marker_s or 0) * _SECOND,
            "duplicate_window": min(bucket.time_limit_s or 120, 120) * _SECOND,
        }
        if key == "ctl":
            config["republish"] = {"src": f"{before}cmd.>", "dest": names.all_accepted}
        yield config
    for name, stream in wiring.streams.items():
        yield {
            "name": names.stream(name),
            "subjects": [names.log(name, ">")],
            "storage": "file",
            "num_replicas": replicas,
            "max_bytes": stream.max_mb * _MIB,
            "discard": "old",
            "allow_direct": False,
            "duplicate_window": stream.repeats_s * _SECOND,
        }


async def keep_volatile(jetstream: JetStream, names: Names, replicas: int) -> None:
    """Make the buckets that live in the servers' memory again whenever the servers have lost them, until cancelled."""
    volatile = [wanted for wanted in _configurations(names, replicas) if wanted["storage"] == "memory"]
    changed = asyncio.Event()
    with jetstream.connection.on_change(changed.set):
        while True:
            changed.clear()
            try:
                for wanted in volatile:
                    await _find_or_make(jetstream, wanted, create=True)
            except PortError as error:
                _log.debug("%s", error)
                # Without a connection the next one is told of.
                if jetstream.connection.connected:
                    await asyncio.sleep(_RETRY_S)
                    continue
            await changed.wait()


async def _patiently(jetstream: JetStream, wanted: dict[str, Any], within_s: float, *, create: bool) -> dict[str, Any]:
    """Find or make one stream; servers that are still electing a leader are waited for."""
    loop = asyncio.get_running_loop()
    until = loop.time() + within_s
    while True:
        try:
            return await _find_or_make(jetstream, wanted, create=create)
        except StoreFull as error:
            raise CannotOpen(
                "AR516", wanted["name"], f"cannot be made: {error}", "raise max_file and max_mem of the server"
            ) from error
        except NobodyListens:
            reason, hint = "the server offers no JetStream", "start it with JetStream, or wait for its cluster"
        except Outage as error:
            reason, hint = str(error), "are more than half of the servers up?"
        except PortError as error:
            raise CannotOpen("AR515", wanted["name"], f"is refused by the server: {error}") from error
        if loop.time() >= until:
            raise CannotOpen("AR517", wanted["name"], f"cannot be opened: {reason}", hint)
        await asyncio.sleep(_RETRY_S)


async def _find_or_make(jetstream: JetStream, wanted: dict[str, Any], *, create: bool) -> dict[str, Any]:
    name = wanted["name"]
    try:
        return dict((await jetstream.info(name))["config"])
    except NoStream:
        if not create:
            raise CannotOpen(
                "AR520",
                name,
                "is gone, although this unit has worked with it",
                "restore the servers' store; if it is lost for good, start once with --new-store",
            ) from None
    body = {**wanted, "metadata": {STORE_ID: uuid.uuid4().hex}}
    try:
        # A cluster places all replicas before it answers.
        return dict((await jetstream.api(f"STREAM.CREATE.{name}", body, within_s=_CREATE_LIMIT_S))["config"])
    except AlreadyThere:  # another node was quicker
        return dict((await jetstream.info(name))["config"])


def _compare(wanted: dict[str, Any], found: dict[str, Any]) -> None:
    for key in _COMPARED:
        # A server leaves out what is false or zero.
        if key in wanted and (wanted[key] or None) != (found.get(key) or None):
            raise CannotOpen(
                "AR515",
                wanted["name"],
                f"has {key} = {found.get(key)!r}, the wiring wants {wanted[key]!r}",
                "it was made with another wiring, or by a server that is too old",
            )
