"""A file system that is full under a deal log or an action log, in a real run. Needs the right to mount one."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from apis_rules.ports.types import ConverterMode
from tests.compose.houses import Houses, Program, ask, ask_json, until, write_community
from tests.compose.test_action_log import LINE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(240)]

UNIT = "E002"


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 kB."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", place], check=False)
    if mounted.returncode:
        pytest.skip("this user may not mount a file system")
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


def fill(place: Path) -> None:
    """Leave no block free, as another program's file does."""
    with (place / "ballast").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return


@pytest.mark.parametrize("what", ["deal log", "action log"])
def test_a_full_file_system(what: str, small: Path, tmp_path: Path) -> None:
    """The unit says FRAMEWORK:LOCAL:FATAL, its converter waits, its node ends, stays away; nothing is half written."""
    folder = tmp_path / "nodes"
    folder.mkdir()
    place = ("--state-dir", tmp_path / "state")
    with Houses(accelerate=60) as houses:
        write_community(folder, houses.addresses)
        file = folder / f"config.{UNIT}.json"
        config = json.loads(file.read_text())
        logs = small / "a.%g.log" if what == "action log" else folder / "a.%g.log"
        config["logging"] = {"file": {"pattern": str(logs), "level": "FINEST"}}
        if what == "deal log":
            config["dealLogDirFormat"] = f"'{small}/'uuuu'/'MM'/'dd"
        file.write_text(json.dumps(config))
        with Program("run", folder, *place) as program:

            def in_deal() -> bool:
                deals = ask_json("deals", "--format", "json", *place)
                return any(
                    d["state"] == "started" and UNIT in (d["charge_unit_id"], d["discharge_unit_id"]) for d in deals
                )

            program.wait_line(": started", 60)
            until(in_deal, 60, f"{UNIT} is in a deal")
            fill(small)
            program.wait_line(f"FRAMEWORK:LOCAL:FATAL {UNIT}", 90)
            program.wait_line(f"{UNIT} is not there any more", 90)
            assert houses.modes()[UNIT] is ConverterMode.WAIT
            others = ask_json("status", "--format", "json", *place)
            assert others["units_present"] == 3
            written = [f for f in small.rglob("*") if f.is_file() and f.name != "ballast" and f.suffix != ".lck"]
            if what == "action log":
                assert [f.name for f in written] == ["a.0.log"]
                assert all(LINE.fullmatch(line) for line in written[0].read_text().split("\n")[:-1])
                assert written[0].read_text().endswith("\n")
            else:
                assert written == []
            ask("stop", *place)
            program.end(60)
            until(houses.all_wait, 30, "all converters in WAIT")
