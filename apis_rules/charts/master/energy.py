"""Energy of a deal: trapezoids over the unit clock, each side for itself; when to stop (specification 4.5)."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import Final

from apis_rules.charts.master.memory import UnitClock
from apis_rules.ports.types import DealSide, EnergySample

RATE_AFTER_S: Final = 5.0
"""A clock that shows whole seconds tells its rate only over a while."""

JUMP_S: Final = 5.0
"""A unit clock that is off its rate by more has been set."""

DATE_FORMAT: Final = "%Y/%m/%d-%H:%M:%S"


def advance_clock(
    clock: UnitClock | None, read_s: float, unit_s: float, first_rate: float = 1.0
) -> tuple[UnitClock, bool]:
    """Return the unit's clock after a reading, and whether it was set meanwhile.

    *read_s* is the runtime clock of the reading, *unit_s* what the unit's own clock showed, seconds of its local date
    since 1970; *first_rate* is how it ran when it was last watched. The clock returned never goes back, and does not
    follow a jump: energy is not made or lost by setting a clock.
    """
    if clock is None:
        return UnitClock(read_s, unit_s, read_s, unit_s, first_rate), False
    if read_s <= clock.read_s:
        return clock, False
    watched_s = read_s - clock.anchor_s
    expected_s = clock.at(read_s)
    shown_s = unit_s + clock.set_by_s
    tolerance_s = JUMP_S * max(1.0, clock.rate)
    if clock.read_s - clock.anchor_s >= RATE_AFTER_S and abs(shown_s - expected_s) > tolerance_s:
        moved = UnitClock(read_s, expected_s, read_s, expected_s, clock.rate, expected_s - unit_s)
        return moved, True
    rate = (shown_s - clock.anchor_unit_s) / watched_s if watched_s >= 1.0 else clock.rate
    now = dataclasses.replace(clock, read_s=read_s, unit_s=max(clock.unit_s, shown_s), rate=max(0.0, rate))
    return now, False


def book(side: DealSide, at_s: float, power_w: float, *, rate: float, lead_s: float) -> DealSide:
    """Return *side* with the energy up to *at_s* (unit clock); *power_w* is this deal's share, positive its own way.

    *rate* is how the unit clock runs. Where a switch was commanded at the last sample, the power has changed within
    *lead_s* seconds and is the new one since, however long nobody looked; else it changed evenly.
    """
    sample = side.sample
    amount_wh = side.amount_wh
    if sample is not None:
        passed_s = max(0.0, at_s - sample.at_s)
        changing_s = min(passed_s, lead_s * rate) if sample.switched else passed_s
        amount_wh += ((sample.power_w + power_w) / 2 * changing_s + power_w * (passed_s - changing_s)) / 3600
        at_s = max(at_s, sample.at_s)
    return side.model_copy(
        update={"amount_wh": amount_wh, "sample": EnergySample(at_s=at_s, power_w=power_w, rate=rate)}
    )


def mark_switch(side: DealSide, at_s: float) -> DealSide:
    """Return *side* with its power taken as unchanged up to *at_s*, when a command leaves that may change it."""
    sample = side.sample
    if sample is None or sample.switched:
        return side  # nothing is known of it, or an earlier command is taking effect
    passed_s = max(0.0, at_s - sample.at_s)
    marked = sample.model_copy(update={"at_s": sample.at_s + passed_s, "switched": True})
    return side.model_copy(update={"amount_wh": side.amount_wh + sample.power_w * passed_s / 3600, "sample": marked})


def seconds_left(side: DealSide, amount_wh: float, clock: UnitClock, now_s: float, lead_s: float) -> float:
    """Return how long the deal may go on, in runtime seconds; at or below 0 it is to be stopped now.

    The power of the last sample is taken to go on; during the *lead_s* seconds that a stop takes, half of it still
    flows.
    """
    sample = side.sample
    if sample is None or sample.power_w <= 0 or clock.rate <= 0:
        return float("inf")
    due_unit_s = sample.at_s + (amount_wh - side.amount_wh) * 3600 / sample.power_w
    return (due_unit_s - clock.at(now_s)) / clock.rate - lead_s / 2


def format_time(seconds: float) -> str:
    """Return ``yyyy/MM/dd-HH:mm:ss`` of a local date given as seconds since 1970."""
    return datetime.fromtimestamp(max(0.0, seconds), UTC).strftime(DATE_FORMAT)


def parse_time(text: str) -> float:
    """Return the seconds since 1970 of a local date ``yyyy/MM/dd-HH:mm:ss``. Raises ``ValueError`` for another form."""
    return datetime.strptime(text, DATE_FORMAT).replace(tzinfo=UTC).timestamp()
