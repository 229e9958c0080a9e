"""The files that a run or a simulation begins with, node by node."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apis_rules.compose.refused import read_unit
from apis_rules.documents.community import Site, check_neighbours, load_site
from apis_rules.documents.config import Config
from apis_rules.documents.diagnostics import Findings, Location
from apis_rules.documents.document import Document
from apis_rules.documents.reading import Loaded, load_hw_config, load_policy, load_scenario
from apis_rules.documents.source import refusal
from apis_rules.errors import InputError
from apis_rules.resources import data_dir

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path


def config_files(target: Path | None) -> list[Path]:
    """Return the configs that *target* means: one, or all ``config*.json`` of a folder; none for the example."""
    if target is None:
        return []
    return sorted(target.glob("config*.json")) if target.is_dir() else [target]


def load_sites(target: Path, left: Collection[str] = ()) -> list[Site]:
    """Read one config, or all ``config*.json`` of a folder, with the files that they name.

    Units that have *left* by their own decision are passed over.

    Raises:
        InputError: with everything that is wrong with any of them.
    """
    configs = config_files(target)
    if not configs:
        raise refusal(
            Location(str(target)), "AR102", "there is no config*.json in this folder", "'apis-rules init DIR'"
        )
    findings, sites = Findings(), []
    for path in configs:
        if left and (unit := read_unit(path)) is not None and unit.unit_id in left:
            continue
        try:
            sites.append(load_site(path))
        except InputError as error:
            findings.extend(error.diagnostics)
    check_neighbours([site.config for site in sites if site.config], findings)
    if findings.failed:
        raise InputError(findings.sorted())
    return sites


def bundled_site() -> Site:
    """Return a node of the files that come with the program, for a unit without a driver."""
    rules = data_dir("rules")
    hw_config, policy, scenario = (rules / name for name in ("hwConfig.json", "policy.json", "scenario.json"))
    written = {
        "communityId": "example",
        "clusterId": "example",
        "unitId": "E001",
        "systemType": "dcdc_emulator",
        "hwConfigFile": str(hw_config),
        "policyFile": str(policy),
        "scenarioFile": str(scenario),
        "dealLogDirFormat": "'/dealLog/'uuuu'/'MM'/'dd",
    }
    config = Loaded(Config.model_validate(written), Document("<example>", written, {}), ())
    return Site(config, load_hw_config(hw_config), load_policy(policy), load_scenario(scenario))
