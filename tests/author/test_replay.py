"""``replay``: what was decided is decided again, and what comes out otherwise is shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from apis_rules.cli import main

DATA = Path(__file__).parent / "data"
SHIPPED, TWO_WINDOWS = (str(DATA / f"{name}.scenario.json") for name in ("shipped", "two-windows"))


@pytest.fixture
def log(decisions: list[dict[str, Any]], tmp_path: Path) -> Path:
    """The recorded decisions of one scenario, as a node writes them down: None is left out."""
    records: list[dict[str, Any]] = [{"question": "operation-mode", "mode": "autonomous"}]
    for row in decisions:
        if row["scenario"] == "two-windows":
            time, wh = f"2026/06/01-{row['time']}", row["remaining_wh"]
            records.append({"question": "request", "time": time, "remainingWh": wh, "request": without(row["request"])})
            for direction, other in (("charge", "discharge"), ("discharge", "charge")):
                record = {"question": "accept", "time": time, "remainingWh": wh, "unitId": "E001"}
                asked = {"unitId": row["asked_by"], "type": other, "amountWh": 100}
                records.append({**record, "asked": asked, "accept": without(row["accept"][direction])})
    file = tmp_path / "decisions.jsonl"
    file.write_text("".join(json.dumps(record) + "\n" for record in records))
    return file


def without(message: dict[str, Any] | None) -> dict[str, Any] | None:
    return message and {**{k: v for k, v in message.items() if v is not None}, "dealGridCurrentA": 1.0}


def test_the_same_scenario_decides_the_same(log: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Every recorded request and accept comes out as it was."""
    assert main(["replay", str(log), "--scenario", TWO_WINDOWS, "--strict"]) == 0
    assert "360 of 360 decisions come out the same; 0 cannot be made again" in capfd.readouterr().out


def test_another_scenario_shows_what_it_would_change(log: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Each decision that comes out otherwise has its line, and both results; the exit is 1."""
    assert main(["replay", str(log), "--scenario", SHIPPED, "--format", "jsonl"]) == 1
    rows = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    first = rows[0]
    assert (first["line"], first["question"], first["recorded"]) == (2, "request", "none")
    amount_wh = 2880 - first["remaining_wh"]
    assert json.loads(first["recomputed"]) == {"type": "charge", "amountWh": amount_wh, "pointPerWh": 10}


def test_what_cannot_be_made_again_is_counted(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A record without its energy is counted, not guessed; a line that is no JSON is refused."""
    file = tmp_path / "log.jsonl"
    file.write_text('{"question": "request", "time": "2026/06/01-00:00:00", "request": null}\n')
    assert main(["replay", str(file), "--scenario", SHIPPED]) == 0
    assert "0 of 0 decisions come out the same; 1 cannot be made again" in capfd.readouterr().out
    assert main(["replay", str(file), "--scenario", SHIPPED, "--strict"]) == 1
    file.write_text("{}\nno json\n")
    assert main(["replay", str(file), "--scenario", SHIPPED]) == 2
    assert "log.jsonl:2:1: AR303" in capfd.readouterr().err
