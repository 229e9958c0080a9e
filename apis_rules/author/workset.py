"""The files that ``init`` writes: the bundled defaults, a config for each unit, and one case."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from apis_rules.documents.diagnostics import Location
from apis_rules.documents.source import refusal
from apis_rules.resources import data_dir

if TYPE_CHECKING:
    from pathlib import Path

UNITS: Final = ("E001", "E002", "E003", "E004")
"""The members of the bundled policy."""

_DEFAULTS: Final = ("scenario.json", "policy.json", "hwConfig.json")

_CONFIG: Final = """\
{{
  "#": "The node of unit {unit} (specification 6.1). Paths count from this file's folder.",

  "programId": "apis-rules",
  "communityId": "example",
  "clusterId": "example",

  "unitId": "{unit}",
  "unitName": "house {number}",
  "serialNumber": "{number}",

  "#": "Kind of driver: dcdc_emulator, dcdc_v1 or dcdc_v2. The emulator: apis-rules emulate --units 4",
  "systemType": "dcdc_emulator",
  "connection": {{"emulator": {{"host": "localhost", "port": 4390}}}},

  "hwConfigFile": "./hwConfig.json",
  "policyFile": "./policy.json",
  "scenarioFile": "./scenario.json",

  "#": "Own files; %s is what a file is for, quoted text stays as it is and the rest is the date.",
  "stateFileFormat": "{{tmpdir}}/apis/{unit}/state/%s",
  "dealLogDirFormat": "'{{tmpdir}}/apis/{unit}/dealLog/'uuuu'/'MM'/'dd",

  "#": "Servers of the shared state; none: run DIR starts one of its own.",
  "nats": {{"urls": []}}
}}
"""

_CASE: Final = """\
# What the scenario must decide, and what it must not. Run: apis-rules test DIR
scenario: ../scenario.json
policy: ../policy.json
cases:
  - name: a full battery offers what is above its limit
    at: "12:00:00"
    remaining_wh: 4400
    expect:
      status: excess
      request: {type: discharge, amountWh: 1040, pointPerWh: 10}
"""


def write_workset(folder: Path) -> list[Path]:
    """Write the working set into *folder*, which is made where it is not there, and return the files.

    Raises:
        InputError: something lies there already, or it cannot be written to.
    """
    place = Location(str(folder))
    if folder.exists() and not folder.is_dir():
        raise refusal(place, "AR119", "is a file, not a folder", "name a new folder")
    if folder.is_dir() and any(folder.iterdir()):
        raise refusal(place, "AR119", "is not empty; nothing was written", "name a new folder")
    texts = {name: (data_dir("rules") / name).read_text(encoding="utf-8") for name in _DEFAULTS}
    for number, unit in enumerate(UNITS, start=1):
        texts[f"config{number if number > 1 else ''}.json"] = _CONFIG.format(unit=unit, number=number)
    texts["cases/first.yaml"] = _CASE
    written = []
    try:
        for name, text in texts.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            written.append(path)
    except OSError as error:
        raise refusal(place, "AR104", f"cannot be written to: {error.strerror}") from error
    return written
