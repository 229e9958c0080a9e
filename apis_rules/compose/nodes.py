"""Opens one real node: its folder's lock, its driver, its share in the community."""

from __future__ import annotations

import random
import tempfile
import uuid
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from apis_rules import __version__
from apis_rules.charts.values import times_in_force
from apis_rules.compose.reference_policy import compare_policy
from apis_rules.compose.wait_orders import LOCK_FILE, compile_orders
from apis_rules.documents.diagnostics import Location
from apis_rules.documents.source import refusal
from apis_rules.file_lock import Locked, file_lock
from apis_rules.node.identity import Documents, Identity
from apis_rules.node.runtime import Node
from apis_rules.node.state_dir import FileStateStore
from apis_rules.node.surroundings import Surroundings
from apis_rules.ports.bundle import NodePorts
from apis_transport.clock import clock_identity
from apis_transport.community import open_community
from apis_transport.device import DriverTimes, open_device
from apis_transport.watchdog import ask_page

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence

    from apis_rules.compose.options import RunOptions
    from apis_rules.compose.parent import Parent
    from apis_rules.documents.community import Site
    from apis_rules.documents.config import Watchdog
    from apis_rules.supervisor.orders import UnitOrders
    from apis_transport.device_hosts import DeviceHosts


@dataclass(frozen=True, slots=True)
class OpenNode:
    """A node that is ready to run, and how its converter is kept safe without it."""

    node: Node
    orders: UnitOrders


@contextmanager
def _unit_lock(unit_id: str, folder: Path, parent: Parent) -> Iterator[None]:
    lock = folder / LOCK_FILE
    if parent.holds(lock):
        yield
        return
    try:
        with file_lock(lock) as descriptor:
            parent.share(lock, descriptor)
            yield
    except Locked as error:
        message = f"{unit_id} runs already in another process ({error.owner})"
        raise refusal(Location(str(folder)), "AR702", message, "'apis-rules stop' ends it") from error


def _watchdog_page(watchdog: Watchdog) -> Callable[[], Awaitable[None]] | None:
    if not watchdog.enabled:
        return None
    url = f"http://{watchdog.host}:{watchdog.port}/{(watchdog.uri or '').lstrip('/')}"
    return lambda: ask_page(url, watchdog.request_timeout_s)


@asynccontextmanager
async def open_node(
    site: Site, urls: Sequence[str], folder: Path, hosts: DeviceHosts, options: RunOptions, parent: Parent
) -> AsyncIterator[OpenNode]:
    """Open a node that is ready to run.

    A policy that is not the community's keeps the node from joining: it brings its converter to WAIT and ends.

    Raises:
        InputError: another process is this unit; the store is not there, or is not one that can be used.
    """
    if site.config is None or site.hw_config is None or site.policy is None or site.scenario is None:
        raise ValueError("a node needs all four of its files")
    config, policy = site.config.model, site.policy.model
    with _unit_lock(config.unit_id, folder, parent):
        async with open_community(
            urls,
            config.community_id,
            config.cluster_id,
            config.unit_id,
            folder,
            within_s=options.start_timeout_s,
            new_store=options.new_store,
        ) as community:
            differing = await compare_policy(community.ports.policy, policy)
            documents = Documents(
                config,
                site.hw_config.model,
                policy,
                site.scenario.model,
                times_in_force(policy, community.times),
            )
            identity = Identity(
                unit_id=config.unit_id,
                community_id=config.community_id,
                cluster_id=config.cluster_id,
                display=config.display_name,
                serial_number=config.serial_number,
                version=__version__,
                boot=uuid.uuid4().hex,
                clock_id=clock_identity(),
            )
            around = Surroundings(
                times=community.times,
                store=FileStateStore(folder),
                temporary=Path(tempfile.gettempdir()),
                source=random.SystemRandom(),
                refusal=f"the policy differs from the community's in {', '.join(differing)}" if differing else "",
                observing=options.observe,
                start_timeout_s=options.start_timeout_s,
                ping=_watchdog_page(config.watchdog),
            )
            times = DriverTimes(policy.controller.request_timeout_s, policy.controller.retry_limit)
            device = open_device(config, hosts, times, community.ports.clock.now_s)
            try:
                node = Node(identity, documents, NodePorts(community.ports, device), around)
                yield OpenNode(node, compile_orders(documents, folder))
            finally:
                await device.close()
