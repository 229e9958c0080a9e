"""The verbs ``dry-run`` and ``explain`` as they are called: formats, gates, the sweep, and what they refuse."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from apis_rules.author import rows
from apis_rules.cli import main
from apis_rules.documents.reading import load_policy
from apis_rules.resources import data_dir

DATA = Path(__file__).parent / "data"
ASKED = '{"type": "charge", "amountWh": 100, "unitId": "E2"}'
ENGINES = ["durable", "pure", "vector"]
SHIPPED = str(DATA / "shipped.scenario.json")
TWO_WINDOWS = str(DATA / "two-windows.scenario.json")
POLICY = str(DATA / "policy.json")
DAY = str(data_dir("rules") / "samples" / "day.csv")


def output(capfd: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    assert main(list(arguments)) == code, capfd.readouterr().err
    return capfd.readouterr().out


def jsonl(capfd: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output(capfd, *arguments, "--format", "jsonl").splitlines()]


@pytest.mark.parametrize("extra", [[], ["--policy", POLICY], ["--assume", "mode=stop"]])
def test_engines_and_formats_say_the_same(capfd: pytest.CaptureFixture[str], extra: list[str]) -> None:
    """Over a whole day every engine gives the same objects, and CSV and JSON hold what JSON lines hold."""
    arguments = ["dry-run", "--scenario", TWO_WINDOWS, "--states", DAY, *extra]
    expected = jsonl(capfd, *arguments, "--engine", "pure")
    assert len(expected) == 96
    for engine in ("durable", "vector"):
        assert jsonl(capfd, *arguments, "--engine", engine) == expected
    assert json.loads(output(capfd, *arguments, "--format", "json")) == expected
    table = list(csv.DictReader(io.StringIO(output(capfd, *arguments, "--format", "csv"))))
    assert len(table) == len(expected)
    for row, document in zip(table, expected, strict=True):
        assert row["time"] == document["time"]
        for name, proposal in (
            ("request", document["request"]),
            ("accept_charge", document["accept"]["charge"]),
            ("accept_discharge", document["accept"]["discharge"]),
        ):
            for field, key in (("amount_wh", "amountWh"), ("rule", "rule"), ("pair_unit_id", "pairUnitId")):
                assert row[f"{name}_{field}"] == str((proposal or {}).get(key) or "")
            if extra:
                assert row[f"{name}_offered"] == str((proposal or {}).get("offered", "")).lower()
                assert row[f"{name}_declined"] == ((proposal or {}).get("declined") or "")


def test_csv_is_the_same_without_polars(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """An installation without the extra writes the same bytes."""
    pytest.importorskip("polars")
    arguments = ["dry-run", "--scenario", TWO_WINDOWS, "--policy", POLICY, "--states", DAY, "--format", "csv"]
    quick = output(capfd, *arguments)
    monkeypatch.setattr(rows, "fast", lambda: False)
    assert output(capfd, *arguments) == quick


def test_the_sweep_visits_every_percent_of_every_window_and_every_bound(capfd: pytest.CaptureFixture[str]) -> None:
    """Without states each window has 0 to 100 % and the least energy of each band and limit."""
    found = jsonl(capfd, "dry-run", "--scenario", TWO_WINDOWS)
    for time in ("00:00:00", "20:14:00"):
        energies = [row["remaining_wh"] for row in found if row["time"] == time]
        assert energies == sorted(set(energies))
        assert {n * 48 for n in range(101)} <= set(energies)
    assert {860, 2090, 2980} <= {row["remaining_wh"] for row in found if row["time"] == "00:00:00"}
    at = jsonl(capfd, "dry-run", "--scenario", TWO_WINDOWS, "--at", "21:00:00")
    assert {row["time"] for row in at} == {"21:00:00"}
    assert {row["status"] for row in at} == {"band0", "band1", "band2", "band3"}


def test_a_gap_has_no_status_and_no_offer(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Where no window holds, status and request are null."""
    scenario = tmp_path / "scenario.json"
    scenario.write_text(
        '{"06:00:00-07:00:00": {"batteryStatus": {"-": "any"}, "request": {"any": {"charge": {"limitWh": 9}}}}}'
    )
    found = jsonl(capfd, "dry-run", "--scenario", str(scenario))
    night = [row for row in found if row["time"] == "00:00:00"]
    assert len(night) == 101
    assert all(row["status"] is None and row["request"] is None for row in night)


