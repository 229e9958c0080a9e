"""What a round does beside the charts: energy, exclusions, converters nobody asked for, the ``active`` record."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apis_rules.charts.master import accounts
from apis_rules.charts.master.energy import book, mark_switch
from apis_rules.charts.master.output import Order
from apis_rules.charts.master.sides import direction_of, side_of, switch_off, with_side
from apis_rules.ports.types import ActiveUnit, CommandName, ConverterMode, Direction, OperationMode

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from apis_rules.charts.master.picture import UnitPicture
    from apis_rules.charts.master.round import Round
    from apis_rules.ports.types import Deal

_LEAVING = frozenset({"stopping", "stopped", "deactivating", "parting", "scrammed"})
NEW_POWER = 0.1
"""Power that differs by this part from what is stored is stored at once."""

HALF_PERCENT = 50.0
"""A holder's battery with a higher state of charge is rather full."""

_TAKING_OVER = frozenset({"announcing", "taking", "settling", "yielding"})
"""States of a hand-over in which the next holder may hold already, or is about to."""

_ALIGNED = frozenset({"activated", "warming_up", "compensating", "adjusting", "started", "stopping"})


def keep_deals(round_: Round) -> None:
    """Note in the deals what readings and the grid record have settled.

    A side whose unit is confirmed in WAIT is off; where the voltage was handed over to a party, that is the reference
    side; after a loss of the store a deal counts as switched unless both its units say that they know of no command.
    """
    for deal_id, deal in list(round_.deals.items()):
        changed = deal
        if deal.state in _LEAVING:
            for unit_id in deal.record.units:
                if side_of(changed, unit_id).on and accounts.is_confirmed(round_, unit_id):
                    changed = switch_off(changed, unit_id)
        if deal.state in _ALIGNED:
            changed = _aligned(round_, changed)
        if round_.picture.amnesia and not deal.switched and _may_be_switched(round_, deal):
            changed = changed.model_copy(update={"switched": True})
        round_.change_deal(deal_id, changed)


def _may_be_switched(round_: Round, deal: Deal) -> bool:
    """After a loss of the store: a unit of the deal knows of a command, or nobody can ask it any more."""
    units = (round_.unit(u) for u in deal.record.units)
    if any(u is not None and u.outcomes for u in units):
        return True
    return any(u in round_.exclusions or accounts.is_absent(round_, u) for u in deal.record.units)


def _aligned(round_: Round, deal: Deal) -> Deal:
    grid = round_.grid
    if deal.state == "started" and grid.state in (*accounts.STEADY_GRID, "draining"):
        last = _last_off(round_, deal)
        if last is not None and deal.detail.reference_unit_id != last:
            deal = deal.model_copy(update={"detail": deal.detail.model_copy(update={"reference_unit_id": last})})
    # A deal that ends in a hand-over must not stop the unit that takes over: its other side stops first.
    holder = grid.next_holder if grid.state in _TAKING_OVER else grid.holder
    if grid.state not in _TAKING_OVER and grid.state not in accounts.STEADY_GRID:
        return deal
    if holder in deal.record.units and deal.detail.reference_unit_id != holder:
        detail = deal.detail.model_copy(update={"reference_unit_id": holder})
        deal = deal.model_copy(update={"detail": detail})
    is_master = True if deal.record.deal_id == grid.deal_id else None
    if grid.state in accounts.STEADY_GRID and deal.record.is_master is not is_master:
        deal = deal.model_copy(update={"record": deal.record.model_copy(update={"is_master": is_master})})
    return deal


def _last_off(round_: Round, deal: Deal) -> str | None:
    """Return the side that should stop last beside a holder that is no party; None where any may.

    For a moment that holder carries the other side alone: a battery that is rather full gives, an empty one takes.
    What its own deals ask of it meanwhile does not count, for they may stop in the same round.
    """
    holder = round_.unit(round_.grid.holder or "")
    if holder is None or holder.rsoc_percent is None or holder.unit_id in deal.record.units:
        return None
    return deal.record.charge_unit_id if holder.rsoc_percent >= HALF_PERCENT else deal.record.discharge_unit_id


