"""Opens one real node: its folder's lock, its driver, its share in the community."""

from __future__ import annotations

import random
import tempfile
import uuid
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from apis_rules import __version__
from apis_rules.charts.values import broken_times, place_of, times_in_force
from apis_rules.compose.claim import converter_lock, converter_name
from apis_rules.compose.places import credentials_of
from apis_rules.compose.wait_orders import LOCK_FILE, compile_orders
from apis_rules.decide.rule_files import bundled_rules, declare_rules
from apis_rules.documents.community import resolve
from apis_rules.documents.diagnostics import Location
from apis_rules.documents.model import canonical_hash
from apis_rules.documents.policy import Policy
from apis_rules.documents.source import refusal
from apis_rules.documents.versions import FOLDER, KeptFile
from apis_rules.documents.watched import read_contents
from apis_rules.file_lock import Locked, file_lock
from apis_rules.node.identity import Documents, Identity
from apis_rules.node.local_mode import FILE as LOCAL_MODE_FILE
from apis_rules.node.reference import join_community, reference_of
from apis_rules.node.runtime import Node
from apis_rules.node.state_dir import FileStateStore
from apis_rules.node.surroundings import NodeFiles, Surroundings
from apis_rules.ports.bundle import NodePorts
from apis_transport.clock import clock_identity
from apis_transport.community import open_community
from apis_transport.device import open_device
from apis_transport.watchdog import ask_page

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence

    from apis_rules.compose.options import RunOptions
    from apis_rules.compose.parent import Parent
    from apis_rules.documents.community import Site
    from apis_rules.documents.config import Config, Watchdog
    from apis_rules.documents.reading import Loaded
    from apis_rules.supervisor.orders import UnitOrders
    from apis_transport.community import OpenCommunity
    from apis_transport.device_hosts import DeviceHosts


RUNS_HINT: Final = "'apis-rules stop' ends it, with the --state-dir of that run"


@dataclass(frozen=True, slots=True)
class OpenNode:
    """A node that is ready to run, its state folder, and its share in the community."""

    node: Node
    folder: Path
    community: OpenCommunity

    def displaced(self) -> bool:
        """Return whether another instance has its unit id."""
        return self.community.displaced

    def orders(self) -> UnitOrders:
        """Return how its converter is kept safe without it, by what it goes by now."""
        return compile_orders(self.node.documents, self.folder)


@contextmanager
def _claimed(config: Config, folder: Path, parent: Parent) -> Iterator[None]:
    unit_lock = folder / LOCK_FILE
    with ExitStack() as stack:
        try:
            for name, lock in (
                (str(unit_lock), file_lock(unit_lock, owner_pid=parent.pid)),
                (converter_name(config), converter_lock(config)),
            ):
                if not parent.holds(name):
                    parent.share(name, stack.enter_context(lock), unit_lock)
        except Locked as error:
            message = f"{config.unit_id} runs already in another process{f' ({error.owner})' if error.owner else ''}"
            raise refusal(Location(str(folder)), "AR702", message, RUNS_HINT) from error
        except OSError as error:
            message = f"cannot lock {error.filename or 'the converter'}: {error.strerror}"
            hint = "the unit's lock lies there; name another --state-dir"
            raise refusal(Location(str(folder)), "AR104", message, hint) from error
        yield


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
    own = own_rules(site.config)
    rules = bundled_rules() if own is None else declare_rules(read_contents(own))
    with _claimed(config, folder, parent):
        store = FileStateStore(folder)
        async with open_community(
            urls,
            config.community_id,
            config.cluster_id,
            config.unit_id,
            folder,
            within_s=options.start_timeout_s,
            new_store=options.new_store,
            credentials=credentials_of(site.config),
        ) as community:
            if broken := broken_times(policy, community.times):
                raise refusal(site.policy.document.location(place_of(broken[0][0])), "AR504", broken[0][1])
            reference = reference_of(policy, site.policy.text, rules.of_the_community)
            differing = await join_community(community.ports.policy, reference)
            documents = Documents(
                config,
                site.hw_config.model,
                policy,
                site.scenario.model,
                times_in_force(policy, community.times),
                rules,
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
                store=store,
                temporary=Path(tempfile.gettempdir()),
                source=random.SystemRandom(),
                refusal=f"it differs from what the community goes by, in {', '.join(differing)}" if differing else "",
                start_timeout_s=options.start_timeout_s,
                ping=_watchdog_page(config.watchdog),
                files=NodeFiles(
                    kept_file(site.hw_config), kept_file(site.scenario), kept_file(site.policy), own, folder / FOLDER
                ),
                inherited_mode=mode_of_apis_main(config, Path(tempfile.gettempdir())),
                displaced=lambda: community.displaced,
            )

            def asked_again(reason: str) -> None:
                node.tell_asked_again(reason)

            device = open_device(
                config,
                hosts,
                _TimesInForce(documents),
                community.ports.clock.now_s,
                on_failed_attempt=asked_again,
            )
            node = Node(identity, documents, NodePorts(community.ports, device), around)
            try:
                yield OpenNode(node, folder, community)
            finally:
                if community.displaced:
                    # The converter is the other instance's business now, for the process above as well.
                    parent.leave(config.unit_id, at_rest=True)
                await device.close()


class _TimesInForce:
    """How long the driver is waited for and how often it is asked, by the policy that is in force now."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    @property
    def request_timeout_s(self) -> float:
        return self._documents.policy.controller.request_timeout_s

    @property
    def attempts(self) -> int:
        return self._documents.policy.controller.retry_limit


def mode_of_apis_main(config: Config, temporary: Path) -> bytes | None:
    """Return the unit's own mode as apis-main has left it at ``stateFileFormat``, None where there is none.

    A unit that was stopped there must not begin to trade because another program runs it.
    """
    file = Path(config.state_file_format.replace("{tmpdir}", str(temporary)).replace("%s", LOCAL_MODE_FILE))
    try:
        return file.read_bytes()[:100]
    except OSError:
        return None


def own_rules(config: Loaded[Config]) -> Path | None:
    """Return the folder of own rule files that a config names, None where it names none."""
    name = config.model.rules
    return None if name is None else resolve(name, Path(config.document.file)).resolve()


def kept_file(loaded: Loaded[Any]) -> KeptFile:
    """Return a file as it was read, for those who read it again."""
    model = loaded.model
    meaning = model.canonical_hash if isinstance(model, Policy) else canonical_hash(model.to_document())
    return KeptFile(str(Path(loaded.document.file).resolve()), loaded.text, meaning)
