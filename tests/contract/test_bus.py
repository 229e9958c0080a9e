"""Plain messages (contract in ``apis_rules.ports.bus``)."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import AsyncExitStack, suppress

import pytest

from apis_rules.errors import Outage, Refused, Unknown
from apis_rules.ports.bundle import CommunityPorts
from apis_rules.ports.bus import Bus
from tests.contract.bench import Bench

pytestmark = pytest.mark.anyio
LIMIT_S = 10


async def echo(body: bytes) -> bytes:
    return b"re:" + body


async def known_everywhere(**nodes: CommunityPorts) -> None:
    """Return when every server has heard of all that these nodes listen to, since they hear of it in order."""
    async with AsyncExitStack() as stack:
        for unit_id, ports in nodes.items():
            await stack.enter_async_context(ports.bus.serve(unit_id, "known", echo))
        async with asyncio.timeout(LIMIT_S):
            for unit_id, ports in itertools.product(nodes, nodes.values()):
                answer = None
                while answer is None:
                    with suppress(Refused, Unknown):
                        answer = await ports.bus.ask(unit_id, "known", b"", 0.5)


async def answer_of(bus: Bus, verb: str, body: bytes) -> bytes:
    """Ask until it is known: several servers need a moment until each has heard that nobody listens any more."""
    async with asyncio.timeout(LIMIT_S):
        while True:
            with suppress(Unknown):
                return await bus.ask("E002", verb, body, 0.5)


async def test_ask_reaches_one_unit(bench: Bench) -> None:
    """A question reaches the unit that it names, and its answer comes back."""
    async with bench.connect("E001") as one, bench.connect("E002") as two, two.bus.serve("E002", "status", echo):
        assert await one.bus.ask("E002", "status", b"?", LIMIT_S) == b"re:?"


async def test_ask_without_a_server_is_refused_at_once(bench: Bench) -> None:
    """Nobody there is known long before the deadline."""
    async with bench.connect("E001") as ports:
        began = asyncio.get_running_loop().time()
        with pytest.raises(Refused):
            await ports.bus.ask("E009", "status", b"?", LIMIT_S)
        assert asyncio.get_running_loop().time() - began < LIMIT_S / 4


async def test_a_handler_that_refuses_is_heard(bench: Bench) -> None:
    """``Refused`` raised by a handler reaches the asker with its text, and the handler goes on serving."""

    async def handler(body: bytes) -> bytes:
        if body == b"no":
            raise Refused("not ready")
        return body

    async with bench.connect("E001") as one, bench.connect("E002") as two, two.bus.serve("E002", "deal", handler):
        with pytest.raises(Refused, match="not ready"):
            await one.bus.ask("E002", "deal", b"no", LIMIT_S)
        assert await one.bus.ask("E002", "deal", b"yes", LIMIT_S) == b"yes"


async def test_a_late_answer_is_unknown(bench: Bench) -> None:
    """No answer within the limit is ``Unknown``, at the limit."""
    release = asyncio.Event()

    async def slow(body: bytes) -> bytes:
        await release.wait()
        return body

    async with bench.connect("E001") as one, bench.connect("E002") as two, two.bus.serve("E002", "status", slow):
        began = asyncio.get_running_loop().time()
        with pytest.raises(Unknown):
            await one.bus.ask("E002", "status", b"?", 0.3)
        assert 0.25 <= asyncio.get_running_loop().time() - began < 2
        release.set()


async def test_a_broken_handler_ends_its_server_loudly(bench: Bench) -> None:
    """Any other exception of a handler ends the context that serves, and the asker sees ``Unknown``."""

    async def broken(body: bytes) -> bytes:
        raise ZeroDivisionError(body.decode())

    async with bench.connect("E001") as one, bench.connect("E002") as two:
        serving = asyncio.Event()

        async def serve() -> None:
            async with two.bus.serve("E002", "status", broken):
                serving.set()
                await asyncio.Event().wait()

        server = asyncio.create_task(serve())
        await asyncio.wait_for(serving.wait(), LIMIT_S)
        with pytest.raises(Unknown):
            await one.bus.ask("E002", "status", b"?", 0.5)
        with pytest.raises(ExceptionGroup) as caught:
            await asyncio.wait_for(server, LIMIT_S)
        assert caught.group_contains(ZeroDivisionError)


async def test_gather_ends_when_all_expected_have_answered(bench: Bench) -> None:
    """With the expected count the answers are back long before the deadline, the asker's own included."""
    async with (
        bench.connect("E001") as one,
        bench.connect("E002") as two,
        one.bus.serve("E001", "data", echo),
        two.bus.serve("E002", "data", echo),
    ):
        await known_everywhere(E001=one, E002=two)
        began = asyncio.get_running_loop().time()
        assert list(await one.bus.gather("data", b"!", LIMIT_S, expected=2)) == [b"re:!", b"re:!"]
        assert asyncio.get_running_loop().time() - began < LIMIT_S / 4