def book_energy(round_: Round) -> None:
    """Book the energy of every deal that flows up to its units' newest readings; now and then it is stored."""
    flowing = {i: d for i, d in round_.deals.items() if d.detail.flowing}
    read = _read_anew(round_, flowing.values())
    through = {i: _through_a(round_, d) for i, d in flowing.items()} if read else {}
    last_s = max(round_.ended.values(), default=float("-inf"))
    for deal_id, deal in flowing.items():
        changed = deal
        for unit_id in deal.record.units:
            if unit_id in read:
                whole_a = sum(through.get(d.record.deal_id, 0.0) for d in round_.deals_of(unit_id))
                share = through[deal_id] / whole_a if whole_a > 0 else 0.0
                changed = _booked(round_, changed, unit_id, share)
        stored_s = round_.stored_s.setdefault(deal_id, round_.now_s)
        due = round_.now_s - stored_s >= round_.settings.store_s
        if due:
            changed = _with_amounts(round_, changed)
        # When a switch took effect a new master must know too.
        telling = changed is not deal and _has_new_power(round_.picture.deals[deal_id].value, changed)
        round_.change_deal(deal_id, changed, store=due or telling)
        _look_after_switch(round_, changed, last_s)


def _look_after_switch(round_: Round, deal: Deal, last_s: float) -> None:
    """Ask for the power that a switch has led to as soon as it is over: the next one may come at any moment.

    A reading that was taken while the command was still at work does not show it. *last_s*: when the last of all
    commands ended.
    """
    holders, ended = accounts.holders(round_), round_.ended
    for unit_id in deal.record.units:
        unit, sample = round_.unit(unit_id), side_of(deal, unit_id).sample
        if unit is None:
            continue
        ended_s = last_s
        if unit_id not in holders:
            ended_s = max(ended.get(u, float("-inf")) for u in deal.record.units)
        if unit.read_at_s < ended_s:
            round_.want(unit_id)
        elif sample is not None and sample.switched:
            for other_id in round_.sent.keys() & _switching(round_, deal, unit_id):
                shown = _has_taken_effect(round_, other_id, round_.now_s)
                if shown and unit.read_at_s < round_.picture.units[other_id].read_at_s:
                    round_.want(unit_id)


def _has_new_power(stored: Deal, deal: Deal) -> bool:
    for unit_id in deal.record.units:
        old, new = side_of(stored, unit_id).sample, side_of(deal, unit_id).sample
        if new is not None:
            old_w = 0.0 if old is None else old.power_w
            if old is not None and old.switched:
                return True
            if abs(new.power_w - old_w) > NEW_POWER * max(abs(new.power_w), abs(old_w)):
                return True
    return False


def _read_anew(round_: Round, deals: Iterable[Deal]) -> frozenset[str]:
    """Return the parties of *deals* whose newest reading shows a power that is not booked yet."""
    return frozenset(u for d in deals for u in d.record.units if _is_read_anew(round_, d, u))


def _is_read_anew(round_: Round, deal: Deal, unit_id: str) -> bool:
    unit, clock = round_.unit(unit_id), round_.clocks.get(unit_id)
    if unit is None or clock is None or unit.battery_power_w is None or clock.read_s != unit.read_at_s:
        return False
    sample = side_of(deal, unit_id).sample
    return sample is None or clock.unit_s > sample.at_s


