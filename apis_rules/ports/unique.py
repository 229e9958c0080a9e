"""Ids that occur once; on a virtual-time loop by the loop's own chance, so that a run can be repeated."""

from __future__ import annotations

import asyncio
import uuid

from apis_rules.ports.virtual_time import VirtualTimeLoop


def new_uuid() -> uuid.UUID:
    """Return an id that nobody else has."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return uuid.uuid4()
    return loop.new_uuid() if isinstance(loop, VirtualTimeLoop) else uuid.uuid4()
