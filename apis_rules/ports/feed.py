"""A reader's own queue: what is put in before it looks is there when it looks, in order."""

from __future__ import annotations

import asyncio
import weakref
from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

T = TypeVar("T")


class Feed(Generic[T]):
    """An endless asynchronous iterator over what is put into it, from its creation on. It has one reader.

    *awake*, where given, is awaited before each item is handed out: a suspended process reads nothing.
    """

    def __init__(self, awake: Callable[[], Awaitable[None]] | None = None) -> None:
        self._items: deque[T] = deque()
        self._reader: asyncio.Future[None] | None = None
        self._awake = awake

    def put(self, item: T) -> None:
        """Add *item* at the end."""
        self._items.append(item)
        self._wake()

    def put_all(self, items: Iterable[T]) -> None:
        """Add *items* at the end: the reader finds them all when it looks."""
        self._items.extend(items)
        self._wake()

    def skip(self) -> None:
        """Forget what is waiting: who looks at how things stand now needs one sign, not one per change."""
        self._items.clear()

    def __aiter__(self) -> Feed[T]:
        return self

    async def __anext__(self) -> T:
        while not self._items:
            if self._reader is not None:
                raise RuntimeError("a feed has one reader")
            self._reader = asyncio.get_running_loop().create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        if self._awake is not None:
            await self._awake()
        return self._items.popleft()

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)


class Feeds(Generic[T]):
    """All present readers of one thing. A reader that nobody holds any more is forgotten."""

    def __init__(self) -> None:
        self._feeds: list[weakref.ref[Feed[T]]] = []

    def __len__(self) -> int:
        """Return how many readers there are."""
        return len(self._feeds)

    def open(self, first: Iterable[T] = (), awake: Callable[[], Awaitable[None]] | None = None) -> Feed[T]:
        """Return a new reader that begins with *first*."""
        feed: Feed[T] = Feed(awake)
        feed.put_all(first)
        self._feeds.append(weakref.ref(feed, self._feeds.remove))
        return feed

    def put(self, item: T) -> None:
        """Hand *item* to every reader."""
        for reference in tuple(self._feeds):
            if (feed := reference()) is not None:
                feed.put(item)

    def put_all(self, items: Sequence[T]) -> None:
        """Hand *items* to every reader."""
        for reference in tuple(self._feeds):
            if (feed := reference()) is not None:
                feed.put_all(items)
