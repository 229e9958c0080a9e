"""What is due to a converter whose node is not there (pure).

Invariants, whatever the driver answers and when:

- A converter that charges, discharges, or is in a mode that is not known is ordered to WAIT at each look that shows it.
- One that holds the voltage is left alone until its dead-man time is out, counted from the last refresh that its node
  heard; then it is ordered to WAIT too. Where no refresh is known of, that time is out.
- The duty is over only when WAIT was seen for longer than a write of the dead node may take to land.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass, replace
from typing import Final

LOOK_EVERY_S: Final = 1.0


class Shown(enum.Enum):
    """What a look at a converter has shown."""

    NOTHING = "nothing"
    WAIT = "wait"
    CURRENT = "current"
    HOLDING = "holding"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Duty:
    """Where the duty for one converter stands; runtime clock, seconds.

    Attributes:
        refreshed_at_s: when the node last heard the Grid Master; None: nobody knows.
        holder_dead_man_s: H, for which a holder goes on after that.
        request_timeout_s: a write without an answer may still land for so long.
        waiting_since_s: when the first of the looks was asked for that have shown nothing but WAIT since.
        unsettled_until_s: until then an order of ours may still land.
    """

    refreshed_at_s: float | None
    holder_dead_man_s: float
    request_timeout_s: float
    waiting_since_s: float | None = None
    unsettled_until_s: float = -math.inf

    @property
    def holds_until_s(self) -> float:
        """When a converter that holds the voltage must stop."""
        return -math.inf if self.refreshed_at_s is None else self.refreshed_at_s + self.holder_dead_man_s


@dataclass(frozen=True, slots=True)
class Step:
    """What one look made of a duty.

    Attributes:
        order_wait: whether WAIT must be ordered now.
        look_at_s: when to look again.
        over: nothing is left to do as things stand.
    """

    duty: Duty
    order_wait: bool
    look_at_s: float
    over: bool


def decide_step(duty: Duty, shown: Shown, asked_at_s: float, now_s: float, *, hurry: bool = False) -> Step:
    """Return what follows from a look that was asked for at *asked_at_s* and answered at *now_s*.

    *hurry*: a holder is not given its time any more.
    """
    if shown is Shown.WAIT:
        since_s = asked_at_s if duty.waiting_since_s is None else duty.waiting_since_s
        over = asked_at_s - since_s > duty.request_timeout_s
        return Step(replace(duty, waiting_since_s=since_s), order_wait=False, look_at_s=now_s + LOOK_EVERY_S, over=over)
    duty = replace(duty, waiting_since_s=None)
    if shown is Shown.NOTHING:
        return Step(duty, order_wait=False, look_at_s=now_s + LOOK_EVERY_S, over=False)
    if shown is Shown.HOLDING and now_s < duty.holds_until_s and not hurry:
        look_at_s = min(now_s + LOOK_EVERY_S, duty.holds_until_s)
        return Step(duty, order_wait=False, look_at_s=look_at_s, over=False)
    return Step(duty, order_wait=True, look_at_s=now_s + LOOK_EVERY_S, over=False)


def note_order(duty: Duty, now_s: float, *, answered: bool) -> Duty:
    """Keep in mind that an order left: without an answer it may still land for the driver's request timeout.

    The answer to a later one does not say that an earlier one has landed.
    """
    return duty if answered else replace(duty, unsettled_until_s=now_s + duty.request_timeout_s)