async def test_gather_ends_at_its_deadline(bench: Bench) -> None:
    """With fewer answers than expected it returns those that came, at the deadline."""

    async def silent(body: bytes) -> None:
        return None

    async with (
        bench.connect("E001") as one,
        bench.connect("E002") as two,
        one.bus.serve("E001", "data", echo),
        two.bus.serve("E002", "data", silent),
    ):
        began = asyncio.get_running_loop().time()
        assert list(await one.bus.gather("data", b"!", 0.4, expected=2)) == [b"re:!"]
        assert 0.35 <= asyncio.get_running_loop().time() - began < 2


async def test_a_broadcast_reaches_every_listener_in_order(bench: Bench) -> None:
    """All listeners of a topic hear it, the sender included, in the order of sending; other topics do not."""
    async with (
        bench.connect("E001") as one,
        bench.connect("E002") as two,
        one.bus.listen("going") as mine,
        two.bus.listen("going") as theirs,
        two.bus.listen("other") as other,
    ):
        await known_everywhere(E001=one, E002=two)
        for n in range(5):
            await one.bus.broadcast("going", str(n).encode())
        await one.bus.broadcast("other", b"end")
        async with asyncio.timeout(LIMIT_S):
            assert [await anext(mine) for _ in range(5)] == [b"0", b"1", b"2", b"3", b"4"]
            assert [await anext(theirs) for _ in range(5)] == [b"0", b"1", b"2", b"3", b"4"]
            assert await anext(other) == b"end"


async def test_a_closed_server_is_gone(bench: Bench) -> None:
    """When the context has ended the verb is refused again."""
    async with bench.connect("E001") as one, bench.connect("E002") as two:
        async with two.bus.serve("E002", "status", echo):
            assert await one.bus.ask("E002", "status", b"1", LIMIT_S) == b"re:1"
        with pytest.raises(Refused):
            await answer_of(one.bus, "status", b"2")


async def test_messages_need_a_connection(bench: Bench) -> None:
    """Every kind of message raises ``Outage`` while disconnected and nothing of it arrives later."""
    async with bench.connect("E001") as one, bench.connect("E002") as two, two.bus.listen("news") as heard:
        await bench.cut("E001")
        with pytest.raises(Outage):
            await one.bus.broadcast("news", b"late")
        with pytest.raises(Outage):
            await one.bus.ask("E002", "status", b"?", 0.5)
        with pytest.raises(Outage):
            await one.bus.gather("status", b"?", 0.5)
        await bench.restore("E001")
        await known_everywhere(E001=one, E002=two)
        await one.bus.broadcast("news", b"now")
        assert await asyncio.wait_for(anext(heard), LIMIT_S) == b"now"


@pytest.mark.parametrize("word", ["", "two words", "a.b", "a*", ">", "ä"])
async def test_verbs_and_topics_are_single_words(bench: Bench, word: str) -> None:
    """A name that would mean something else to a server is refused before anything is sent."""
    async with bench.connect("E001") as ports:
        with pytest.raises(ValueError, match="single word"):
            await ports.bus.broadcast(word, b"")
        with pytest.raises(ValueError, match="single word"):
            await ports.bus.gather(word, b"", 0.1)
