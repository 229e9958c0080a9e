"""What is made of something that does not change is made once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
M = TypeVar("M")


class Same(Generic[T, M]):
    """Calls *make* again only for another object: what it is given is frozen, so the same object is the same value."""

    def __init__(self, make: Callable[[T], M]) -> None:
        self._make = make
        self._last: tuple[T, M] | None = None

    def __call__(self, given: T) -> M:
        """Return what is made of *given*."""
        if self._last is None or self._last[0] is not given:
            self._last = given, self._make(given)
        return self._last[1]
