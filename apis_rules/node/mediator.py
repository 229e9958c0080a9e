"""The *mediator* (specification 3.2, 4.5): negotiates for its unit, creates deals, keeps their records.

A negotiation is one question to everybody. Each member answers at once, with an accept that it keeps free for a while
or with a decline and its reason, so the window closes when all have answered. The deal and both locks are created in
one step that holds only if neither lock nor the Grid Master has changed since they were looked at.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from pydantic import ValidationError

from apis_rules.errors import Conflict, Outage, PortError, Refused, Unknown
from apis_rules.node import messages
from apis_rules.node.controller import DATA_KEY
from apis_rules.node.records import DEAL, EPOCH, LOCK, STOP, StopRequest
from apis_rules.node.unit_clock import format_unit_time, format_utc
from apis_rules.ports.state import At, Write
from apis_rules.ports.types import (
    Accept,
    Deal,
    DealRecord,
    Decline,
    DeclineReason,
    Direction,
    Lock,
    LockEntry,
    Request,
)
from apis_rules.ports.unique import new_uuid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apis_rules.node.battery import Battery
    from apis_rules.node.board import Board
    from apis_rules.ports.bundle import CommunityPorts

CREATED: Final = "created"
"""Name of the first state of ``statecharts/deal.yaml``."""


class Trader(Protocol):
    """What the mediator asks its user: the scenario's decisions."""

    def answer(self, request: Request) -> Accept | Decline:
        """Say what this unit answers to another one's request."""

    def take_part(self, request: Request) -> Accept | Decline:
        """Say whether this unit takes part in a deal from outside, of which *request* is the other party's half."""

    def choose(self, request: Request, accepts: Sequence[Accept]) -> Choice:
        """Say which of the accepts to an own request is taken."""

    def deal_amount_wh(self, request_wh: int, accept_wh: int) -> int | None:
        """Return the amount of a deal within the policy's limits, None where it is too small."""


@dataclass(frozen=True, slots=True)
class Reservation:
    """A place that is kept free: of the own request while it runs, or of an accept until it is chosen."""

    direction: Direction
    until_s: float


@dataclass(frozen=True, slots=True)
class Places:
    """The directions of the places that a unit keeps free beside its deals."""

    reserved: tuple[Direction, ...] = ()

    def as_deals(self, unit_id: str) -> list[dict[str, Any]]:
        """Return them in the form of deals, so that rules count them as such."""
        sides = {Direction.CHARGE: "chargeUnitId", Direction.DISCHARGE: "dischargeUnitId"}
        return [{"state": "reserved", "record": {sides[d]: unit_id}} for d in self.reserved]


@dataclass(frozen=True, slots=True)
class Choice:
    """The accept that is taken, or why none is."""

    accept: Accept | None
    why_none: str = ""


@dataclass(frozen=True, slots=True)
class Negotiated:
    """How a negotiation ended.

    Attributes:
        deal_id: of the deal that was created, None where there is none.
        reason: why there is none; empty where there is one.
        accepts, declines: what was answered.
        chosen: the accept that was taken.
    """

    deal_id: str | None
    reason: str = ""
    declines: tuple[Decline, ...] = ()
    accepts: tuple[Accept, ...] = ()
    chosen: Accept | None = None


