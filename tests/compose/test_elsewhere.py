"""A start that is refused never acts against a unit that runs elsewhere: its converter is that process's business."""

from __future__ import annotations

import asyncio
import json
from contextlib import ExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from apis_rules.compose.claim import converter_lock
from apis_rules.compose.nodes import open_node
from apis_rules.compose.options import RunOptions
from apis_rules.compose.parent import Parent
from apis_rules.compose.sites import load_sites
from apis_rules.documents.reading import load_config
from apis_rules.file_lock import file_lock
from apis_rules.ports.state import Write
from apis_rules.ports.types import ConverterMode
from apis_transport.community import open_community
from apis_transport.device_hosts import DeviceHosts
from apis_transport.presence import Displaced, Instance
from tests.compose.houses import Houses, Program, ask, changed, refused, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.nats_servers import Server

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(150)]


def broken(folder: Path) -> None:
    (folder / "scenario.json").write_text("{}")


@asynccontextmanager
async def living(server: Server, folder: Path, unit_id: str) -> AsyncIterator[None]:
    """The unit runs on another machine: it renews its presence, and this machine has no lock of it."""
    async with open_community([server.url], "example", "example", unit_id, folder / "far" / unit_id):
        yield


async def test_a_unit_that_is_present_is_left_alone(houses: Houses, folder: Path, server: Server) -> None:
    """A broken second start from another state folder leaves the converter of a unit alive as it is, and says so."""
    houses.set_mode("E003", ConverterMode.CHARGE)
    broken(folder)
    async with living(server, folder, "E003"):
        said = await asyncio.to_thread(refused, folder, "E003", "--nats", server.url)
        assert "E003: the converter is in charge and was left so: the unit runs on" in said
        assert houses.active() == ["E003"]
    said = await asyncio.to_thread(refused, folder, "E003", "--nats", server.url)
    assert "E003: the converter was found in charge; it is in WAIT now" in said
    assert houses.all_wait()


async def test_a_second_start_of_a_unit_that_is_present_is_refused(
    houses: Houses, folder: Path, server: Server
) -> None:
    """With nothing wrong in its files it is refused because the first one renews, where no lock tells of it."""
    async with living(server, folder, "E003"):
        said = await asyncio.to_thread(refused, folder, "E003", "--nats", server.url, "--start-timeout", "20")
        assert "AR518 error: is already running on" in said
    assert houses.all_wait()


@pytest.mark.parametrize("way", ["its folder", "its converter"])
def test_a_unit_whose_lock_is_held_is_left_alone(houses: Houses, folder: Path, way: str) -> None:
    """A process of this machine that works with the same folder, or commands the same converter, is not disturbed."""
    houses.set_mode("E003", ConverterMode.CHARGE)
    with ExitStack() as stack:
        if way == "its folder":
            stack.enter_context(file_lock(folder / "state" / "example" / "example" / "E003" / "unit.lock"))
        else:
            stack.enter_context(converter_lock(load_config(folder / "config.E003.json").model))
        assert "AR702" in refused(folder, "E003", "--nats", "nats://127.0.0.1:1")
        broken(folder)
        refused(folder, "E003", "--nats", "nats://127.0.0.1:1")
        assert houses.active() == ["E003"]
    refused(folder, "E003", "--nats", "nats://127.0.0.1:1")
    assert houses.all_wait()


class Above(Parent):
    """Keeps what it is told of units that left."""

    def __init__(self) -> None:
        super().__init__()
        self.left: list[tuple[str, bool]] = []

    def leave(self, unit_id: str, *, at_rest: bool) -> None:
        self.left.append((unit_id, at_rest))


async def test_a_unit_that_was_taken_over_is_guarded_no_more(folder: Path, server: Server) -> None:
    """Another instance takes the unit id of a living node: the process above is told to leave its converter alone."""
    above = Above()
    options = RunOptions(folder, (server.url,), None, None, 1.0, 20.0, "table", folder / "state")
    site = load_sites(folder / "config.E003.json")[0]

    async def be_replaced() -> None:
        async with (
            asyncio.timeout(30),
            DeviceHosts() as hosts,
            open_node(site, [server.url], folder / "state" / "E003", hosts, options, above),
            open_community([server.url], "example", "example", "onlooker", None) as outside,
        ):
            entry = await outside.ports.unit.get("presence.E003")
            other = Instance(unit_id="E003", instance="another", home="far", host="far", process=1)
            await outside.ports.unit.write(Write(entry.key, other.to_json(), entry.at))
            await asyncio.sleep(30)

    with pytest.raises(ExceptionGroup) as caught:
        await be_replaced()
    assert caught.group_contains(Displaced)
    assert above.left == [("E003", True)]


def test_a_community_that_runs_on_a_server_of_its_own_is_left_alone(houses: Houses, folder: Path) -> None:
    """A second run of its folder, whole or broken, with another state folder: refused, and the deals go on."""
    files = {path: path.read_text() for path in folder.glob("*.json")}
    second = ("run", "--no-supervisor", folder, "--state-dir", folder / "other")
    with Program("run", folder, "--state-dir", folder / "state") as first:
        until(lambda: len(houses.active()) > 0, 90, "the voltage reference ramps")
        active = houses.active()
        assert "AR702 error: E001 runs already in another process" in ask(*second, expect=2)
        changed(folder / "policy.json", memberUnitIds=["E001"])
        said = ask(*second, expect=2)
        assert "AR230" in said
        assert "WAIT" not in said
        assert first.running
        assert set(active) <= set(houses.active())
        for path, text in files.items():
            path.write_text(text)
        assert json.loads(ask("status", "--format", "json", "--state-dir", folder / "state"))["deals"]
