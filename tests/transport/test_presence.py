"""One instance of a unit id at a time."""

from __future__ import annotations

import asyncio
import os
import shutil
from contextlib import suppress
from pathlib import Path

import pytest

from apis_rules.documents.wiring import load_wiring
from apis_rules.errors import Outage
from apis_rules.file_lock import Locked, file_lock
from apis_transport.community import open_community
from apis_transport.errors import CannotOpen
from apis_transport.presence import Displaced, Presence, claim_presence, find_alive
from tests.nats_servers import Server, Wire

pytestmark = pytest.mark.anyio

WIRING = load_wiring()
QUICK = WIRING.model_copy(update={"presence": WIRING.presence.model_copy(update={"renewal_s": 0.3, "refusal_s": 1.0})})


def opened(url: str, community_id: str, state_dir: Path):
    return open_community([url], community_id, "c", "E001", state_dir, wiring=QUICK)


async def test_a_second_renewing_instance_is_refused(shared_server: Server, community_id: str, tmp_path: Path) -> None:
    """While an instance renews, one with another state directory does not get its unit id, and it goes on."""
    async with opened(shared_server.url, community_id, tmp_path / "one") as first:
        with pytest.raises(CannotOpen) as caught:
            async with opened(shared_server.url, community_id, tmp_path / "two"):
                pass
        assert caught.value.code == "AR518"
        assert "process" in str(caught.value)
        await first.ports.ctl.get("k")


async def test_a_restart_with_the_same_state_directory_takes_over_at_once(
    shared_server: Server, community_id: str, tmp_path: Path
) -> None:
    """Whoever holds the lock of the state directory knows that the former instance is dead and does not wait."""
    loop = asyncio.get_running_loop()
    async with opened(shared_server.url, community_id, tmp_path / "one") as first:
        presence = await claim_presence(first.ports.unit, "E009", tmp_path / "nine", WIRING.presence)
        assert presence.revision > 0  # and it dies here, without leaving
        began = loop.time()
        again = await claim_presence(first.ports.unit, "E009", tmp_path / "nine", WIRING.presence)
        assert loop.time() - began < 1
        with pytest.raises(Displaced, match="AR519"):
            await presence.renew()
        await again.leave()


async def test_an_instance_that_does_not_renew_is_replaced(
    shared_server: Server, community_id: str, tmp_path: Path
) -> None:
    """A presence that nobody renews gives way after the declared time, although it has not expired."""
    async with opened(shared_server.url, community_id, tmp_path / "one") as first:
        unit = first.ports.unit
        await claim_presence(unit, "E009", tmp_path / "dead", QUICK.presence)
        began = asyncio.get_running_loop().time()
        await claim_presence(unit, "E009", tmp_path / "new", QUICK.presence)
        assert 0.9 < asyncio.get_running_loop().time() - began < 3


async def test_only_an_instance_that_renews_is_alive(shared_server: Server, community_id: str, tmp_path: Path) -> None:
    """Who looks finds an instance that renews; not one that has stopped, nor one of the own state directory."""
    async with opened(shared_server.url, community_id, tmp_path / "one") as first:
        unit = first.ports.unit
        alive = await find_alive(unit, "E001", tmp_path / "other", QUICK.presence)
        assert alive is not None
        assert alive.process == os.getpid()
        assert await find_alive(unit, "E001", tmp_path / "one", QUICK.presence) is None
        await claim_presence(unit, "E009", tmp_path / "dead", QUICK.presence)
        assert await find_alive(unit, "E009", tmp_path / "other", QUICK.presence) is None
        assert await find_alive(unit, "E010", tmp_path / "other", QUICK.presence) is None


async def test_leaving_gives_the_unit_id_free(shared_server: Server, community_id: str, tmp_path: Path) -> None:
    """After an orderly end another installation gets the unit id at once."""
    async with opened(shared_server.url, community_id, tmp_path / "one"):
        pass
    began = asyncio.get_running_loop().time()
    async with opened(shared_server.url, community_id, tmp_path / "two"):
        assert asyncio.get_running_loop().time() - began < 1


async def test_an_instance_that_was_replaced_ends(shared_server: Server, community_id: str, tmp_path: Path) -> None:
    """An instance that was away while another took its unit id is told when it is back, and ends."""
    wire = Wire(shared_server.port)
    await wire.mend()
    displaced = []

    async def be_replaced() -> None:
        async with asyncio.timeout(20), opened(wire.url, community_id, tmp_path / "one") as community:
            await wire.cut()
            async with opened(shared_server.url, community_id, tmp_path / "two"):
                displaced.append(community.displaced)
                await wire.mend()
                try:
                    await asyncio.sleep(20)
                finally:  # a node looks here before it acts once more at its end
                    displaced.append(community.displaced)

    with pytest.raises(ExceptionGroup) as caught:
        await be_replaced()
    assert caught.group_contains(Displaced)
    assert displaced == [False, True]
    await wire.cut()


async def test_presence_survives_the_loss_of_its_bucket(server: Server, community_id: str, tmp_path: Path) -> None:
    """The bucket lives in the server's memory: after a restart the presence is written again, with no one displaced."""
    async with opened(server.url, community_id, tmp_path / "one") as community:
        unit = community.ports.unit
        assert (await unit.get("presence.E001")).value is not None
        async with asyncio.timeout(10):
            server.kill()
            while community.ports.link.connected:
                await asyncio.sleep(0.02)
            server.start()
            while not community.ports.link.connected:
                await asyncio.sleep(0.02)
            written = False
            while not written:
                await asyncio.sleep(0.02)
                with suppress(Outage):  # the bucket itself is made again first
                    written = (await unit.get("presence.E001")).value is not None


async def test_a_lost_acknowledgement_displaces_nobody(
    shared_server: Server, community_id: str, tmp_path: Path
) -> None:
    """A renewal that was done without our hearing of it is found to be our own."""
    async with opened(shared_server.url, community_id, tmp_path / "one") as community:
        unit = community.ports.unit
        presence = await claim_presence(unit, "E009", tmp_path / "nine", WIRING.presence)
        unheard = Presence(unit, presence.me, presence.revision, WIRING.presence)
        await unheard.renew()
        await presence.renew()
        assert presence.revision > unheard.revision


def test_a_lock_has_one_holder(tmp_path: Path) -> None:
    """The lock of a state directory is refused to a second holder, with who has it, and is free afterwards."""
    path = tmp_path / "state" / "unit.lock"
    with file_lock(path), pytest.raises(Locked) as caught, file_lock(path):
        pass
    assert "process" in caught.value.owner
    with file_lock(path):
        pass
    shutil.rmtree(path.parent)
