"""``apis-rules simulate``: what it prints, writes and draws; that a run can be had once more."""

from __future__ import annotations

import csv
import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from apis_rules.author.workset import write_workset
from apis_rules.cli import main

HALF_AN_HOUR = ["--days", "0.02", "--accelerate", "60", "--seed", "3"]
pytestmark = pytest.mark.timeout(300)
TABLES = ("deals.csv", "units.csv", "grid.csv", "errors.csv", "violations.csv")


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as opened:
        return list(csv.DictReader(opened))


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a short run in which something goes wrong."""
    folder = tmp_path_factory.mktemp("simulated")
    script = folder / "script.yaml"
    script.write_text(
        "faults:\n"
        "  - {kind: kill, unit: E002, afterS: 600, forS: 300}\n"
        "  - {kind: over_temperature, unit: E003, value: 74, afterS: 900, forS: 600}\n"
        "random:\n"
        "  - {kind: cut, everyS: 600, forS: [30, 200], units: [E001, E004]}\n"
    )
    assert main(["simulate", *HALF_AN_HOUR, "--faults", str(script), "--out", str(folder / "out")]) == 0
    return folder / "out"


def test_what_a_simulation_leaves(day: Path) -> None:
    """Rows of every unit and moment, the deals and errors with their own keys, the faults that began, two pictures."""
    units, grid = rows(day / "units.csv"), rows(day / "grid.csv")
    moments = [row["time"] for row in grid]
    assert moments[0] == "2020/01/01-08:00:00"
    assert moments[-1] == "2020/01/01-08:28:48"
    assert [(row["time"], row["unitId"]) for row in units] == [
        (moment, unit_id) for moment in moments for unit_id in ("E001", "E002", "E003", "E004")
    ]
    deals = rows(day / "deals.csv")
    assert {"dealId", "chargeUnitId", "dischargeUnitId", "cumulateAmountWh", "abortReason"} <= deals[0].keys()
    assert any(row["unitId"] == "E003" and row["rule"] == "L10" for row in rows(day / "errors.csv"))
    assert not rows(day / "violations.csv")
    faults = json.loads((day / "faults.json").read_text())["faults"]
    assert {fault["kind"] for fault in faults} == {"kill", "over_temperature", "cut"}
    assert [fault["afterS"] for fault in faults] == sorted(fault["afterS"] for fault in faults)
    for picture in ("days.png", "sharing.png"):
        assert (day / picture).read_bytes().startswith(b"\x89PNG")


def test_a_run_can_be_had_once_more(day: Path, tmp_path: Path) -> None:
    """Another process with the same seed and the faults that began writes the same files, to the last digit."""
    again = [sys.executable, "-m", "apis_rules", "simulate", *HALF_AN_HOUR]
    again += ["--faults", str(day / "faults.json"), "--out", str(tmp_path)]
    subprocess.run(again, env={**os.environ, "PYTHONHASHSEED": "42"}, check=True, capture_output=True, timeout=300)
    for name in (*TABLES, "faults.json"):
        assert (tmp_path / name).read_bytes() == (day / name).read_bytes(), name


def test_a_run_can_be_stopped_at_a_moment(day: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Up to that moment it is the same run; how everything stands there is told."""
    arguments = ["--accelerate", "60", "--seed", "3", "--faults", str(day / "faults.json"), "--until", "00:12:00"]
    assert main(["simulate", *arguments, "--out", str(tmp_path)]) == 0
    first = [row for row in rows(day / "units.csv") if row["time"] <= "2020/01/01-08:10:00"]
    assert rows(tmp_path / "units.csv")[: len(first)] == first
    told = capsys.readouterr().out
    assert "2020/01/01-08:12:00, second 12.00 of the nodes" in told
    assert "E002 dead" in told


def test_a_folder_of_nodes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its nodes keep their ids; with another number of units they go by its files in turn, and are the members."""
    write_workset(tmp_path)
    brief = ["--days", "0.002", "--accelerate", "60", "--format", "json"]
    for wanted, expected in (([], 4), (["--units", "6"], 6)):
        assert main(["simulate", str(tmp_path), *brief, *wanted]) == 0
        units = [row["unit"] for row in json.loads(capsys.readouterr().out)["rows"]]
        assert units == [*(f"E00{n}" for n in range(1, expected + 1)), "all"]


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("faults:\n  - {kind: kill, unit: E009, afterS: 60}\n", "AR751"),
        ("faults:\n  - {kind: killed, unit: E001}\n", "AR750"),
        ("random:\n  - {kind: freeze, everyS: 60}\n", "AR750"),
        ("random:\n  - {kind: cut, everyS: 60, forS: [600, 30]}\n", "AR750"),
    ],
)
def test_a_script_that_is_wrong(script: str, code: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is wrong is said with its place, exit 2; nothing is simulated."""
    file = tmp_path / "script.yaml"
    file.write_text(script)
    assert main(["simulate", "--faults", str(file)]) == 2
    assert f"{file}:2:" in (told := capsys.readouterr().err)
    assert code in told


def test_where_nothing_can_be_written_nothing_is_simulated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder that cannot be made is one sentence, exit 2, before anything is computed."""
    (tmp_path / "file").write_text("")
    assert main(["simulate", "--days", "300", "--out", str(tmp_path / "file")]) == 2
    assert f"{tmp_path / 'file'}: AR104 error: cannot be written to" in capsys.readouterr().err


def test_a_policy_that_does_not_fit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Another number of units than the policy's branches name is refused in one sentence."""
    write_workset(tmp_path)
    policy = json.loads((tmp_path / "policy.json").read_text())
    policy["gridMaster"]["gridMasterSelection"] = {"strategy": "fixed", "fixedUnitId": "E004"}
    (tmp_path / "policy.json").write_text(json.dumps(policy))
    assert main(["simulate", str(tmp_path), "--units", "2"]) == 2
    assert "AR752" in capsys.readouterr().err


def test_logging_is_left_as_it_was(tmp_path: Path) -> None:
    """A program that simulates has its own log lines again afterwards."""
    log = logging.getLogger("apis_rules")
    before = log.level
    log.setLevel(logging.INFO)
    try:
        assert main(["simulate", "--days", "0.001", "--accelerate", "60", "--out", str(tmp_path)]) == 0
        assert log.level == logging.INFO
    finally:
        log.setLevel(before)
