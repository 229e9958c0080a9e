"""The machine's clocks behind the port."""

from __future__ import annotations

import time
from typing import Final

# Linux; elsewhere the monotonic clock is the best there is, and suspension of the machine goes uncounted.
_SINCE_BOOT: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class MachineClock:
    """``ports.clock.Clock`` of this machine. Processes of one machine share it."""

    def now_s(self) -> float:
        """Seconds since the machine started, suspension counted."""
        return time.clock_gettime(_SINCE_BOOT)

    def utc_s(self) -> float:
        """Seconds since 1970 in UTC, as the machine believes."""
        return time.clock_gettime(time.CLOCK_REALTIME)
