"""Asks a device driver, with nothing but the standard library."""

from __future__ import annotations

import json
from http.client import HTTPConnection, HTTPException
from typing import Any, Final
from urllib.parse import urlsplit

LIMIT_BYTES: Final = 1_000_000
_OK: Final = 200


def ask(url: str, timeout_s: float) -> Any:
    """Return the JSON that a GET of *url* answers; None where there is no such answer."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=timeout_s)
    try:
        connection.request("GET", f"{parts.path}?{parts.query}" if parts.query else parts.path)
        response = connection.getresponse()
        body = response.read(LIMIT_BYTES)
        return json.loads(body) if response.status == _OK else None
    except (OSError, HTTPException, ValueError, RecursionError):
        return None
    finally:
        connection.close()
