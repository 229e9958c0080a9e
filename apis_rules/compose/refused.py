"""A start that is refused leaves no converter active: what a dead process left behind is brought to WAIT first."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import AsyncExitStack, ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from apis_rules.compose.claim import converter_lock
from apis_rules.compose.options import unit_folder
from apis_rules.compose.wait_orders import LOCK_FILE
from apis_rules.documents.community import resolve
from apis_rules.documents.config import Config
from apis_rules.documents.diagnostics import Findings
from apis_rules.documents.load import load_document
from apis_rules.documents.wiring import load_wiring
from apis_rules.errors import InputError, PortError
from apis_rules.file_lock import Locked, file_lock
from apis_rules.node import messages
from apis_rules.node.last_stop import bring_to_wait, read_mode
from apis_rules.ports.types import ConverterMode
from apis_transport.clock import MachineClock
from apis_transport.community import open_community
from apis_transport.device import DriverTimes, open_device
from apis_transport.device_hosts import DeviceHosts
from apis_transport.presence import find_alive

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from apis_transport.community import OpenCommunity
    from apis_transport.presence import Instance

ELSEWHERE: Final = "AR721"
"""Refusal because a node that keeps to its own machine would have to speak to another one."""

GRID_VOLTAGE_V: Final = 350.0
"""Goes along with WAIT, where the policy cannot be read; a converter in WAIT has no use for it."""

TIMES: Final = DriverTimes(2.0, 2)
STOP_S: Final = 15.0
BROKER_S: Final = 2.0

_TELLING: Final = ("communityId", "clusterId", "unitId", "systemType", "connection", "nats")


async def quiet_after_refusal(configs: Sequence[Path], root: Path, urls: Sequence[str], error: InputError) -> list[str]:
    """Bring the converters of *configs* to WAIT that are found active; return a sentence for each of these.

    Configs whose unit and driver cannot be read are passed over. A unit that runs elsewhere is left alone: another
    process holds its folder or commands its converter, or its presence is renewed in the community's store.
    """
    if any(d.code == ELSEWHERE for d in error.diagnostics):
        return []
    told = []
    for path in configs:
        config = read_unit(path)
        if config is not None:
            name = config.nats.credentials_file
            credentials = None if name is None else resolve(name, path)
            told += await _quiet(config, root, urls or config.nats.urls, credentials)
    return told


def read_unit(path: Path) -> Config | None:
    """Return what a config says of unit and driver, whatever else is wrong with it; None where it does not say it."""
    try:
        written: Any = load_document(path, Findings()).value
    except InputError:
        return None
    if not isinstance(written, dict):
        return None
    known = {key: written[key] for key in _TELLING if key in written}
    files = dict.fromkeys(("hwConfigFile", "policyFile", "scenarioFile"), "not needed")
    for keys in (known, {k: v for k, v in known.items() if k != "nats"}):
        with contextlib.suppress(ValidationError):
            return Config.model_validate({**keys, **files})
    return None


async def _quiet(config: Config, root: Path, urls: Sequence[str], credentials: Path | None) -> list[str]:
    folder = unit_folder(root, config)
    with ExitStack() as stack:
        # What cannot be there has no other process in it.
        with contextlib.suppress(OSError):
            try:
                stack.enter_context(converter_lock(config))
                stack.enter_context(file_lock(folder / LOCK_FILE))
            except (Locked, PermissionError):  # what belongs to somebody else may be running
                return []
        return await _stop_active(config, folder, urls, credentials)


async def _stop_active(config: Config, folder: Path, urls: Sequence[str], credentials: Path | None) -> list[str]:
    async with DeviceHosts() as hosts:
        try:
            device = open_device(config, hosts, TIMES, MachineClock().now_s)
        except (InputError, ValueError):
            return []
        try:
            found = await read_mode(device)
            if found is ConverterMode.WAIT:
                return []
            name = found.name.lower().replace("_", " ") if found else "an unknown mode"
            async with AsyncExitStack() as stack:
                community = await _enter_community(config, urls, credentials, stack)
                alive = community and await _find_alive(community, config.unit_id, folder)
                if alive:
                    where = f"the unit runs on {alive.host} as process {alive.process}"
                    return [f"{config.unit_id}: the converter is in {name} and was left so: {where}"]
                left = await bring_to_wait(device, GRID_VOLTAGE_V, STOP_S, partial(_tell_going, config, community))
        except PortError:
            return []
        finally:
            await device.close()
    now = "it is in WAIT now" if left is ConverterMode.WAIT else "it could not be brought to WAIT"
    return [f"{config.unit_id}: the converter was found in {name}; {now}"]


async def _enter_community(
    config: Config, urls: Sequence[str], credentials: Path | None, stack: AsyncExitStack
) -> OpenCommunity | None:
    """Join as an onlooker; None where the community cannot be reached."""
    if not urls:
        return None
    place = (config.community_id, config.cluster_id, config.unit_id)
    with contextlib.suppress(InputError, PortError, TimeoutError):
        async with asyncio.timeout(2 * BROKER_S):
            return await stack.enter_async_context(
                open_community(urls, *place, None, credentials=credentials, within_s=BROKER_S)
            )
    return None


async def _find_alive(community: OpenCommunity, unit_id: str, folder: Path) -> Instance | None:
    try:
        return await find_alive(community.ports.unit, unit_id, folder, load_wiring().presence)
    except PortError:
        return None


async def _tell_going(config: Config, community: OpenCommunity | None) -> None:
    if community is not None:
        going = messages.Going(unit_id=config.unit_id, reason="its node could not start")
        with contextlib.suppress(PortError):
            await community.ports.bus.broadcast(messages.VOLTAGE_GOING, going.to_json())
