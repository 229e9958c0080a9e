"""Sets of whole numbers as half-open spans ``[start, end)``: exact arithmetic over bands (Wh) and windows (s).

Sets of all numbers, with open ends and fractions, are in ``intervals``; whole Wh and seconds need neither, since above
3360 means from 3361 on. A bound is a whole number or an infinity. The spans of a set are sorted and do not touch:
equal sets are equal values.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator


class Span(NamedTuple):
    """``start <= x < end``."""

    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Spans:
    """A set of whole numbers. Make one with ``Spans.of``, which sorts and joins."""

    spans: tuple[Span, ...] = ()

    @classmethod
    def of(cls, *spans: tuple[float, float]) -> Spans:
        """Return the union of spans; an empty or inverted one adds nothing."""
        joined: list[Span] = []
        for start, end in sorted(s for s in spans if s[0] < s[1]):
            if joined and start <= joined[-1].end:
                joined[-1] = Span(joined[-1].start, max(end, joined[-1].end))
            else:
                joined.append(Span(start, end))
        return cls(tuple(joined))

    def __or__(self, other: Spans) -> Spans:
        return Spans.of(*self.spans, *other.spans)

    def __and__(self, other: Spans) -> Spans:
        # What two sets in order have in common is in order, and gaps stay gaps: nothing to sort or join.
        both = ((max(a.start, b.start), min(a.end, b.end)) for a in self.spans for b in other.spans)
        return Spans(tuple(Span(start, end) for start, end in both if start < end))

    def __sub__(self, other: Spans) -> Spans:
        rest = self
        for span in other.spans:
            rest = rest & Spans.of((-math.inf, span.start), (span.end, math.inf))
        return rest

    def __iter__(self) -> Iterator[Span]:
        return iter(self.spans)

    def __bool__(self) -> bool:
        return bool(self.spans)

    def __contains__(self, x: float) -> bool:
        return any(span.start <= x < span.end for span in self.spans)

    @property
    def witness(self) -> int:
        """The member nearest to zero from above, else from below: the smallest example to show somebody.

        Raises ``ValueError`` for the empty set.
        """
        if not self.spans:
            raise ValueError("the empty set has no member")
        above = self & Spans.of((0, math.inf))
        return int(above.spans[0].start if above else self.spans[-1].end - 1)


EVERYTHING: Final = Spans.of((-math.inf, math.inf))
