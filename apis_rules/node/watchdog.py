"""Keeps a hardware watchdog quiet (config ``watchdog``): only while the loops of this node go round."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from apis_rules.errors import PortError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

log = logging.getLogger("apis_rules.watchdog")


async def keep_quiet(ping: Callable[[], Awaitable[None]], period_s: float, goes_round: Callable[[], bool]) -> None:
    """Ask for the page once a period until cancelled, and leave it out while *goes_round* says no.

    A page that does not answer is logged once, and again when it answers: the watchdog itself will do what it is for.
    """
    silent = False
    while True:
        if goes_round():
            try:
                await ping()
            except PortError as error:
                if not silent:
                    log.warning("the watchdog does not answer: %s", error)
                silent = True
            else:
                if silent:
                    log.info("the watchdog answers again")
                silent = False
        await asyncio.sleep(period_s)
