"""A gateway: nodes of two communities at one battery, in virtual time; the files of its claims are real."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from apis_rules.battery_claims import clear_claim, list_claims
from apis_rules.documents.config import Config
from apis_rules.node.battery import claim_paths
from apis_rules.ports.types import ConverterMode, Direction
from apis_rules.ports.virtual_time import run_virtual
from tests.node.world import SMALL_DEALS, World, world

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

ACCELERATION = 20.0
GATEWAY = "E001"
"""In both communities the unit at the shared battery: full, so that it discharges in both."""


@asynccontextmanager
async def gateway(folder: Path, budget_a: float | None = None) -> AsyncIterator[tuple[World, World]]:
    """Open two communities; the second one's nodes are not started yet."""

    def config(w: World, cluster: str) -> Config:
        written = w.documents[GATEWAY].config.model_dump(by_alias=True)
        management = {"enabled": True} | ({"currentBudgetA": budget_a} if budget_a else {})
        return Config.model_validate(
            written
            | {
                "clusterId": cluster,
                "batteryCapacityManagement": management,
                "fileSystemExclusiveLockFileFormat": f"{folder}/shared.%s.lock",
            }
        )

    # The partners have batteries of their own: a file of theirs is nobody's business but theirs.
    async with (
        world(2, acceleration=ACCELERATION, policy=SMALL_DEALS, rsoc=[92.0, 27.0], started=False) as north,
        world(2, acceleration=ACCELERATION, policy=SMALL_DEALS, rsoc=[92.0, 27.0], started=False) as south,
    ):
        for w, cluster in ((north, "north"), (south, "south")):
            w.documents[GATEWAY].config = config(w, cluster)
        for unit_id in north.unit_ids:
            north.start(unit_id)
        yield north, south


def claims(folder: Path) -> list[tuple[str, float, bool]]:
    path = claim_paths(f"{folder}/shared.%s.lock", folder)[Direction.DISCHARGE]
    return [(claim.owner, claim.ampere, runs) for claim, runs in list_claims(path)]


def trading(w: World) -> str:
    node = w.houses[GATEWAY].node
    return node.services.board.trading if node is not None and node.services is not None else ""


async def check_turns(folder: Path) -> None:
    async with gateway(folder) as (north, south):
        await north.one_deal()
        assert claims(folder) == [("test/north/E001", 2.0, True)]
        for unit_id in south.unit_ids:
            south.start(unit_id)
        await south.until(lambda: "test/north/E001 claims 2 A" in trading(south), 40, "it says who has the battery")
        assert not south.records.deals()
        assert not south.events("battery_claimed"), "that passes: nobody needs to act"
        north.houses[GATEWAY].node.terminate()  # type: ignore[union-attr]
        await south.until(lambda: south.deals_in("started"), 60, "the other one's turn")
        assert north.mode(GATEWAY) == "WAIT"
        assert claims(folder) == [("test/south/E001", 2.0, True)]
        north.check_books()


def test_one_node_of_a_battery_at_a_time(tmp_path: Path) -> None:
    """While one node discharges the other one declines and says why; when the first has ended, the other one trades."""
    run_virtual(check_turns(tmp_path))


async def check_a_dead_node(folder: Path) -> None:
    async with gateway(folder) as (north, south):
        await north.one_deal()
        await north.kill(GATEWAY)
        for unit_id in south.unit_ids:
            south.start(unit_id)
        await south.until(lambda: south.events("battery_claimed"), 40, "it says so")
        assert "test/north/E001 claims 2 A and does not run" in south.events("battery_claimed")[0].message
        assert north.mode(GATEWAY) != "WAIT", "nobody has restarted anything"
        await asyncio.sleep(15)
        assert south.mode(GATEWAY) == "WAIT"
        assert not south.final_records
        assert not south.records.deals()
        assert claims(folder) == [("test/north/E001", 2.0, False)]
        # The operator opens the breaker of the dead one's converter, and says so.
        north.plant.grid_now().set_mode(GATEWAY, ConverterMode.WAIT, 0.0, 0.0, 0.0)
        clear_claim(claim_paths(f"{folder}/shared.%s.lock", folder)[Direction.DISCHARGE], "test/north/E001")
        await south.until(lambda: south.deals_in("started"), 60, "the other one's turn")


def test_a_dead_node_keeps_its_battery(tmp_path: Path) -> None:
    """Killed while it discharges, nothing restarted: no second current on that battery until it is cleared by name."""
    run_virtual(check_a_dead_node(tmp_path))


async def check_return(folder: Path) -> None:
    async with gateway(folder) as (north, south):
        await north.one_deal()
        await north.kill(GATEWAY)
        for unit_id in south.unit_ids:
            south.start(unit_id)
        await south.until(lambda: south.events("battery_claimed"), 40, "it says so")
        north.start(GATEWAY)
        await south.until(lambda: not claims(folder) or south.deals_in("started"), 90, "the claim goes")
        assert "test/north/E001" not in [c[0] for c in claims(folder)]
        assert north.mode(GATEWAY) == "WAIT"


@pytest.mark.campaign
def test_a_node_that_comes_back_gives_its_claim_back(tmp_path: Path) -> None:
    """What its earlier life has claimed goes when its deals are over and its converter is confirmed in WAIT."""
    run_virtual(check_return(tmp_path))


async def check_shared_budget(folder: Path) -> None:
    async with gateway(folder, budget_a=4.0) as (north, south):
        await north.one_deal()
        for unit_id in south.unit_ids:
            south.start(unit_id)
        await south.until(lambda: south.deals_in("started") and north.deals_in("started"), 60, "both discharge")
        assert sorted(claims(folder)) == [("test/north/E001", 2.0, True), ("test/south/E001", 2.0, True)]


@pytest.mark.campaign
def test_a_declared_budget_is_shared(tmp_path: Path) -> None:
    """With a budget of two deals' current both nodes discharge at once."""
    run_virtual(check_shared_budget(tmp_path))


async def check_robbed(folder: Path) -> None:
    async with gateway(folder) as (north, _):
        deal_id = await north.one_deal()
        path = claim_paths(f"{folder}/shared.%s.lock", folder)[Direction.DISCHARGE]
        path.write_text('[{"owner": "test/south/E001", "ampere": 2.0, "slot": 7}]')
        await north.until(lambda: north.events("battery_claim_lost"), 5, "it is noticed")
        await north.until(lambda: [r for r in north.final_records if r.deal_id == deal_id], 30, "the deal ends")
        await north.until(lambda: north.mode(GATEWAY) == "WAIT", 10, "the converter waits")
        assert "south" in path.read_text(), "what another one claims is left alone"
        north.check_books()


def test_a_claim_that_is_taken_away_ends_the_deal(tmp_path: Path) -> None:
    """Where the file names another owner meanwhile, the deal of that direction is ended, and the error says why."""
    run_virtual(check_robbed(tmp_path))


@pytest.mark.parametrize("pattern", ["{tmpdir}/.apis.%s.lock", "shared/%s"])
def test_the_path_says_which_battery(pattern: str, tmp_path: Path) -> None:
    """One file for each direction, by the names of apis-main; links to one folder are one battery."""
    paths = claim_paths(pattern, tmp_path)
    assert {p.name for p in paths.values()} == {
        (tmp_path / (pattern.replace("{tmpdir}", "") % f"batteryCapacity.{d}").lstrip("/")).name
        for d in ("CHARGE", "DISCHARGE")
    }
    (tmp_path / "link").symlink_to(tmp_path)
    assert claim_paths(f"{tmp_path}/link/%s", tmp_path) == claim_paths(f"{tmp_path}/%s", tmp_path)
