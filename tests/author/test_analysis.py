"""What the analysis finds in scenarios, with the smallest example, and that it finds nothing where nothing is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apis_rules.author.analysis import analyse
from apis_rules.decide.scenario import DAY_S
from apis_rules.documents.community import Site
from apis_rules.documents.diagnostics import Diagnostic, Findings
from apis_rules.documents.reading import Loaded, load_hw_config, load_policy, load_scenario
from apis_rules.resources import data_dir

DATA = Path(__file__).parent / "data"
CHARGE = {"charge": {"limitWh": 2400, "pointPerWh": 10}}
DISCHARGE = {"discharge": {"limitWh": 2400, "pointPerWh": 10}}


def section(
    bands: dict[str, str], request: dict[str, Any] | None = None, accept: dict[str, Any] | None = None
) -> dict[str, Any]:
    return {"batteryStatus": bands, "request": request or {}, "accept": accept or {}}


def read(folder: Path, windows: dict[str, Any], name: str = "scenario.json", strategy: str = "amount") -> Loaded[Any]:
    file = folder / name
    file.write_text(json.dumps({"acceptSelection": {"strategy": strategy}, **windows}, indent=1))
    return load_scenario(file)


def found(*scenarios: Loaded[Any], battery: bool = True, policy: Loaded[Any] | None = None) -> list[Diagnostic]:
    hw_config = load_hw_config(data_dir("rules") / "hwConfig.json") if battery else None
    findings = Findings()
    analyse([Site(None, hw_config, policy, scenario) for scenario in scenarios], findings)
    return list(findings.sorted())


WHOLE = {"2400-": "high", "-2400": "low"}
MISTAKES: dict[str, tuple[dict[str, Any], str, str]] = {
    "gap of windows": (
        {"06:00:00-22:00:00": section(WHOLE)},
        "AR310",
        "no window holds at 00:00:00, nor until 06:00:00",
    ),
    "gap of one second": (
        {"00:00:00-12:00:00": section(WHOLE), "12:00:01-24:00:00": section(WHOLE)},
        "AR310",
        "no window holds at 12:00:00, nor until 12:00:01",
    ),
    "windows overlap": (
        {"00:00:00-13:00:00": section(WHOLE), "12:00:00-24:00:00": section(WHOLE)},
        "AR311",
        "12:00:00-24:00:00 overlaps 00:00:00-13:00:00: at 12:00:00 both hold",
    ),
    "window past midnight overlaps": (
        {"05:00:00-23:00:00": section(WHOLE), "22:00:00-05:00:00": section(WHOLE)},
        "AR311",
        "22:00:00-05:00:00 overlaps 05:00:00-23:00:00: at 22:00:00 both hold",
    ),
    "window never in effect": (
        {"00:00:00-24:00:00": section(WHOLE), "12:00:00-13:00:00": section(WHOLE)},
        "AR314",
        "12:00:00-13:00:00 is never in effect: 00:00:00-24:00:00 stands before it",
    ),
    "gap of bands": (
        {"00:00:00-24:00:00": section({"2400-": "high", "-2399": "low"})},
        "AR312",
        "no band holds at 2399 Wh, 00:00:00",
    ),
    "gap at the top": (
        {"00:00:00-24:00:00": section({"-4800": "low"})},
        "AR312",
        "no band holds at 4800 Wh",
    ),
    "bands overlap": (
        {"00:00:00-24:00:00": section({"2400-": "high", "-2401": "low"})},
        "AR313",
        "the band low (-2401) overlaps high: at 2400 Wh, 00:00:00, both hold",
    ),
    "band never in effect": (
        {"00:00:00-24:00:00": section({"-": "any", "-2400": "low"})},
        "AR314",
        "the band low (-2400) is never in effect: at 0 Wh any stands before it",
    ),
    "band beyond the battery": (
        {"00:00:00-24:00:00": section({"4801-": "full", "-4801": "low"})},
        "AR314",
        "the band full (4801-) is never reached: the battery holds at most 4800 Wh",
    ),
    "charge that can never be positive": (
        {"00:00:00-24:00:00": section(WHOLE, request={"high": CHARGE})},
        "AR315",
        "the request to charge in high can never be made: from 2400 Wh none leads up to 2400 Wh",
    ),
    "discharge that can never be positive": (
        {"00:00:00-24:00:00": section(WHOLE, accept={"low": DISCHARGE})},
        "AR315",
        "the accept to discharge in low can never be made: from 0 Wh none leads down to 2400 Wh",
    ),
    "bound in the skipped hour": (
        {"02:30:00-24:00:00": section(WHOLE), "00:00:00-02:30:00": section(WHOLE)},
        "AR316",
        "the window 02:30:00-24:00:00 has a bound at 02:30:00, in the hour that summer time skips",
    ),
    "the skipped hour itself": (
        {
            "02:00:00-03:00:00": section(WHOLE),
            "03:00:00-02:00:00": section(WHOLE),
        },
        "AR316",
        "the window 02:00:00-03:00:00 is skipped when summer time begins",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_found_with_its_smallest_example(mistake: str, tmp_path: Path) -> None:
    """Each mistake in a scenario alone gives its code and names the smallest Wh and time that show it."""
    windows, code, message = MISTAKES[mistake]
    findings = found(read(tmp_path, windows))
    assert [d.code for d in findings if message in d.message] == [code], findings
    assert all(d.location.line > 1 for d in findings)
    assert {d.code for d in findings} == {code}, findings


@pytest.mark.parametrize("name", ["shipped", "specification-6-3", "two-windows"])
def test_scenarios_in_use_have_no_gap_or_overlap(name: str) -> None:
    """The scenarios of the existing system are complete; alone nothing about partners is said."""
    codes = {d.code for d in found(load_scenario(DATA / f"{name}.scenario.json"))}
    assert codes <= {"AR315"}, codes


starts = st.integers(0, DAY_S // 1800 - 1).map(lambda half_hours: half_hours * 1800)


@given(st.lists(st.tuples(starts, starts), min_size=1, max_size=4, unique=True))
def test_gaps_and_overlaps_are_those_of_counting(tmp_path_factory: pytest.TempPathFactory, spans: list[Any]) -> None:
    """A gap of windows is reported exactly when some half hour has none, an overlap when some has two."""
    spans = [(start, end) for start, end in spans if start != end]
    clock = "{:02}:{:02}:00"
    windows = {"-".join(clock.format(t // 3600, t // 60 % 60) for t in span): section({"-": "any"}) for span in spans}
    if not windows:
        return
    counts = [sum((a <= t < b) if a < b else (t >= a or t < b) for a, b in spans) for t in range(0, DAY_S, 1800)]
    codes = {d.code for d in found(read(tmp_path_factory.mktemp("scenario"), windows))}
    assert ("AR310" in codes) == (0 in counts)
    assert bool(codes & {"AR311", "AR314"}) == any(count > 1 for count in counts)


def test_a_request_that_nobody_accepts_is_found_across_files(tmp_path: Path) -> None:
    """Two units that both only accept by charging cannot meet a request to charge."""
    asks = {"00:00:00-24:00:00": section(WHOLE, request={"low": CHARGE}, accept={"low": CHARGE})}
    one, two = read(tmp_path, asks, "one.json"), read(tmp_path, asks, "two.json")
    findings = found(one, two)
    assert [d.code for d in findings] == ["AR317", "AR317"]
    assert "at 00:00:00, 0 Wh no accept to discharge fits it" in findings[0].message
    assert found(one) == []


def test_a_request_is_met_only_at_the_same_time_of_day(tmp_path: Path) -> None:
    """An accept in another window does not meet a request; one that overlaps by a second does."""
    day = section(WHOLE, request={"low": CHARGE})
    night = section(WHOLE, accept={"high": DISCHARGE})
    asks = read(tmp_path, {"06:00:00-18:00:00": day, "18:00:00-06:00:00": section(WHOLE)}, "asks.json")
    late = read(tmp_path, {"18:00:00-06:00:00": night, "06:00:00-18:00:00": section(WHOLE)}, "late.json")
    early = read(tmp_path, {"17:59:59-06:00:00": night, "06:00:00-17:59:59": section(WHOLE)}, "early.json")
    assert [d.code for d in found(asks, late)] == ["AR317"]
    assert found(asks, early) == []


@pytest.mark.parametrize(
    ("own", "others", "strategy", "code"),
    [(10, 10, "pointAndAmount", None), (9, 10, "pointAndAmount", "AR318"), (9, 10, "amount", None)],
)
def test_a_price_that_excludes_every_partner_is_found(
    own: float, others: float, strategy: str, code: str | None, tmp_path: Path
) -> None:
    """A buyer below every seller's price finds nobody, where prices are compared."""
    wants = {"charge": {"limitWh": 2400, "pointPerWh": own}}
    gives = {"discharge": {"limitWh": 2400, "pointPerWh": others}}
    asks = read(tmp_path, {"00:00:00-24:00:00": section(WHOLE, request={"low": wants})}, "asks.json", strategy)
    has = read(tmp_path, {"00:00:00-24:00:00": section(WHOLE, accept={"high": gives})}, "has.json")
    findings = found(asks, has)
    assert [d.code for d in findings] == ([code] if code else [])
    if code:
        assert "the best is 10" in findings[0].message


