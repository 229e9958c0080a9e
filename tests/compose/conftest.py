"""One community, run once for all tests that only look at it and steer it; grids and files for starts that fail."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from apis_rules.grid.configs import write_configs
from tests.compose.houses import UNITS, Houses, Program, write_community
from tests.nats_servers import Server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Running:
    """A folder of nodes that runs in one process, on a grid that the test can look into."""

    def __init__(self, houses: Houses, folder: Path, program: Program) -> None:
        self.houses = houses
        self.folder = folder
        self.program = program
        self.place = ("--state-dir", folder / "state")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Four nodes of one folder, begun once; whoever stops them is the last test of its module."""
    folder = tmp_path_factory.mktemp("community")
    with Houses(accelerate=20) as houses:
        write_community(folder, houses.addresses)
        with Program("run", folder, "--state-dir", folder / "state") as program:
            yield Running(houses, folder, program)


@pytest.fixture(scope="module")
def houses() -> Iterator[Houses]:
    """A grid whose converters all wait."""
    with Houses() as opened:
        yield opened


@pytest.fixture
def folder(houses: Houses, tmp_path: Path) -> Path:
    """A complete working set of files for the four units."""
    write_configs(tmp_path, UNITS, houses.addresses, "dcdc_emulator")
    return tmp_path


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A community's server."""
    opened = Server(tmp_path_factory.mktemp("nats")).start()
    yield opened
    opened.stop()
