"""The connections to device drivers, and what counts as an answer of one."""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, Self

import httpx

from apis_rules.errors import Outage, Refused, Unknown
from apis_rules.log_levels import TRACE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

_log = logging.getLogger(__name__)

CONNECTIONS_PER_HOST: Final = 4
"""An existing emulator answers one request at a time and loses those that queue behind five others."""


class _Slots:
    """The connections of one host: reads and sets leave one of them to stops."""

    def __init__(self) -> None:
        self._all = asyncio.Semaphore(CONNECTIONS_PER_HOST)
        self._usual = asyncio.Semaphore(CONNECTIONS_PER_HOST - 1)

    @asynccontextmanager
    async def take(self, *, urgent: bool) -> AsyncIterator[None]:
        if urgent:
            async with self._all:
                yield
        else:
            async with self._usual, self._all:
                yield


class DeviceHosts:
    """The connections to all drivers that this process talks to. One per process, whatever number of units it runs."""

    def __init__(self) -> None:
        # No proxy: drivers stand beside the node. No connection is kept: one that the driver closes meanwhile would
        # make a set that never arrived look like one that may have.
        limits = httpx.Limits(max_keepalive_connections=0)
        # Drivers speak plain HTTP; loading the machine's certificates would cost each start a tenth of a second.
        no_certificates = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._client = httpx.AsyncClient(
            trust_env=False,
            verify=no_certificates,
            limits=limits,
            timeout=None,  # noqa: S113 - each call has one
        )
        self._slots: dict[str, _Slots] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def get(self, base: str, path: str, query: Mapping[str, str], timeout_s: float) -> dict[str, Any]:
        """Ask once, with a connection of its own; return the JSON object that came.

        Raises:
            Outage: nothing was sent.
            Refused: answered, but not with status 200 and a JSON object.
            Unknown: sent, and not answered in time.
        """
        sent = False

        async def trace(event: str, _info: dict[str, Any]) -> None:
            nonlocal sent
            sent = sent or event.endswith("send_request_headers.started")

        try:
            async with asyncio.timeout(timeout_s):
                response = await self._client.get(f"{base}{path}", params=query, extensions={"trace": trace})
        except (TimeoutError, httpx.RequestError) as error:
            text = f"{base}{path}: {_words(error, timeout_s)}"
            _log.debug("%s", text)
            raise Unknown(text) if sent else Outage(text) from error
        _log.log(TRACE, "%s: %d", response.url, response.status_code)
        return _object_in(response)

    @asynccontextmanager
    async def slot(self, base: str, *, urgent: bool) -> AsyncIterator[None]:
        """Hold one of the connections to *base*; stops (*urgent*) wait for nobody but other stops."""
        async with self._slots.setdefault(base, _Slots()).take(urgent=urgent):
            yield


def _words(error: Exception, timeout_s: float) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {timeout_s:g} s"
    return str(error) or type(error).__name__


def _object_in(response: httpx.Response) -> dict[str, Any]:
    where = str(response.url)
    try:
        body = json.loads(response.content, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        body = None
    if response.status_code != httpx.codes.OK:
        said = body.get("err", "") if isinstance(body, dict) else ""
        raise Refused(f"{where}: HTTP {response.status_code}" + (f": {said}" if said else ""))
    if not isinstance(body, dict):
        raise Refused(f"{where}: the answer is no JSON object")
    return body


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is no JSON")
