"""Driver files are checked: what is wrong, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from apis_rules.documents.driver import load_driver, read_driver
from apis_rules.errors import InputError
from apis_rules.resources import data_dir

if TYPE_CHECKING:
    from pathlib import Path

GOOD = (data_dir("transport") / "drivers" / "dcdc_v2.yaml").read_text()


@pytest.mark.parametrize("name", ["dcdc_emulator", "dcdc_v1", "dcdc_v2"])
def test_the_bundled_drivers_are_fine(name: str) -> None:
    """Each bundled file is named for the driver that it declares."""
    assert load_driver(name).driver == name


@pytest.mark.parametrize(
    ("old", "new", "code", "says"),
    [
        ("host: driver\n  path: /dcdc/get/status", "host: other\n  path: /dcdc/get/status", "AR600", "'other'"),
        ('query: {dig: "{grid_current_a}"}', 'query: {dig: "{current}"}', "AR601", "{current}"),
        ("path: /version/get", "path: /version/{mode}", "AR601", "{mode}"),
        ("path: /dcdc/get/status", "path: /dcdc/{droop_ratio}", "AR601", "{droop_ratio}"),
        ("battery.rsoc: number", "battery.soc: number", "AR603", "battery.soc"),
        ("[$.dcdc.status, $.status]", "[dcdc.status]", "AR130", "dcdc.status"),
        ("[$.comm_interface_version,", "[comm_interface_version,", "AR130", "comm_interface_version"),
        ("connection.dcdc_controller", "connection.somewhere", "AR2", ""),
        ("path: /all/get", "path: all/get", "AR2", ""),
        ("status:\n  host", "state:\n  host", "AR2", ""),
    ],
)
def test_a_mistake_in_a_driver_file(tmp_path: Path, old: str, new: str, code: str, says: str) -> None:
    """Each mistake has its code and stands at its line."""
    assert old in GOOD
    text = GOOD.replace(old, new, 1)
    path = tmp_path / "driver.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_driver(path)
    first = text[: text.index(new)].count("\n") + 1
    lines = range(first, first + 1 + new.count("\n"))
    found = [d for d in caught.value.diagnostics if d.code.startswith(code) and d.location.line in lines]
    assert found, [str(d) for d in caught.value.diagnostics]
    assert says in found[0].message


def test_all_mistakes_are_found_at_once(tmp_path: Path) -> None:
    """Two requests with two mistakes give both."""
    path = tmp_path / "driver.yaml"
    path.write_text(GOOD.replace("host: driver", "host: other").replace('drg: "{droop_ratio}"', 'drg: "0"'))
    with pytest.raises(InputError) as caught:
        read_driver(path)
    assert {d.code for d in caught.value.diagnostics} == {"AR600", "AR602"}
    assert len(caught.value.diagnostics) == 6 + 2
