"""Which units are where they should be: fresh, confirmed in WAIT, unaccounted for, silent; and what the bus does.

A round *observes* once, before anything is decided; the questions below are then answered from its working copies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from apis_rules.charts.master.energy import advance_clock
from apis_rules.charts.master.sides import direction_of, side_of
from apis_rules.ports.types import ConverterMode, Direction, OperationMode

if TYPE_CHECKING:
    from apis_rules.charts.master.round import Round
    from apis_rules.ports.types import Deal

RISE_V: Final = 0.5
"""A voltage that grows by more between two readings is rising."""

ASK_AFTER_S: Final = 1.0
"""Of a unit that matters, a reading of that age is followed by another."""

STEADY_GRID: Final = frozenset({"held", "optimising"})
WATCHED_GRID: Final = frozenset({"clearing", "releasing", "falling", "stopping_voltage"})
DEAD_GRID: Final = frozenset({"dead", "falling"})
ENDED_DEAL: Final = frozenset({"parting", "scrammed", "deactivated", "disposed"})
"""States of a deal that ask no converter for anything any more."""

_MODE_OF: Final = {Direction.CHARGE: ConverterMode.CHARGE, Direction.DISCHARGE: ConverterMode.DISCHARGE}


def observe(round_: Round) -> None:
    """Bring clocks, silence and the bus up to the picture."""
    for unit_id, unit in round_.picture.units.items():
        if unit.data is None:
            continue
        if unit.unit_time_s is not None:
            known = round_.clocks.get(unit_id)
            first_rate = 1.0 if known is not None else _watched_rate(round_, unit_id)
            clock, was_set = advance_clock(known, unit.read_at_s, unit.unit_time_s, first_rate)
            round_.clocks[unit_id] = clock
            if was_set:
                round_.report("clock_set", unit_id)
        if unit.read_at_s > round_.wanted.get(unit_id, float("inf")):
            del round_.wanted[unit_id]
    _observe_bus(round_)
    round_.bus = _bus_of(round_)
    _observe_silence(round_)
    _ask(round_)


def _watched_rate(round_: Round, unit_id: str) -> float:
    for deal in round_.deals_of(unit_id):
        sample = side_of(deal, unit_id).sample
        if sample is not None:
            return sample.rate
    return 1.0


def _ask(round_: Round) -> None:
    """Ask whoever matters for a reading, should the last one age; while the bus falls, whoever is there."""
    asked = {*concerned_units(round_), *round_.parties}
    if round_.grid.state in WATCHED_GRID or (round_.deals and round_.low_since_s is None):
        asked |= round_.fresh
    if round_.picture.orders and round_.low_since_s is None:
        asked |= {u for u, unit in round_.picture.units.items() if unit.data is not None}
    for unit_id in sorted(asked):
        unit = round_.unit(unit_id)
        if unit is None or round_.now_s - unit.read_at_s >= ASK_AFTER_S:
            round_.want(unit_id)


def _observe_bus(round_: Round) -> None:
    limit_v = round_.settings.range_min_v - round_.settings.uvlo_mask_v
    low, rising = True, False
    readings = 0
    for unit_id in round_.fresh:
        unit = round_.picture.units[unit_id]
        voltage_v = unit.grid_voltage_v
        if voltage_v is None:
            continue
        readings += 1
        low = low and voltage_v < limit_v
        before = round_.voltages.get(unit_id)
        if before is None or before[0] < unit.read_at_s:
            rising = rising or (before is not None and voltage_v > before[1] + RISE_V)
            round_.voltages[unit_id] = (unit.read_at_s, voltage_v)
    if not readings or not low or rising:
        round_.low_since_s = None
    elif round_.low_since_s is None:
        round_.low_since_s = round_.now_s


def _observe_silence(round_: Round) -> None:
    planned_s = round_.picture.memory.planned_s
    passed_s = round_.now_s - planned_s if planned_s is not None and round_.picture.renewed else 0.0
    watched = {*round_.active, *holders(round_), *round_.parties}
    watched -= round_.exclusions.keys()
    round_.absent = {
        unit_id: round_.absent.get(unit_id, 0.0) + max(0.0, passed_s)
        for unit_id in watched
        if not is_fresh(round_, unit_id) or is_unaccounted(round_, unit_id)
    }


def is_fresh(round_: Round, unit_id: str) -> bool:
    """Whether the unit answered with a device reading that is young enough to say something."""
    return unit_id in round_.fresh


def is_settled(round_: Round, unit_id: str) -> bool:
    """Whether no command to the unit is open and its reading was taken after the last one ended.

    When a command of an earlier term ended nobody here knows: a reading from before this term shows nothing of it.
    """
    unit = round_.picture.units.get(unit_id)
    return (
        unit is not None
        and unit_id not in round_.sent
        and unit_id not in round_.repeated_stops
        and unit.read_at_s >= round_.ended.get(unit_id, round_.picture.term_started_s)
    )


def is_silent(round_: Round, unit_id: str) -> bool:
    """Whether the unit cannot be reached: nothing fresh of it, and no command to it that is still in time."""
    return unit_id in round_.exclusions or not (_is_at_work(round_, unit_id) or is_fresh(round_, unit_id))


def is_absent(round_: Round, unit_id: str) -> bool:
    """Whether the unit has been away for as long as others' deals wait for it.

    It counts from its last fresh answer; a command to it that is still in time is waited for all the same.
    """
    if round_.absent.get(unit_id, 0.0) < round_.settings.absence_s:
        return False
    return is_silent(round_, unit_id) or is_unaccounted(round_, unit_id)


def is_given_up(round_: Round, unit_id: str) -> bool:
    """Whether nothing is to be had of the unit: it is silent, and a new term has had the time to hear of it."""
    unit = round_.unit(unit_id)
    unheard = (unit is None or unit.data is None) and unit_id not in round_.exclusions
    new_term = round_.now_s - round_.picture.term_started_s < round_.settings.reading_age_s
    return is_silent(round_, unit_id) and not (unheard and new_term)


def _is_at_work(round_: Round, unit_id: str) -> bool:
    sent = round_.sent.get(unit_id)
    return sent is not None and not sent.stops


def is_confirmed(round_: Round, unit_id: str) -> bool:
    """Whether the unit is confirmed in WAIT: a reading since its last command shows WAIT and no current.

    A unit that may be active must have heard of this term: else a command of an earlier one may still reach it.
    """
    unit = round_.unit(unit_id)
    if unit is None or unit.mode is not ConverterMode.WAIT or not is_fresh(round_, unit_id):
        return False
    knows_term = unit.acknowledged or any(h.outcome.epoch == round_.picture.epoch for h in unit.outcomes)
    if unit_id in round_.active and not knows_term:
        return False
    current_a = unit.grid_current_a
    return is_settled(round_, unit_id) and current_a is not None and abs(current_a) <= unit.limits.allowance_a


def is_unaccounted(round_: Round, unit_id: str) -> bool:
    """Whether a unit that may be active does not answer, or is in a mode that its live deals do not ask for."""
    concerned = unit_id in round_.active or (round_.picture.amnesia and unit_id in round_.settings.members)
    if not concerned or unit_id in round_.exclusions or _is_at_work(round_, unit_id):
        return False
    if not is_fresh(round_, unit_id):
        return True
    unit = round_.picture.units[unit_id]
    if not is_settled(round_, unit_id) or round_.picture.mode is OperationMode.MANUAL:
        return False
    mode = unit.mode
    return mode is not ConverterMode.WAIT and (mode is None or not is_asked_for(round_, unit_id, mode))


def unaccounted(round_: Round) -> tuple[str, ...]:
    """Return every unit that is unaccounted for; while there is one, nothing is energised or activated."""
    concerned = {*round_.active, *round_.settings.members} if round_.picture.amnesia else round_.active
    return tuple(sorted(u for u in concerned if is_unaccounted(round_, u)))


def tell_unaccounted(round_: Round) -> list[str]:
    """Return a sentence on the units that keep the bus from being energised, and on what ends that."""
    missing = unaccounted(round_)
    if not missing:
        return []
    ends = "it goes on when they answer, or are declared cut off ('apis-rules exclude U --reason TEXT')"
    return [f"unaccounted for: {', '.join(missing)}; {ends}"]


def holders(round_: Round) -> tuple[str, ...]:
    """Return the units that may hold the voltage by the record, the holder first."""
    holder, other = round_.grid.holder, round_.grid.next_holder
    if other is None:
        return () if holder is None else (holder,)
    return (other,) if holder is None else (holder, other)


def holding(round_: Round) -> frozenset[str]:
    """Return the units that hold the voltage: the recorded holder, and the one that takes over once it does as well."""
    grid = round_.grid
    if grid.holder is None or grid.state in DEAD_GRID:
        return frozenset()
    other = round_.unit(grid.next_holder) if grid.next_holder else None
    if other is not None and other.mode is ConverterMode.VOLTAGE_REFERENCE:
        return frozenset({grid.holder, other.unit_id})
    return frozenset({grid.holder})


def is_asked_for(round_: Round, unit_id: str, mode: ConverterMode) -> bool:
    """Whether the records ask the unit for *mode*, which is not WAIT."""
    grid = round_.grid
    if mode is ConverterMode.VOLTAGE_REFERENCE:
        return unit_id in holders(round_) and grid.state not in DEAD_GRID
    if unit_id == grid.holder and grid.state in STEADY_GRID:
        return False
    return any(
        is_live(deal) and side_of(deal, unit_id).on and _MODE_OF[direction_of(deal, unit_id)] is mode
        for deal in round_.deals_of(unit_id)
    )


def is_live(deal: Deal) -> bool:
    """Whether the deal may ask converters for something."""
    return deal.state not in ENDED_DEAL and deal.state != "created"


def live_deals(round_: Round) -> tuple[Deal, ...]:
    """Return the deals that may ask converters for something."""
    if round_.live is None:
        round_.live = tuple(filter(is_live, round_.deals.values()))
    return round_.live


def _bus_of(round_: Round) -> str:
    """Return what the grid chart calls the bus: dead, low, masked, raised, live or unknown."""
    settings = round_.settings
    shown = (round_.picture.units[unit_id].grid_voltage_v for unit_id in round_.fresh)
    voltages = [voltage_v for voltage_v in shown if voltage_v is not None]
    if not voltages:
        return "unknown"
    highest_v = max(voltages)
    if highest_v < settings.range_min_v - settings.uvlo_mask_v:
        since_s = round_.low_since_s
        if since_s is not None and round_.now_s - since_s >= settings.dead_for_s:
            return "dead"
        if since_s is not None:
            round_.due(since_s + settings.dead_for_s)
        return "low"
    if highest_v <= settings.stop_voltage_v:
        return "masked"
    return "raised" if highest_v <= settings.live_voltage_v else "live"


def is_bus_dead(round_: Round) -> bool:
    """Whether no voltage is left to drive a current: low, not rising, and no unit that can be reached holds it."""
    if round_.bus != "dead":
        return False
    return round_.grid.state in DEAD_GRID or all(
        is_silent(round_, u) or is_confirmed(round_, u) for u in holders(round_)
    )


def concerned_units(round_: Round) -> frozenset[str]:
    """Return the units that a new master waits for: parties of live deals, the grid record's, those in ``active``."""
    concerned = {*holders(round_), *round_.active}
    for deal in live_deals(round_):
        concerned.update(deal.record.units)
    return frozenset(concerned.difference(round_.exclusions))


def is_term_ready(round_: Round) -> bool:
    """Whether this term may start, raise and move: everybody concerned has answered or is known not to."""
    return all(has_answered(round_, u) for u in concerned_units(round_))


def has_answered(round_: Round, unit_id: str) -> bool:
    """Whether the unit has acknowledged this term, is confirmed in WAIT, or is unaccounted for."""
    unit = round_.unit(unit_id)
    acknowledged = unit is not None and unit.acknowledged
    return acknowledged or is_confirmed(round_, unit_id) or is_unaccounted(round_, unit_id)


def to_announce(round_: Round) -> tuple[str, ...]:
    """Return the units to which the term may be announced now: the holder first, the rest when it has answered."""
    waiting = [u for u, unit in round_.picture.units.items() if not unit.acknowledged]
    if round_.grid.state not in DEAD_GRID:
        first = tuple(u for u in holders(round_) if u in waiting and not is_unaccounted(round_, u))
        if first:
            return first
    return tuple(waiting)