def _booked(round_: Round, deal: Deal, unit_id: str, share: float) -> Deal:
    power_w = round_.picture.units[unit_id].battery_power_w
    if power_w is None or not _is_read_anew(round_, deal, unit_id):
        return deal
    clock, lead_s = round_.clocks[unit_id], 2 * round_.settings.stop_lead_s
    own_w = (power_w if direction_of(deal, unit_id) is Direction.CHARGE else -power_w) * share
    booked = book(side_of(deal, unit_id), clock.unit_s, own_w, rate=clock.rate, lead_s=lead_s)
    open_ = round_.sent.keys() & _switching(round_, deal, unit_id)
    if any(not _has_taken_effect(round_, other_id, clock.read_s) for other_id in open_):
        booked = mark_switch(booked, clock.unit_s)  # the command is still at work, and may outlive this term
    return with_side(deal, unit_id, booked)


def _switching(round_: Round, deal: Deal, unit_id: str) -> Collection[str]:
    """Return the units whose commands change what *unit_id* carries: its deal's, or any where it holds the voltage."""
    return round_.picture.units.keys() if unit_id in accounts.holders(round_) else deal.record.units


def _has_taken_effect(round_: Round, unit_id: str, by_s: float) -> bool:
    """Whether the open command to *unit_id* had switched its current by *by_s*, as its meter shows.

    An outcome that is lost on its way is waited for. Meanwhile the power is what it was led to, and changes when the
    next command leaves: marked as changing since this reading, what flows until then would count for nothing.
    """
    unit = round_.unit(unit_id)
    if unit is None or unit.grid_current_a is None or unit_id in accounts.holders(round_):
        return False  # what a holder carries says nothing of its command
    if not round_.sent[unit_id].first_s <= unit.read_at_s <= by_s:
        return False
    sides = (side_of(d, unit_id) for d in round_.deals_of(unit_id) if d.open_unit_id == unit_id)
    step_a = sum(abs(side.to_a - side.set_a) for side in sides)
    return abs(abs(unit.grid_current_a) - round_.load.commanded_a(unit_id)) < step_a / 2


def _through_a(round_: Round, deal: Deal) -> float:
    """The current that passes from side to side; where a command has no outcome yet, as the unit's meter shows it.

    A unit whose reading shows WAIT passes nothing, also where no record says so: it went there by itself, or a stop
    left that could not be recorded.
    """
    return min(_carried_a(round_, deal, unit_id) for unit_id in deal.record.units)


def _carried_a(round_: Round, deal: Deal, unit_id: str) -> float:
    side, unit = side_of(deal, unit_id), round_.unit(unit_id)
    if unit is None or unit.grid_current_a is None:
        return side.set_a
    if unit.mode is ConverterMode.WAIT and unit.read_at_s >= round_.ended.get(unit_id, float("-inf")):
        return 0.0
    if side.set_a == side.to_a:
        return side.set_a
    others_a = round_.load.commanded_a(unit_id) - side.to_a
    low_a, high_a = sorted((side.set_a, side.to_a))
    return max(low_a, min(high_a, abs(unit.grid_current_a) - others_a))


def book_before_switch(round_: Round, commanded: Iterable[str]) -> None:
    """Book the energy of deals whose units are *commanded*, and of who holds the voltage, up to now: it may change.

    What one side does for a moment without the other passes through the unit that holds the voltage, and not from
    side to side: what counts as the deal's changes at both.
    """
    switched, holders = set(commanded), accounts.holders(round_)
    for deal_id, deal in list(round_.deals.items()):
        if not deal.detail.flowing:
            continue
        marked, units = deal, deal.record.units
        for unit_id in units if switched.intersection(units) else (u for u in units if u in holders):
            clock = round_.clocks.get(unit_id)
            if clock is not None and accounts.is_fresh(round_, unit_id):
                marked = with_side(marked, unit_id, mark_switch(side_of(marked, unit_id), clock.at(round_.now_s)))
        round_.change_deal(deal_id, marked)


