"""The *user* (specification 3.2, 4.5): puts the scenario to the unit's state, and speaks for it.

It asks when something has changed that could make a deal: another band of the battery, a deal that ended, a mode. While
nothing changes it asks again after the policy's house-keeping period.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from apis_rules.decide.choosing import Candidate, Strategy, choose_accept
from apis_rules.decide.declared import deal_limits, declared_scenario
from apis_rules.decide.intent import Asker, compile_scenario, scenario_facts
from apis_rules.decide.ruleset import LiveRuleset
from apis_rules.documents.model import canonical_hash
from apis_rules.errors import Outage
from apis_rules.node.diary import Seen
from apis_rules.node.mediator import Choice
from apis_rules.node.same import Same
from apis_rules.node.unit_clock import time_of_day_s
from apis_rules.ports.types import Accept, Decline, DeclineReason, Request
from apis_rules.ports.unique import new_uuid

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from apis_rules.decide.intent import CompiledScenario, Intent, Proposal
    from apis_rules.node.board import Board, OwnReading
    from apis_rules.node.diary import Diary
    from apis_rules.node.errors import Errors
    from apis_rules.node.gates import Closed, Gates
    from apis_rules.node.mediator import Mediator
    from apis_rules.node.supervision import Progress

LONGEST_PAUSE_S: Final = 1.0
LOOK_PAUSE_S: Final = 0.2
"""From one look to the next at least."""

SHY_S: Final = 0.4
"""Units that change at the same moment ask within this time one after the other, in an order that chance decides."""


def open_scenario(scenario: CompiledScenario) -> LiveRuleset:
    """Put a scenario into the engine.

    Every rule of a scenario permits: where engine and oracle differ, no request and no accept is the safe answer.

    Raises:
        EngineFailure: it is refused.
    """
    return LiveRuleset(scenario.ruleset, dict.fromkeys(scenario.ruleset.names, False))


class User:
    """One unit's user."""

    def __init__(
        self,
        board: Board,
        gates: Gates,
        diary: Diary,
        errors: Errors,
        progress: Progress,
        source: random.Random,
    ) -> None:
        self._board = board
        self._gates = gates
        self._diary = diary
        self._errors = errors
        self._progress = progress
        self._random = source
        self._mediator: Mediator | None = None
        self._chosen_by = Strategy.AMOUNT
        scenario = compile_scenario(declared_scenario(board.documents.scenario))
        self._live = open_scenario(scenario)
        self._go_by(scenario)

    def attach(self, mediator: Mediator) -> None:
        """Learn who negotiates."""
        self._mediator = mediator

    def exchange_scenario(self, scenario: CompiledScenario, live: LiveRuleset) -> None:
        """Go by *scenario*, which the documents now hold, and by their policy."""
        self._live.close()
        self._live = live
        self._go_by(scenario)

    def _go_by(self, scenario: CompiledScenario) -> None:
        documents = self._board.documents
        self._limits = deal_limits(documents.policy)
        self._scenario = scenario
        self._wanted: Same[OwnReading | None, Intent] = Same(lambda _: self._intent(None))
        self._hash = canonical_hash(documents.scenario.to_document())

    def close(self) -> None:
        """Free the engine's memory."""
        self._live.close()

    async def run(self) -> None:
        """Ask for energy whenever there is a reason to, until cancelled."""
        changes = self._board.changes("unit", "records", "deals", "mode", "errors", "life", "master", "documents")
        asked_for: tuple[object, ...] | None = None
        asked_at_s = self._board.clock.now_s()
        while True:
            self._progress.beat()
            changes.skip()
            situation = self._situation()
            if situation != asked_for:
                with self._progress.waiting(SHY_S):
                    await asyncio.sleep(self._random.uniform(0, SHY_S))
                asked_for = self._situation()
                await self._ask_once()
                asked_at_s = self._board.clock.now_s()
                # What the own negotiation itself has changed (a place kept free, a deal) is no reason to ask again.
                asked_for = asked_for if asked_for == self._situation() else None
                if asked_for is None:
                    continue
            looked_at_s = self._board.clock.now_s()
            again_at_s = asked_at_s + self._board.documents.policy.user.house_keeping_period_s
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(LONGEST_PAUSE_S, max(0.0, again_at_s - self._board.clock.now_s()))):
                    wish = self._wish()
                    # Most readings show no other wish; what else they may change waits for the end of the pause.
                    while await anext(changes) == "unit" and self._wish() == wish:
                        pass
                    # In a large community records change all the time; nobody's wish is that urgent.
                    await asyncio.sleep(max(0.0, looked_at_s + LOOK_PAUSE_S - self._board.clock.now_s()))
            if self._board.clock.now_s() >= again_at_s:
                asked_for = None

    def _wish(self) -> tuple[object, ...]:
        """Return what the scenario makes of the last reading."""
        return _wish_of(self._own_intent())

    def _own_intent(self) -> Intent:
        """Return what this unit wants by its last reading, whoever asks."""
        return self._wanted(self._board.reading)

    def _situation(self) -> tuple[object, ...]:
        """Return what decides whether asking is worth while; where it has not changed, neither have the answers."""
        intent = self._own_intent()
        closed = self._closed(intent.request)
        # A deal that has begun or ended may leave somebody room to accept; who asks for nothing does not care.
        deals = tuple(sorted(self._board.records.deals())) if intent.request and not closed else ()
        return (
            *_wish_of(intent),
            closed.reason if closed else None,
            deals,
            self._hash,
            self._limits,
        )

    def _closed(self, proposal: Proposal | None) -> Closed | None:
        request = self._request(proposal).to_document() if proposal else {}
        return self._gates.closed_for_request(self._own_mediator.places(), request)

    async def _ask_once(self) -> None:
        intent = self._own_intent()
        proposal = intent.request
        closed = self._closed(proposal)
        if closed is not None:
            self._board.trading = closed.sentence
            return
        seen = self._seen()
        if proposal is None:
            self._board.trading = f"nothing to ask for: {_why_nothing(intent)}"
            self._diary.asked_nothing(seen, _why_nothing(intent))
            return
        request = self._request(proposal)
        self._diary.asks(request)
        policy = self._board.documents.policy
        try:
            with self._progress.waiting(policy.mediator.negotiation_timeout_s + 5.0):
                negotiated = await self._own_mediator.negotiate(request)
        except Outage:
            self._board.trading = "not connected"
            return
        self._board.trading = "" if negotiated.deal_id else negotiated.reason
        self._diary.asked(seen, proposal.rule, request, negotiated, self._chosen_by)

    def _seen(self) -> Seen:
        """Return what a decision is made from now, for whoever wants to make it again."""
        return Seen(self._time(), self._board.remaining_wh, self._hash)

    @property
    def _own_mediator(self) -> Mediator:
        if self._mediator is None:
            raise RuntimeError("no mediator is attached")
        return self._mediator

    # The scenario's decisions.

    def _intent(self, asker: Asker | None) -> Intent:
        reading = self._board.reading
        remaining_wh = self._board.remaining_wh
        time_s = time_of_day_s(reading.unit_time_s) if reading else 0
        if reading is None or remaining_wh is None:
            return self._scenario.intent((), time_s, None)
        matched = self._live.match(scenario_facts(time_s, remaining_wh, asker))
        if matched.alarm:
            self._errors.raise_event("engine_differs", matched.alarm)
        return self._scenario.intent(matched.hits, time_s, remaining_wh)

    def answer(self, request: Request) -> Accept | Decline:
        """Say what this unit answers to another one's request (specification 4.5)."""
        own_direction = request.type.opposite
        closed = self._gates.closed_for_accept(self._own_mediator.places(), request.to_document())
        if closed is not None:
            return self._decline(request, closed.reason, closed.sentence)
        unit_id = self._board.identity.unit_id
        for_other = request.pair_unit_id is not None and request.pair_unit_id != unit_id
        intent = self._intent(Asker(request.unit_id, for_other))
        proposal = intent.accepts.get(own_direction)
        answer = self._answer_by(proposal, request, intent)
        self._diary.answered(self._seen(), request, proposal, answer)
        return answer

    def take_part(self, request: Request) -> Accept | Decline:
        """Say whether this unit takes part in a deal from outside; its scenario is not asked."""
        closed = self._gates.closed_for_outside(self._own_mediator.places(), request.to_document())
        if closed is not None:
            return self._decline(request, closed.reason, closed.sentence)
        return self._accept(request, request.amount_wh, request.deal_grid_current_a, request.point_per_wh, None)

    def _answer_by(self, proposal: Proposal | None, request: Request, intent: Intent) -> Accept | Decline:
        if proposal is None:
            return self._decline(request, DeclineReason.SCENARIO, _why_nothing(intent))
        if not self._limits.offers(proposal.amount_wh):
            return self._decline(request, DeclineReason.TOO_SMALL, f"{proposal.amount_wh} Wh")
        current_a = self._board.documents.policy.mediator.deal.grid_current_a
        offer = proposal.offer
        return self._accept(request, proposal.amount_wh, current_a, offer.point_per_wh, offer.pair_unit_id)

    def _accept(
        self, request: Request, amount_wh: int, current_a: float, point_per_wh: float | None, pair_unit_id: str | None
    ) -> Accept:
        documents = self._board.documents
        return Accept(
            negotiation_id=request.negotiation_id,
            unit_id=self._board.identity.unit_id,
            type=request.type.opposite,
            amount_wh=amount_wh,
            deal_grid_current_a=current_a,
            grid_current_capacity_a=documents.hw_config.grid_current_capacity_a,
            date_time=self._time(),
            reserved_s=documents.policy.mediator.reservation_time_s,
            point_per_wh=point_per_wh,
            pair_unit_id=pair_unit_id,
            efficient_grid_voltage_v=self._efficient_grid_voltage_v(),
        )

    def choose(self, request: Request, accepts: Sequence[Accept]) -> Choice:
        """Say which of the accepts to an own request is taken (specification 6.3)."""
        closed = self._gates.closed_for_choice(self._own_mediator.places(request.negotiation_id), request, accepts)
        accepts = [accept for accept in accepts if accept.unit_id not in closed]
        if not accepts:
            sentences = sorted({gate.sentence for gate in closed.values()})
            return Choice(None, f"no accept may be taken ({'; '.join(sentences)})")
        reading = self._board.reading
        strategy = self._scenario.scenario.strategy_at(time_of_day_s(reading.unit_time_s)) if reading else None
        candidates = [
            Candidate(a.unit_id, a.type, a.amount_wh, a.point_per_wh, a.pair_unit_id)
            for a in accepts
            if self._limits.deal_amount_wh(request.amount_wh, a.amount_wh) is not None
        ]
        own = Candidate(request.unit_id, request.type, request.amount_wh, request.point_per_wh, request.pair_unit_id)
        self._chosen_by = strategy or Strategy.AMOUNT
        chosen = choose_accept(self._chosen_by, own, candidates)
        if chosen is None:
            return Choice(None, "no accept fits the request")
        return Choice(next(a for a in accepts if a.unit_id == candidates[chosen].unit_id))

    def deal_amount_wh(self, request_wh: int, accept_wh: int) -> int | None:
        """Return the amount of a deal within the policy's limits, None where it is too small."""
        return self._limits.deal_amount_wh(request_wh, accept_wh)

    def _request(self, proposal: Proposal) -> Request:
        policy = self._board.documents.policy
        return Request(
            negotiation_id=str(new_uuid()),
            unit_id=self._board.identity.unit_id,
            type=proposal.offer.direction,
            amount_wh=proposal.amount_wh,
            deal_grid_current_a=policy.mediator.deal.grid_current_a,
            date_time=self._time(),
            point_per_wh=proposal.offer.point_per_wh,
            pair_unit_id=proposal.offer.pair_unit_id,
            efficient_grid_voltage_v=self._efficient_grid_voltage_v(),
        )

    def _time(self) -> str:
        return self._board.reading.time if self._board.reading else ""

    def _efficient_grid_voltage_v(self) -> float | None:
        ratio = self._board.documents.hw_config.efficient_battery_grid_voltage_ratio
        battery_v = self._board.unit_data().dcdc.meter.battery_voltage_v
        return None if ratio is None or battery_v is None else ratio * battery_v

    def _decline(self, request: Request, reason: DeclineReason, detail: str = "") -> Decline:
        return Decline(
            negotiation_id=request.negotiation_id,
            unit_id=self._board.identity.unit_id,
            reason=reason,
            detail=detail,
        )


def _wish_of(intent: Intent) -> tuple[object, ...]:
    return intent.status, intent.request.rule if intent.request else None


def _why_nothing(intent: Intent) -> str:
    match intent.missing:
        case "remaining_wh":
            return "the remaining energy is not known"
        case "section":
            return "no section of the scenario is in effect at this time of day"
        case "band":
            return "the remaining energy is in no band"
        case _:
            return f"the scenario says nothing for {intent.status}"
