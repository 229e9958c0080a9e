"""``apis-rules battery``: claims on a shared battery, listed and taken away by name."""

from __future__ import annotations

import json
from pathlib import Path

from apis_rules.battery_claims import ClaimFile
from apis_rules.node.battery import claim_paths
from apis_rules.ports.types import Direction
from apis_rules.resources import data_dir
from tests.compose.houses import ask


def test_claims_are_listed_and_cleared_by_name(tmp_path: Path) -> None:
    """Each claim with owner, ampere and whether it runs; a running one's stays, a dead one's goes. None: said."""
    config = tmp_path / "config.json"
    config.write_text(
        json.dumps(
            {
                "unitId": "E001",
                "systemType": "dcdc_emulator",
                "hwConfigFile": str(data_dir("rules") / "hwConfig.json"),
                "policyFile": str(data_dir("rules") / "policy.json"),
                "scenarioFile": str(data_dir("rules") / "scenario.json"),
                "connection": {"emulator": {"port": 4390}},
                "batteryCapacityManagement": {"enabled": True},
                "fileSystemExclusiveLockFileFormat": f"{tmp_path}/%s.lock",
            }
        )
    )
    assert ask("battery", config) == "nobody claims this battery"
    path = claim_paths(f"{tmp_path}/%s.lock", tmp_path)[Direction.DISCHARGE]
    file = ClaimFile(path, "c/north/E001", None)
    file.take(2.0)
    assert ask("battery", config) == "discharge      2 A  c/north/E001"
    assert "AR720 error: c/north/E001 runs" in ask("battery", config, "--clear", "c/north/E001", expect=2)
    file.close()
    assert ask("battery", config) == "discharge      2 A  c/north/E001  does not run"
    assert "c/south/E001 claims nothing" in ask("battery", config, "--clear", "c/south/E001", expect=2)
    assert ask("battery", config, "--clear", "c/north/E001") == "the claims of c/north/E001 are taken away"
    assert ask("battery", config) == "nobody claims this battery"
    gateway = config.read_text()
    config.write_text(gateway.replace('"enabled": true', '"enabled": false'))
    assert "E001 claims nothing: batteryCapacityManagement.enabled is false" in ask("battery", config)
    config.write_text(gateway)
    path.write_text("?")
    assert "damaged" in ask("battery", config, expect=2)
