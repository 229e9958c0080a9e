"""Asks for the page that keeps a hardware watchdog quiet (config ``watchdog``)."""

from __future__ import annotations

import asyncio
import ssl

import httpx

from apis_rules.errors import Outage, Refused, Unknown


async def ask_page(url: str, within_s: float) -> None:
    """Ask for *url* once; what the page says does not matter.

    Raises:
        Outage: nobody is there.
        Refused: answered with another status than 200.
        Unknown: no answer in time.
    """
    # It stands beside the node, as drivers do: plain HTTP, no proxy, and no certificates to load each time.
    verify = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        async with (
            asyncio.timeout(within_s),
            httpx.AsyncClient(trust_env=False, verify=verify, timeout=None) as client,  # noqa: S113 - the line above
        ):
            response = await client.get(url)
    except TimeoutError as error:
        raise Unknown(f"{url}: no answer within {within_s:g} s") from error
    except httpx.RequestError as error:
        raise Outage(f"{url}: {str(error) or type(error).__name__}") from error
    if response.status_code != httpx.codes.OK:
        raise Refused(f"{url}: HTTP {response.status_code}")
