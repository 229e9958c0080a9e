"""Why a community stopped: told from what is kept. The stories that people read are golden files."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from apis_rules.compose.stop_story import StopStory, tell_stop
from apis_rules.node.records import ModeRecord, Sustain
from apis_rules.ports.types import (
    Category,
    DealRecord,
    Direction,
    Epoch,
    ErrorEvent,
    Extent,
    GridRecord,
    Level,
    OperationMode,
)

STORIES = Path(__file__).parent / "stories"
START = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)


def event(after_s: float, rule: str, kind: str, unit_id: str, message: str, by: str | None = None) -> ErrorEvent:
    category, extent, level = kind.split(":")
    at = START + timedelta(seconds=after_s)
    return ErrorEvent(
        event_id=f"{rule} {unit_id} {after_s}",
        rule=rule,
        unit_id=unit_id,
        reported_by=by or unit_id,
        category=Category(category),
        extent=Extent(extent),
        level=Level(level),
        message=message,
        date_time=at.strftime("%Y/%m/%d-%H:%M:%S"),
        date_time_utc=at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        epoch=Epoch(number=3, term_id="t") if by else None,
    )


def ended(after_s: float, deal_id: str, reason: str) -> DealRecord:
    at = START + timedelta(seconds=after_s)
    return DealRecord(
        unit_id="E002",
        negotiation_id="n",
        request_unit_id="E002",
        accept_unit_id="E001",
        request_date_time="",
        accept_date_time="",
        request_deal_grid_current_a=2.0,
        accept_deal_grid_current_a=2.0,
        type=Direction.CHARGE,
        charge_unit_id="E002",
        discharge_unit_id="E001",
        deal_grid_current_a=2.0,
        request_amount_wh=500,
        accept_amount_wh=500,
        deal_amount_wh=500,
        deal_id=deal_id,
        create_date_time="",
        create_date_time_utc="",
        cumulate_amount_wh=212.4,
        abort_reason=reason,
        deactivate_date_time_utc=at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    )


LEAK = "the currents of 2 units in deals add up to 0.5 A, allowed 0.125 A for each"


def a_leak() -> StopStory:
    """A member that is away, long before; a current that gets lost; a scram; the mode is stop."""
    events = [
        event(-600, "G03", "HARDWARE:GLOBAL:WARN", "E001", "there are no data of E004"),
        event(0, "G04", "HARDWARE:GLOBAL:WARN", "E001", LEAK),
        event(5, "G04", "HARDWARE:GLOBAL:ERROR", "E001", LEAK),
        event(7.25, "L24", "HARDWARE:LOCAL:ERROR", "E002", "waiting, and 0.5 A flow, allowed 0.1 A"),
    ]
    decisions = [
        {"question": "request", "unitId": "E002", "time": "2026/11/25-08:59:00", "dealId": "d-17", "reason": ""},
        {"question": "request", "unitId": "E001", "time": "2026/11/25-09:01:00", "dealId": None, "reason": "no master"},
    ]
    return tell_stop(
        events,
        [ended(-500, "d-16", ""), ended(9, "d-17", LEAK)],
        decisions,
        ModeRecord(mode=OperationMode.STOP, reason=LEAK),
        GridRecord(),
        Sustain(until_utc_s=(START + timedelta(seconds=35)).timestamp(), reason=LEAK),
        START + timedelta(seconds=20),
    )


def a_dead_node() -> StopStory:
    """A node that dies while its converter draws: a warning, after which the state machine drains."""
    events = [event(0, "silent", "HARDWARE:GLOBAL:WARN", "E003", "no answer since 3 s", "E001")]
    return tell_stop(events, [], [], None, GridRecord(state="draining", holder="E001"), None, START)


def an_operator() -> StopStory:
    """Nobody has reported anything: an operator has set the mode."""
    mode = ModeRecord(mode=OperationMode.STOP, reason="set by an operator")
    return tell_stop([], [], [], mode, GridRecord(), None, START)


def a_full_disk() -> StopStory:
    """One unit's fatal error, told by itself."""
    events = [event(0, "disk", "FRAMEWORK:LOCAL:FATAL", "E002", "the disk does not take what must be kept: no space")]
    return tell_stop(events, [], [], None, GridRecord(), None, START)


def a_heavy_alarm() -> StopStory:
    """A converter's alarm, cleared long ago: both units have dealt since, one deal is over, one lives."""
    alarm = "the converter reports Heavy alarm"
    events = [event(0, "L01", "HARDWARE:LOCAL:ERROR", "E001", alarm)]
    decisions = [
        {"question": "request", "unitId": "E001", "time": "2026/11/25-09:01:00", "dealId": None, "reason": "errors"},
        {"question": "request", "unitId": "E001", "time": "2026/11/25-09:02:00", "dealId": "d-18", "reason": ""},
        {"question": "request", "unitId": "E002", "time": "2026/11/25-09:03:00", "dealId": "d-19", "reason": ""},
    ]
    finished = [ended(1, "d-17", "E001: L01"), ended(400, "d-18", "")]
    held = GridRecord(state="held", holder="E002")
    return tell_stop(events, finished, decisions, None, held, None, START + timedelta(hours=1))


@pytest.mark.parametrize("story", [a_leak, a_dead_node, an_operator, a_full_disk, a_heavy_alarm])
def test_a_story_is_told_as_it_was(story, request: pytest.FixtureRequest) -> None:
    """First cause with what its rule looks at, what followed in order, how things stand, what to do next."""
    text = "\n".join(story().lines()) + "\n"
    file = STORIES / f"{story.__name__}.txt"
    if request.config.getoption("--rewrite"):
        STORIES.mkdir(exist_ok=True)
        file.write_text(text)
    assert text == file.read_text()


def test_since_leaves_out_what_is_older() -> None:
    """An older stop is not told where only what came later is asked for; without that, it is."""
    events = [event(0, "G04", "HARDWARE:GLOBAL:ERROR", "E001", LEAK)]
    dead = GridRecord()
    assert tell_stop(events, [], [], None, dead, None, START, since=START + timedelta(seconds=1)).cause is None
    story = tell_stop(events, [], [], None, dead, None, START + timedelta(days=1))
    assert story.cause is not None
    assert story.to_document()["cause"]["at"] == "2026-11-25T09:00:00.000+00:00"


def test_only_what_belongs_together_is_told() -> None:
    """Two stops, hours apart: the last one's cause is named, with its first strike; a later warning is no stop."""
    events = [
        event(0, "G07", "HARDWARE:GLOBAL:ERROR", "E001", "line"),
        event(7200, "L26", "HARDWARE:LOCAL:WARN", "E002", "charging"),
        event(7205, "L26", "HARDWARE:LOCAL:ERROR", "E002", "charging"),
        event(7210, "G03", "HARDWARE:GLOBAL:WARN", "E001", "no data"),
        event(9999, "G03", "HARDWARE:GLOBAL:WARN", "E001", "no data"),
    ]
    story = tell_stop(events, [], [], None, GridRecord(), None, START + timedelta(hours=3))
    assert story.cause is not None
    assert (story.rule, story.cause.at) == ("L26", START + timedelta(seconds=7200))
    assert "line" not in " ".join(story.lines())
