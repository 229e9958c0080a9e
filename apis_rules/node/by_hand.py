"""What operators ask of converters directly, in one term of a Grid Master (specification 4.3: manual mode)."""

from __future__ import annotations

import asyncio
import itertools
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from apis_rules.charts.master import ManualOrder
from apis_rules.charts.master.output import Order
from apis_rules.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from apis_rules.charts.master import MasterPlan
    from apis_rules.node.messages import DirectOrder
    from apis_rules.ports.types import Outcome

ANSWER_S: Final = 4.0
"""A command that takes longer, such as a ramp, is answered as being on its way."""

log = logging.getLogger("apis_rules.by_hand")


@dataclass(slots=True)
class _Open:
    """An order: waiting for a plan, or with *seq* for what its unit makes of it."""

    order: ManualOrder
    seq: int | None = None
    planned: bool = False
    done: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class ByHand:
    """The orders of one term; *wake* lets the master plan."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._open: dict[str, _Open] = {}
        self._ids = itertools.count(1)

    @property
    def orders(self) -> tuple[ManualOrder, ...]:
        """What the next plan has to answer."""
        return tuple(o.order for o in self._open.values() if not o.planned)

    async def carry_out(self, asked: DirectOrder) -> bool:
        """Return whether the unit has carried it out; False where it is still at it after a while.

        Raises:
            Refused: by the planner, or by the unit.
        """
        order_id = str(next(self._ids))
        given = _Open(ManualOrder(order_id, asked.unit_id, asked.name, asked.params))
        what = Order(asked.unit_id, asked.name, asked.params)
        self._open[order_id] = given
        self._wake()
        try:
            async with asyncio.timeout(ANSWER_S):
                await given.done
        except TimeoutError:
            if not given.planned:
                raise Refused(
                    "the unit does not answer or is busy, or the bus is not known yet; nothing was switched"
                ) from None
            log.info("by hand: %s, under way", what)
            return False
        except Refused as refused:
            log.info("by hand: %s, refused: %s", what, refused)
            raise
        finally:
            del self._open[order_id]
        log.info("by hand: %s, done", what)
        return True

    def take_plan(self, plan: MasterPlan) -> None:
        """Learn what a plan that is in force has made of the orders."""
        for reply in plan.replies:
            given = self._open.get(reply.order_id)
            if given is None:
                continue
            given.planned = True
            if reply.refused is not None:
                _end(given, reply.refused)
            sent = [s.command.seq for s in plan.sends if s.unit_id == given.order.unit_id]
            # Without a command of its own it waits for others, as a holder does that is to stop last.
            given.seq = max(sent, default=None)

    def take_outcome(self, outcome: Outcome) -> None:
        """Learn what a unit of this term has done."""
        for given in self._open.values():
            if given.seq == outcome.seq and given.order.unit_id == outcome.unit_id:
                _end(given, outcome.failed)

    def end(self) -> None:
        """The term is over; nobody knows what became of what is open."""
        for given in self._open.values():
            _end(given, "the Grid Master has changed; look at 'apis-rules status' before it is asked again")


def _end(given: _Open, refused: str | None) -> None:
    if given.done.done():
        return
    if refused is None:
        given.done.set_result(None)
    else:
        given.done.set_exception(Refused(refused))
