"""``explain stop`` of a community that has ended: from the store that it has left."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

from apis_rules.compose.options import Running
from apis_rules.file_lock import file_lock
from apis_rules.node.records import MODE, ModeRecord
from apis_rules.ports.state import Write
from apis_rules.ports.types import OperationMode
from apis_transport.community import open_community
from apis_transport.embedded import embedded_server
from tests.compose.houses import ask, ask_json
from tests.compose.test_stop_story import LEAK, event


async def live_and_end(root: Path) -> None:
    """Be a community whose server is its own, in which something happens, and which then ends."""
    unit = root / "c" / "x" / "E001"
    unit.mkdir(parents=True)
    with file_lock(unit / "unit.lock"):
        async with (
            embedded_server(root / "store") as server,
            open_community([server.url], "c", "x", "E001", unit) as community,
        ):
            told = event(0, "G04", "HARDWARE:GLOBAL:ERROR", "E001", LEAK)
            await community.ports.streams.append("ERRLOG", "E001", told.to_json(), message_id=told.event_id)
            record = ModeRecord(mode=OperationMode.STOP, reason=LEAK)
            await community.ports.ctl.write(Write(MODE, record.to_json()))
            running = Running((server.url,), "c", "x", ("E001",), "autonomous", os.getpid())
            running.save(root)
    running.remove(root)


def test_a_community_that_has_ended_tells_why_it_stopped(tmp_path: Path) -> None:
    """Its server is gone and its store is there: first cause, mode and what to do are told; nothing runs afterwards."""
    asyncio.run(live_and_end(tmp_path))
    told = ask("explain", "stop", "--state-dir", tmp_path)
    assert f"E001  G04 HARDWARE:GLOBAL:ERROR: {LEAK}" in told
    assert f"the mode is stop: {LEAK}" in told
    assert "when everything is well: apis-rules mode set autonomous" in told
    document = ask_json("explain", "stop", "--format", "json", "--state-dir", tmp_path)
    assert document["rule"] == "G04"
    later = ask("explain", "stop", "--since", "2026-11-26", "--state-dir", tmp_path)
    assert later.startswith("nobody has reported an error")


def test_where_nothing_has_run_that_is_said(tmp_path: Path) -> None:
    """A folder without a run is a sentence with a code, exit 2; so is a decision without an amount of energy."""
    assert "AR701 error: no community is known" in ask("explain", "stop", "--state-dir", tmp_path, expect=2)
    assert "AR101 error: it is not said how much energy" in ask("explain", expect=2)
    (tmp_path / "last-run.json").write_text(json.dumps({"urls": []}))
    assert "AR701" in ask("explain", "stop", "--state-dir", tmp_path, expect=2)
