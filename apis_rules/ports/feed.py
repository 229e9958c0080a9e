"""A reader's own queue: what is put in before it looks is there when it looks, in order."""

from __future__ import annotations

import asyncio
import weakref
from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

T = TypeVar("T")


class Feed(Generic[T]):
    """An endless asynchronous iterator over what is put into it, from its creation on.

    *awake*, where given, is awaited before each item is handed out: a suspended process reads nothing.
    """

    def __init__(self, awake: Callable[[], Awaitable[None]] | None = None) -> None:
        self._items: deque[T] = deque()
        self._some = asyncio.Event()
        self._awake = awake

    def put(self, item: T) -> None:
        """Add *item* at the end."""
        self._items.append(item)
        self._some.set()

    def skip(self) -> None:
        """Forget what is waiting: who looks at how things stand now needs one sign, not one per change."""
        self._items.clear()

    def __aiter__(self) -> Feed[T]:
        return self

    async def __anext__(self) -> T:
        while not self._items:
            self._some.clear()
            await self._some.wait()
        if self._awake is not None:
            await self._awake()
        return self._items.popleft()


class Feeds(Generic[T]):
    """All present readers of one thing. A reader that nobody holds any more is forgotten."""

    def __init__(self) -> None:
        self._feeds: list[weakref.ref[Feed[T]]] = []

    def open(self, first: Iterable[T] = (), awake: Callable[[], Awaitable[None]] | None = None) -> Feed[T]:
        """Return a new reader that begins with *first*."""
        feed: Feed[T] = Feed(awake)
        for item in first:
            feed.put(item)
        self._feeds.append(weakref.ref(feed))
        return feed

    def put(self, item: T) -> None:
        """Hand *item* to every reader."""
        alive = [(reference, feed) for reference in self._feeds if (feed := reference()) is not None]
        self._feeds = [reference for reference, _ in alive]
        for _, feed in alive:
            feed.put(item)
