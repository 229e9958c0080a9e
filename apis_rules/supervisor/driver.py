"""Asks a device driver, with nothing but the standard library."""

from __future__ import annotations

import json
import socket
from http.client import HTTPConnection, HTTPException
from typing import Any, Final
from urllib.parse import urlsplit

from apis_rules.supervisor.orders import now_s

LIMIT_BYTES: Final = 1_000_000
_OK: Final = 200


def ask(url: str, timeout_s: float) -> Any:
    """Return the JSON that a GET of *url* answers, whole, within *timeout_s*; None where there is no such answer."""
    connection = None
    try:
        parts = urlsplit(url)
        connection = _Connection(parts.hostname or "", parts.port, timeout=timeout_s)
        connection.request("GET", f"{parts.path}?{parts.query}" if parts.query else parts.path)
        response = connection.getresponse()
        body = response.read(LIMIT_BYTES)
        return json.loads(body) if response.status == _OK else None
    except (OSError, HTTPException, ValueError, RecursionError):
        return None
    finally:
        if connection is not None:
            connection.close()


class _Connection(HTTPConnection):
    """One request; its timeout is for all of it, where the standard library's is for each piece that arrives."""

    def connect(self) -> None:
        timeout_s = self.timeout or 0.0
        until_s = now_s() + timeout_s
        connected = socket.create_connection((self.host, self.port), timeout_s)
        self.sock = _Socket(connected.family, connected.type, connected.proto, connected.detach())
        self.sock.until_s = until_s
        self.sock.settimeout(timeout_s)


class _Socket(socket.socket):
    until_s = 0.0

    def recv_into(self, *args: Any) -> int:
        left_s = self.until_s - now_s()
        if left_s <= 0.0:
            raise TimeoutError
        self.settimeout(left_s)
        return super().recv_into(*args)
