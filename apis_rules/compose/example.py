"""The example community: four units on the modelled grid, by the bundled files."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from apis_rules.documents.community import Site
from apis_rules.documents.config import Config
from apis_rules.documents.document import Document
from apis_rules.documents.reading import Loaded, load_hw_config, load_policy, load_scenario
from apis_rules.grid.model import Grid
from apis_rules.grid.plant import Plant
from apis_rules.grid.server import Emulator, EmulatorPorts
from apis_rules.grid.settings import community
from apis_rules.resources import data_dir

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

FILES: Final = ("hwConfig.json", "policy.json", "scenario.json")
UNITS: Final = ("E001", "E002", "E003", "E004")
DEAD_V: Final = 0.5
LOOK_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class Example:
    """The example's files, and the modelled grid that they are about."""

    sites: list[Site]
    plant: Plant

    @property
    def grid_v(self) -> float:
        """The highest voltage that any unit sees now."""
        grid = self.plant.grid_now()
        return max(grid.unit(unit).grid_voltage_v for unit in UNITS)

    async def until_dead(self, within_s: float) -> None:
        """Return when the grid has no voltage any more, or when the time is out."""
        end_s = asyncio.get_running_loop().time() + within_s
        while self.grid_v >= DEAD_V and asyncio.get_running_loop().time() < end_s:  # noqa: ASYNC110 - a model tells nobody
            await asyncio.sleep(LOOK_S)


@asynccontextmanager
async def open_example(accelerate: float, folder: Path) -> AsyncIterator[Example]:
    """Serve the example's grid at a free port.

    Args:
        accelerate: how much faster than ours the grid's clock runs.
        folder: for states, deal logs and files of its own.
    """
    plant = Plant(Grid(community(len(UNITS))), now_s=asyncio.get_running_loop().time, acceleration=accelerate)
    async with Emulator(plant, EmulatorPorts(emulator=0, v2_first=None, v1_first=None)) as emulator:
        if emulator.addresses.emulator is None:
            raise RuntimeError("the emulator of the example serves no port")
        host, port = emulator.addresses.emulator
        yield Example(example_sites(host, port, folder), plant)


def example_sites(host: str, port: int, folder: Path) -> list[Site]:
    """Return what each node of the example starts from.

    Args:
        host: where the device emulator listens.
        port: likewise.
        folder: for states and deal logs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        # Of its own, so that they may be changed while it runs; with a folder that stays, they stay as well.
        if not (folder / name).exists():
            shutil.copyfile(data_dir("rules") / name, folder / name)
    hw_config, policy, scenario = (folder / name for name in FILES)
    return [
        Site(
            _config(unit, number, host, port, folder),
            load_hw_config(hw_config),
            load_policy(policy),
            load_scenario(scenario),
        )
        for number, unit in enumerate(UNITS, start=1)
    ]


def _config(unit: str, number: int, host: str, port: int, folder: Path) -> Loaded[Config]:
    written = {
        "programId": "apis-rules",
        "communityId": "example",
        "clusterId": "example",
        "unitId": unit,
        "unitName": f"house {number}",
        "serialNumber": str(number),
        "systemType": "dcdc_emulator",
        "connection": {"emulator": {"host": host, "port": port}},
        "hwConfigFile": str(folder / "hwConfig.json"),
        "policyFile": str(folder / "policy.json"),
        "scenarioFile": str(folder / "scenario.json"),
        "stateFileFormat": f"{folder}/{unit}/%s",
        "dealLogDirFormat": f"'{folder}/{unit}/dealLog/'uuuu'/'MM'/'dd",
    }
    return Loaded(Config.model_validate(written), Document("<example>", written, {}), ())
