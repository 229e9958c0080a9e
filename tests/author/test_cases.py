"""Cases beside the rules: what passes, what fails and how it is said, coverage, JUnit, and pytest's collection."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from apis_rules.author.case_files import load_cases
from apis_rules.cli import main
from apis_rules.resources import data_dir

ROOT = Path(__file__).resolve().parents[2]
LOCAL_ROWS = [f"L{n:02}" for n in (*range(1, 17), *range(20, 30))]
GLOBAL_ROWS = [f"G{n:02}" for n in range(1, 11)]
SCENARIO = """{"00:00:00-24:00:00": {"batteryStatus": {"1000-": "high", "-1000": "low"},
  "request": {"high": {"discharge": {"limitWh": 1500, "pointPerWh": 10}}},
  "accept": {"low": {"charge": {"limitWh": 1000}}}}}
"""
CASES = """scenario: ../scenario.json
cases:
  - name: high
    remaining_wh: 2000
    expect: {status: high, request: {type: discharge, amountWh: 500}, accept: {charge: null}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "cases").mkdir()
    (tmp_path / "scenario.json").write_text(SCENARIO)
    (tmp_path / "cases" / "one.yaml").write_text(CASES)
    return tmp_path


def add(folder: Path, text: str) -> None:
    file = folder / "cases" / "one.yaml"
    file.write_text(CASES + text)


@pytest.mark.parametrize("engine", ["durable", "pure", "vector"])
def test_the_bundled_cases_hold_with_every_engine(engine: str, capfd: pytest.CaptureFixture[str]) -> None:
    """What is shipped decides as its cases say, and they touch every band and cell, every rule and every error."""
    assert main(["test", str(data_dir("rules")), "--engine", engine]) == 0
    said = capfd.readouterr().out
    assert ", 0 failed" in said
    assert "bands: 4 of 4" in said
    assert "cells: 6 of 6" in said
    assert "no case touches" not in said


def test_every_row_of_the_safety_tables_has_a_case() -> None:
    """L01-L16, L20-L29 and G01-G10 each have a case, or the head of their file says why they cannot occur."""
    cases = data_dir("rules") / "cases"
    for file, rows in (("local-safety", LOCAL_ROWS), ("global-safety", GLOBAL_ROWS)):
        text = (cases / f"{file}.yaml").read_text()
        names = " ".join(case.name for case in load_cases(cases / f"{file}.yaml").model.cases)
        assert [row for row in rows if row not in names and f"# {row} (" not in text] == []


SAFETY = """policy: policy.json
unit: E001
given: {unit: {dcdc: {status: {status: "0x0041"}, meter: {ig: 2.2}, param: {dig: 2.0}}}}
cases:
  - {name: wrong, question: local-safety, after_s: 5, given: {CHANGE}, expect: {EXPECT}}
"""


