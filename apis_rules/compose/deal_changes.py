"""Tells each change of a deal as it comes, in lines for people or in rows for programs."""

from __future__ import annotations

import asyncio
import csv
import json
import sys
from typing import TYPE_CHECKING, Any, Final

from apis_rules.compose.lines import tell_deal

if TYPE_CHECKING:
    from apis_rules.compose.onlooker import Onlooker
    from apis_rules.compose.overview import DealLine
    from apis_rules.ports.types import DealRecord

COLUMNS: Final = (
    "deal_id", "state", "discharge_unit_id", "charge_unit_id", "deal_amount_wh", "amount_wh", "ended",
)  # fmt: skip


class Teller:
    """Prints changes at once; *form*: ``table`` for people, ``jsonl`` or ``csv``."""

    def __init__(self, form: str) -> None:
        self._form = form
        if form == "csv":
            print(",".join(COLUMNS), flush=True)

    def tell(self, deal: DealLine) -> None:
        """Tell the state that a deal is in now."""
        if self._form == "table":
            parties = f"{deal.discharge_unit_id} -> {deal.charge_unit_id}"
            print(f"{deal.deal_id} {parties} {deal.deal_amount_wh} Wh: {deal.state}", flush=True)
        else:
            self._write({name: getattr(deal, name, None) for name in COLUMNS})

    def tell_end(self, record: DealRecord) -> None:
        """Tell that a deal is over, and why before its amount."""
        if self._form == "table":
            print(f"{record.deal_id} done: {tell_deal(record)}", flush=True)
        else:
            known = {name: getattr(record, name, None) for name in COLUMNS}
            ended = {"amount_wh": record.cumulate_amount_wh, "ended": record.abort_reason or record.scram_reason}
            self._write({**known, "state": "done", **ended})

    def _write(self, row: dict[str, Any]) -> None:
        if self._form == "jsonl":
            print(json.dumps(row), flush=True)
        else:
            csv.DictWriter(sys.stdout, COLUMNS, lineterminator="\n").writerow(row)
            sys.stdout.flush()


async def follow_changes(onlooker: Onlooker, teller: Teller) -> None:
    """Tell what changes until cancelled."""
    from_seq = await onlooker.ports.streams.last_seq("DEALLOG") + 1
    changes = onlooker.records.changes()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(onlooker.follow_deals(from_seq))
        told: dict[str, str] = {}
        done = 0
        async for _ in changes:
            for deal in onlooker.overview().deals:
                if told.get(deal.deal_id) != deal.state:
                    told[deal.deal_id] = deal.state
                    teller.tell(deal)
            for record in onlooker.finished_after(done):
                teller.tell_end(record)
            done = onlooker.finished_count
