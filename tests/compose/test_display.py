"""What a run shows, where its output cannot take it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

FULL = Path("/dev/full")


@pytest.mark.skipif(not FULL.exists(), reason="no device that is always full")
def test_a_full_disk_under_the_output_ends_no_node(tmp_path: Path) -> None:
    """The nodes go on unseen for as long as was asked for; it is said once, and at the end, exit 2."""
    command = ["run", "--for", "3s", "--state-dir", str(tmp_path)]
    with FULL.open("w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "apis_rules", *command],
            check=False,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=100,
        )
    assert ended.returncode == 2, ended.stderr
    assert ended.stderr == "apis-rules run: the output cannot be written: No space left on device\n"
    logs = "".join(f.read_text() for f in (tmp_path / "log").glob("*.log"))
    assert logs.count("what happens is not shown any more: No space left on device") == 1
