"""What the deal chart sees of the world: facts for its guards, and the context of its effects."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apis_rules.charts.master import accounts
from apis_rules.charts.master.admission import reference_side, wants_move, why_never
from apis_rules.charts.master.deal_effects import DealContext
from apis_rules.charts.master.energy import seconds_left
from apis_rules.charts.master.round import AGAIN_S
from apis_rules.charts.master.sides import (
    SMALL_A,
    Surroundings,
    direction_of,
    is_level,
    partner_of,
    reference_of,
    side_of,
    signed_span_a,
)
from apis_rules.ports.types import ConverterMode, Direction, OperationMode

if TYPE_CHECKING:
    from apis_rules.charts.master.round import Round
    from apis_rules.ports.types import Deal

STARTING = frozenset(
    {"energising", "ramping", "ramped", "moving", "joining", "activated", "warming_up", "compensating", "adjusting"}
)
STOPPING = frozenset({"stopping", "stopped", "deactivating"})
READING_WAIT_S = 1.0
"""A reading that was asked for and does not come is not waited for any longer where an older one will do."""


def deal_facts(round_: Round, deal_id: str, deal: Deal, *, hopeful: bool = False) -> dict[str, object]:
    """Return the facts of *deal*; those that its state does not need are left out.

    With *hopeful* the deal is given as it will be when the event's effects have confirmed its open command.
    """
    state = deal.state
    facts: dict[str, object] = {
        "repeat": hopeful or round_.may_repeat(deal_id, deal),
        "switched": deal.switched,
        "recorded": deal_id in round_.picture.recorded,
        "voltage": voltage_of(round_, deal),
    }
    if state == "created":
        facts |= _creation_facts(round_, deal_id, deal)
    elif state in STARTING:
        facts["may_raise"] = may_raise(round_, deal_id)
        facts["level"] = is_level(deal)
        if state in ("activated", "compensating"):
            facts |= _sampled_facts(round_, deal)
    elif state == "started":
        facts |= _running_facts(round_, deal)
    else:
        facts |= _ending_facts(round_, deal_id, deal)
    return facts


def voltage_of(round_: Round, deal: Deal) -> str:
    """Return where the grid stands for the reference side of *deal*."""
    grid = round_.grid
    here = grid.holder in deal.record.units
    match grid.state:
        case "ramping":
            unit = round_.unit(grid.holder) if grid.holder else None
            settled = grid.holder is not None and accounts.is_settled(round_, grid.holder)
            rising = settled and unit is not None and unit.mode is ConverterMode.VOLTAGE_REFERENCE
            return "rising" if here and rising else "none"
        case "authorizing" | "returning":
            return "authorizing" if here else "none"
        case "held" | "optimising":
            return "here" if here else "elsewhere"
        case "announcing" | "taking" | "settling" | "yielding" | "straightening" | "withdrawing" | "restoring":
            return "moving"
        case "dead" | "clearing":
            return "none"
        case _:
            return "ending"


def may_raise(round_: Round, deal_id: str) -> bool:
    """Whether a command that raises a current may be given for *deal_id* now; notes why not."""
    reasons = []
    if not accounts.is_term_ready(round_):
        reasons.append("not every unit concerned has answered this term")
    reasons.extend(accounts.tell_unaccounted(round_))
    if round_.grid.state == "dead" and round_.active:
        reasons.append(f"not confirmed in WAIT: {', '.join(sorted(round_.active))}")
    if round_.picture.reaction is not None:
        reasons.append(round_.picture.reaction.reason)
    if round_.grid.state not in ("dead", "held", "clearing", "ramping", "authorizing", "returning"):
        reasons.append("the voltage is being moved or taken away")
    if any(d.state in STARTING or d.state in STOPPING for i, d in round_.deals.items() if i != deal_id):
        reasons.append("another deal is being switched")
    round_.waiting.extend(reasons)
    return not reasons


def _creation_facts(round_: Round, deal_id: str, deal: Deal) -> dict[str, object]:
    never = why_never(round_, deal)
    if never is not None:
        return {"verdict": "never"}
    waits = _why_wait(round_, deal)
    round_.waiting.extend(waits)
    if waits:
        return {"verdict": "wait"}
    return {"verdict": "fine", "place": place_of(round_, deal), "may_raise": may_raise(round_, deal_id)}


def _why_wait(round_: Round, deal: Deal) -> list[str]:
    reasons = []
    if round_.picture.mode in (OperationMode.STOP, OperationMode.MANUAL):
        reasons.append(f"the operation mode is {round_.picture.mode}")
    if round_.picture.sustaining:
        reasons.append("a community error was a short while ago")
    reasons += [f"{u} does not answer" for u in deal.record.units if not accounts.is_fresh(round_, u)]
    reasons += [f"{u} has not acknowledged this term" for u in deal.record.units if not _acknowledged(round_, u)]
    return reasons + _why_no_room(round_, deal)


def _why_no_room(round_: Round, deal: Deal) -> list[str]:
    """An excluded unit may still draw what it was set to last; whoever holds the voltage must be able to carry both."""
    cut_off_a = sum(round_.excluded_a.values())
    carried_a = deal.record.deal_grid_current_a + cut_off_a
    may_hold = {*deal.record.units, *accounts.holders(round_)}
    limits = {u: round_.picture.units[u].limits.capacity_a for u in may_hold if u in round_.picture.units}
    return [
        f"{u} cannot hold the voltage beside {cut_off_a:g} A of excluded units"
        for u, limit_a in sorted(limits.items())
        if cut_off_a and carried_a > limit_a + SMALL_A
    ]


def _acknowledged(round_: Round, unit_id: str) -> bool:
    unit = round_.unit(unit_id)
    return unit is not None and unit.acknowledged


def place_of(round_: Round, deal: Deal) -> str:
    """Return where the voltage for *deal* comes from."""
    grid = round_.grid
    if grid.state == "dead":
        return {"dead": "first", "raised": "first", "masked": "first", "live": "foreign"}.get(round_.bus, "wait")
    if grid.state != "held" or not any(d.state == "started" for d in round_.deals.values()):
        return "wait"
    if not _is_holder_read(round_):
        return "wait"  # its current before this deal is what the compensation will compare with
    if grid.holder in deal.record.units:
        return "here"
    return "move" if wants_move(round_, deal) else "elsewhere"


def _sampled_facts(round_: Round, deal: Deal) -> dict[str, object]:
    facts: dict[str, object] = {"sampled": is_sampled(round_, deal), "trials": deal.detail.trials}
    adjusts = adjustable_unit(round_, deal)
    facts["compensates"] = adjusts != round_.grid.holder
    deviation_a = deviation_of(round_, deal)
    if deviation_a is not None:
        facts["deviation_a"] = deviation_a
    return facts


def is_sampled(round_: Round, deal: Deal) -> bool:
    """Whether parties and holder were read for this step and since their last switch; asks for what is missing.

    A reading is for this step where it is young, or was taken since the step began to wait: a driver that takes its
    time is waited for, and meanwhile what the others have shown does not grow too old.
    """
    settings, deal_id = round_.settings, deal.record.deal_id
    units = {*deal.record.units, *accounts.holders(round_)}
    units -= {u for u in units if accounts.is_given_up(round_, u)}
    switched_s = max((round_.ended.get(u, float("-inf")) for u in units), default=float("-inf"))
    since_s = round_.sampling.setdefault(deal_id, round_.now_s)
    waits = round_.now_s - since_s < READING_WAIT_S
    missing = []
    for unit_id in sorted(units):
        unit = round_.unit(unit_id)
        read_at_s = float("-inf") if unit is None else unit.read_at_s
        age_s = round_.now_s - read_at_s
        young = age_s <= settings.sample_age_s or read_at_s >= since_s or not waits
        if read_at_s < switched_s or age_s > settings.reading_age_s or not young:
            missing.append(unit_id)
            round_.want(unit_id)
    if not missing:
        round_.sampled.add(deal_id)
    return not missing


def adjustable_unit(round_: Round, deal: Deal) -> str:
    """Return the unit whose current may be trimmed: the one at which the energy is not counted."""
    return deal.record.unit_of(round_.settings.energy_side.opposite)


def deviation_of(round_: Round, deal: Deal) -> float | None:
    """Return the holder's current less what set-points and drift make of it, the deal at its nominal current.

    None while that is not known: the holder was not read since the last switch, or another command is under way.
    """
    holder = round_.grid.holder
    unit = round_.unit(holder) if holder else None
    low_a, high_a = _others_span_a(round_, deal)
    open_a = high_a - low_a - 2 * sum(round_.excluded_a.values())
    if unit is None or unit.grid_current_a is None or open_a > SMALL_A or not _is_holder_read(round_):
        return None
    others_a = (low_a + high_a) / 2
    nominal_a = 0.0
    for unit_id in deal.record.units:
        if unit_id != holder:
            sign = -1.0 if direction_of(deal, unit_id) is Direction.CHARGE else 1.0
            nominal_a += sign * deal.record.deal_grid_current_a
    return unit.grid_current_a - (others_a + nominal_a + deal.detail.drift_a)


def _is_holder_read(round_: Round) -> bool:
    """Whether the holder was read since the last switch of any unit, which its current shows; asks for it where not."""
    holder = round_.grid.holder or ""
    unit = round_.unit(holder)
    if unit is not None and unit.read_at_s >= max(round_.ended.values(), default=float("-inf")):
        return True
    round_.want(holder)
    return False


def _others_span_a(round_: Round, deal: Deal) -> tuple[float, float]:
    holding = accounts.holding(round_)
    low_a, high_a = round_.load.holder_span_a(holding)
    counted = round_.deals[deal.record.deal_id]
    for unit_id in deal.record.units:
        if unit_id not in holding and unit_id not in round_.exclusions and side_of(counted, unit_id).on:
            least_a, most_a = signed_span_a(counted, unit_id)
            low_a, high_a = low_a + most_a, high_a + least_a
    return low_a, high_a


def _running_facts(round_: Round, deal: Deal) -> dict[str, object]:
    record = deal.record
    facts: dict[str, object] = {"party_waits": any(_waits(round_, u) for u in record.units)}
    for name, unit_id in (("discharge_rsoc", record.discharge_unit_id), ("charge_rsoc", record.charge_unit_id)):
        unit = round_.unit(unit_id)
        if unit is not None and unit.rsoc_percent is not None:
            facts[name] = unit.rsoc_percent
    energy_unit = record.unit_of(round_.settings.energy_side)
    clock = round_.clocks.get(energy_unit)
    facts["amount_reached"] = False
    facts["sampled"] = False
    if clock is not None:
        side = side_of(deal, energy_unit)
        left_s = seconds_left(side, record.deal_amount_wh, clock, round_.now_s, round_.settings.stop_lead_s)
        facts["amount_reached"] = left_s <= 0
        # Where nobody has been heard of for a while, what went on meanwhile is not known: it is looked at first.
        if left_s <= AGAIN_S and any(accounts.is_fresh(round_, u) for u in record.units):
            facts["sampled"] = is_sampled(round_, deal)
        round_.due(round_.now_s + max(0.0, left_s if left_s <= AGAIN_S else left_s - AGAIN_S / 2))
    return facts


def _waits(round_: Round, unit_id: str) -> bool:
    unit = round_.unit(unit_id)
    return (
        unit is not None
        and unit.mode is ConverterMode.WAIT
        and accounts.is_fresh(round_, unit_id)
        and accounts.is_settled(round_, unit_id)
    )


def _ending_facts(round_: Round, deal_id: str, deal: Deal) -> dict[str, object]:
    reference, partner = reference_of(deal), partner_of(deal)
    holding = accounts.holders(round_) if round_.grid.state not in accounts.DEAD_GRID else ()
    role = "off"
    if reference not in holding and side_of(deal, reference).on and not accounts.is_given_up(round_, reference):
        role = "current"
    elif any(u in holding for u in deal.record.units):
        role = "holder"
    others = [d for d in accounts.live_deals(round_) if d.record.deal_id != deal_id]
    facts: dict[str, object] = {
        "partner_off": not side_of(deal, partner).on or accounts.is_given_up(round_, partner),
        "role": role,
        "needed": bool(others),
        "shared": any(round_.grid.holder in d.record.units for d in others),
        "parted": is_parted(round_, deal),
    }
    if deal.state == "stopped":
        facts["sampled"] = is_sampled(round_, deal)
    return facts


def is_parted(round_: Round, deal: Deal) -> bool:
    """Whether nothing of *deal* can flow any more, whatever its units do for others."""
    if accounts.is_bus_dead(round_):
        return True
    return all(_has_parted(round_, deal, unit_id) for unit_id in deal.record.units)


def _has_parted(round_: Round, deal: Deal, unit_id: str) -> bool:
    if unit_id in round_.exclusions:
        return True
    own = int(side_of(deal, unit_id).on)
    others = (d for d in round_.deals_of(unit_id) if d.record.deal_id != deal.record.deal_id)
    busy = any(accounts.is_live(d) and side_of(d, unit_id).on for d in others)
    if unit_id in accounts.holders(round_) and round_.grid.state not in accounts.DEAD_GRID:
        return busy and round_.grid.state in accounts.STEADY_GRID
    if busy and not own:
        return True
    if unit_id not in round_.active and not own:
        return True
    return accounts.is_confirmed(round_, unit_id)


def deal_context(round_: Round, deal: Deal, reason: str) -> DealContext:
    """Return what the effects need: times, the surroundings, measured currents."""
    holder = round_.grid.holder if round_.grid.state not in accounts.DEAD_GRID else None
    unit = round_.unit(holder) if holder else None
    low_a, high_a = _others_span_a(round_, deal)
    units = deal.record.units
    own = {u: side_of(deal, u) for u in units}
    adjusts = adjustable_unit(round_, deal)
    adjusted = round_.unit(adjusts)
    reference = reference_of(deal) if deal.state != "created" else reference_side(round_, deal)
    never = why_never(round_, deal) if deal.state == "created" and not reason else None
    return DealContext(
        time=round_.time_of(reference),
        utc=round_.picture.utc,
        reason=reason or never or "",
        reference_unit_id=reference,
        around=Surroundings(
            holding=accounts.holding(round_),
            others_a={u: round_.load.commanded_a(u) - (own[u].to_a if own[u].on else 0.0) for u in units},
            busy=frozenset(u for u in units if round_.load.on(u) - int(own[u].on and not own[u].leaving) > 0),
            low_a=low_a,
            high_a=high_a,
            limit_a=unit.limits.capacity_a if unit else float("inf"),
            capacity_a={u: round_.picture.units[u].limits.capacity_a for u in units if u in round_.picture.units},
            excluded=frozenset(u for u in units if u in round_.exclusions),
            silent=frozenset(u for u in units if accounts.is_silent(round_, u)),
        ),
        holder_a=unit.grid_current_a if unit else None,
        expected_a=(low_a + high_a) / 2,
        deviation_a=deviation_of(round_, deal) or 0.0,
        adjusts=adjusts,
        allowance_a=adjusted.limits.allowance_a if adjusted else 0.0,
        measured_a=_measured(round_, deal),
        energy_unit_id=deal.record.unit_of(round_.settings.energy_side),
        unconfirmed=any(u in round_.exclusions for u in units),
    )


def _measured(round_: Round, deal: Deal) -> dict[str, float]:
    measured = {}
    for unit_id in deal.record.units:
        unit = round_.unit(unit_id)
        total_a = round_.load.commanded_a(unit_id)
        if unit is not None and unit.grid_current_a is not None and total_a > 0:
            measured[unit_id] = unit.grid_current_a * side_of(deal, unit_id).to_a / total_a
    return measured
