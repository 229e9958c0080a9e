"""What a unit would ask for and answer at one moment: a compiled scenario put to the facts (specification 4.5).

Nothing here looks at modes, errors or free capacity: these are the gates in ``rules/request.yaml`` and
``rules/accept.yaml``. Prices are not compared either: that is the requester's business when it chooses.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from apis_rules.decide.ruleset import Ruleset, compile_ruleset
from apis_rules.decide.scenario import FACTS, Offer, Question, Scenario, ScenarioRule, compile_rules

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from apis_rules.ports.types.negotiation import Direction


@dataclass(frozen=True, slots=True)
class Proposal:
    """A request or an accept that a scenario makes.

    Attributes:
        offer: what stands in the scenario.
        amount_wh: the energy up to its limit, before the policy's limits; at least 1.
        rule: the path of the entry in the scenario file.
    """

    offer: Offer
    amount_wh: int
    rule: str


@dataclass(frozen=True, slots=True)
class Intent:
    """The answer of a scenario to one state.

    Attributes:
        status: the name of the band, or None where no section or band holds.
        accepts: by the own direction, what would be answered to a request for the opposite.
        missing: what is not known or not there and made the answer empty: ``remaining_wh``, ``section``, ``band``.
    """

    status: str | None
    request: Proposal | None
    accepts: Mapping[Direction, Proposal]
    missing: str | None = None


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, for the conditions on partners of an accept.

    Attributes:
        unit_id: of the requester.
        for_other: whether the request names another unit than the own one as the only partner.
    """

    unit_id: str
    for_other: bool = False


@dataclass(frozen=True)
class CompiledScenario:
    """A scenario ready to be asked. Make one with ``compile_scenario``.

    Attributes:
        rules: every rule; their ids are the names in *ruleset*, in the same order.
        ruleset: for any of the evaluators. All rules permit, so *safe* of a ``LiveRuleset`` is false for each.
        partners: whether accepts look at who asks.
    """

    scenario: Scenario
    rules: tuple[ScenarioRule, ...]
    ruleset: Ruleset
    partners: bool

    @cached_property
    def rule(self) -> Mapping[str, ScenarioRule]:
        """The rules by their ids."""
        return {rule.rule_id: rule for rule in self.rules}

    def decide_intent(self, time_s: int, remaining_wh: int | None, asker: Asker | None = None) -> Intent:
        """Return what a unit would request, and accept from *asker*, by the scalar evaluator.

        Args:
            time_s: whole seconds since midnight by the unit's clock.
            remaining_wh: whole Wh in its battery, None where unknown.
            asker: needed for accepts where the scenario was compiled with partners; without it there are none.
        """
        hits = () if remaining_wh is None else self.ruleset.match(scenario_facts(time_s, remaining_wh, asker))
        return self.intent(hits, time_s, remaining_wh)

    def intent(self, hits: Iterable[str], time_s: int, remaining_wh: int | None) -> Intent:
        """Return what the rules with the ids *hits*, found by any evaluator for ``scenario_facts``, say together."""
        if remaining_wh is None:
            return Intent(None, None, {}, missing="remaining_wh")
        held = {self.rule[hit].question: self.rule[hit] for hit in hits}
        status = held.pop(Question.STATUS, None)
        if status is None:
            return Intent(None, None, {}, missing="band" if self.scenario.section_at(time_s) else "section")
        made = {
            question: Proposal(rule.offer, rule.offer.amount_wh(remaining_wh), rule.name)
            for question, rule in held.items()
            if rule.offer is not None
        }
        request = made.pop(Question.REQUEST, None)
        return Intent(status.status, request, {p.offer.direction: p for p in made.values()})


def scenario_facts(time_s: float, remaining_wh: float, asker: Asker | None = None) -> dict[str, object]:
    """Return the facts of the rules of a scenario."""
    facts: dict[str, object] = {"time_s": float(time_s), "remaining_wh": float(remaining_wh)}
    if asker is not None:
        facts |= {"asked_by": asker.unit_id, "asks_for_other": asker.for_other}
    return facts


def compile_scenario(scenario: Scenario, *, partners: bool = True) -> CompiledScenario:
    """Make a scenario runnable; *partners* says whether accepts look at who asks."""
    rules = compile_rules(scenario, partners=partners)
    ruleset = compile_ruleset("scenario", [(rule.rule_id, rule.when) for rule in rules], FACTS)
    return CompiledScenario(scenario, rules, ruleset, partners)
