"""Commands and outcomes (contract in ``apis_rules.ports.commands``)."""

from __future__ import annotations

import asyncio

import pytest

from apis_rules.errors import Fenced, Outage
from apis_rules.ports.lease import Term
from apis_rules.ports.types import Command, CommandName, CommandParams, Outcome
from tests.contract.bench import Bench

pytestmark = pytest.mark.anyio
LIMIT_S = 10


async def next_of(feed, within_s: float = LIMIT_S):
    return await asyncio.wait_for(anext(feed), within_s)


def order(term: Term, seq: int, name: CommandName = CommandName.CHARGE) -> Command:
    return Command(epoch=term.epoch, seq=seq, boot="b1", refresh=1, name=name, params=CommandParams(grid_current_a=2.0))


async def test_a_command_reaches_its_unit_and_its_outcome_the_master(bench: Bench) -> None:
    """A fenced command arrives whole at the unit that it names, and the report at the master."""
    async with bench.connect("E001") as master, bench.connect("E002") as unit:
        term = await master.lease.acquire("E001")
        assert term is not None
        async with unit.commands.inbox("E002") as inbox, master.commands.outcomes() as outcomes:
            sent = order(term, 1)
            await master.commands.send("E002", sent, term)
            assert await next_of(inbox) == sent
            outcome = Outcome(unit_id="E002", epoch=term.epoch, seq=1, boot="b1")
            await unit.commands.report(outcome)
            assert await next_of(outcomes) == outcome


async def test_a_master_whose_term_is_over_commands_nobody(bench: Bench) -> None:
    """The store refuses a fenced command of an old term, and the unit never sees it."""
    async with bench.connect("E001") as one, bench.connect("E002") as two:
        old = await one.lease.acquire("E001")
        assert old is not None
        await one.lease.release(old)
        new = await two.lease.acquire("E002")
        assert new is not None
        async with two.commands.inbox("E003") as inbox:
            with pytest.raises(Fenced):
                await one.commands.send("E003", order(old, 9), old)
            await two.commands.send("E003", order(new, 1), new)
            assert (await next_of(inbox)).epoch == new.epoch


async def test_a_unit_gets_only_its_own_commands(bench: Bench) -> None:
    """What is sent to one unit is not seen by another whose id begins alike."""
    async with bench.connect("E001") as ports:
        term = await ports.lease.acquire("E001")
        assert term is not None
        async with ports.commands.inbox("E00") as shorter, ports.commands.inbox("E002") as inbox:
            await ports.commands.send("E002", order(term, 1), term)
            await ports.commands.send("E00", order(term, 2), term)
            assert (await next_of(inbox)).seq == 1
            assert (await next_of(shorter)).seq == 2


async def test_a_unit_that_was_away_gets_the_last_command_only(bench: Bench) -> None:
    """Of several fenced commands sent while the unit was cut off it gets the last when it is back."""
    async with bench.connect("E001") as master, bench.connect("E002") as unit:
        term = await master.lease.acquire("E001")
        assert term is not None
        async with unit.commands.inbox("E002") as inbox:
            await bench.cut("E002")
            for seq in (1, 2, 3):
                await master.commands.send("E002", order(term, seq), term)
            await bench.restore("E002")
            assert (await next_of(inbox)).seq == 3


async def test_a_stop_is_a_plain_message(bench: Bench) -> None:
    """A stop needs no term of the store's knowing: it reaches the unit although the lease is over."""
    async with bench.connect("E001") as master, bench.connect("E002") as unit:
        term = await master.lease.acquire("E001")
        assert term is not None
        await master.lease.release(term)
        async with unit.commands.inbox("E002") as inbox:
            stop = order(term, 4, CommandName.SCRAM)
            await master.commands.send_stop("E002", stop)
            assert await next_of(inbox) == stop


async def test_only_what_takes_energy_away_may_overtake(bench: Bench) -> None:
    """``send_stop`` refuses a command that could switch something on."""
    async with bench.connect("E001") as ports:
        term = await ports.lease.acquire("E001")
        assert term is not None
        with pytest.raises(ValueError, match="only take"):
            await ports.commands.send_stop("E002", order(term, 1, CommandName.CHARGE))


async def test_plain_messages_sent_while_cut_off_are_outages(bench: Bench) -> None:
    """A stop or a report without a connection raises ``Outage`` and does not arrive after the connection is back."""
    async with bench.connect("E001") as master, bench.connect("E002") as unit:
        term = await master.lease.acquire("E001")
        assert term is not None
        async with unit.commands.inbox("E002") as inbox:
            await bench.cut("E001")
            with pytest.raises(Outage):
                await master.commands.send_stop("E002", order(term, 1, CommandName.WAIT))
            with pytest.raises(Outage):
                await master.commands.report(Outcome(unit_id="E001", epoch=term.epoch, seq=1, boot="b"))
            await bench.restore("E001")
            await master.commands.send_stop("E002", order(term, 2, CommandName.WAIT))
            assert (await next_of(inbox)).seq == 2
