"""Sets of numbers as exact unions of intervals: bands of energy, windows of a day, what a condition lets through.

Ends are fractions, so nothing is lost to rounding; an end that is missing is no bound.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Final, Self, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Number: TypeAlias = float | Fraction


@dataclass(frozen=True, slots=True)
class Interval:
    """The numbers from *low* to *high*; an open end is not one of them, and None is no end at all."""

    low: Fraction | None
    high: Fraction | None
    low_open: bool = False
    high_open: bool = False

    def __post_init__(self) -> None:
        # No end is neither open nor closed; one way of writing it makes equal intervals equal.
        object.__setattr__(self, "low_open", self.low_open and self.low is not None)
        object.__setattr__(self, "high_open", self.high_open and self.high is not None)

    @classmethod
    def band(cls, low: Number | None, high: Number | None) -> Self:
        """Return low <= x < high, as bands and windows are meant (specification 6.3)."""
        return cls(_fraction(low), _fraction(high), high_open=True)

    @classmethod
    def closed(cls, low: Number | None, high: Number | None) -> Self:
        """Return low <= x <= high."""
        return cls(_fraction(low), _fraction(high))

    @property
    def empty(self) -> bool:
        """Whether no number is in it."""
        if self.low is None or self.high is None:
            return False
        return self.low > self.high or (self.low == self.high and (self.low_open or self.high_open))

    def __contains__(self, value: Number) -> bool:
        above = self.low is None or value > self.low or (value == self.low and not self.low_open)
        return above and (self.high is None or value < self.high or (value == self.high and not self.high_open))

    def __and__(self, other: Interval) -> Interval:
        low, low_open = max(self._low_end, other._low_end, key=lambda end: _low_key(*end))
        high, high_open = min(self._high_end, other._high_end, key=lambda end: _high_key(*end))
        return Interval(low, high, low_open, high_open)

    @property
    def _low_end(self) -> tuple[Fraction | None, bool]:
        return self.low, self.low_open

    @property
    def _high_end(self) -> tuple[Fraction | None, bool]:
        return self.high, self.high_open

    def smallest(self) -> Fraction:
        """Return the smallest number in it or, where there is none, a plain one close to its lower end.

        Without a lower end it is a plain number as near to zero as there is.

        Raises:
            ValueError: the interval is empty.
        """
        if self.empty:
            raise ValueError(f"no number is in {self}")
        return _plain(self)

    def witness(self) -> float:
        """Return ``smallest`` as a float, for people and for trying it out."""
        return float(self.smallest())

    def __str__(self) -> str:
        left = "(-inf" if self.low is None else f"{'(' if self.low_open else '['}{float(self.low):g}"
        right = "inf)" if self.high is None else f"{float(self.high):g}{')' if self.high_open else ']'}"
        return f"{left}, {right}"


def _fraction(end: Number | None) -> Fraction | None:
    return None if end is None else Fraction(end)


def _plain(interval: Interval) -> Fraction:
    low, high = interval.low, interval.high
    if low is not None and not interval.low_open:
        return low
    if low is None:
        candidates = [Fraction(0)] + (
            [] if high is None else [Fraction(math.floor(high)), Fraction(math.ceil(high) - 1)]
        )
    else:
        candidates = [Fraction(math.floor(low) + 1)]
    for candidate in candidates:
        if candidate in interval:
            return candidate
    if low is None or high is None:  # pragma: no cover - one of the candidates is inside a half-open line
        raise AssertionError(interval)
    return (low + high) / 2


def _low_key(low: Fraction | None, is_open: bool) -> tuple[bool, Fraction, bool]:
    return (low is not None, low or Fraction(0), is_open)


def _high_key(high: Fraction | None, is_open: bool) -> tuple[bool, Fraction, bool]:
    return (high is None, high or Fraction(0), not is_open)


@dataclass(frozen=True, slots=True)
class IntervalSet:
    """Numbers, as intervals that are sorted, not empty, and neither overlap nor touch. Make one with ``of``."""

    intervals: tuple[Interval, ...] = ()

    @classmethod
    def of(cls, intervals: Iterable[Interval]) -> Self:
        """Return the union."""
        merged: list[Interval] = []
        for interval in sorted((i for i in intervals if not i.empty), key=lambda i: _low_key(i.low, i.low_open)):
            if merged and _touches(merged[-1], interval):
                last = merged.pop()
                high, high_open = max((last.high, last.high_open), (interval.high, interval.high_open), key=_by_high)
                merged.append(Interval(last.low, high, last.low_open, high_open))
            else:
                merged.append(interval)
        return cls(tuple(merged))

    def __iter__(self) -> Iterator[Interval]:
        return iter(self.intervals)

    def __bool__(self) -> bool:
        return bool(self.intervals)

    def __contains__(self, value: Number) -> bool:
        return any(value in interval for interval in self.intervals)

    def __or__(self, other: IntervalSet) -> IntervalSet:
        return IntervalSet.of((*self.intervals, *other.intervals))

    def __and__(self, other: IntervalSet) -> IntervalSet:
        return IntervalSet.of(a & b for a in self.intervals for b in other.intervals)

    def __sub__(self, other: IntervalSet) -> IntervalSet:
        return self & other.complement()

    def complement(self) -> IntervalSet:
        """Return all other numbers."""
        outside = []
        low: Fraction | None = None
        low_open = False
        for interval in self.intervals:
            if interval.low is not None:
                outside.append(Interval(low, interval.low, low_open, not interval.low_open))
            if interval.high is None:
                return IntervalSet.of(outside)
            low, low_open = interval.high, not interval.high_open
        outside.append(Interval(low, None, low_open))
        return IntervalSet.of(outside)

    def __str__(self) -> str:
        return " or ".join(map(str, self.intervals)) or "nothing"


LINE: Final = IntervalSet((Interval(None, None),))
"""Every number."""


def _by_high(end: tuple[Fraction | None, bool]) -> tuple[bool, Fraction, bool]:
    return _high_key(*end)


def _touches(left: Interval, right: Interval) -> bool:
    """Whether *right*, which does not begin before *left*, overlaps it or follows without a number between."""
    if left.high is None or right.low is None:
        return True
    return right.low < left.high or (right.low == left.high and not (left.high_open and right.low_open))