def _with_amounts(round_: Round, deal: Deal) -> Deal:
    """The record shows the energy booked so far, for whoever looks at a running deal."""
    energy_unit = deal.record.unit_of(round_.settings.energy_side)
    changes: dict[str, object] = {
        "charge_unit_amount_wh": round(deal.detail.charge.amount_wh, 6),
        "discharge_unit_amount_wh": round(deal.detail.discharge.amount_wh, 6),
    }
    if deal.record.start_date_time is not None:
        changes["cumulate_amount_wh"] = round(side_of(deal, energy_unit).amount_wh, 6)
        changes["cumulate_date_time"] = round_.time_of(energy_unit)
        changes["cumulate_date_time_utc"] = round_.picture.utc
    return deal.model_copy(update={"record": deal.record.model_copy(update=changes)})


def keep_exclusions(round_: Round) -> None:
    """Take an excluded unit out of ``active`` and keep its last current; lift what is confirmed in WAIT."""
    for unit_id, lock in round_.exclusions.items():
        known = round_.active.pop(unit_id, None)
        if lock.excluded_current_a is None:
            current_a = known.current_a if known is not None else 0.0
            round_.locks[unit_id] = lock.model_copy(update={"excluded_current_a": current_a})
        elif accounts.is_confirmed(round_, unit_id):
            lifted = {"exclusion": None, "excluded_current_a": None}
            round_.locks[unit_id] = lock.model_copy(update=lifted)


def send_strays(round_: Round) -> None:
    """Send WAIT to converters that nobody asked to be active, again and again until they are confirmed in WAIT."""
    for unit_id in sorted({*round_.picture.units}):
        stop = round_.repeated_stops.get(unit_id)
        if stop is not None and unit_id in round_.exclusions and not accounts.is_fresh(round_, unit_id):
            del round_.repeated_stops[unit_id]
        elif stop is not None:
            if round_.now_s >= stop.again_s:
                scram = round_.grid.state in ("stopping_parties", "stopping_voltage")
                round_.stop(Order(unit_id, CommandName.SCRAM if scram else CommandName.WAIT))
            else:
                round_.due(stop.again_s)
        elif _is_stray(round_, unit_id):
            unit = round_.picture.units[unit_id]
            if round_.grid.state != "draining":  # else it was switched on by hand
                round_.report("two_references", unit_id, detail=str(unit.mode))
            round_.active.setdefault(unit_id, _found_active(unit))
            round_.stop(Order(unit_id, CommandName.WAIT))


_DIRECTIONS = {ConverterMode.CHARGE: Direction.CHARGE, ConverterMode.DISCHARGE: Direction.DISCHARGE}


def _found_active(unit: UnitPicture) -> ActiveUnit:
    direction = _DIRECTIONS.get(unit.mode) if unit.mode else None
    return ActiveUnit(direction=direction, current_a=abs(unit.grid_current_a or 0.0))


def _is_stray(round_: Round, unit_id: str) -> bool:
    mode = round_.picture.units[unit_id].mode
    if mode is None or mode is ConverterMode.WAIT:
        return False
    by_hand = round_.picture.mode is OperationMode.MANUAL and round_.grid.state not in ("draining", "releasing")
    if by_hand:
        return False
    if not accounts.is_fresh(round_, unit_id) or not accounts.is_settled(round_, unit_id):
        return False
    if accounts.is_asked_for(round_, unit_id, mode):
        return False
    # A voltage that nobody knows of goes after the currents that live on it; a second one goes at once.
    alone = round_.grid.state in accounts.DEAD_GRID and mode is ConverterMode.VOLTAGE_REFERENCE
    return not alone or not any(
        u.mode is not None and u.mode.current_controlled and accounts.is_fresh(round_, i)
        for i, u in round_.picture.units.items()
    )


def keep_active(round_: Round) -> None:
    """Take out of ``active`` who is confirmed in WAIT and asked for nothing."""
    for unit_id in list(round_.active):
        if unit_id in round_.sent or unit_id in round_.repeated_stops:
            continue
        if unit_id in accounts.holders(round_) and round_.grid.state not in accounts.DEAD_GRID:
            continue
        if any(side_of(d, unit_id).on for d in round_.deals_of(unit_id)):
            continue
        if accounts.is_confirmed(round_, unit_id):
            del round_.active[unit_id]
