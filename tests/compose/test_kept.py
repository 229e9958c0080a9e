"""What a community has kept, read although one message of it is damaged or of another program."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from apis_rules.compose.kept import load_decisions, load_errors, load_records
from apis_rules.ports.types import DealRecord
from apis_rules.ports.virtual_time import run_virtual
from tests.node.world import operator, world

if TYPE_CHECKING:
    import pytest

TIME = "2026/11/25-10:30:00"
RECORD = DealRecord(
    deal_id="d1",
    unit_id="E001",
    negotiation_id="n1",
    type="charge",
    request_unit_id="E001",
    accept_unit_id="E002",
    charge_unit_id="E001",
    discharge_unit_id="E002",
    request_date_time=TIME,
    accept_date_time=TIME,
    create_date_time=TIME,
    request_deal_grid_current_a=1.0,
    accept_deal_grid_current_a=1.0,
    deal_grid_current_a=1.0,
    request_amount_wh=30,
    accept_amount_wh=30,
    deal_amount_wh=30,
)
STRANGE = (b"{", b"[]", b'{"format": 99}')


async def read_with_strangers() -> tuple[list[str], list[str], int, int, int]:
    """Return the deals an onlooker saw and a verb read, then how many errors, errors seen and decisions there were."""
    async with world(1, started=False) as w, operator(w) as looker:
        streams = looker.ports.streams
        for number, body in enumerate((*STRANGE, RECORD.to_json())):
            for stream in ("DEALLOG", "ERRLOG", "DECISIONS"):
                await streams.append(stream, f"s{number}", body, message_id=f"{stream}{number}")
        tasks = [asyncio.create_task(looker.follow_deals(1)), asyncio.create_task(looker.follow_errors(1))]
        await w.until(lambda: looker.finished, 5, "the deal is seen")
        assert not any(t.done() for t in tasks)
        for task in tasks:
            task.cancel()
        found = [r.deal_id for r in await load_records(streams)]
        decisions = [d for d in await load_decisions(streams) if d.get("dealId") == "d1"]
        errors = await load_errors(streams)
        return [r.deal_id for r in looker.finished], found, len(errors), len(looker.errors), len(decisions)


def test_a_message_that_cannot_be_read_is_skipped_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """Neither a look at a running community nor a verb ends by one strange message; what follows it is read."""
    seen, found, errors, errors_seen, decisions = run_virtual(read_with_strangers())
    assert seen == found == ["d1"]
    assert (errors, errors_seen, decisions) == (0, 0, 1)
    for number, stream in enumerate(("DEALLOG", "ERRLOG"), start=1):
        assert f"message {number} of {stream} is skipped" in caplog.text
    assert "message 1 of DECISIONS is skipped" in caplog.text
