"""What follows from scenarios that nobody wanted: gaps, what can never happen, requests that nobody can meet.

Everything is decided by exact sets of seconds and Wh; each finding names the smallest example.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from apis_rules.author.arguments import clock
from apis_rules.decide.choosing import Strategy
from apis_rules.decide.declared import deal_limits, declared_scenario
from apis_rules.decide.scenario import DAY, Question, ScenarioRule, Section, bands_in_effect, compile_rules
from apis_rules.decide.spans import Spans
from apis_rules.ports.types.negotiation import Direction

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from apis_rules.decide.amounts import DealLimits
    from apis_rules.decide.scenario import Offer, Scenario
    from apis_rules.documents.community import Site
    from apis_rules.documents.diagnostics import Findings

SKIPPED_HOUR: Final = Spans.of((2 * 3600, 3 * 3600))
"""Where there is summer time, most clocks jump from 02:00 to 03:00 in spring and show this hour twice in autumn."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A node as far as its files are known.

    Attributes:
        unit_id: None where no config names it: it may be any.
        community: nodes of one community and cluster can trade.
        battery: the energies that its battery can hold.
        limits: of the policy, or None.
    """

    unit_id: str | None
    community: tuple[str, str] | None
    battery: Spans
    limits: DealLimits | None
    scenario: Scenario
    rules: tuple[ScenarioRule, ...]


def analyse(sites: Sequence[Site], findings: Findings) -> None:
    """Look for what cannot be meant in the scenarios of *sites*, each alone and all together."""
    units = [_unit(site) for site in sites if site.scenario is not None]
    for unit in units:
        _windows(unit.scenario, findings)
        for section in unit.scenario.sections:
            _bands(section, unit.battery, findings)
        for rule in unit.rules:
            _offer(rule, unit, findings)
    markets = {
        community: Market([u for u in units if _trade(community, u)]) for community in {u.community for u in units}
    }
    for unit in units:
        market = markets[unit.community]
        if market.size > 1:
            for rule in unit.rules:
                if rule.question is Question.REQUEST:
                    _request(rule, unit, market, findings)


def _unit(site: Site) -> Unit:
    if site.scenario is None:
        raise ValueError("a site without a scenario wants nothing")
    scenario = declared_scenario(site.scenario.model, site.scenario.document)
    config = site.config.model if site.config else None
    most = math.floor(site.hw_config.model.battery_nominal_capacity_wh) + 1 if site.hw_config else math.inf
    return Unit(
        unit_id=config.unit_id if config else None,
        community=(config.community_id, config.cluster_id) if config else None,
        battery=Spans.of((0, most)),
        limits=deal_limits(site.policy.model) if site.policy else None,
        scenario=scenario,
        rules=compile_rules(scenario),
    )


def _windows(scenario: Scenario, findings: Findings) -> None:
    rest = DAY
    for section, seconds in scenario.in_effect():
        if not seconds:
            first = next(s for s in scenario.sections if s.span & section.span)
            message = f"the window {section.window} is never in effect: {first.window} stands before it in the file"
            findings.warning(section.location, "AR314", message, "of windows that overlap the first in the file counts")
        elif seconds != section.span & DAY:
            at_s = (section.span - seconds).witness
            first = next(s for s in scenario.sections if at_s in s.span)
            message = f"the window {section.window} overlaps {first.window}: at {clock(at_s)} both hold"
            findings.warning(section.location, "AR311", message, f"{first.window} counts, as it is first in the file")
        rest -= seconds
        _summer_time(section, findings)
    if rest and scenario.sections:
        gap = rest.spans[0]
        message = f"no window holds at {clock(gap.start)}, nor until {clock(gap.end)}"
        findings.warning(scenario.sections[0].location, "AR310", message, "nothing is requested or accepted then")


def _summer_time(section: Section, findings: Findings) -> None:
    inside = [t for t in (section.from_s, section.to_s) if t in SKIPPED_HOUR - Spans.of((2 * 3600, 2 * 3600 + 1))]
    if not section.span - SKIPPED_HOUR:
        what = f"the window {section.window} is skipped when summer time begins, and comes twice when it ends"
    elif inside:
        what = f"the window {section.window} has a bound at {clock(inside[0])}, in the hour that summer time skips"
    else:
        return
    hint = "set bounds outside 02:00:00-03:00:00, or let the unit's clock run without summer time"
    findings.warning(section.location, "AR316", what, hint)


def _bands(section: Section, battery: Spans, findings: Findings) -> None:
    rest = battery
    for band, energies in bands_in_effect(section.bands):
        shown = f"{band.status} ({_bounds(band.lower_wh, band.upper_wh)})"
        possible = band.span & battery
        if not possible:
            most = battery.spans[0].end - 1
            message = f"the band {shown} is never reached: the battery holds at most {most:.0f} Wh"
            findings.warning(band.location, "AR314", message)
        elif not energies & battery:
            first = next(b for b in section.bands if b.span & possible)
            message = f"the band {shown} is never in effect: at {possible.witness} Wh {first.status} stands before it"
            findings.warning(band.location, "AR314", message, "of bands that overlap the first in the file counts")
        elif energies != band.span:
            wh = ((band.span - energies) & battery or band.span - energies).witness
            first = next(b for b in section.bands if wh in b.span)
            message = f"the band {shown} overlaps {first.status}: at {wh} Wh, {clock(section.from_s)}, both hold"
            findings.warning(band.location, "AR313", message, f"{first.status} counts, as it is first in the file")
        rest -= energies
    if rest:
        message = f"no band holds at {rest.witness} Wh, {clock(section.from_s)}"
        hint = f"nothing is requested or accepted at {' or '.join(_bounds(s.start, s.end - 1) for s in rest)} Wh"
        findings.warning(section.location, "AR312", message, hint)


def _bounds(low: float, high: float) -> str:
    return f"{'' if low == -math.inf else f'{low:.0f}'}-{'' if high == math.inf else f'{high:.0f}'}"


def _offer(rule: ScenarioRule, unit: Unit, findings: Findings) -> None:
    offer = rule.offer
    if offer is None:
        return
    bands = [band.span & unit.battery for band in rule.section.bands if band.status == rule.status]
    reached = Spans.of(*(span for band in bands for span in band))
    if not reached:
        return  # the band has its own finding
    kind = rule.question.partition(".")[0]
    name = f"the {kind} to {offer.direction} in {rule.status}"
    if not reached & offer.wanted_wh:
        side = "up" if offer.direction is Direction.CHARGE else "down"
        wh = reached.witness
        message = f"{name} can never be made: from {wh} Wh none leads {side} to {offer.limit_wh} Wh"
        findings.warning(offer.location, "AR315", message, "the limit lies on the wrong side of the band")
    elif unit.limits is not None and rule.energies & unit.battery:
        most = _largest(offer, rule.energies & unit.battery)
        if most < unit.limits.amount_min_wh:
            message = (
                f"{name} is never large enough: at most {most} Wh, and a deal needs {unit.limits.amount_min_wh} Wh"
            )
            findings.warning(offer.location, "AR319", message, "move the limit away from the band, or its bound")


def _largest(offer: Offer, energies: Spans) -> float:
    """Return the largest amount of *offer* over *energies*: it is at one of their ends."""
    least, most = energies.spans[0].start, energies.spans[-1].end - 1
    if most == math.inf:
        # A battery of unknown size: what it gives has no bound, what it takes is most where it is emptiest.
        return math.inf if offer.direction is Direction.DISCHARGE else offer.amount_wh(int(least))
    return max(offer.amount_wh(int(wh)) for wh in (least, most))


def _trade(community: tuple[str, str] | None, other: Unit) -> bool:
    return community is None or other.community is None or community == other.community


@dataclass(frozen=True, slots=True)
class Ask:
    """One kind of accept: who may be its partner, at what price, when, and which units have it.

    Attributes:
        units: by identity, so that a unit is told from another one of unknown name.
    """

    pair_unit_id: str | None
    point_per_wh: float | None
    seconds: Spans
    units: list[Unit]


class Market:
    """The accepts of all units that can trade, told apart only where a request could tell them apart.

    A hundred houses mostly have a handful of kinds; a request is compared with those, not with every accept.
    """

    def __init__(self, units: Sequence[Unit]) -> None:
        self.size = len(units)
        self._asks = {direction: self._joined(units, direction) for direction in Direction}

    def meeting(self, rule: ScenarioRule, unit: Unit, direction: Direction) -> Iterator[tuple[Ask, list[Unit]]]:
        """Yield the accepts in *direction* that hold while *rule* does, each with the other units that have it."""
        for ask in self._asks[direction]:
            if ask.seconds & rule.seconds:
                others = [other for other in ask.units if other is not unit]
                if others:
                    yield ask, others

    @staticmethod
    def _joined(units: Sequence[Unit], direction: Direction) -> list[Ask]:
        kinds: dict[tuple[str | None, float | None, Spans], Ask] = {}
        for unit in units:
            seconds: dict[tuple[str | None, float | None], list[Spans]] = {}
            for rule in unit.rules:
                if rule.question is Question.accept(direction) and rule.offer and rule.energies & unit.battery:
                    seconds.setdefault((rule.offer.pair_unit_id, rule.offer.point_per_wh), []).append(rule.seconds)
            for (pair_unit_id, point_per_wh), parts in seconds.items():
                whole = Spans.of(*((span.start, span.end) for part in parts for span in part))
                ask = kinds.setdefault((pair_unit_id, point_per_wh, whole), Ask(pair_unit_id, point_per_wh, whole, []))
                ask.units.append(unit)
        return list(kinds.values())


def _request(rule: ScenarioRule, unit: Unit, market: Market, findings: Findings) -> None:
    """Look for one accept of another unit that fits: in direction and time, with whom, and at what price."""
    request = rule.offer
    if request is None or not rule.seconds or not rule.energies & unit.battery:
        return
    direction = request.direction
    meeting = list(market.meeting(rule, unit, direction.opposite))
    willing = [ask for ask, others in meeting if _partners(unit, request, ask, others)]
    name = f"the request to {direction} in {rule.status}"
    if not willing:
        whom = f" of {request.pair_unit_id}" if request.pair_unit_id else ""
        when = f"at {clock(rule.seconds.witness)}, {(rule.energies & unit.battery).witness} Wh"
        message = f"{name} can be met by nobody: {when} no accept{whom} to {direction.opposite} fits it"
        near = sum(len(others) for _, others in meeting)
        hint = f"{near} would but for their partner" if near else f"{market.size - 1} other units were looked at"
        findings.warning(request.location, "AR317", message, hint)
    elif rule.section.strategy is Strategy.POINT_AND_AMOUNT and request.point_per_wh is not None:
        prices = sorted({ask.point_per_wh for ask in willing if ask.point_per_wh is not None})
        buys = direction is Direction.CHARGE
        if not any(p <= request.point_per_wh if buys else p >= request.point_per_wh for p in prices):
            best = f"the best is {(prices[0] if buys else prices[-1]):g}" if prices else "none of them names a price"
            message = f"{name} at {request.point_per_wh:g} points excludes every partner by its price: {best}"
            hint = "pay at least that much" if buys else "ask at most that much"
            findings.warning(request.location, "AR318", message, hint if prices else "")


def _partners(unit: Unit, request: Offer, ask: Ask, others: Sequence[Unit]) -> bool:
    """Whether both may be each other's partner; a unit without a known name may be any."""
    wanted = request.pair_unit_id is None or any(other.unit_id in (request.pair_unit_id, None) for other in others)
    return wanted and (ask.pair_unit_id in (None, unit.unit_id) or unit.unit_id is None)
