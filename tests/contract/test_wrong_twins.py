"""The suite tells a wrong implementation from a right one."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
EXPECTED = {
    "drops-conditions": "test_a_stale_condition_changes_nothing",
    "forgets-time-limits": "test_a_value_expires_after_its_time_limit",
    "tells-half-a-batch": "test_a_batch_reaches_a_view_whole",
    "delivers-late": "test_nothing_sent_while_disconnected_arrives_later",
    "grants-living-leases": "test_a_living_lease_is_never_taken",
}


@pytest.mark.parametrize("twin", EXPECTED)
def test_a_wrong_twin_fails(twin: str) -> None:
    """A twin that breaks one promise fails the test of that promise, and not every test."""
    others = {Path(__file__).name, "test_device.py"}  # devices have twins of their own
    suite = sorted(path for path in HERE.glob("test_*.py") if path.name not in others)
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *suite, "--ports", twin],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    failed = set(re.findall(r"^FAILED \S+::(\w+)", run.stdout, re.MULTILINE))
    assert run.returncode == 1, run.stdout
    assert EXPECTED[twin] in failed, run.stdout
    assert re.search(r"\d+ passed", run.stdout), run.stdout
