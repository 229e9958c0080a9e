"""Starts over a store that cannot be used: one sentence with its code, exit 2, and no converter left active."""

from __future__ import annotations

import json
import os
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import nkeys
import pytest

from apis_rules.documents.wiring import Server as Limits
from apis_rules.file_lock import file_lock
from apis_rules.ports.types import ConverterMode
from apis_transport.embedded import BINARY_DIR_VARIABLE
from tests.compose.houses import Houses, Program, ask, changed, refused
from tests.nats_servers import Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

pytestmark = pytest.mark.timeout(60)


@contextmanager
def running(folder: Path, change: Callable[[str], str] = str, limits: Limits | None = None) -> Iterator[str]:
    """A server whose configuration is the usual one, changed."""
    server = Server(folder / "server") if limits is None else Server(folder / "server", limits=limits)
    file = folder / "server" / "server.conf"
    file.write_text(change(file.read_text()))
    server.start()
    try:
        yield server.url
    finally:
        server.stop()


@contextmanager
def no_url(_: Path) -> Iterator[str]:
    yield "http://localhost:4222"


@contextmanager
def unknown_host(_: Path) -> Iterator[str]:
    yield "nats://no-such-host.invalid:4222"


@contextmanager
def silent(_: Path) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"nats://127.0.0.1:{listening.getsockname()[1]}"


@contextmanager
def old(_: Path) -> Iterator[str]:
    """What says that it is a server of 2.10."""
    hello = {"server_id": "X", "version": "2.10.25", "headers": True, "max_payload": 1 << 20, "proto": 1}

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as lines:
                connection.sendall(b"INFO " + json.dumps(hello).encode() + b"\r\n")
                for line in lines:
                    if line.startswith(b"PING"):
                        connection.sendall(b"PONG\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"nats://127.0.0.1:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)
        thread.join(10)


def with_users(folder: Path) -> AbstractContextManager[str]:
    return running(folder, lambda text: f"{text}\nauthorization {{ user: a, password: b }}\n")


def without_jetstream(folder: Path) -> AbstractContextManager[str]:
    return running(folder, lambda text: text[: text.index("jetstream {")] + f'ports_file_dir: "{folder / "server"}"\n')


def without_room(folder: Path) -> AbstractContextManager[str]:
    return running(folder, limits=Limits(max_file_mb=100, max_memory_mb=64, max_payload_kb=1088))


SERVERS: dict[str, tuple[Callable[[Path], AbstractContextManager[str]], str, str]] = {
    "no URL": (no_url, "AR511", "is not the URL of a NATS server"),
    "unknown host": (unknown_host, "AR512", "cannot be reached"),
    "silent": (silent, "AR512", "no answer in time"),
    "other users": (with_users, "AR513", "refuses these credentials"),
    "too old": (old, "AR514", "is a nats-server 2.10"),
    "no room": (without_room, "AR516", "quota"),
    "stores nothing": (without_jetstream, "AR517", "JetStream"),
}


@pytest.mark.parametrize("case", SERVERS)
def test_a_server_that_will_not_do_is_refused(houses: Houses, folder: Path, case: str) -> None:
    """Which server, and what is wrong with it; converters in WAIT are not touched, an active one is in WAIT after."""
    opened, code, sentence = SERVERS[case]
    houses.set_mode("E002", ConverterMode.CHARGE)
    with opened(folder) as url:
        said = refused(folder, "E002", "--nats", url)
    assert f"{code} error: " in said
    assert sentence in said
    assert "E002: the converter was found in charge; it is in WAIT now" in said
    assert houses.all_wait()


def test_a_store_that_another_server_works_on_is_refused(houses: Houses, folder: Path) -> None:
    """A folder's own server does not start over a store in use; which process has it is said."""
    houses.set_mode("E004", ConverterMode.VOLTAGE_REFERENCE)
    with file_lock(folder / "state" / "store" / "server.lock"):
        said = ask("run", "--no-supervisor", folder, "--state-dir", folder / "state", expect=2)
    assert "AR524 error: " in said
    assert "E004: the converter was found in voltage reference; it is in WAIT now" in said
    assert houses.all_wait()


def test_a_server_that_is_not_installed_is_refused(
    houses: Houses, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How to get it is said, and an active converter is in WAIT then."""
    monkeypatch.setenv(BINARY_DIR_VARIABLE, str(folder))
    houses.set_mode("E001", ConverterMode.DISCHARGE)
    said = ask("run", "--no-supervisor", folder, "--state-dir", folder / "state", expect=2)
    assert "AR522 error: " in said
    assert "apis-rules[embedded]" in said
    assert houses.all_wait()


def test_a_damaged_memory_of_the_store_is_refused(houses: Houses, folder: Path, server: Server) -> None:
    """What the unit remembers of its store cannot be read: the file is named, and an active converter is in WAIT."""
    ask(
        "run",
        "--no-supervisor",
        folder / "config.E003.json",
        "--nats",
        server.url,
        "--state-dir",
        folder / "state",
        "--for",
        "1ms",
    )
    (memory,) = (folder / "state").rglob("E003/store*.json")
    memory.write_text("{")
    houses.set_mode("E003", ConverterMode.CHARGE)
    said = refused(folder, "E003", "--nats", server.url)
    assert "AR521 error: " in said
    assert memory.name in said
    assert houses.all_wait()


def test_a_node_runs_under_its_credentials(houses: Houses, folder: Path) -> None:
    """The file that the config names, counted from the config, lets the node and the verbs in; without it: refused."""
    seed = nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_USER)
    key = nkeys.from_seed(bytearray(seed)).public_key.decode()
    (folder / "node.nk").write_bytes(seed)
    place = ("--state-dir", folder / "state")
    with running(folder, lambda text: f"{text}\nauthorization {{ users: [{{ nkey: {key} }}] }}\n") as url:
        assert "AR513 error: " in refused(folder, "E001", "--nats", url)
        changed(folder / "config.E001.json", nats={"credentialsFile": "node.nk"})
        with Program("run", folder / "config.E001.json", "--nats", url, *place) as node:
            node.wait_line("Grid Master E001", 40)
            assert "E001" in ask("status", *place)
    assert houses.all_wait()
