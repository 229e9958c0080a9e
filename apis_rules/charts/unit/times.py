"""When a unit must be read, and when it stops by itself; runtime clock, seconds."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from apis_rules.charts.unit.record import UnitRecord
    from apis_rules.charts.unit.settings import UnitSettings


def dead_man_at_s(unit: UnitRecord, settings: UnitSettings) -> float | None:
    """Return when the last refresh is too old for what the converter does; None where nothing of it is active.

    The one that holds the voltage waits longer than those that need it. A refresh that nobody knows of is too old.
    """
    if unit.confirmed_wait or unit.stopping or unit.just_started:
        return None
    if unit.memory.refreshed_at_s is None:
        return -math.inf
    return unit.memory.refreshed_at_s + (settings.holder_dead_man_s if unit.may_hold else settings.dead_man_s)


def read_all_at_s(unit: UnitRecord, settings: UnitSettings) -> float:
    """Return when the next full reading is due: each period, and at the end of a local rule's debounce."""
    if unit.read_all_at_s is None:
        return -math.inf
    at_s = unit.read_all_at_s + settings.read_period_s
    return at_s if unit.struck_at_s is None else min(at_s, unit.struck_at_s)


def read_at_s(unit: UnitRecord, settings: UnitSettings) -> float:
    """Return when the next reading of any kind is due: an active converter is read at least once a second."""
    if unit.read_wanted or unit.read_at_s is None:
        return -math.inf
    full_s = read_all_at_s(unit, settings)
    return full_s if unit.confirmed_wait else min(full_s, unit.read_at_s + settings.active_read_s)
