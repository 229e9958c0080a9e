"""Opens what the nodes of one cluster share, over NATS, as one value of ports; closes it cleanly."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from apis_rules.documents.wiring import load_wiring
from apis_rules.errors import PortError
from apis_rules.ports.bundle import CommunityPorts
from apis_rules.ports.decision_buffer import BufferedDecisionLog
from apis_rules.ports.state_lease import LEASE_KEY, StateLease
from apis_transport.background import background_tasks
from apis_transport.buckets import before_of, keep_volatile, open_store, stream_of
from apis_transport.bus import NatsBus
from apis_transport.clock import MachineClock
from apis_transport.commands import NatsCommands
from apis_transport.connection import open_connection
from apis_transport.continuity import Continuity, keep_saving, load_continuity
from apis_transport.errors import CannotOpen
from apis_transport.jetstream import JetStream
from apis_transport.link import NatsLink
from apis_transport.mirror import Mirror
from apis_transport.names import Names, word
from apis_transport.presence import claim_presence
from apis_transport.state import NatsState
from apis_transport.streams import NatsStreams

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
    from pathlib import Path

    from apis_rules.documents.wiring import Bucket, Kind, Times, Wiring
    from apis_transport.presence import Presence

_RETRY_S: Final = 0.1

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class OpenCommunity:
    """What ``open_community`` gives.

    Attributes:
        ports: for the node.
        times: of a mastership on this kind of store.
        continuity: what the unit remembers of the store; None for an onlooker. ``continuity.amnesia`` says whether the
            store has forgotten something, ``continuity.noticed`` is set when it does.
        presence: the unit's; None for an onlooker.
    """

    ports: CommunityPorts
    times: Times
    continuity: Continuity | None
    presence: Presence | None

    @property
    def displaced(self) -> bool:
        """Whether another instance has taken the unit id; the context is about to be cancelled."""
        return self.presence is not None and self.presence.displaced


@asynccontextmanager
async def open_community(
    urls: Sequence[str],
    community_id: str,
    cluster_id: str,
    unit_id: str,
    state_dir: Path | None,
    *,
    kind: Kind | None = None,
    wiring: Wiring | None = None,
    tls: ssl.SSLContext | None = None,
    credentials: Path | None = None,
    within_s: float = 10.0,
    new_store: bool = False,
) -> AsyncIterator[OpenCommunity]:
    """Connect to the servers at *urls* and open the community's ports for one node.

    *unit_id* is the node's; an onlooker (a command of the command line) gives a name of its own choice. *state_dir* is
    the unit's state directory, whose lock the caller holds; None for an onlooker, which claims no presence and makes no
    store. *kind*: how the servers run; several URLs are a cluster. *credentials*: file of the user as whom it speaks to
    them. *within_s*: how long servers that are not there yet are waited for. *new_store*: make the store anew although
    this unit has known one, an operator's decision.

    Raises:
        CannotOpen: with a code each for what is wrong: see ``apis-rules doc all``.
        ExceptionGroup: of ``Displaced``, when another instance takes the unit id; the body is cancelled first.
    """
    wiring = wiring or load_wiring()
    kind = kind or ("embedded" if len(urls) == 1 else "cluster")
    times = wiring.times_of(kind)
    names = Names(wiring, community_id, cluster_id)
    continuity = None if state_dir is None else load_continuity(state_dir)
    if continuity is not None and new_store:
        continuity = Continuity(continuity.path)
    async with AsyncExitStack() as stack:
        connection = await stack.enter_async_context(
            open_connection(
                urls, word(unit_id), ping_s=wiring.link.ping_s, within_s=within_s, tls=tls, credentials=credentials
            )
        )
        jetstream = JetStream(connection, times.limit_s)
        create = continuity is not None and not continuity.knows_a_store
        await open_store(jetstream, names, times.replicas, within_s, create=create)
        tasks = await stack.enter_async_context(background_tasks())
        clock = MachineClock()

        def state_of(bucket: Bucket) -> NatsState:
            stream, before = stream_of(names, bucket), before_of(names, bucket)
            mirror = Mirror(jetstream, stream, before, wiring.link, clock, tasks)
            return NatsState(jetstream, mirror, stream, before, bucket.deletion_marker_s)

        ctl, unit = state_of(wiring.buckets.ctl), state_of(wiring.buckets.unit)
        link = NatsLink(jetstream, ctl.stream, ctl.before + LEASE_KEY, wiring.link, clock)
        tasks.create_task(link.run(), name="link")
        if continuity is not None:
            tasks.create_task(keep_volatile(jetstream, names, times.replicas), name="volatile buckets")
        presence = None
        if continuity is not None and state_dir is not None:
            await stack.enter_async_context(_remembered(ctl, continuity, tasks, within_s))
            claim = partial(claim_presence, unit, unit_id, state_dir, wiring.presence)
            presence = await _patiently(claim, unit.stream, within_s)
            await stack.enter_async_context(_present(presence, tasks))
        streams = NatsStreams(jetstream, names)
        ports = CommunityPorts(
            ctl=ctl,
            unit=unit,
            policy=state_of(wiring.buckets.policy),
            lease=StateLease(ctl, clock, times.life_s),
            commands=NatsCommands(connection, names, ctl),
            bus=NatsBus(connection, names),
            streams=streams,
            decisions=BufferedDecisionLog(streams, unit_id),
            link=link,
            clock=clock,
        )
        yield OpenCommunity(ports, times, continuity, presence)


@asynccontextmanager
async def _remembered(
    ctl: NatsState, continuity: Continuity, tasks: asyncio.TaskGroup, within_s: float
) -> AsyncIterator[None]:
    """Keep what the unit remembers of ``ctl`` up to date, beginning with a look at it."""
    mirror = ctl.mirror

    def look(store_id: str, revision: int) -> None:
        continuity.see(mirror.revision)
        continuity.look(store_id, revision)

    mirror.on_look = look
    async with ctl.watch():
        continuity.look(*await _patiently(mirror.look, ctl.stream, within_s))
        saving = tasks.create_task(keep_saving(continuity, lambda: mirror.revision), name="memory of the store")
        try:
            yield
        finally:
            saving.cancel()
            continuity.see(mirror.revision)
            with suppress(OSError):  # a full disk: what was kept last is a little older
                continuity.save()


@asynccontextmanager
async def _present(presence: Presence, tasks: asyncio.TaskGroup) -> AsyncIterator[None]:
    """Stay the one instance of the unit id while the context is open."""
    keeping = tasks.create_task(presence.keep(), name="presence")
    try:
        yield
    finally:
        keeping.cancel()
        await presence.leave()


async def _patiently(ask: Callable[[], Awaitable[T]], what: str, within_s: float) -> T:
    """Ask until there is an answer. Raises ``CannotOpen`` (AR517) when there is none in time."""
    loop = asyncio.get_running_loop()
    until = loop.time() + within_s
    while True:
        try:
            return await ask()
        except PortError as error:
            if loop.time() > until:
                raise CannotOpen("AR517", what, f"cannot be used: {error}", "is the store up?") from error
            await asyncio.sleep(_RETRY_S)
