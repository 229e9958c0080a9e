"""The master's row in the table of kills, as far as everyday tests have time for it; all of it: ``kill_matrix``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.compose.kill_matrix import run_chain

pytestmark = pytest.mark.timeout(240)


def test_a_master_is_killed_while_a_deal_comes_up_and_runs(tmp_path: Path) -> None:
    """Another leads within 1.5 times the lease's life, what ran goes on, each deal has one record at both parties."""
    rows = run_chain("master", "again", tmp_path, None, ["ramping", "warming_up", "started"])
    assert len(rows) == 3
    assert [row.line() for row in rows if row.wrong] == []
