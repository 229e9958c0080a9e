"""What the grid chart sees of the world: facts for its guards, and the context of its effects."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apis_rules.charts.master import accounts
from apis_rules.charts.master.admission import reference_side
from apis_rules.charts.master.energy import parse_time, seconds_left
from apis_rules.charts.master.grid_effects import GridContext
from apis_rules.charts.master.round import GRID, Standing
from apis_rules.charts.master.sides import direction_of, reference_of, side_of
from apis_rules.ports.types import ConverterMode, Direction

if TYPE_CHECKING:
    from apis_rules.charts.master.picture import ManualOrder
    from apis_rules.charts.master.round import Round
    from apis_rules.ports.types import Deal

HELD = frozenset(
    {"authorizing", "returning", "held", "optimising", "announcing", "taking", "settling", "yielding", "straightening"}
    | {"withdrawing", "restoring"}
)
"""States in which the recorded holder holds the voltage."""

HAND_OVER_STEPS_S = 2.0
"""About what the four steps of a hand-over take beside the time in which it settles."""

FORWARD = frozenset({"settling", "yielding"})
"""States in which the other unit of a hand-over carries on where the holder is lost."""

_UNGATED = frozenset({"clearing", "releasing", "draining", "stopping_parties", "stopping_voltage", "falling"})
"""States whose commands only take energy away: they wait for nothing."""


def grid_facts(round_: Round) -> dict[str, object]:
    """Return the facts of the grid record."""
    grid = round_.grid
    facts: dict[str, object] = {
        "bus": round_.bus,
        "repeat": round_.may_repeat(GRID, grid) and (grid.state in _UNGATED or accounts.is_term_ready(round_)),
        "two_holders": grid.next_holder is not None,
        "parties_off": _all_off(round_, leave_out=accounts.holders(round_)),
        "all_off": _all_off(round_, leave_out=()),
        "optimum_due": False,
    }
    holder = grid.holder
    if holder is None:
        return facts
    # Not by a command that is still in time: one that stops eases the voltage down and answers all the while.
    facts["holder_reachable"] = accounts.is_fresh(round_, holder) and holder not in round_.exclusions
    facts["holder_mode"] = _mode_word(round_, holder)
    unit = round_.unit(holder)
    if unit is not None and accounts.is_fresh(round_, holder) and accounts.is_settled(round_, holder):
        facts["voltage_v"] = unit.grid_voltage_v
    if grid.target_voltage_v is not None:
        facts["target_v"] = grid.target_voltage_v
    if grid.state == "ramping":
        clock = round_.clocks.get(holder)
        shown_s = clock.shown_at(round_.now_s) if clock else round_.picture.local_s
        facts["ramping_s"] = max(0.0, shown_s - parse_time(grid.since)) if grid.since else 0.0
    if grid.state == "settling":
        facts["level"] = _is_level(round_)
    if grid.state == "held" and round_.settings.optimises:
        facts["optimum_due"] = _optimum_due(round_)
    return facts


def _mode_word(round_: Round, unit_id: str) -> str:
    unit = round_.unit(unit_id)
    if unit is None or not accounts.is_fresh(round_, unit_id) or not accounts.is_settled(round_, unit_id):
        return "unknown"
    match unit.mode:
        case ConverterMode.VOLTAGE_REFERENCE:
            return "holding"
        case ConverterMode.WAIT:
            return "off"
        case None:
            return "unknown"
        case _:
            return "other"


def has_lost_voltage(round_: Round) -> bool:
    """Whether a fresh reading shows that the holder does not hold what it should."""
    grid = round_.grid
    by_hand = grid.state == "held_by_hand" and grid.open_command is None
    if grid.holder is None or not (grid.state in HELD or by_hand) or round_.is_pending(grid):
        return False
    if grid.state in FORWARD and not accounts.is_term_ready(round_):
        return False
    return _mode_word(round_, grid.holder) in ("off", "other")


def standing_of(round_: Round) -> Standing:
    """Return how far this term has come."""
    grid = round_.grid
    holding = accounts.holders(round_) if grid.state not in accounts.DEAD_GRID else ()
    return Standing(
        holder_answered=all(accounts.has_answered(round_, u) for u in holding),
        all_answered=accounts.is_term_ready(round_),
        grid_agrees=grid.state not in HELD or (holding != () and _mode_word(round_, holding[0]) == "holding"),
        half_done=grid.state not in ("dead", "held"),
        still=grid.state == "dead"
        and all(accounts.is_silent(round_, u) for u in round_.active)
        and not any(d.switched for d in round_.deals.values()),
    )


def _all_off(round_: Round, leave_out: tuple[str, ...]) -> bool:
    return all(
        accounts.is_confirmed(round_, u) or accounts.is_silent(round_, u) for u in round_.active if u not in leave_out
    )


def _is_level(round_: Round) -> bool:
    """Both hold, within voltage range and currents, for the settle time, and were read at its end."""
    settings = round_.settings
    units = accounts.holders(round_)
    for unit_id in units:
        unit = round_.unit(unit_id)
        good = (
            unit is not None
            and _mode_word(round_, unit_id) == "holding"
            and unit.grid_voltage_v is not None
            and settings.range_min_v <= unit.grid_voltage_v <= settings.range_max_v
            and unit.grid_current_a is not None
            and abs(unit.grid_current_a) <= unit.limits.capacity_a + unit.limits.allowance_a
        )
        if not good:
            round_.level_since_s = None
            round_.want(unit_id)
            return False
    if round_.level_since_s is None:
        round_.level_since_s = round_.now_s
    end_s = round_.level_since_s + settings.settle_s
    if round_.now_s < end_s:
        round_.due(end_s)
        return False
    late = [u for u in units if round_.picture.units[u].read_at_s < end_s]
    for unit_id in late:
        round_.want(unit_id)
    return not late


def running_deals(round_: Round) -> tuple[str, ...]:
    """Return the ids of the deals whose both sides are switched on, sorted."""
    return tuple(sorted(d.record.deal_id for d in round_.deals.values() if d.state == "started"))


def _optimum_due(round_: Round) -> bool:
    running = running_deals(round_)
    if not running or running == round_.grid.optimised_deals or not accounts.is_term_ready(round_):
        return False
    if accounts.unaccounted(round_) or any(d.state not in ("created", "started") for d in accounts.live_deals(round_)):
        return False
    return optimum_v(round_) is not None


def optimum_v(round_: Round) -> float | None:
    """Return the mean of the best voltages of the units that run, within the range (specification 7.6)."""
    best = []
    for unit_id in sorted({u for i in running_deals(round_) for u in round_.deals[i].record.units}):
        unit = round_.unit(unit_id)
        battery_v = unit.data.dcdc.meter.battery_voltage_v if unit is not None and unit.data is not None else None
        if unit is not None and battery_v is not None and unit.limits.efficient_ratio is not None:
            best.append(battery_v * unit.limits.efficient_ratio)
    if not best:
        return None
    low_v, high_v = round_.settings.optimum_range_v
    return min(high_v, max(low_v, sum(best) / len(best)))


def next_holder(round_: Round, leaving: str) -> tuple[str, Deal] | None:
    """Return who should hold the voltage when *leaving* stops to, and for which deal: a large unit, else the newest.

    Only units that can be reached and have not asked to be stopped come into question, in deals that outlast the
    hand-over: for one that is about to end, the voltage stays where it is.
    """
    candidates = []
    for deal in accounts.live_deals(round_):
        if leaving in deal.record.units or deal.state not in ("started", "compensating", "activated", "warming_up"):
            continue
        if not _lasts(round_, deal):
            continue
        preferred = deal.record.unit_of(round_.settings.reference_side)
        wishes = round_.picture.stop_requests.get(deal.record.deal_id, {})
        for unit_id in deal.record.units:
            if unit_id in wishes or accounts.is_silent(round_, unit_id) or not side_of(deal, unit_id).on:
                continue
            rank = (
                unit_id in round_.settings.large_units,
                deal.record.activate_date_time_utc or "",
                unit_id == preferred,
                deal.record.deal_id,
            )
            candidates.append((rank, unit_id, deal))
    if not candidates:
        return None
    _, unit_id, deal = max(candidates, key=lambda c: c[0])
    return unit_id, deal


def _lasts(round_: Round, deal: Deal) -> bool:
    energy_unit = deal.record.unit_of(round_.settings.energy_side)
    clock = round_.clocks.get(energy_unit)
    if clock is None:
        return True
    side = side_of(deal, energy_unit)
    left_s = seconds_left(side, deal.record.deal_amount_wh, clock, round_.now_s, round_.settings.stop_lead_s)
    return left_s > round_.settings.settle_s + HAND_OVER_STEPS_S


def grid_context(
    round_: Round,
    *,
    reason: str = "",
    asking: Deal | None = None,
    by_hand: ManualOrder | None = None,
    event: str = "tick",
) -> GridContext:
    """Return what the effects need for *event*; *asking* is the deal that asks, *by_hand* the operator's order."""
    settings, grid = round_.settings, round_.grid
    holding = {*accounts.holders(round_)} if grid.state not in accounts.DEAD_GRID else set()
    unit_id, deal_id, target_v = "", asking.record.deal_id if asking else grid.deal_id, None
    old_mode, old_current_a = None, None
    if event == "energise" and asking is not None:
        unit_id, target_v = reference_of(asking), settings.operation_v
    elif by_hand is not None:
        unit_id, deal_id = by_hand.unit_id, None
        target_v = by_hand.params.grid_voltage_v or settings.operation_v
    elif event == "move" and asking is not None:
        unit_id = reference_side(round_, asking)
        target_v = _take_over_v(round_, unit_id)
        old_mode, old_current_a = _after_hand_over(round_)
    elif event == "hand_over" and grid.holder is not None:
        found = next_holder(round_, grid.holder)
        if found is not None:
            unit_id, deal_id = found[0], found[1].record.deal_id
            target_v = _take_over_v(round_, unit_id)
    return GridContext(
        reason=reason,
        unit_id=unit_id,
        deal_id=deal_id,
        target_v=target_v,
        old_mode=old_mode,
        old_current_a=old_current_a,
        optimum_v=optimum_v(round_) or settings.operation_v,
        optimised_deals=running_deals(round_),
        voltages_v=drawn_voltages(round_),
        active=tuple(sorted(u for u in round_.active if u not in holding)),
    )


def _take_over_v(round_: Round, unit_id: str) -> float | None:
    unit = round_.unit(unit_id)
    if round_.settings.take_over_actual and unit is not None and unit.grid_voltage_v is not None:
        return unit.grid_voltage_v
    return round_.grid.target_voltage_v


def _after_hand_over(round_: Round) -> tuple[ConverterMode | None, float | None]:
    """The old holder goes on in its own deals with the current that it carries for them."""
    holder = round_.grid.holder
    for deal in accounts.live_deals(round_):
        if holder in deal.record.units and side_of(deal, holder or "").on:
            charges = direction_of(deal, holder or "") is Direction.CHARGE
            mode = ConverterMode.CHARGE if charges else ConverterMode.DISCHARGE
            return mode, round_.load.commanded_a(holder or "")
    return None, None


def drawn_voltages(round_: Round) -> tuple[float, ...]:
    """Return the voltages of an authorization in the order that the draws give; no voltage twice."""
    left = list(round_.settings.authorization_voltages_v)
    drawn = []
    for draw in round_.picture.draws[: round_.settings.authorization_trials]:
        if not left:
            break
        drawn.append(left.pop(min(int(draw * len(left)), len(left) - 1)))
    return tuple(drawn)
