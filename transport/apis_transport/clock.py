"""The machine's clocks behind the port."""

from __future__ import annotations

import time
import uuid
from pathlib import Path
from typing import Final

# Linux; elsewhere the monotonic clock is the best there is, and suspension of the machine goes uncounted.
_SINCE_BOOT: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


def clock_identity() -> str:
    """Return what tells this start of the machine from others: times of the clock mean nothing to another one."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        # Not Linux: no earlier time can be trusted.
        return uuid.uuid4().hex


class MachineClock:
    """``ports.clock.Clock`` of this machine. Processes of one machine share it."""

    def now_s(self) -> float:
        """Seconds since the machine started, suspension counted."""
        return time.clock_gettime(_SINCE_BOOT)

    def utc_s(self) -> float:
        """Seconds since 1970 in UTC, as the machine believes."""
        return time.clock_gettime(time.CLOCK_REALTIME)
