"""A scenario as rules: what a unit asks for and answers, by time of day and remaining energy (specification 6.3, 4.5).

::

    Section   a window of the day with its bands and what is requested and accepted in each
    Band      lower <= remaining energy < upper has this status
    Offer     in this status: charge up to, or discharge down to, a limit; at what price, with whom

The first section in file order whose window holds is in effect, and in it the first band that holds. Here this order
is resolved by exact interval arithmetic: each rule gets the part of the day and of the battery that the ones before it
leave over. So every rule stands alone, at most one of each question holds, and whatever overlaps shows as a part that
is missing.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from apis_rules.decide.choosing import Strategy
from apis_rules.decide.spans import EVERYTHING, Spans
from apis_rules.decide.tree import All, AnyOf, Comparison, Condition, Constant, FactKind, Name, Operator
from apis_rules.documents.diagnostics import Location
from apis_rules.ports.types.negotiation import Direction

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

DAY_S: Final = 24 * 60 * 60
DAY: Final = Spans.of((0, DAY_S))

FACTS: Final[Mapping[str, FactKind]] = {
    "time_s": FactKind.NUMBER,
    "remaining_wh": FactKind.NUMBER,
    "asked_by": FactKind.TEXT,
    "asks_for_other": FactKind.FLAG,
}
"""Facts of the rules: whole seconds since midnight by the unit's clock, whole Wh in the battery; for an accept also
who asks, and whether its request names another unit than this one as the only partner."""


class Question(enum.StrEnum):
    """What a rule answers. Accepts are by the acceptor's own direction."""

    STATUS = "status"
    REQUEST = "request"
    ACCEPT_CHARGE = "accept.charge"
    ACCEPT_DISCHARGE = "accept.discharge"

    @classmethod
    def accept(cls, direction: Direction) -> Question:
        """The question of accepting by charging or by discharging."""
        return cls.ACCEPT_CHARGE if direction is Direction.CHARGE else cls.ACCEPT_DISCHARGE


@dataclass(frozen=True, slots=True)
class Offer:
    """Charge until *limit_wh* is reached, or discharge until it is.

    Attributes:
        limit_wh: whole Wh that the own battery shall hold afterwards.
        point_per_wh: what is paid or asked; None where the scenario names no price.
        pair_unit_id: the only partner, or None.
    """

    direction: Direction
    limit_wh: int
    point_per_wh: float | None = None
    pair_unit_id: str | None = None
    location: Location = field(default=Location(""), compare=False)

    def amount_wh(self, remaining_wh: int) -> int:
        """The energy between what the battery holds and the limit; negative on the wrong side of it."""
        distance = self.limit_wh - remaining_wh
        return distance if self.direction is Direction.CHARGE else -distance

    @property
    def wanted_wh(self) -> Spans:
        """The energies at which there is something to charge or discharge."""
        if self.direction is Direction.CHARGE:
            return Spans.of((-math.inf, self.limit_wh))
        return Spans.of((self.limit_wh + 1, math.inf))


@dataclass(frozen=True, slots=True)
class Band:
    """``lower <= x < upper`` in whole Wh, unbounded by an infinity."""

    status: str
    lower_wh: float = -math.inf
    upper_wh: float = math.inf
    location: Location = field(default=Location(""), compare=False)

    @property
    def span(self) -> Spans:
        """The energies of this band, whatever stands before it."""
        return Spans.of((self.lower_wh, self.upper_wh))


@dataclass(frozen=True, slots=True)
class Section:
    """What is in effect in one window of the day.

    Attributes:
        window: as written, ``HH:MM:SS-HH:MM:SS``.
        from_s, to_s: seconds since midnight, ``from <= t < to``; a window with ``to < from`` goes on past midnight.
        bands: in file order.
        requests, accepts: by status, what was written for each direction.
        strategy: how accepts are chosen while it is in effect.
    """

    window: str
    from_s: int
    to_s: int
    bands: tuple[Band, ...]
    requests: Mapping[str, Mapping[Direction, Offer]]
    accepts: Mapping[str, Mapping[Direction, Offer]]
    strategy: Strategy = Strategy.AMOUNT
    location: Location = field(default=Location(""), compare=False)

    @property
    def span(self) -> Spans:
        """The seconds of the day of this window, whatever stands before it."""
        if self.to_s < self.from_s:
            return Spans.of((self.from_s, DAY_S), (0, self.to_s))
        return Spans.of((self.from_s, self.to_s))

    def request_in(self, status: str) -> Offer | None:
        """What is requested in a status. Where both directions are written, charging wins."""
        offers = self.requests.get(status, {})
        return offers.get(Direction.CHARGE) or offers.get(Direction.DISCHARGE)


