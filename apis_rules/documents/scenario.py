"""scenario.json: what a node wants and what it would give, by time of day and battery level (specification 6.3)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import Field

from apis_rules.documents.model import FileModel, Name, Number, Period, Text, UnitId, Whole

DAY_S: Final = 86_400
_WINDOW = re.compile(r"(\d\d):([0-5]\d):([0-5]\d)-(\d\d):([0-5]\d):([0-5]\d)")
_BAND = re.compile(r"\s*(\d*)\s*-\s*(\d*)\s*")

Strategy: TypeAlias = Literal["amount", "pointAndAmount"]


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """A time of day: from *start_s*, included, to *end_s*, not included; it wraps past midnight where end ≤ start.

    Attributes:
        start_s: seconds since midnight, 0 to 86,399.
        end_s: seconds since midnight, 1 to 86,400.
    """

    start_s: int
    end_s: int

    @classmethod
    def parse(cls, text: str) -> Window:
        """Read ``HH:MM:SS-HH:MM:SS``; ``24:00:00`` may only be the end.

        Raises:
            ValueError: it is not that; the text says what is wrong, for a person.
        """
        match = _WINDOW.fullmatch(text.strip())
        if match is None:
            raise ValueError(f"{text!r} is not a time of day as HH:MM:SS-HH:MM:SS")
        numbers = [int(part) for part in match.groups()]
        start_s = numbers[0] * 3600 + numbers[1] * 60 + numbers[2]
        end_s = numbers[3] * 3600 + numbers[4] * 60 + numbers[5]
        if start_s >= DAY_S or end_s > DAY_S:
            raise ValueError(f"{text!r} names a time that no day has (a start up to 23:59:59, an end up to 24:00:00)")
        if start_s == end_s:
            raise ValueError(f"{text!r} is empty: it ends where it begins (a whole day is 00:00:00-24:00:00)")
        return cls(start_s, end_s or DAY_S)

    @property
    def wraps(self) -> bool:
        """Whether it goes on past midnight."""
        return self.end_s <= self.start_s

    def contains(self, time_s: float) -> bool:
        """Whether it is in effect at *time_s* seconds since midnight."""
        if self.wraps:
            return time_s >= self.start_s or time_s < self.end_s
        return self.start_s <= time_s < self.end_s


@dataclass(frozen=True, slots=True, order=True)
class Band:
    """Battery levels: *lower_wh* ≤ remaining energy < *upper_wh*; None stands for no bound.

    Attributes:
        status: the name that requests and accepts are declared for.
    """

    lower_wh: int | None
    upper_wh: int | None
    status: str

    @classmethod
    def parse(cls, text: str, status: str) -> Band:
        """Read ``lower-upper`` in whole Wh, either of which may be left out.

        Raises:
            ValueError: it is not that, or holds no energy; the text says what is wrong, for a person.
        """
        match = _BAND.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is not a band of whole Wh as LOWER-UPPER, such as 2400-3360, 3360- or -1440")
        lower, upper = (int(part) if part else None for part in match.groups())
        if upper is not None and upper <= (lower or 0):
            raise ValueError(f"the band {text!r} is empty: its upper bound must be above its lower")
        return cls(lower, upper, status)

    def contains(self, remaining_wh: float) -> bool:
        """Whether *remaining_wh* lies in it."""
        return (self.lower_wh is None or remaining_wh >= self.lower_wh) and (
            self.upper_wh is None or remaining_wh < self.upper_wh
        )


class Offer(FileModel):
    """One direction of what is asked for or answered. The amount is the distance of the battery level to the limit."""

    pair_unit_id: UnitId | None = None
    limit_wh: Whole
    point_per_wh: Annotated[Number, Field(ge=0)] | None = None


class Offers(FileModel):
    """What is asked for or answered in one status: nothing, one direction, or (accepts only) both."""

    charge: Offer | None = None
    discharge: Offer | None = None


class AcceptSelection(FileModel):
    """How one accept is chosen among several."""

    strategy: Strategy = "amount"


class Section(FileModel):
    """What holds in one window."""

    battery_status: dict[str, Name] = Field(min_length=1)
    accept_selection: AcceptSelection | None = None
    request: dict[Text, Offers] = Field(default_factory=dict)
    accept: dict[Text, Offers] = Field(default_factory=dict)

    @property
    def bands(self) -> tuple[Band, ...]:
        """The battery levels, in file order."""
        return tuple(Band.parse(text, status) for text, status in self.battery_status.items())


class Scenario(FileModel, extra="allow"):
    """A scenario file. Beside the declared keys it holds one section per window."""

    __pydantic_extra__: dict[str, Section] = Field(init=False)

    refreshing_period_s: Period = 5.0
    accept_selection: AcceptSelection = AcceptSelection()

    @property
    def sections(self) -> dict[str, Section]:
        """Window as written → what holds then, in file order."""
        return dict(self.__pydantic_extra__)

    @property
    def windows(self) -> dict[str, Window]:
        """Window as written → the window, in file order."""
        return {text: Window.parse(text) for text in self.__pydantic_extra__}

    def strategy_of(self, section: Section) -> Strategy:
        """Return how accepts are chosen while *section* is in effect: its own way, else the file's."""
        return (section.accept_selection or self.accept_selection).strategy
