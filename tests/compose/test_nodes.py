"""What a node takes over from a folder of the existing system."""

from __future__ import annotations

from pathlib import Path

import pytest

from apis_rules.compose.nodes import mode_of_apis_main
from apis_rules.documents.config import Config


@pytest.mark.parametrize("written", ["{tmpdir}/apis/state/%s", "{tmpdir}/state.%s", "{tmpdir}/fixed"])
def test_the_mode_that_apis_main_has_kept_is_found(tmp_path: Path, written: str) -> None:
    """At `stateFileFormat`, with `operationMode` in place of %s; where nothing lies there is none."""
    files = dict.fromkeys(("hwConfigFile", "policyFile", "scenarioFile"), "not needed")
    config = Config.model_validate(
        {"unitId": "E001", "systemType": "dcdc_emulator", "stateFileFormat": written, **files}
    )
    assert mode_of_apis_main(config, tmp_path) is None
    file = Path(written.replace("{tmpdir}", str(tmp_path)).replace("%s", "operationMode"))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("heteronomous")
    assert mode_of_apis_main(config, tmp_path) == b"heteronomous"
