"""A compiled scenario against the rules of negotiation read one by one from its file (specification 4.5, 6.3)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apis_rules.decide.declared import declared_scenario
from apis_rules.decide.intent import Asker, Intent, compile_scenario
from apis_rules.decide.regions import regions
from apis_rules.decide.scenario import DAY_S, Question
from apis_rules.documents.scenario import Scenario
from apis_rules.ports.types.negotiation import Direction

MOST_WH = 30
TIMES = [0, 6 * 3600, 12 * 3600, 18 * 3600, DAY_S]
STATUSES = ["short", "scarce", "excess", "übervoll"]

energies = st.integers(0, MOST_WH)
offers = st.fixed_dictionaries(
    {"limitWh": energies},
    optional={"pointPerWh": st.sampled_from([8, 10.5]), "pairUnitId": st.sampled_from(["E001", "E002"])},
)
both = st.fixed_dictionaries({}, optional={"charge": offers, "discharge": offers})
by_status = st.dictionaries(st.sampled_from(STATUSES), both)


@st.composite
def bands(draw: st.DrawFn) -> dict[str, str]:
    found = {}
    for _ in range(draw(st.integers(1, 4))):
        low, high = sorted(draw(st.lists(st.integers(0, MOST_WH), min_size=2, max_size=2, unique=True)))
        key = draw(st.sampled_from([f"{low}-{high}", f"{low}-", f"-{high}", "-"]))
        found[key] = draw(st.sampled_from(STATUSES))
    return found


sections = st.fixed_dictionaries({"batteryStatus": bands(), "request": by_status, "accept": by_status})


@st.composite
def scenarios(draw: st.DrawFn) -> dict[str, Any]:
    found = {}
    for _ in range(draw(st.integers(1, 3))):
        start, end = draw(st.lists(st.sampled_from(TIMES), min_size=2, max_size=2, unique=True))
        found[f"{hour(start % DAY_S)}-{hour(end)}"] = draw(sections)
    return {key: value for key, value in found.items() if key[:8] != key[9:]}


def hour(time_s: int) -> str:
    return f"{time_s // 3600:02}:00:00"


def seconds(text: str) -> int:
    return int(text[:2]) * 3600


def in_window(key: str, time_s: int) -> bool:
    start, end = (seconds(part) for part in key.split("-"))
    end = end or DAY_S
    return start <= time_s < end if start < end else time_s >= start or time_s < end


def in_band(key: str, wh: int) -> bool:
    low, high = key.split("-")
    return int(low or 0) <= wh and (not high or wh < int(high))


def expected(document: dict[str, Any], time_s: int, wh: int, asked_by: str, asks_for: str | None) -> Any:
    """Take the first window, the first band in it, and what stands there: no compiler, no sets."""
    nothing = None, None, {"charge": None, "discharge": None}
    section = next((s for key, s in document.items() if in_window(key, time_s)), None)
    if section is None:
        return nothing
    status = next((name for key, name in section["batteryStatus"].items() if in_band(key, wh)), None)
    if status is None:
        return nothing
    written = section["request"].get(status, {})
    direction = next((d for d in ("charge", "discharge") if d in written), None)
    request = proposal(direction, written[direction], wh) if direction else None
    accepts = {}
    for direction in ("charge", "discharge"):
        offer = section["accept"].get(status, {}).get(direction)
        meant = asks_for in (None, "E000") and offer is not None and offer.get("pairUnitId") in (None, asked_by)
        accepts[direction] = proposal(direction, offer, wh) if meant else None
    return status, request, accepts


def proposal(direction: str, offer: dict[str, Any], wh: int) -> Any:
    amount = offer["limitWh"] - wh if direction == "charge" else wh - offer["limitWh"]
    return (direction, amount, offer.get("pointPerWh"), offer.get("pairUnitId")) if amount > 0 else None


def plain(intent: Intent) -> Any:
    def of(made: Any) -> Any:
        offer = made and made.offer
        return made and (str(offer.direction), made.amount_wh, offer.point_per_wh, offer.pair_unit_id)

    accepts = {str(direction): of(intent.accepts.get(direction)) for direction in Direction}
    return intent.status, of(intent.request), accepts


@settings(max_examples=100)
@given(scenarios(), st.sampled_from(["E001", "E002", "E003"]), st.sampled_from([None, "E000", "E009"]))
def test_a_compiled_scenario_decides_as_its_file_reads(
    document: dict[str, Any], asked_by: str, asks_for: str | None
) -> None:
    """At every bound and beside it, overlaps and gaps included, the first window and band in the file decide."""
    if not document:
        return
    compiled = compile_scenario(declared_scenario(Scenario.model_validate(document)))
    asker = Asker(asked_by, for_other=asks_for not in (None, "E000"))
    for time_s in (*TIMES[:-1], *(t - 1 for t in TIMES[1:])):
        for wh in range(MOST_WH + 2):
            intent = compiled.decide_intent(time_s, wh, asker)
            assert plain(intent) == expected(document, time_s, wh, asked_by, asks_for), (hour(time_s), wh)
            held = compiled.ruleset.match({"time_s": float(time_s), "remaining_wh": float(wh)})
            questions = [compiled.rule[name].question for name in held]
            assert len(set(questions)) == len(questions), "two rules of one question hold"


@settings(max_examples=60)
@given(scenarios())
def test_regions_cover_day_and_battery_once_and_say_what_is_decided(document: dict[str, Any]) -> None:
    """Every state lies in exactly one region, whose rules are those that hold there."""
    if not document:
        return
    compiled = compile_scenario(declared_scenario(Scenario.model_validate(document)), partners=False)
    parts = list(regions(compiled, MOST_WH))
    assert sum(part.states for part in parts) == DAY_S * (MOST_WH + 1)
    for time_s in TIMES[:-1]:
        for wh in range(MOST_WH + 1):
            at = [p for p in parts if time_s in p.seconds and p.energies.start <= wh < p.energies.end]
            assert len(at) == 1
            intent = compiled.decide_intent(time_s, wh)
            request = at[0].rules.get(Question.REQUEST)
            assert at[0].status == intent.status
            assert (request and request.name) == (intent.request and intent.request.rule)


DAY_AND_NIGHT = """{
  "22:00:00-06:00:00": {"batteryStatus": {"10-": "high", "-10": "low"},
    "request": {"high": {"discharge": {"limitWh": 10}}}},
  "06:00:00-22:00:00": {"batteryStatus": {"-": "any"}}
}"""


@pytest.mark.parametrize(
    ("time", "status"), [("21:59:59", "any"), ("22:00:00", "high"), ("00:00:00", "high"), ("05:59:59", "high")]
)
def test_a_window_goes_on_past_midnight(time: str, status: str) -> None:
    """A window that ends before it begins holds in the evening and in the morning."""
    compiled = compile_scenario(declared_scenario(Scenario.model_validate(json.loads(DAY_AND_NIGHT))))
    hours, minutes, secs = map(int, time.split(":"))
    assert compiled.decide_intent(hours * 3600 + minutes * 60 + secs, 20).status == status


@pytest.mark.parametrize(
    ("time_s", "wh", "missing"), [(0, None, "remaining_wh"), (12 * 3600, 5, "section"), (0, 25, "band"), (0, 5, None)]
)
def test_what_is_missing_is_said(time_s: int, wh: int | None, missing: str | None) -> None:
    """An unknown energy, a time without window and an energy without band give no offer and say why."""
    document = {"00:00:00-06:00:00": {"batteryStatus": {"-20": "low"}, "request": {"low": {"charge": {"limitWh": 20}}}}}
    intent = compile_scenario(declared_scenario(Scenario.model_validate(document))).decide_intent(time_s, wh)
    assert intent.missing == missing
    assert (intent.request is None) == (missing is not None)