@dataclass(frozen=True, slots=True)
class Scenario:
    """Every section, in file order."""

    sections: tuple[Section, ...]

    def in_effect(self) -> Iterator[tuple[Section, Spans]]:
        """Yield each section with the seconds of the day in which it is the first that holds."""
        taken = Spans()
        for section in self.sections:
            yield section, (section.span & DAY) - taken
            taken |= section.span

    def section_at(self, time_s: int) -> Section | None:
        """Return the section in effect, or None in a gap."""
        return next((section for section in self.sections if time_s in section.span), None)

    def strategy_at(self, time_s: int) -> Strategy | None:
        """Return how accepts are chosen at a time of day; None where no section is in effect."""
        section = self.section_at(time_s)
        return None if section is None else section.strategy


@dataclass(frozen=True, slots=True)
class ScenarioRule:
    """One rule that a scenario compiles to.

    Attributes:
        rule_id: short and plain, for an engine.
        name: the path of its entry in the file, for people.
        seconds, energies: where it can hold, exactly: the conditions on partners aside.
        offer: None for a rule that tells a status only.
    """

    rule_id: str
    name: str
    question: Question
    section: Section
    status: str
    when: Condition
    seconds: Spans
    energies: Spans
    offer: Offer | None
    location: Location


def bands_in_effect(bands: Sequence[Band]) -> Iterator[tuple[Band, Spans]]:
    """Yield each band with the energies at which it is the first that holds."""
    left = EVERYTHING
    for band in bands:
        yield band, band.span & left
        left -= band.span


def compile_rules(scenario: Scenario, *, partners: bool = True) -> tuple[ScenarioRule, ...]:
    """Turn a scenario into rules over ``FACTS``. One whose part is empty stays in, so that it can be reported.

    Args:
        scenario: as read.
        partners: whether the conditions on who asks are part of the rules of accepts.
    """
    rules: list[ScenarioRule] = []
    for index, (section, seconds) in enumerate(scenario.in_effect()):
        energies: dict[str, Spans] = {}
        places: dict[str, Location] = {}
        for band, span in bands_in_effect(section.bands):
            energies[band.status] = energies.get(band.status, Spans()) | span
            places.setdefault(band.status, band.location)
        for place, status in enumerate(energies):
            here = _Place(index, place, section, status, seconds, energies[status])
            rules.append(here.rule(Question.STATUS, None, places[status], partners=False))
            request = section.request_in(status)
            if request is not None:
                rules.append(here.rule(Question.REQUEST, request, request.location, partners=False))
            for direction, offer in section.accepts.get(status, {}).items():
                rules.append(here.rule(Question.accept(direction), offer, offer.location, partners=partners))
    return tuple(rules)


@dataclass(frozen=True, slots=True)
class _Place:
    index: int
    place: int
    section: Section
    status: str
    seconds: Spans
    energies: Spans

    def rule(self, question: Question, offer: Offer | None, location: Location, *, partners: bool) -> ScenarioRule:
        parts = [
            within("time_s", self.seconds, self.section.location, whole=DAY),
            within("remaining_wh", self.energies, location),
        ]
        energies = self.energies
        verb = str(question)
        if offer is not None:
            energies &= offer.wanted_wh
            side = Operator.LT if offer.direction is Direction.CHARGE else Operator.GT
            limit = Constant(offer.limit_wh, offer.location)
            parts.append(Comparison(Name("remaining_wh"), side, limit, offer.location))
            verb = f"{question.partition('.')[0]}.{self.status}.{offer.direction}"
            if partners:
                parts += _partner_conditions(offer)
        else:
            verb = f"batteryStatus.{self.status}"
        return ScenarioRule(
            rule_id=f"{question}.{self.index}.{self.place}",
            name=f"{self.section.window}.{verb}",
            question=question,
            section=self.section,
            status=self.status,
            when=_all(parts),
            seconds=self.seconds,
            energies=energies,
            offer=offer,
            location=location,
        )


def _partner_conditions(offer: Offer) -> list[Condition]:
    conditions: list[Condition] = [Comparison(Name("asks_for_other"), Operator.EQ, Constant(value=False))]
    if offer.pair_unit_id is not None:
        wanted = Constant(offer.pair_unit_id, offer.location)
        conditions.append(Comparison(Name("asked_by"), Operator.EQ, wanted, offer.location))
    return conditions


def within(fact: str, spans: Spans, location: Location, whole: Spans = EVERYTHING) -> Condition:
    """Return the condition that a fact lies in *spans*; a bound that is one of *whole* needs no comparison."""
    ends = {bound for span in whole for bound in span}
    choices = []
    for start, end in spans:
        bounds = []
        if start not in ends:
            bounds.append(Comparison(Name(fact), Operator.GE, Constant(start), location))
        if end not in ends:
            bounds.append(Comparison(Name(fact), Operator.LT, Constant(end), location))
        choices.append(bounds[0] if len(bounds) == 1 else All(tuple(bounds), location))
    return choices[0] if len(choices) == 1 else AnyOf(tuple(choices), location)


def _all(parts: Sequence[Condition]) -> Condition:
    flat: list[Condition] = []
    for part in parts:
        flat += part.parts if isinstance(part, All) else [part]
    return flat[0] if len(flat) == 1 else All(tuple(flat))
