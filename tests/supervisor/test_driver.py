"""One question to a driver that does not behave."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from itertools import chain, repeat
from typing import TYPE_CHECKING

import pytest

from apis_rules.supervisor.driver import ask
from apis_rules.supervisor.orders import now_s

if TYPE_CHECKING:
    from collections.abc import Iterable

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"


def asked(answer: Iterable[bytes], pause_s: float, timeout_s: float) -> tuple[object, float]:
    """Return what one got, and how long it took, from a driver that sends its answer in pieces."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with suppress(OSError), listening.accept()[0] as connection:
                connection.recv(65_536)
                for piece in answer:
                    connection.sendall(piece)
                    if over.wait(pause_s):
                        return

        serving = threading.Thread(target=serve)
        serving.start()
        began_s = now_s()
        got = ask(f"http://127.0.0.1:{listening.getsockname()[1]}/get", timeout_s)
        took_s = now_s() - began_s
        over.set()
        serving.join(10)
    return got, took_s


@pytest.mark.parametrize(
    "answer",
    [chain([HEAD % 1000], repeat(b" ")), chain([b"HTTP/1.1 200 OK\r\n"], repeat(b"X: y\r\n")), repeat(b"H")],
    ids=["body", "headers", "status"],
)
def test_an_answer_in_drops_is_given_up_in_time(answer: Iterable[bytes]) -> None:
    """The deadline is for the whole of it: nobody keeps a guard from its next look by sending byte after byte."""
    got, took_s = asked(answer, 0.05, 0.4)
    assert got is None
    assert 0.3 < took_s < 1.5


def test_an_answer_in_pieces_is_read_whole() -> None:
    """As long as the last of it comes in time."""
    assert asked([HEAD % 8, b'{"a"', b": 1}"], 0.05, 5.0)[0] == {"a": 1}


def test_an_address_that_is_none_is_no_answer() -> None:
    """What cannot be asked has not answered."""
    assert ask("http://127.0.0.1:port/", 1.0) is None
    assert ask("http://[half/", 1.0) is None