class Mediator:
    """One unit's mediator."""

    def __init__(self, ports: CommunityPorts, board: Board, trader: Trader, battery: Battery) -> None:
        self._ports = ports
        self._board = board
        self._trader = trader
        self._battery = battery
        self._reserved: dict[str, Reservation] = {}

    async def run(self) -> None:
        """Answer other units' requests until cancelled."""
        bus, unit_id = self._ports.bus, self._board.identity.unit_id
        async with (
            bus.serve(unit_id, messages.REQUEST, self._requested),
            bus.serve(unit_id, messages.TAKE_PART, self._asked_to_take_part),
            bus.listen(messages.SETTLED) as settled,
        ):
            async for message in messages.heard(messages.Settled, settled):
                self._settle(message)

    # The place a unit has.

    def places(self, besides: str = "") -> Places:
        """Return the places that are kept free now, that of the negotiation *besides* left out."""
        now_s = self._ports.clock.now_s()
        self._reserved = {i: r for i, r in self._reserved.items() if r.until_s > now_s}
        return Places(tuple(r.direction for i, r in self._reserved.items() if i != besides))

    def reserve(self, negotiation_id: str, direction: Direction, within_s: float) -> None:
        """Keep a place free."""
        self._reserved[negotiation_id] = Reservation(direction, self._ports.clock.now_s() + within_s)

    def release(self, negotiation_id: str) -> None:
        """Keep it free no longer."""
        self._reserved.pop(negotiation_id, None)

    # The requesting side.

    async def negotiate(self, request: Request) -> Negotiated:
        """Ask everybody, choose, create the deal; return what became of it.

        Raises:
            Outage: not connected.
        """
        window_s = self._board.documents.policy.mediator.negotiation_timeout_s
        if claimed := self._battery.claim(request.type):
            return Negotiated(None, f"the battery cannot {request.type}: {claimed}")
        self.reserve(request.negotiation_id, request.type, window_s + 2.0)
        chosen: Accept | None = None
        try:
            others = await self._count_others()
            answers = await self._ports.bus.gather(messages.REQUEST, request.to_json(), window_s, others)
            accepts, declines = self._sort(request, answers)
            choice = self._trader.choose(request, accepts) if accepts else Choice(None, _why_nobody(declines))
            chosen = choice.accept
            if chosen is None:
                return Negotiated(None, choice.why_none, declines, tuple(accepts))
            deal_id = await self._agree(request, chosen)
            return Negotiated(deal_id, "", declines, tuple(accepts), chosen)
        except (Conflict, Refused) as error:
            return Negotiated(None, str(error))
        except Unknown:
            return Negotiated(None, "it is not known whether the deal was created; the records will show it")
        finally:
            self.release(request.negotiation_id)
            await self._tell_settled(request.negotiation_id, chosen)

    async def _count_others(self) -> int:
        """Return how many other units are there to answer."""
        keys = await self._ports.unit.keys(DATA_KEY)
        return len([k for k in keys if k != DATA_KEY + self._board.identity.unit_id])

    def _sort(self, request: Request, answers: Sequence[bytes]) -> tuple[list[Accept], tuple[Decline, ...]]:
        """Part the answers; of strangers, of a second copy, and of what cannot be read nothing is taken."""
        members = self._board.documents.policy.member_unit_ids
        accepts: dict[str, Accept] = {}
        declines: dict[str, Decline] = {}
        for body in answers:
            answer = read_answer(body)
            if answer is None or answer.negotiation_id != request.negotiation_id or answer.unit_id not in members:
                continue
            if isinstance(answer, Accept):
                accepts.setdefault(answer.unit_id, answer)
            else:
                declines.setdefault(answer.unit_id, answer)
        return list(accepts.values()), tuple(declines.values())

    async def _agree(self, request: Request, accept: Accept) -> str:
        amount_wh = self._trader.deal_amount_wh(request.amount_wh, accept.amount_wh)
        if amount_wh is None:
            raise Refused("the amount that both can agree on is below the policy's minimum")
        return await self.create(request, accept, amount_wh)

    async def create(
        self, request: Request, accept: Accept, amount_wh: int, test_feature: dict[str, Any] | None = None
    ) -> str:
        """Write the deal and both locks in one step; return the deal's id.

        Raises:
            Conflict: a lock or the Grid Master changed meanwhile.
            Refused: one of the two has no place for the deal.
            Outage, Unknown: it is not written; it is not known whether it is.
        """
        deal = self._deal(request, accept, amount_wh, test_feature)
        records = self._board.records
        epoch = records.entry(EPOCH)
        if not records.fresh or epoch.value is None:
            raise Refused("no Grid Master is known")
        writes = [Write(DEAL + deal.record.deal_id, deal.to_json(), epoch.at)]
        own_capacity_a = self._board.documents.hw_config.grid_current_capacity_a
        for unit_id, direction, capacity_a in (
            (request.unit_id, request.type, own_capacity_a),
            (accept.unit_id, accept.type, accept.grid_current_capacity_a),
        ):
            entry = records.entry(LOCK + unit_id)
            lock = _with_place(records.lock(unit_id), unit_id, deal.record, direction, capacity_a)
            writes.append(Write(LOCK + unit_id, lock.to_json(), entry.at))
        await self._ports.ctl.write(*writes)
        return deal.record.deal_id

    def _deal(self, request: Request, accept: Accept, amount_wh: int, test_feature: dict[str, Any] | None) -> Deal:
        charging = request.type is Direction.CHARGE
        clock = self._ports.clock
        record = DealRecord(
            unit_id=request.unit_id,
            negotiation_id=request.negotiation_id,
            request_unit_id=request.unit_id,
            accept_unit_id=accept.unit_id,
            request_date_time=request.date_time,
            accept_date_time=accept.date_time,
            request_point_per_wh=request.point_per_wh,
            accept_point_per_wh=accept.point_per_wh,
            request_deal_grid_current_a=request.deal_grid_current_a,
            accept_deal_grid_current_a=accept.deal_grid_current_a,
            type=request.type,
            charge_unit_id=request.unit_id if charging else accept.unit_id,
            discharge_unit_id=accept.unit_id if charging else request.unit_id,
            # The deal's price is what the charging side offers (the discharging side's price only chooses).
            point_per_wh=request.point_per_wh if charging else accept.point_per_wh,
            charge_unit_efficient_grid_voltage_v=(
                request.efficient_grid_voltage_v if charging else accept.efficient_grid_voltage_v
            ),
            discharge_unit_efficient_grid_voltage_v=(
                accept.efficient_grid_voltage_v if charging else request.efficient_grid_voltage_v
            ),
            deal_grid_current_a=min(request.deal_grid_current_a, accept.deal_grid_current_a),
            request_amount_wh=request.amount_wh,
            accept_amount_wh=accept.amount_wh,
            deal_amount_wh=amount_wh,
            request_pair_unit_id=request.pair_unit_id,
            accept_pair_unit_id=accept.pair_unit_id,
            deal_id=str(new_uuid()),
            create_date_time=format_unit_time(self._board.unit_time_s()),
            create_date_time_utc=format_utc(clock.utc_s()),
            test_feature=test_feature,
        )
        return Deal(state=CREATED, record=record)

    async def _tell_settled(self, negotiation_id: str, chosen: Accept | None) -> None:
        settled = messages.Settled(negotiation_id=negotiation_id, chosen_unit_id=chosen.unit_id if chosen else None)
        try:
            await self._ports.bus.broadcast(messages.SETTLED, settled.to_json())
        except Outage:
            return  # what others keep free ends by its own time

    # The accepting side.

    async def _requested(self, body: bytes) -> bytes | None:
        request = messages.read_message(Request, body)
        identity, policy = self._board.identity, self._board.documents.policy
        if request.unit_id == identity.unit_id:
            return None
        if request.unit_id not in policy.member_unit_ids:
            return self._decline(request, DeclineReason.NOT_MEMBER).to_json()
        return self._keep_free(request, self._trader.answer(request)).to_json()

    async def _asked_to_take_part(self, body: bytes) -> bytes:
        return self.take_part(messages.read_message(Request, body)).to_json()

    def take_part(self, request: Request) -> Accept | Decline:
        """Say whether this unit takes part in a deal from outside, and keep its place free where it does."""
        return self._keep_free(request, self._trader.take_part(request))

    def _keep_free(self, request: Request, answer: Accept | Decline) -> Accept | Decline:
        if isinstance(answer, Accept):
            if claimed := self._battery.claim(answer.type):
                return self._decline(request, DeclineReason.BATTERY_LOCKED, claimed)
            self.reserve(request.negotiation_id, answer.type, answer.reserved_s)
        return answer

    def _decline(self, request: Request, reason: DeclineReason, detail: str = "") -> Decline:
        unit_id = self._board.identity.unit_id
        return Decline(negotiation_id=request.negotiation_id, unit_id=unit_id, reason=reason, detail=detail)

    def _settle(self, settled: messages.Settled) -> None:
        # Who was chosen keeps the place until its own lock shows the deal, or the time is out.
        if settled.chosen_unit_id != self._board.identity.unit_id:
            self.release(settled.negotiation_id)

    def forget(self) -> None:
        """Keep nothing free any more."""
        self._reserved.clear()

    def forget_agreed(self) -> None:
        """Count a place once: what stands in the lock is no longer kept free as well."""
        if not self._reserved:
            return
        agreed = {
            deal.record.negotiation_id for deal in self._board.records.deals_of(self._board.identity.unit_id).values()
        }
        for negotiation_id in agreed & set(self._reserved):
            self.release(negotiation_id)

    # Ending deals.

    async def ask_to_stop(self, deal_id: str, reason: str) -> None:
        """Ask the Grid Master to end a deal of this unit.

        Raises:
            PortError: to be asked again.
        """
        key = f"{STOP}{deal_id}.{self._board.identity.unit_id}"
        if self._board.records.entry(key).value is not None:
            return
        try:
            await self._ports.ctl.write(Write(key, StopRequest(reason=reason).to_json(), At(key, 0)))
        except Conflict:
            return  # it was asked before

    async def leave_deals(self, reason: str, within_s: float) -> bool:
        """Ask for the end of all deals of this unit and wait; return whether there is none left."""
        unit_id = self._board.identity.unit_id
        changes = self._board.changes("records")
        try:
            async with asyncio.timeout(within_s):
                while deals := self._board.records.deals_of(unit_id):
                    for deal_id in deals:
                        await self._ask_patiently(deal_id, reason)
                    await anext(changes)
        except TimeoutError:
            return False
        return True

    async def _ask_patiently(self, deal_id: str, reason: str) -> None:
        try:
            await self.ask_to_stop(deal_id, reason)
        except PortError:  # a store that is full has room again one day
            await asyncio.sleep(self._board.documents.policy.controller.stop_me_check_period_s)


def read_answer(body: bytes) -> Accept | Decline | None:
    """Return what another unit answered, None where that cannot be read."""
    try:
        return Decline.from_json(body) if b'"reason"' in body else Accept.from_json(body)
    except ValidationError:
        return None


def _with_place(lock: Lock, unit_id: str, record: DealRecord, direction: Direction, capacity_a: float) -> Lock:
    if lock.exclusion is not None:
        raise Refused(f"{unit_id} is excluded: {lock.exclusion}")
    if any(entry.direction is not direction for entry in lock.entries):
        raise Refused(f"{unit_id} has a deal in the opposite direction")
    if sum(entry.ampere for entry in lock.entries) + record.deal_grid_current_a > capacity_a:
        raise Refused(f"{unit_id} has no current left for another deal")
    entry = LockEntry(deal_id=record.deal_id, direction=direction, ampere=record.deal_grid_current_a)
    return lock.model_copy(update={"entries": (*lock.entries, entry)})


def _why_nobody(declines: Sequence[Decline]) -> str:
    if not declines:
        return "nobody answered"
    reasons = sorted({f"{d.unit_id}: {d.reason}" for d in declines})
    return "nobody accepts (" + ", ".join(reasons) + ")"
