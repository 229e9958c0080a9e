"""Tasks that live as long as a context."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class _Over(Exception):
    """The context ends in order."""


@asynccontextmanager
async def background_tasks() -> AsyncIterator[asyncio.TaskGroup]:
    """Give a group whose tasks are cancelled when the context ends.

    A task that fails cancels the context's body and is raised as a group. What the body raises itself stays what it is,
    where a plain group would wrap it.
    """
    own: BaseException | None = None
    try:
        async with asyncio.TaskGroup() as tasks:
            try:
                yield tasks
            except asyncio.CancelledError:
                raise
            except BaseException as error:  # noqa: BLE001  raised again below
                own = error
            raise _Over  # noqa: TRY301  it must leave the group
    except* _Over:
        pass
    if own is not None:
        raise own
