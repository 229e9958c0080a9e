"""Stopping waits for nothing, and nothing else overtakes: a small unit with the real rules over real servers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from apis_rules.documents.wiring import load_wiring
from apis_rules.errors import Fenced, Outage, Refused, Unknown
from apis_rules.ports.bundle import CommunityPorts
from apis_rules.ports.lease import Term
from apis_rules.ports.state import Write
from apis_rules.ports.types import CommandName, ConverterMode, Epoch
from apis_transport.buckets import stream_of
from apis_transport.community import open_community
from apis_transport.connection import open_connection
from apis_transport.jetstream import JetStream
from apis_transport.names import Names
from tests.nats_servers import Cluster, Server
from tests.transport.small_unit import SmallUnit, order, outcome_of, run_unit

pytestmark = pytest.mark.anyio
WIRING = load_wiring()
OBEYED_WITHIN_S = 0.5


@asynccontextmanager
async def pair(
    urls: list[str], community_id: str, folder: Path, **options
) -> AsyncIterator[tuple[CommunityPorts, SmallUnit]]:
    """A master's ports and a running unit, each with a connection of its own."""
    async with (
        open_community(urls, community_id, "c", "E001", folder / "E001", **options) as master,
        open_community(urls, community_id, "c", "E002", folder / "E002", **options) as node,
        run_unit("E002", node.ports) as unit,
    ):
        yield master.ports, unit


async def charging(ports: CommunityPorts, unit: SmallUnit) -> Term:
    """Begin a term and have the unit charge."""
    term = await ports.lease.acquire("E001")
    assert term is not None
    async with ports.commands.outcomes() as outcomes:
        await ports.commands.send("E002", order(term.epoch, 1, CommandName.CHARGE, current_a=1.0), term)
        assert (await outcome_of(outcomes, term.epoch, 1)).ok
    assert unit.mode is ConverterMode.CHARGE
    return term


