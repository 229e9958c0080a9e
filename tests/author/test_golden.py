"""What people read, as files to look at: ``pytest tests/author --rewrite`` writes them anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from apis_rules.cli import main

HERE = Path(__file__).parent
SHIPPED = "data/shipped.scenario.json"
TWO_WINDOWS = "data/two-windows.scenario.json"
POLICY = "data/policy.json"
PAGES = {
    "sweep": ["dry-run", "--scenario", TWO_WINDOWS],
    "sweep-explained": ["dry-run", "--scenario", SHIPPED, "--policy", POLICY, "--explain"],
    "explain": ["explain", "--scenario", TWO_WINDOWS, "--at", "20:13", "--remaining-wh", "2980"],
    "explain-gate": ["explain", "--scenario", SHIPPED, "--policy", POLICY, "--remaining-wh", "2860"],
    "diff": ["diff", SHIPPED, TWO_WINDOWS],
    "choose": [
        "choose", "--strategy", "pointAndAmount", "--engine", "pure", "--policy", POLICY,
        "--accepts", "data/accepts.jsonl",
        "--request", '{"type": "charge", "unitId": "E001", "amountWh": 200, "pointPerWh": 10, "pairUnitId": null}',
    ],
}  # fmt: skip


@pytest.mark.parametrize("page", PAGES)
def test_what_people_read_is_as_it_was(
    page: str, pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The page is word for word the kept one."""
    monkeypatch.chdir(HERE)
    assert main(PAGES[page]) == 0
    found = "\n".join(line.rstrip() for line in capfd.readouterr().out.splitlines()) + "\n"
    kept = HERE / "golden" / f"{page}.txt"
    if pytestconfig.getoption("--rewrite"):
        kept.parent.mkdir(exist_ok=True)
        kept.write_text(found, encoding="utf-8")
    assert found == kept.read_text(encoding="utf-8")