@pytest.mark.parametrize(
    ("change", "expect", "sentence"),
    [
        ("unit: {}", "error: 'HARDWARE:LOCAL:WARN'", "error is HARDWARE:LOCAL:ERROR, not HARDWARE:LOCAL:WARN"),
        ("unit: {}", "do: log", "do is stop-deals, stop-local, not log"),
        ("unit: {}", "message: hot", "message is the driver does not report tmp, vg, vb, ib, not hot"),
        ("node: {mode: manual}", "rules: [L26]", "rules is L15, not L26"),
    ],
)
def test_what_follows_from_a_case_is_compared(
    change: str, expect: str, sentence: str, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The error, its sentence and what is done about it are looked at; what the file gives is under each case."""
    file = folder / "cases" / "one.yaml"
    text = SAFETY.replace("CHANGE", change).replace("EXPECT", expect)
    file.write_text(text.replace("policy: policy.json\n", f"policy: {data_dir('rules') / 'policy.json'}\n"))
    assert main(["test", str(file)]) == 1
    assert sentence in capfd.readouterr().out


@pytest.mark.parametrize(
    ("case", "sentence"),
    [
        ("raised: disk, expect: {error: 'HARDWARE:LOCAL:WARN'}", "error is FRAMEWORK:LOCAL:FATAL, not"),
        ("without: {file: hw_config, key: droopRatio}, expect: {codes: []}", "codes is AR201, not none"),
        ("raised: dust, expect: {do: log}", "nothing raises 'dust'"),
        ("without: {file: policy, key: dust}, expect: {codes: []}", "there is no dust that could be taken out"),
    ],
)
def test_errors_by_name_and_files_without_a_key_are_cases(
    case: str, sentence: str, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """An error of the catalogue and a file that lacks a key come out as expected, or the difference is told."""
    file = folder / "cases" / "one.yaml"
    file.write_text(f"unit: E001\ncases:\n  - {{name: one, {case}}}\n")
    assert main(["test", str(file)]) in (1, 2)
    said = capfd.readouterr()
    assert sentence in said.out + said.err


@pytest.mark.parametrize(
    ("expect", "sentence"),
    [
        ("{status: low}", "status is high, not low"),
        ("{request: {amountWh: 501}}", "request.amountWh is 500, not 501"),
        ("{request: {pointPerWh: 9.5}}", "request.pointPerWh is 10, not 9.5"),
        ("{request: null}", "request is type discharge, amountWh 500, pointPerWh 10, not none"),
        ("{accept: {charge: {amountWh: 1}}}", "accept.charge is none"),
        ("{accept: {discharge: null}, status: high}", ""),
    ],
)
def test_a_difference_is_said_with_both_values(
    folder: Path, expect: str, sentence: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """A case that comes out otherwise names the value, what it is and what was expected, at its line."""
    add(folder, f"  - name: second\n    remaining_wh: 2000\n    expect: {expect}\n")
    assert main(["test", str(folder)]) == (1 if sentence else 0)
    said = capfd.readouterr().out
    assert f"one.yaml:6:5: second: {sentence}\n" in said if sentence else "2 cases passed" in said


def test_coverage_names_what_no_case_touches(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Untouched bands and cells are listed; --strict makes them a failure."""
    assert main(["test", str(folder)]) == 0
    said = capfd.readouterr().out
    assert "bands: 1 of 2" in said
    assert "no case touches ../scenario.json: 00:00:00-24:00:00.batteryStatus.low" in said
    assert "no case touches ../scenario.json: 00:00:00-24:00:00.accept.low.charge" in said
    assert main(["test", str(folder), "--strict"]) == 1
    capfd.readouterr()
    add(folder, "  - {name: low, remaining_wh: 10, expect: {accept: {charge: {amountWh: 990}}}}\n")
    assert main(["test", str(folder), "--strict"]) == 0


def test_own_rules_beside_the_cases_are_used(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A rule file beside cases/ replaces the bundled one, and its rules are counted."""
    (folder / "local-safety.yaml").write_text(
        "question: local-safety\n"
        "facts: {current_a: $.unit.dcdc.meter.ig}\n"
        "rules:\n"
        "  - {id: mine, when: current_a > 2, outcome: &error {error: 'HARDWARE:LOCAL:ERROR'}, message: much}\n"
        "  - {id: other, when: current_a > 9, outcome: *error, message: more}\n"
    )
    case = "  - {name: %s, question: local-safety, given: {unit: {dcdc: {meter: {ig: %s}}}}, expect: {rules: [%s]}}\n"
    add(folder, case % ("three", 3, "mine") + case % ("two", 2, "") + case % ("ten", 10, "other, mine"))
    assert main(["test", str(folder)]) == 0, capfd.readouterr().out
    assert "no case touches local-safety" not in capfd.readouterr().out


def test_results_for_programs(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """JSON lines have a row per case; JUnit has the failure with its sentence, also where XML has no letter for it."""
    add(folder, '  - {name: "bad \\x01", remaining_wh: 2000, expect: {status: "l\\x02w"}}\n')
    report = folder / "report.xml"
    assert main(["test", str(folder), "--format", "jsonl", "--junit", str(report)]) == 1
    rows = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert [(row["name"], row["passed"]) for row in rows] == [("high", True), ("bad \x01", False)]
    tree = ET.parse(report)  # noqa: S314 - written by ourselves just now
    suite = tree.getroot().find("testsuite")
    assert suite is not None
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    failure = suite.find("testcase/failure")
    assert failure is not None
    assert failure.get("message") == "status is high, not l?w"
    assert main(["test", str(folder), "--junit", str(folder)]) == 2


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("  - {name: high, remaining_wh: 1, expect: {status: low}}\n", "AR307", "two cases are called 'high'"),
        ("  - {name: a, remaining_wh: 1, expect: {}}\n", "AR306", "expects nothing"),
        ("  - {name: a, expect: {status: low}}\n", "AR306", "asks nothing"),
        ("  - {name: a, raised: diks, expect: {do: log}}\n", "AR306", "nothing raises 'diks'"),
        ("  - {name: a, question: request, given: {nod: {mode: stop}}, expect: {rule: a}}\n", "AR326", "no 'nod'"),
        (
            "  - {name: a, question: accept, given: {node: {mod: x}}, expect: {rule: a}}\n",
            "AR326",
            "no 'mod' in $.node",
        ),
        ("  - {name: a, remaining_wh: 1, question: request, expect: {rule: a}}\n", "AR306", "more than one thing"),
        ("  - {name: a, remaining_wh: 1, expect: {statos: low}}\n", "AR200", "statos"),
        ("  - {name: a, remaining_wh: -1, expect: {status: low}}\n", "AR203", "remaining_wh"),
        ("  - {name: a, at: '25:00', remaining_wh: 1, expect: {status: low}}\n", "AR2", "time of day"),
        ("  - {name: a, question: requests, expect: {rule: null}}\n", "AR306", "nobody asks the question 'requests'"),
    ],
)
def test_a_wrong_case_is_refused_at_its_place(
    folder: Path, text: str, code: str, message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """A mistake in a file of cases is a diagnostic and exit 2, not a failed case."""
    add(folder, text)
    assert main(["test", str(folder)]) == 2
    said = capfd.readouterr().err
    assert f": {code}" in said
    assert message in said


def test_neither_cases_nor_walks(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A folder or file without cases is told so."""
    assert main(["test", str(tmp_path)]) == 2
    assert "holds neither cases nor walks" in capfd.readouterr().err
    assert main(["test", str(data_dir("rules") / "request.yaml")]) == 2
    assert "holds neither cases nor walks, but rules" in capfd.readouterr().err
    assert main(["test", str(data_dir("rules")), "--rules", str(tmp_path / "nowhere")]) == 2
    assert "is no folder" in capfd.readouterr().err


def test_walks_are_taken_too(capfd: pytest.CaptureFixture[str]) -> None:
    """The folder of charts has walks, which run with their own coverage."""
    assert main(["test", str(data_dir("statecharts"))]) == 0
    assert "walks passed, 0 failed" in capfd.readouterr().out


def test_pytest_collects_cases_and_shows_what_differs(folder: Path) -> None:
    """With the plugin pytest runs cases without any Python; other YAML beside them is left alone."""
    add(folder, "  - {name: wrong, remaining_wh: 2000, expect: {status: low}}\n")
    (folder / "cases" / "notes.yaml").write_text("just: notes\n")
    plugin = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["pytest11"]["apis-rules"]
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", plugin, str(folder)]
    # Only this plugin, by name: the test must not hang on what else is installed.
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=folder, check=False, timeout=100, env=environment
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 failed, 1 passed" in done.stdout
    assert "status is high, not low" in done.stdout
    assert "Traceback" not in done.stdout