def test_an_offer_that_is_never_large_enough_is_found(tmp_path: Path) -> None:
    """A band so narrow that no amount in it reaches the policy's minimum is told with the largest amount."""
    policy = load_policy(DATA / "policy.json")
    least = policy.model.mediator.deal.amount_min_wh
    for width, code in ((least, "AR319"), (least + 1, None)):
        bands = {f"{2400 + width}-": "high", f"2400-{2400 + width}": "some", "-2400": "low"}
        windows = {"00:00:00-24:00:00": section(bands, request={"some": DISCHARGE})}
        findings = found(read(tmp_path, windows), policy=policy)
        assert [d.code for d in findings] == ([code] if code else [])
        if code:
            assert f"at most {least - 1} Wh" in findings[0].message


def test_a_battery_of_unknown_size_gives_as_much_as_is_wanted(tmp_path: Path) -> None:
    """Without the hardware the uppermost band has no end: what discharges in it is large enough, what charges not."""
    policy = load_policy(DATA / "policy.json")
    bands = {"2400-": "high", "-2400": "low"}
    for direction, limit_wh, codes in (("discharge", 2400, []), ("charge", 2401, ["AR319"])):
        windows = {"00:00:00-24:00:00": section(bands, request={"high": {direction: {"limitWh": limit_wh}}})}
        assert [d.code for d in found(read(tmp_path, windows), policy=policy)] == codes
