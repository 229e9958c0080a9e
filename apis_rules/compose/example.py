"""The example community: four units on the modelled grid, by the bundled files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from apis_rules.documents.community import Site
from apis_rules.documents.config import Config
from apis_rules.documents.document import Document
from apis_rules.documents.reading import Loaded, load_hw_config, load_policy, load_scenario
from apis_rules.resources import data_dir

if TYPE_CHECKING:
    from pathlib import Path

UNITS: Final = ("E001", "E002", "E003", "E004")


def example_sites(host: str, port: int, folder: Path) -> list[Site]:
    """Return what each node of the example starts from.

    Args:
        host: where the device emulator listens.
        port: likewise.
        folder: for states and deal logs.
    """
    rules = data_dir("rules")
    hw_config = load_hw_config(rules / "hwConfig.json")
    policy = load_policy(rules / "policy.json")
    scenario = load_scenario(rules / "scenario.json")
    return [
        Site(_config(unit, number, host, port, folder, rules), hw_config, policy, scenario)
        for number, unit in enumerate(UNITS, start=1)
    ]


def _config(unit: str, number: int, host: str, port: int, folder: Path, rules: Path) -> Loaded[Config]:
    written = {
        "programId": "apis-rules",
        "communityId": "example",
        "clusterId": "example",
        "unitId": unit,
        "unitName": f"house {number}",
        "serialNumber": str(number),
        "systemType": "dcdc_emulator",
        "connection": {"emulator": {"host": host, "port": port}},
        "hwConfigFile": str(rules / "hwConfig.json"),
        "policyFile": str(rules / "policy.json"),
        "scenarioFile": str(rules / "scenario.json"),
        "stateFileFormat": f"{folder}/{unit}/%s",
        "dealLogDirFormat": f"'{folder}/{unit}/dealLog/'uuuu'/'MM'/'dd",
    }
    return Loaded(Config.model_validate(written), Document("<example>", written, {}), ())
