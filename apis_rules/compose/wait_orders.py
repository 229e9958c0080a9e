"""What the process above a node needs to know so that it can keep the node's converter safe without it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from apis_rules.compose.shown import SHOWN
from apis_rules.documents.driver import fill_in, load_driver
from apis_rules.documents.jsonpath import compile_path
from apis_rules.node.battery import claim_paths, owner_of
from apis_rules.node.controller import MEMORY_FILE
from apis_rules.supervisor.orders import Place, Steps, UnitOrders
from apis_transport.clock import clock_identity
from apis_transport.device import addresses_of, wait_set_points

if TYPE_CHECKING:
    from collections.abc import Mapping

    from apis_rules.documents.config import Config
    from apis_rules.documents.driver import Driver, DriverRequest
    from apis_rules.node.identity import Documents

LOCK_FILE: Final = "unit.lock"
CODE: Final = "dcdc.status.status"
WORD: Final = "dcdc.status.operationMode"


def compile_orders(documents: Documents, folder: Path) -> UnitOrders:
    """Compile the requests for mode and WAIT out of the driver's file.

    Args:
        documents: what the node goes by.
        folder: its state folder.

    Raises:
        InputError: the driver's file is wrong.
        ValueError: the driver tells the mode at no simple place.
    """
    config = documents.config
    driver = load_driver(config.system_type)
    addresses = addresses_of(driver, config)
    values = {"unit": config.unit_id, **wait_set_points(documents.policy.operation_grid_voltage_v)}
    return UnitOrders(
        unit_id=config.unit_id,
        lock=str(folder / LOCK_FILE),
        memory=str(folder / MEMORY_FILE),
        clock_id=clock_identity(),
        read_url=_url(driver.status, addresses, values),
        places=_places(driver),
        wait_url=_url(driver.set_mode, addresses, values),
        holder_dead_man_s=documents.times["holder_dead_man_s"],
        request_timeout_s=documents.policy.controller.request_timeout_s,
        owner=owner_of(config),
        claims=_claims(config),
    )


def _claims(config: Config) -> tuple[str, ...]:
    if not config.battery_capacity_management.enabled:
        return ()
    paths = claim_paths(config.file_system_exclusive_lock_file_format, Path(tempfile.gettempdir()))
    return tuple(str(path) for path in paths.values())


def _url(asked: DriverRequest, addresses: Mapping[str, str], values: Mapping[str, str]) -> str:
    query = urlencode({key: fill_in(text, values) for key, text in asked.query.items()})
    return f"{addresses[asked.host]}{fill_in(asked.path, values)}" + (f"?{query}" if query else "")


def _places(driver: Driver) -> tuple[Place, ...]:
    by_code = {mode.code: shown.value for mode, shown in SHOWN.items()}
    by_word = {mode.operation_mode: shown.value for mode, shown in SHOWN.items()}
    found = [
        Place(steps, words)
        for place, words in ((CODE, by_code), (WORD, by_word))
        if (steps := _steps(driver.status, place))
    ]
    if not found:
        raise ValueError(f"{driver.driver}: the status tells no mode")
    return tuple(found)


def _steps(asked: DriverRequest, place: str) -> tuple[Steps, ...]:
    """Return where in an answer that stands which goes to *place* in the unit data."""
    found = []
    for given, texts in asked.answer.items():
        if place == given or place.startswith(f"{given}."):
            rest = tuple(place.removeprefix(given).strip(".").split(".")) if place != given else ()
            found += [(*steps, *rest) for text in texts if (steps := compile_path(text).steps) is not None]
    return tuple(found)
