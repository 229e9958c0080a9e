"""Deals from outside: an operator or a test says who gives whom how much; no scenario is asked (specification 4.5).

Everything else is as with a negotiated deal: both units' gates, one place kept free at each, one write for the deal and
both locks. It may be made in the mode ``heteronomous`` as well, in which units agree on nothing by themselves.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from apis_rules.errors import Conflict, Refused
from apis_rules.node import messages
from apis_rules.node.mediator import read_answer
from apis_rules.ports.types import Decline, Direction, Request
from apis_rules.ports.unique import new_uuid

if TYPE_CHECKING:
    from apis_rules.node.board import Board
    from apis_rules.node.mediator import Mediator
    from apis_rules.ports.bundle import CommunityPorts
    from apis_rules.ports.types import Accept

ASK_S: Final = 2.0


class Outside:
    """Makes deals from outside of which this unit is the requester."""

    def __init__(self, ports: CommunityPorts, board: Board, mediator: Mediator) -> None:
        self._ports = ports
        self._board = board
        self._mediator = mediator

    async def run(self) -> None:
        """Serve until cancelled."""
        async with self._ports.bus.serve(self._board.identity.unit_id, messages.CREATE_DEAL, self.create):
            await asyncio.Event().wait()

    async def create(self, body: bytes) -> bytes:
        """Make the deal that *body* describes (``messages.OutsideDeal``); return ``messages.DealCreated``.

        Raises:
            Refused: one of the two does not take part, and why.
            Outage, Unknown: it is not made; it is not known whether it is.
        """
        wanted = messages.read_message(messages.OutsideDeal, body)
        members = self._board.documents.policy.member_unit_ids
        strangers = {wanted.charge_unit_id, wanted.discharge_unit_id} - set(members)
        if strangers:
            raise Refused(f"no member of the community: {', '.join(sorted(strangers))}")
        negotiation_id = str(new_uuid())
        own = _half(wanted, negotiation_id, wanted.type, self._board.reading.time if self._board.reading else "")
        if own.unit_id != self._board.identity.unit_id:
            raise Refused(f"{own.unit_id} is to ask, not {self._board.identity.unit_id}")
        try:
            _taking_part(self._mediator.take_part(_half(wanted, negotiation_id, wanted.type.opposite, own.date_time)))
            answer = await self._ports.bus.ask(_other(wanted), messages.TAKE_PART, own.to_json(), ASK_S)
            accept = _with_wishes(wanted, _taking_part(read_answer(answer)))
            deal_id = await self._mediator.create(own, accept, wanted.deal_amount_wh, wanted.test_feature)
        except Conflict as conflict:
            raise Refused(f"the deals of one of the two have just changed; try again ({conflict})") from conflict
        finally:
            self._mediator.release(negotiation_id)
        return messages.DealCreated(deal_id=deal_id).to_json()


def _other(wanted: messages.OutsideDeal) -> str:
    return wanted.discharge_unit_id if wanted.type is Direction.CHARGE else wanted.charge_unit_id


def _half(wanted: messages.OutsideDeal, negotiation_id: str, direction: Direction, date_time: str) -> Request:
    """Return the deal as a request of the party that does *direction*, meant for the other one only."""
    charges = direction is Direction.CHARGE
    parties = (wanted.charge_unit_id, wanted.discharge_unit_id)
    unit_id, pair_unit_id = parties if charges else parties[::-1]
    return Request(
        negotiation_id=negotiation_id,
        unit_id=unit_id,
        type=direction,
        amount_wh=wanted.deal_amount_wh,
        deal_grid_current_a=wanted.deal_grid_current_a,
        date_time=date_time,
        point_per_wh=wanted.point_per_wh,
        pair_unit_id=pair_unit_id,
        efficient_grid_voltage_v=(
            wanted.charge_unit_efficient_grid_voltage_v if charges else wanted.discharge_unit_efficient_grid_voltage_v
        ),
    )


def _taking_part(answer: Accept | Decline | None) -> Accept:
    if answer is None:
        raise Refused("an answer cannot be read")
    if isinstance(answer, Decline):
        raise Refused(f"{answer.unit_id}: {answer.detail or answer.reason}")
    return answer


def _with_wishes(wanted: messages.OutsideDeal, accept: Accept) -> Accept:
    charges = accept.type is Direction.CHARGE
    wished_v = (
        wanted.charge_unit_efficient_grid_voltage_v if charges else wanted.discharge_unit_efficient_grid_voltage_v
    )
    return accept if wished_v is None else accept.model_copy(update={"efficient_grid_voltage_v": wished_v})
