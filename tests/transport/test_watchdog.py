"""The page of a hardware watchdog, asked for over real HTTP."""

from __future__ import annotations

import asyncio

import pytest

from apis_rules.errors import Outage, Refused, Unknown
from apis_transport.watchdog import ask_page


def test_a_page_is_asked_for() -> None:
    """200 is fine, another status is refused, nobody there is an outage, no answer in time is not known."""

    async def scene() -> None:
        asked: list[bytes] = []
        status = b"200 OK"
        goes_on = asyncio.Event()

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            asked.append(await reader.readline())
            if not status:
                await goes_on.wait()
            writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/alive"
        await ask_page(url, 5.0)
        assert asked == [b"GET /alive HTTP/1.1\r\n"]
        status = b"404 Not Found"
        with pytest.raises(Refused, match="HTTP 404"):
            await ask_page(url, 5.0)
        status = b""
        with pytest.raises(Unknown, match=r"no answer within 0\.2 s"):
            await ask_page(url, 0.2)
        goes_on.set()
        server.close()
        await server.wait_closed()
        with pytest.raises(Outage):
            await ask_page(url, 5.0)

    asyncio.run(scene())
