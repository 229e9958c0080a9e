"""The unit clock: the driver's own time where it delivers one, else local time (architecture: clocks).

Times of day, records and energy go by it. It is written ``yyyy/MM/dd-HH:mm:ss`` without a zone, so here it is seconds
of the local date since 1970, a number that only this unit's own times are compared with.
"""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import tzinfo

FORMAT: Final = "%Y/%m/%d-%H:%M:%S"
DAY_S: Final = 86_400
MEASURED_OVER: Final = 10
"""So many answers with a time tell how fast the driver's clock runs."""


def parse_unit_time(text: str) -> float | None:
    """Return the seconds that *text* stands for, None where it is no such time; what follows a dot is cut off."""
    try:
        return datetime.strptime(text.split(".", maxsplit=1)[0], FORMAT).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None


def format_unit_time(unit_time_s: float) -> str:
    """Write a unit clock's seconds as records have them."""
    return datetime.fromtimestamp(int(unit_time_s), UTC).strftime(FORMAT)


def time_of_day_s(unit_time_s: float) -> int:
    """Return whole seconds since the local midnight."""
    return int(unit_time_s) % DAY_S


def local_unit_time_s(utc_s: float, zone: tzinfo | None) -> float:
    """Return the unit clock of a driver without a clock, at a moment in UTC; *zone* None: the machine's own zone."""
    local = datetime.fromtimestamp(utc_s, UTC).astimezone(zone)
    return local.replace(tzinfo=UTC).timestamp()


class UnitClock:
    """One unit's clock by the driver's times: at its answers, and between them.

    The driver's clock may run faster than ours (an accelerated emulator), so its rate is measured over some answers.
    """

    def __init__(self, zone: tzinfo | None = None) -> None:
        self._zone = zone
        self._seen: deque[tuple[float, float]] = deque(maxlen=MEASURED_OVER)

    def at(self, time: str | None, read_at_s: float, utc_s: float) -> float:
        """Return the unit clock at a reading, in seconds of its local date since 1970.

        Args:
            time: as the driver delivered it, None where this answer has none.
            read_at_s: runtime clock of the reading.
            utc_s: the same moment by the machine's wall clock.
        """
        delivered_s = parse_unit_time(time) if time else None
        if delivered_s is not None:
            self.note(read_at_s, delivered_s)
            return delivered_s
        between_s = self.between(read_at_s)
        return local_unit_time_s(utc_s, self._zone) if between_s is None else between_s

    def note(self, read_at_s: float, unit_time_s: float) -> None:
        """Remember what the clock showed at a moment."""
        self._seen.append((read_at_s, unit_time_s))

    def between(self, at_s: float) -> float | None:
        """Return what the clock must show at a moment after the last that is known, None where none is."""
        if not self._seen:
            return None
        (first_s, first_unit_s), (last_s, last_unit_s) = self._seen[0], self._seen[-1]
        rate = (last_unit_s - first_unit_s) / (last_s - first_s) if last_s - first_s > 1.0 else 1.0
        return last_unit_s + max(0.0, at_s - last_s) * max(0.0, rate)


def format_utc(utc_s: float) -> str:
    """Write a moment as ``yyyy-MM-ddTHH:mm:ss.mmmZ``."""
    return datetime.fromtimestamp(utc_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
