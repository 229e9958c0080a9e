"""Wrong, broken and slow clients, many at once: everyone gets an answer and the clock goes on."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from datetime import datetime, timedelta

from tests.grid.served import Client, served

PATHS = (
    "/get/unit/{u}", "/get/dcdc/status/{u}", "/get/emu/{u}", "/get/dcdc/{u}", "/get/log", "/get/acc", "/set/acc/{x}",
    "/set/dcdc/{u}", "/set/dcdc/voltage/{u}", "/set/dcdc/current/{u}", "/set/emu/{u}", "/save", "/get/last",
    "/add/unit", "/remove/unit", "/grid", "/faults", "/alarms/{u}", "/", "/{x}", "/%00", "/get/unit/",
    "/set/dcdc/%2e%2e/{u}",
)  # fmt: skip
KEYS = ("mode", "dvg", "dig", "drg", "rsoc", "ups_output_power", "p1", "nokey", "", "mode[]")
VALUES = (
    "0x0014", "0x0041", "0x0002", "0x0000", "0x0099", "WAIT", "20", "350", "0", "-1", "1e9", "1e400", "nan", "inf", "",
    "%00", "%ff", "ä", "0" * 5000, "1" * 40, "0x", "٣", "350;drop", "1_0", " 1",
)  # fmt: skip
METHODS = ("GET",) * 12 + ("POST", "PUT", "DELETE", "HEAD", "OPTIONS", "BREW", "")
BROKEN = (b"\x00\x01\x02\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\r\n" * 5 + b"x\r\n\r\n")
BODIES = (
    b"",
    b"{}",
    b"[1",
    b"x" * 100_000,
    b'{"kind": "trip"}',
    b'{"kind": "foreign_source", "unit": "E001", "value": 1e308}',
    b'{"kind": "sensor_drift", "unit": "E001", "meter": "ig", "perS": 1e308}',
    b'{"kind": "over_temperature", "unit": "E001", "value": NaN}',
)
REQUESTS, CLIENTS = 10_000, 50


def _request(draw: random.Random) -> bytes:
    if draw.random() < 0.03:
        return draw.choice(BROKEN)
    path = draw.choice(PATHS).replace("{u}", draw.choice(["E001", "E002", "E004", "E999", "", "x" * 3000, "%F0%9F"]))
    path = path.replace("{x}", draw.choice(["abc", "0", "-5", "1e5", "nan"]))
    query = "&".join(f"{draw.choice(KEYS)}={draw.choice(VALUES)}" for _ in range(draw.randrange(5)))
    method = draw.choice(METHODS)
    body = draw.choice(BODIES) if method == "POST" else b""
    head = f"{method} {path}?{query} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def _answered(client: Client, request: bytes) -> int:
    # The status of the answer; 0 where the connection was closed without one, which is no answer.
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
    try:
        async with asyncio.timeout(30):
            writer.write(request)
            line = await reader.readline()
            while await reader.read(65_536):
                pass
        return int(line.split()[1]) if line else 0
    finally:
        writer.close()


def test_ten_thousand_random_requests_hang_nothing() -> None:
    """50 clients send 10,000 random, malformed requests: each gets an answer, none is 500, the clock is right."""

    async def story() -> tuple[Counter[int], list[tuple[float, float, float]]]:
        async with served() as client:
            statuses: Counter[int] = Counter()
            loop = asyncio.get_running_loop()
            told: list[tuple[float, float, float]] = []
            left = iter(range(REQUESTS))

            async def sender(number: int) -> None:
                draw = random.Random(number)
                for _ in left:
                    statuses[await _answered(client, _request(draw))] += 1

            async def clock() -> None:
                start = client.plant.clock() - timedelta(seconds=client.plant.unit_time_s())
                while True:
                    before = client.plant.unit_time_s()
                    text = (await client.json("/get/unit/E001"))["time"]
                    said = datetime.strptime(text, "%Y/%m/%d-%H:%M:%S")  # noqa: DTZ007  the units' clock has no zone
                    told.append((before, (said - start).total_seconds(), client.plant.unit_time_s()))
                    await asyncio.sleep(0.1)

            began_s, began_unit_s = loop.time(), client.plant.unit_time_s()
            watch = asyncio.create_task(clock())
            async with asyncio.TaskGroup() as clients:
                for number in range(CLIENTS):
                    clients.create_task(sender(number))
            watch.cancel()
            passed_s = loop.time() - began_s
            assert abs(client.plant.unit_time_s() - began_unit_s - 10.0 * passed_s) < 0.1
            return statuses, told

    statuses, told = asyncio.run(story())
    assert len(told) > 5
    assert all(before - 1.0 <= said <= after for before, said, after in told)
    assert statuses.total() == REQUESTS
    assert set(statuses) <= {200, 400, 404, 405, 413, 414, 431, 503}, statuses
    assert min(statuses[200], statuses[400], statuses[404]) > 300, statuses


def test_a_thousand_connections_at_once_are_all_answered() -> None:
    """A thousand requests on a thousand open connections, sent together, each get their answer."""

    async def story() -> list[int]:
        async with served() as client:
            request = b"GET /get/unit/E001 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            return await asyncio.gather(*(_answered(client, request) for _ in range(1000)))

    assert asyncio.run(story()) == [200] * 1000


def test_slow_clients_hold_nobody() -> None:
    """Clients that never finish a request delay no other; one that stops in its body gets an answer."""

    async def story() -> bytes:
        async with served() as client:
            slow = [await asyncio.open_connection("127.0.0.1", client.port) for _ in range(100)]
            for _, writer in slow[1:]:
                writer.write(b"GET /get/unit/E0")
            reader, writer = slow[0]
            writer.write(b"POST /faults HTTP/1.1\r\nHost: x\r\nContent-Length: 10000\r\n\r\n{")
            for _ in range(20):
                await client.json("/get/unit/E001")
            before = client.plant.grid_now().now_s
            async with asyncio.timeout(30):
                line = await reader.readline()
            assert client.plant.grid_now().now_s > before + 20
            for _, each in slow:
                each.close()
            return line

    assert b" 408 " in asyncio.run(story())