async def obeyed(unit: SmallUnit) -> float:
    """Wait until the converter is in WAIT; return how long that took."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with asyncio.timeout(OBEYED_WITHIN_S):
        while unit.mode is not ConverterMode.WAIT:
            await asyncio.sleep(0.002)
    return loop.time() - began


async def test_while_the_store_elects_a_leader(cluster: Cluster, community_id: str, tmp_path: Path) -> None:
    """During an election no write is possible, and a WAIT is obeyed within half a second."""
    stream = stream_of(Names(WIRING, community_id, "c"), WIRING.buckets.ctl)
    async with open_community(cluster.urls, community_id, "c", "E009", tmp_path / "E009"):
        leader = await leader_of(cluster, stream)
        others = [server.url for server in cluster.servers if server is not leader]
        async with pair(others, community_id, tmp_path) as (ports, unit):
            term = await charging(ports, unit)
            leader.kill()
            try:
                with pytest.raises((Outage, Unknown)):
                    await ports.ctl.write(Write("grid", b"x", term.fence))
                stop = order(term.epoch, 2, CommandName.WAIT)
                with pytest.raises((Outage, Unknown)):
                    await ports.commands.send("E002", stop, term)
                await ports.commands.send_stop("E002", stop)
                await obeyed(unit)
                with pytest.raises((Outage, Unknown)):
                    await ports.ctl.write(Write("grid", b"x", term.fence))
            finally:
                leader.start()
            await in_order(ports)
            async with ports.commands.outcomes() as outcomes:
                # The fenced twin comes when the store is back, and gets the outcome that is stored.
                await ports.commands.send("E002", stop, await ports.lease.acquire("E001") or term)
                assert (await outcome_of(outcomes, term.epoch, 2)).ok


async def leader_of(cluster: Cluster, stream: str) -> Server:
    async with open_connection(cluster.urls, "tests") as connection:
        name = (await JetStream(connection, 5).info(stream))["cluster"]["leader"]
    return next(server for server in cluster.servers if server.name == name)


async def in_order(ports: CommunityPorts) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                await ports.ctl.write(Write("probe", b"x"))
            except (Outage, Unknown):
                await asyncio.sleep(0.1)
            else:
                return


async def fill(ports: CommunityPorts) -> None:
    """Write until nothing more is taken, however small."""
    number = 0
    for size in (100_000, 5_000, 300, 1):
        with suppress(Refused):
            while True:
                number += 1
                await ports.ctl.write(Write(f"deal.{number}", b"x" * size))


async def test_while_the_store_is_full(shared_server: Server, community_id: str, tmp_path: Path) -> None:
    """A store without room refuses the fenced command, and the WAIT is obeyed within half a second."""
    ctl = WIRING.buckets.ctl.model_copy(update={"max_mb": 1})
    small = WIRING.model_copy(update={"buckets": WIRING.buckets.model_copy(update={"ctl": ctl})})
    async with pair([shared_server.url], community_id, tmp_path, wiring=small) as (ports, unit):
        term = await charging(ports, unit)
        await fill(ports)
        stop = order(term.epoch, 2, CommandName.WAIT)
        with pytest.raises(Refused, match="AR516"):
            await ports.commands.send("E002", order(term.epoch, 9, CommandName.CURRENT, current_a=0.5), term)
        await ports.commands.send_stop("E002", stop)
        await obeyed(unit)


async def test_while_a_long_command_is_open(shared_server: Server, community_id: str, tmp_path: Path) -> None:
    """A WAIT overtakes a command that steps through many writes at a slow driver; what it had left never leaves."""
    async with pair([shared_server.url], community_id, tmp_path) as (ports, unit):
        term = await charging(ports, unit)
        unit.driver.latency_s = 0.2
        async with ports.commands.outcomes() as outcomes:
            await ports.commands.send("E002", order(term.epoch, 2, CommandName.CURRENT, current_a=2.2), term)
            while (term.epoch.number, 2) not in unit.acted:
                await asyncio.sleep(0.005)
            await ports.commands.send_stop("E002", order(term.epoch, 3, CommandName.WAIT))
            await obeyed(unit)
            assert not (await outcome_of(outcomes, term.epoch, 2)).ok
            assert (await outcome_of(outcomes, term.epoch, 3)).ok
        assert unit.acted.count((term.epoch.number, 2)) < 4  # of the five steps of 0.25 A
        assert unit.mode is ConverterMode.WAIT


@pytest.mark.parametrize("disk", ["fails", "hangs"])
async def test_while_nothing_can_be_remembered(
    disk: str, shared_server: Server, community_id: str, tmp_path: Path
) -> None:
    """A WAIT of a new term is obeyed although its epoch cannot be stored; what brings energy is refused then."""
    async with pair([shared_server.url], community_id, tmp_path) as (ports, unit):
        old = await charging(ports, unit)
        await ports.lease.release(old)
        new = await ports.lease.acquire("E001")
        assert new is not None
        unit.disk = disk
        await ports.commands.send_stop("E002", order(new.epoch, 1, CommandName.WAIT))
        await obeyed(unit)
        if disk == "fails":
            async with ports.commands.outcomes() as outcomes:
                await ports.commands.send("E002", order(new.epoch, 2, CommandName.CHARGE, current_a=1.0), new)
                assert not (await outcome_of(outcomes, new.epoch, 2)).ok
        assert unit.mode is ConverterMode.WAIT


async def test_a_new_epoch_is_acknowledged_when_the_older_command_has_ended(
    shared_server: Server, community_id: str, tmp_path: Path
) -> None:
    """A slow write of the old term ends first; then comes the acknowledgement, and nothing more of the old term."""
    async with pair([shared_server.url], community_id, tmp_path) as (ports, unit):
        old = await charging(ports, unit)
        unit.driver.latency_s = 0.3
        await ports.commands.send("E002", order(old.epoch, 2, CommandName.CURRENT, current_a=2.2), old)
        while (old.epoch.number, 2) not in unit.acted:
            await asyncio.sleep(0.005)
        await ports.lease.release(old)
        new = await ports.lease.acquire("E001")
        assert new is not None
        answer = asyncio.create_task(ports.bus.ask("E002", "announce", new.epoch.to_json(), 10))
        await asyncio.sleep(0.1)
        assert not answer.done()  # the write is still under way
        assert b'"seq":2' in await answer
        writes = unit.acted.count((old.epoch.number, 2))
        await asyncio.sleep(0.7)
        assert unit.acted.count((old.epoch.number, 2)) == writes < 5


async def test_what_is_out_of_date_is_refused(shared_server: Server, community_id: str, tmp_path: Path) -> None:
    """A command for an earlier start of the unit, two refreshes old, of an older term, or of a foreign one."""
    async with pair([shared_server.url], community_id, tmp_path) as (ports, unit):
        term = await charging(ports, unit)
        for number in (2, 3):
            await ports.bus.ask("E002", "refresh", f"{number} ".encode() + term.epoch.to_json(), 5)
        foreign = Epoch(number=term.epoch.number, term_id="another")
        older = Epoch(number=term.epoch.number - 1, term_id="older")
        acted = list(unit.acted)
        async with ports.commands.outcomes() as outcomes:
            for number, (epoch, changes, reason) in enumerate(
                (
                    (term.epoch, {"boot": "boot0", "refresh": 3}, "other boot"),
                    (term.epoch, {"refresh": 1}, "too old"),
                    (foreign, {"refresh": 3}, "foreign epoch"),
                    (older, {"refresh": 3}, "old epoch"),
                )
            ):
                command = order(epoch, 10 + number, CommandName.CURRENT, current_a=0.5, **changes)
                await ports.commands.send("E002", command, term)
                assert (await outcome_of(outcomes, epoch, 10 + number)).failed == reason
            assert unit.acted == acted
            stop = order(term.epoch, 20, CommandName.WAIT, boot="boot0", refresh=1)
            await ports.commands.send_stop("E002", stop)
            await obeyed(unit)


async def test_a_master_whose_term_is_over_moves_nothing(
    shared_server: Server, community_id: str, tmp_path: Path
) -> None:
    """The store refuses its command; one that got past it is refused by the unit, which has seen the newer epoch."""
    async with pair([shared_server.url], community_id, tmp_path) as (ports, unit):
        old = await charging(ports, unit)
        await ports.lease.release(old)
        new = await ports.lease.acquire("E001")
        assert new is not None
        await ports.bus.ask("E002", "announce", new.epoch.to_json(), 10)
        late = order(old.epoch, 7, CommandName.CURRENT, current_a=2.0)
        with pytest.raises(Fenced):
            await ports.commands.send("E002", late, old)
        acted = list(unit.acted)
        async with ports.commands.outcomes() as outcomes:
            await ports.ctl.write(Write("cmd.E002", late.to_json()))  # as if there were no fence
            assert (await outcome_of(outcomes, old.epoch, 7)).failed == "old epoch"
        assert unit.acted == acted
