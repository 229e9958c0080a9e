"""Ready-made files for nodes that are to run against the emulator: a ``config.json`` per unit and what it refers to."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from apis_rules.documents.diagnostics import Location
from apis_rules.documents.source import refusal
from apis_rules.resources import data_dir

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from apis_rules.grid.server import Addresses

_SHARED = ("hwConfig.json", "scenario.json")


def node_config(unit_id: str, number: int, addresses: Addresses, system_type: str) -> dict[str, Any]:
    """Return the ``config.json`` of one unit, for the interface *system_type* of the emulator."""
    driver = {"dcdc_v2": addresses.v2, "dcdc_v1": addresses.v1}.get(system_type, {}).get(unit_id)
    connection = {}
    if system_type == "dcdc_emulator" and addresses.emulator:
        connection["emulator"] = _address(addresses.emulator)
    elif driver:
        connection["dcdc_controller"] = _address(driver)
        if system_type == "dcdc_v1":
            connection["emu_driver"] = _address(driver)
    return {
        "programId": "apis-rules",
        "communityId": "example",
        "clusterId": "example",
        "unitId": unit_id,
        "unitName": unit_id,
        "serialNumber": str(number),
        "systemType": system_type,
        "hwConfigFile": "hwConfig.json",
        "policyFile": "policy.json",
        "scenarioFile": "scenario.json",
        # Its own, so that all nodes can run on one machine.
        "stateFileFormat": f"{{tmpdir}}/apis/{unit_id}/state/%s",
        "dealLogDirFormat": f"'{{tmpdir}}/apis/{unit_id}/dealLog/'uuuu'/'MM'/'dd",
        "connection": connection,
    }


def write_configs(folder: Path, unit_ids: Sequence[str], addresses: Addresses, system_type: str) -> list[Path]:
    """Write a config per unit, and copies of the bundled policy (with these members), scenario and hardware file.

    Files that are there already are left as they are: somebody may have changed them. Returns what was written.

    Raises:
        InputError: AR104, the folder cannot be written to.
    """
    policy = json.loads((data_dir("rules") / "policy.json").read_text(encoding="utf-8"))
    policy |= {"memberUnitIds": list(unit_ids), "largeCapacityUnitIds": list(unit_ids[:1])}
    texts = {"policy.json": json.dumps(_without_comments(policy), indent=2) + "\n"}
    texts |= {name: (data_dir("rules") / name).read_text(encoding="utf-8") for name in _SHARED}
    for number, unit_id in enumerate(unit_ids, start=1):
        config = node_config(unit_id, number, addresses, system_type)
        texts[f"config.{unit_id}.json"] = json.dumps(config, indent=2) + "\n"
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            path = folder / name
            if not path.exists():
                path.write_text(text, encoding="utf-8")
                written.append(path)
    except OSError as error:
        raise refusal(Location(str(folder)), "AR104", f"cannot be written to: {error.strerror}") from error
    return written


def _address(address: tuple[str, int]) -> dict[str, Any]:
    host, port = address
    return {"host": host, "port": port}


def _without_comments(value: Any) -> Any:
    # Comments stand under repeated keys in the bundled files, of which a plain reader keeps only the last.
    if isinstance(value, dict):
        return {k: _without_comments(v) for k, v in value.items() if not k.startswith("#")}
    return value