def test_battery_sizes_come_from_the_hardware(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Percent are of the battery that --hw-config names; without it the assumed size is said."""
    hw_config = tmp_path / "hwConfig.json"
    bundled = (data_dir("rules") / "hwConfig.json").read_text()
    hw_config.write_text(bundled.replace('"batteryNominalCapacityWh": 4800', '"batteryNominalCapacityWh": 10000'))
    states = tmp_path / "states.csv"
    states.write_text("rsoc\n50\n")
    (row,) = jsonl(capfd, "dry-run", "--scenario", SHIPPED, "--states", str(states), "--hw-config", str(hw_config))
    assert row["remaining_wh"] == 5000
    assert main(["dry-run", "--scenario", SHIPPED, "--states", str(states)]) == 0
    assert "bundled 4800 Wh" in capfd.readouterr().err


def test_policy_adds_offers_and_deals(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """With a policy (minimum 50, maximum 500, unit 20) a proposal says whether it is offered and what deal it makes."""
    states = tmp_path / "states.csv"
    energies = {0: 500, 2813: 60, 2820: 60, 2830: None, 2831: None}
    states.write_text("remaining_wh\n" + "".join(f"{wh}\n" for wh in energies))
    found = jsonl(capfd, "dry-run", "--scenario", SHIPPED, "--states", str(states), "--policy", POLICY)
    assert [row["request"]["dealAmountWh"] for row in found] == list(energies.values())
    assert [row["request"]["offered"] for row in found] == [True, True, True, True, False]
    assert found[-1]["request"]["declined"] == "too-small"


def test_accepts_answer_a_request(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """--request asks for one direction only, cuts the deal to its amount, and may be meant for another unit."""
    states = tmp_path / "states.csv"
    states.write_text("remaining_wh,time\n4000,00:00:00\n")

    def asked(request: dict[str, Any]) -> Any:
        arguments = ["--scenario", TWO_WINDOWS, "--states", str(states), "--policy", POLICY, "--unit", "E001"]
        (row,) = jsonl(capfd, "dry-run", *arguments, "--request", json.dumps({"unitId": "E002", **request}))
        return row["accept"]

    accept = asked({"type": "charge", "amountWh": 190})
    assert accept["charge"] is None
    assert accept["discharge"]["amountWh"] == 4000 - 1370
    assert accept["discharge"]["dealAmountWh"] == 180
    assert asked({"type": "discharge", "amountWh": 190})["discharge"] is None
    assert asked({"type": "charge", "amountWh": 190, "pairUnitId": "E003"})["discharge"] is None
    assert asked({"type": "charge", "amountWh": 190, "pairUnitId": "E001"})["discharge"] is not None
    stranger = asked({"type": "charge", "amountWh": 190, "unitId": "E009"})["discharge"]
    assert (stranger["offered"], stranger["declined"], stranger["dealAmountWh"]) == (False, "not-member", None)


def test_partners_are_reported_where_nobody_asks(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """An accept that is for one partner is shown with it; asked by another it is none."""
    states = tmp_path / "states.csv"
    states.write_text("remaining_wh\n2500\n")
    arguments = ["dry-run", "--scenario", str(DATA / "specification-6-3.scenario.json"), "--states", str(states)]
    assert jsonl(capfd, *arguments)[0]["accept"]["discharge"]["pairUnitId"] == "E002"
    assert jsonl(capfd, *arguments, "--asked-by", "E002")[0]["accept"]["discharge"] is not None
    assert jsonl(capfd, *arguments, "--asked-by", "E003")[0]["accept"]["discharge"] is None


def test_the_first_closed_gate_is_the_reason(capfd: pytest.CaptureFixture[str]) -> None:
    """Of several gates that are closed the best one, by priority and order of the file, is told."""
    arguments = ["dry-run", "--scenario", SHIPPED, "--assume", "mode=stop", "--assume", "local_errors=true"]
    found = jsonl(capfd, *arguments, "--at", "12:00:00")
    assert {row["request"]["declined"] for row in found if row["request"]} == {"not-autonomous"}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("ending", ["yaml", "yml"])
def test_own_rule_files_close_gates(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, engine: str, ending: str
) -> None:
    """A request.yaml of one's own replaces the bundled one; its gate sees the state of the battery."""
    (tmp_path / f"request.{ending}").write_text(
        "question: request\n"
        "facts: {soc_percent: $.unit.battery.rsoc, direction: {path: $.request.type, kind: text}}\n"
        "rules:\n"
        "  - id: keep-a-reserve\n"
        "    when: soc_percent > 95 and direction == 'discharge'\n"
        "    unless: soc_percent > 99\n"
        "    outcome: {decline: not-ready}\n"
        "    message: the battery is at {soc_percent}\n"
    )
    states = tmp_path / "states.csv"
    states.write_text("rsoc\n94\n96\n99.5\n10\n")
    arguments = ["--scenario", SHIPPED, "--states", str(states), "--rules", str(tmp_path), "--engine", engine]
    found = jsonl(capfd, "dry-run", *arguments)
    assert [row["request"]["declined"] for row in found] == [None, "keep-a-reserve", None, None]
    assert all(row["accept"][d] is None or row["accept"][d]["offered"] for row in found for d in row["accept"])


def test_tables_are_for_people(capfd: pytest.CaptureFixture[str]) -> None:
    """The sweep shows one line per span of energy; states are counted by rule."""
    sweep = output(capfd, "dry-run", "--scenario", SHIPPED)
    assert "0-2880" in sweep
    assert "charge up to 2880 Wh at 10" in sweep
    day = output(capfd, "dry-run", "--scenario", SHIPPED, "--states", DAY)
    assert "96 states" in day
    assert "00:00:00-24:00:00.request.short.charge" in day


def test_explanations_name_the_margin(capfd: pytest.CaptureFixture[str]) -> None:
    """What holds is shown with what is to spare, what does not with the one comparison and by how much it fails."""
    text = output(capfd, "explain", "--scenario", SHIPPED, "--remaining-wh", "2880", "--at", "12:00:00")
    assert "2880 Wh is at least 2880 Wh, 0 Wh to spare" in text
    assert "2880 Wh is 1 Wh too much to be below 2880 Wh" in text
    assert "2880 Wh is 1440 Wh too little to be at least 4320 Wh" in text
    assert f"{SHIPPED}:24:" in text
    states = jsonl(capfd, "dry-run", "--scenario", SHIPPED, "--states", DAY, "--explain")
    assert "too little to be at least 4320 Wh" in states[0]["why"]["request"] or states[0]["request"] is not None


def test_margins_are_what_it_takes(capfd: pytest.CaptureFixture[str]) -> None:
    """Moving the energy by the margin that is said makes the rule hold; by one Wh less it does not."""
    arguments = ["explain", "--scenario", SHIPPED, "--format", "jsonl", "--remaining-wh"]
    rows = [json.loads(line) for line in output(capfd, *arguments, "3000").splitlines()]
    failing = [row for row in rows if not row["holds"] and row["unit"] == "Wh"]
    assert len(failing) >= 5
    for row in failing:
        up = ">" in row["comparison"]
        for step, holds in ((row["margin"], True), (row["margin"] + 1, False)):
            energy = 3000 - step if up else 3000 + step
            again = [json.loads(line) for line in output(capfd, *arguments, str(energy)).splitlines()]
            same = [r for r in again if (r["rule"], r["comparison"]) == (row["rule"], row["comparison"])]
            assert all(r["holds"] for r in same) == holds, (row, energy)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--scenario", "nowhere.json"], "nowhere.json: AR102 error: there is no such file"),
        (["--scenario", "@folder"], "AR103 error: is a folder"),
        (["--scenario", "@binary"], "AR106 error: holds binary data"),
        (["--scenario", "@empty"], "AR105 error: is empty"),
        (["--scenario", "@large"], "AR107 error: is larger than 5 MB"),
        (["--scenario", "@truncated"], "AR109"),
        (["--states", "nowhere.csv"], "nowhere.csv: AR102 error: there is no such file"),
        (["--states", "@folder"], "AR103 error: is a folder"),
        (["--states", "@binary"], "AR300"),
        (["--states", "@empty"], "AR301"),
        (["--states", "@columns"], ":1:1: AR302 error: a column remaining_wh or rsoc is needed"),
        (["--states", "@negative"], ":2:1: AR305 error: '-5' is no value of remaining_wh"),
        (["--states", "@late"], ":2:1: AR304 error: '25:00' is no time of day"),
        (["--at", "25:00"], "<argument --at>: AR101 error: '25:00' is no time of day"),
        (["--policy", SHIPPED], "AR20"),
        (["--rules", "nowhere"], "<argument --rules>: AR101 error"),
        (["--rules", "@folder"], "folder holds no rule file"),
        (["--assume", "mode"], "<argument --assume>: AR101 error"),
        (["--assume", "mood=stop"], "did you mean mode?"),
        (["--assume", "mode=stopp"], "'stopp' is no mode\n    did you mean stop?"),
        (["--assume", "mode=foo"], "'foo' is no mode\n    autonomous, heteronomous, stop, manual"),
        (["--assume", "deals=many"], "'many' is no number"),
        (["--request", "{'type': 'charge'}"], "<argument --request>: AR101 error: this is not JSON"),
        (["--request", '{"type": "charge"'], "<argument --request>: AR101 error: this is not JSON"),
        (["--request", '{"type": "borrow", "unitId": "E2"}'], "<argument --request>: AR101 error: type"),
        (["--request", '{"type": "charge", "amountWh": -1, "unitId": "E2"}'], "AR101 error: amountWh"),
        (["--request", '{"type": "charge"}'], "it does not say who sends it"),
        (["--request", '{"type": "charge", "unitId": "E2", "pairUnitId": "E3"}'], "--unit has to say who decides"),
        (["--request", ASKED, "--asked-by", "E3"], "<argument --asked-by>: AR101 error: the request comes from E2"),
        (["--request", ASKED, "--unit", "E2"], "E2 does not answer its own request"),
        (["--unit", "E2", "--asked-by", "E2"], "E2 does not ask itself"),
        (["--plot", "picture.pdf"], "ends in .png or .svg"),
        (["--plot", "nowhere/picture.png"], "cannot be written"),
        (["--explain", "--format", "csv"], "csv has no place for explanations"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_2(
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    sentence: str,
) -> None:
    """Whatever is wrong with an argument or a file is said in a sentence with its place, without a traceback."""
    monkeypatch.chdir(tmp_path)
    files = {
        "binary": b"\x00\x01\x02",
        "empty": b"",
        "large": b" " * 5_000_001,
        "truncated": b'{"00:00:00-24:00:00": {"batteryStatus": {',
        "columns": b"wh,when\n5,12:00\n",
        "negative": b"remaining_wh\n-5\n",
        "late": b"remaining_wh,time\n5,25:00\n",
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "folder").mkdir()
    given = [str(tmp_path / a[1:]) if a.startswith("@") else a for a in arguments]
    if "--scenario" not in given:
        given += ["--scenario", SHIPPED]
    assert main(["dry-run", *given]) == 2
    said = capfd.readouterr()
    assert sentence in said.err
    assert "Traceback" not in said.err
    assert said.out == ""


@pytest.mark.parametrize("verb", [["dry-run"], ["explain", "--remaining-wh", "4000"]])
def test_a_stranger_to_the_policy_is_told(capfd: pytest.CaptureFixture[str], verb: list[str]) -> None:
    """A unit that the policy does not name is decided for, and said to be no member; a member is not."""
    policy = load_policy(DATA / "policy.json").model
    for unit, strange in (("X9", True), (policy.member_unit_ids[0], False)):
        assert main([*verb, "--policy", str(DATA / "policy.json"), "--unit", unit]) == 0
        assert (f"{unit} is no member: the policy names" in capfd.readouterr().err) is strange


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--remaining-wh", "-5"], "'-5' is no energy in a battery"),
        (["--remaining-wh", "much"], "'much' is no energy"),
        (["--remaining-wh", "nan"], "'nan' is no energy"),
        (["--remaining-wh", "5", "--at", "24:00"], "'24:00' is no time of day"),
    ],
)
def test_explain_refuses_what_no_battery_holds(
    capfd: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    """A negative energy or a time that no clock shows is one sentence and exit 2."""
    assert main(["explain", "--scenario", SHIPPED, *arguments]) == 2
    assert sentence in capfd.readouterr().err


def test_strict_counts_warnings(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A gap between bands is told beside the result; with --strict the exit is 1."""
    scenario = tmp_path / "scenario.json"
    scenario.write_text('{"00:00:00-24:00:00": {"batteryStatus": {"2000-": "high", "-1000": "low"}}}')
    assert main(["dry-run", "--scenario", str(scenario)]) == 0
    assert "AR312 warning" in capfd.readouterr().err
    assert main(["dry-run", "--scenario", str(scenario), "--strict"]) == 1
