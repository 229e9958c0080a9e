"""Changes of deals told as they come."""

from __future__ import annotations

import asyncio
import csv
import io
import json

import pytest

from apis_rules.cli import main
from apis_rules.compose.deal_changes import COLUMNS, Teller, follow_changes
from apis_rules.ports.virtual_time import run_virtual
from tests.node.world import operator, pair


async def follow_one_deal(form: str) -> None:
    async with pair(20.0) as w, operator(w) as looker:
        following = asyncio.create_task(follow_changes(looker, Teller(form)))
        await w.until(lambda: len(w.final_records) >= 2, 120, "two deals that are over")
        await asyncio.sleep(1)
        following.cancel()
        await asyncio.wait([following])


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_programs_get_a_row_per_change(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each state of each deal is one row with the same keys, its end with the energy that was booked."""
    run_virtual(follow_one_deal(form))
    out = capsys.readouterr().out
    rows = [json.loads(line) for line in out.splitlines()] if form == "jsonl" else [*csv.DictReader(io.StringIO(out))]
    assert all(tuple(row) == COLUMNS for row in rows)
    first = [row for row in rows if row["deal_id"] == rows[0]["deal_id"]]
    states = [row["state"] for row in first]
    assert states[0] == "created"
    assert states[-1] == "done"
    assert "started" in states
    assert len(set(states)) == len(states)
    assert float(first[-1]["amount_wh"]) == pytest.approx(float(first[-1]["deal_amount_wh"]), rel=0.02)


def test_people_get_a_line_per_change(capsys: pytest.CaptureFixture[str]) -> None:
    """With the deal, its parties and its state."""
    run_virtual(follow_one_deal("table"))
    lines = capsys.readouterr().out.splitlines()
    assert any(line.endswith("Wh: started") for line in lines)
    assert any(" done: E001 -> E002 " in line for line in lines)


def test_what_has_no_end_is_no_json_document(capsys: pytest.CaptureFixture[str]) -> None:
    """A list without its last bracket could not be read; JSON lines can."""
    assert main(["deals", "--follow", "--format", "json", "--nats", "nats://127.0.0.1:1"]) == 2
    assert "--format jsonl" in capsys.readouterr().err
