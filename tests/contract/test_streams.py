"""Durable logs and the decision log (contracts in ``apis_rules.ports.streams`` and ``decisions``)."""

from __future__ import annotations

import asyncio
import json

import pytest

from apis_rules.errors import Conflict, Outage, Refused
from tests.contract.bench import Bench

pytestmark = pytest.mark.anyio
LIMIT_S = 10


async def test_messages_are_numbered_and_read_in_order(bench: Bench) -> None:
    """A reader from the start gets every message once, in order, and goes on with what comes."""
    async with bench.connect("E001") as one, bench.connect("E002") as two:
        for n in range(3):
            assert await one.streams.append("DEALLOG", f"d{n}", b"%d" % n, message_id=f"m{n}") == n + 1
        reader = two.streams.read("DEALLOG")
        async with asyncio.timeout(LIMIT_S):
            first = [await anext(reader) for _ in range(3)]
            await one.streams.append("DEALLOG", "d3", b"3", message_id="m3")
            first.append(await anext(reader))
        assert [(m.seq, m.subject, m.body) for m in first] == [(n + 1, f"d{n}", b"%d" % n) for n in range(4)]
        assert await two.streams.last_seq("DEALLOG") == 4
        await reader.aclose()  # type: ignore[attr-defined]  # the port promises an iterator; all are generators


async def test_a_message_id_is_stored_once(bench: Bench) -> None:
    """Repeating an append that may have been done changes nothing and returns the first sequence."""
    async with bench.connect("E001") as ports:
        first = await ports.streams.append("ERRLOG", "E001", b"e", message_id="same")
        assert await ports.streams.append("ERRLOG", "E001", b"e", message_id="same") == first
        assert await ports.streams.last_seq("ERRLOG") == first


async def test_there_is_one_final_record(bench: Bench) -> None:
    """With ``expected_last=0`` only the first message on a subject is taken, whoever writes it."""
    async with bench.connect("E001") as one, bench.connect("E002") as two:
        await one.streams.append("DEALLOG", "final", b"1", message_id="a", expected_last=0)
        with pytest.raises(Conflict):
            await two.streams.append("DEALLOG", "final", b"2", message_id="b", expected_last=0)
        last = await two.streams.last("DEALLOG", "final")
        assert last is not None
        assert last.body == b"1"
        assert await two.streams.last("DEALLOG", "none") is None


async def test_a_reader_may_begin_later_and_ask_for_one_subject(bench: Bench) -> None:
    """``from_seq`` and ``subject`` pick what is yielded."""
    async with bench.connect("E001") as ports:
        for n in range(6):
            await ports.streams.append("DEALLOG", f"d{n % 2}", b"%d" % n, message_id=f"m{n}")
        reader = ports.streams.read("DEALLOG", from_seq=3, subject="d1")
        async with asyncio.timeout(LIMIT_S):
            assert [(await anext(reader)).body for _ in range(2)] == [b"3", b"5"]
        await reader.aclose()  # type: ignore[attr-defined]  # likewise


async def test_a_reader_goes_on_after_an_outage(bench: Bench) -> None:
    """What was appended while the reader was cut off comes when it is back, without gap or repetition."""
    async with bench.connect("E001") as one, bench.connect("E002") as two:
        reader = two.streams.read("DEALLOG")
        await one.streams.append("DEALLOG", "d", b"0", message_id="m0")
        async with asyncio.timeout(LIMIT_S):
            assert (await anext(reader)).body == b"0"
            await bench.cut("E002")
            for n in (1, 2):
                await one.streams.append("DEALLOG", "d", b"%d" % n, message_id=f"m{n}")
            with pytest.raises(Outage):
                await two.streams.append("DEALLOG", "d", b"x", message_id="x")
            await bench.restore("E002")
            assert [(await anext(reader)).body for _ in range(2)] == [b"1", b"2"]
        await reader.aclose()  # type: ignore[attr-defined]  # likewise


async def test_an_unknown_stream_is_refused(bench: Bench) -> None:
    """A stream that is not declared does not come into being by being written."""
    async with bench.connect("E001") as ports:
        with pytest.raises(Refused):
            await ports.streams.append("NOSUCH", "x", b"", message_id="m")


async def test_decisions_are_kept_in_order(bench: Bench) -> None:
    """What was recorded is in the stream after a flush, in order, under the unit's id."""
    async with bench.connect("E001") as ports:
        for n in range(3):
            ports.decisions.record({"n": n})
        assert await ports.decisions.flush(LIMIT_S)
        reader = ports.streams.read("DECISIONS", subject="E001")
        async with asyncio.timeout(LIMIT_S):
            assert [json.loads((await anext(reader)).body)["n"] for _ in range(3)] == [0, 1, 2]
        await reader.aclose()  # type: ignore[attr-defined]  # likewise
        assert ports.decisions.dropped == 0


async def test_decisions_wait_through_an_outage(bench: Bench) -> None:
    """Recording never waits or fails while disconnected, and everything is kept afterwards."""
    async with bench.connect("E001") as ports:
        await bench.cut("E001")
        ports.decisions.record({"n": 1})
        assert not await ports.decisions.flush(0.3)
        await bench.restore("E001")
        assert await ports.decisions.flush(LIMIT_S)
        assert await ports.streams.last_seq("DECISIONS") == 1
