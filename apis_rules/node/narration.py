"""What the action log says of a node's life (specification 9.1): modes, mastership, the voltage, the unit's deals.

Requests and accepts are written where they are made; errors where they are raised. A line per change at INFO
where it concerns this unit, at DEBUG where it concerns others: their own nodes write it.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from apis_rules.node.board import Board
    from apis_rules.ports.types import Command, Deal, Outcome

log = logging.getLogger(__name__)


class Narration:
    """One node's narration."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._told: dict[str, str] = {}
        self._deals: dict[str, Deal] = {}

    async def run(self) -> None:
        """Write down what changes, until cancelled."""
        changes = self._board.changes("records", "mode", "master", "documents")
        while True:
            changes.skip()
            self.look()
            await anext(changes)

    def look(self) -> None:
        """Write down what is different from the last look."""
        board, records = self._board, self._board.records
        unit_id = board.identity.unit_id
        mode = records.mode()
        because = f" ({mode.reason})" if mode and mode.reason else ""
        self._tell("mode", f"mode {board.effective_mode}: community {board.community_mode}{because}, "
                           f"own {board.local_mode or 'none'}", logging.INFO)  # fmt: skip
        epoch = records.epoch()
        number = epoch.number if epoch else 0
        self._tell("master", f"Grid Master in epoch {number}" if board.is_master else "not Grid Master", logging.INFO)
        grid, _ = records.grid()
        own = unit_id in (grid.holder, grid.next_holder) or board.is_master
        reason = f": {grid.reason}" if grid.reason else ""
        holder = f" ({grid.holder})" if grid.holder else ""
        self._tell("grid", f"voltage {grid.state}{holder}{reason}", logging.INFO if own else logging.DEBUG)
        self._look_at_deals()

    def _look_at_deals(self) -> None:
        deals = dict(self._board.records.deals_of(self._board.identity.unit_id))
        for deal_id, deal in deals.items():
            record = deal.record
            self._tell(
                deal_id,
                f"deal {deal_id} {record.discharge_unit_id} -> {record.charge_unit_id} {record.deal_amount_wh} Wh: "
                f"{deal.state}",
                logging.INFO,
            )
        for deal_id in self._deals.keys() - deals.keys():
            record = self._deals[deal_id].record
            self._told.pop(deal_id, None)
            reason = record.abort_reason or record.scram_reason
            log.info(
                "deal %s over: %.1f of %d Wh%s",
                deal_id, record.cumulate_amount_wh or 0.0, record.deal_amount_wh, f" ({reason})" if reason else "",
            )  # fmt: skip
        self._deals = deals

    def _tell(self, what: str, text: str, level: int) -> None:
        if self._told.get(what) != text:
            self._told[what] = text
            log.log(level, "%s", text)


def tell_command(command: Command) -> None:
    """Write down that the Grid Master commands this unit."""
    params = command.params.to_document()
    log.info(
        "command %d of epoch %d: %s%s%s",
        command.seq, command.epoch.number, command.name,
        f" {params}" if params else "", f" for deal {command.deal_id}" if command.deal_id else "",
    )  # fmt: skip


def tell_outcome(outcome: Outcome) -> None:
    """Write down what became of a command."""
    if outcome.ok:
        log.info("command %d of epoch %d: done", outcome.seq, outcome.epoch.number)
    else:
        log.warning("command %d of epoch %d failed: %s", outcome.seq, outcome.epoch.number, outcome.failed)
