"""``check`` of 100 scenario files, JSON and YAML, beside reading them alone with the plain libraries.

Run: python benchmarks/check_files.py
"""

from __future__ import annotations

import contextlib
import io
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ruamel.yaml import YAML

from apis_rules.cli import main
from apis_rules.resources import data_dir

if TYPE_CHECKING:
    from collections.abc import Callable

FILES = 100
ROUNDS = 3


def scenario(number: int) -> dict[str, object]:
    """A day of four windows whose bands differ from file to file."""
    text = (data_dir("rules") / "scenario.json").read_text(encoding="utf-8")
    section = json.loads(text)["00:00:00-24:00:00"]
    bands = {
        f"{3360 + number}-": "excess",
        f"2400-{3360 + number}": "sufficient",
        "1440-2400": "scarce",
        "-1440": "short",
    }
    section = {**section, "batteryStatus": bands}
    windows = {f"{hour:02}:00:00-{hour + 6:02}:00:00": section for hour in range(0, 24, 6)}
    return {"acceptSelection": {"strategy": "pointAndAmount"}, **windows}


def timed(action: Callable[[Path], None], folder: Path) -> float:
    """Seconds that one call takes."""
    began = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        action(folder)
    return time.perf_counter() - began


def run_check(folder: Path) -> None:
    """The verb, as a user calls it."""
    if main(["check", str(folder)]) != 0:
        raise SystemExit("the files of the benchmark are wrong")


def read_plainly(folder: Path) -> None:
    """Reading alone, without places, models or analysis."""
    for path in folder.iterdir():
        text = path.read_text(encoding="utf-8")
        json.loads(text) if path.suffix == ".json" else YAML(typ="safe", pure=True).load(text)


def one_form(ending: str) -> None:
    """Print the medians for files of one form."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(FILES):
            # JSON is YAML too; the block form is what people write.
            path = folder / f"scenario-{number:03}.{ending}"
            if ending == "json":
                path.write_text(json.dumps(scenario(number), indent=2), encoding="utf-8")
            else:
                YAML(typ="safe", pure=True).dump(json.loads(json.dumps(scenario(number))), path)
        size = sum(path.stat().st_size for path in folder.iterdir())
        rounds = [(timed(run_check, folder), timed(read_plainly, folder)) for _ in range(ROUNDS)]
        check_s, plain_s = (statistics.median(column) for column in zip(*rounds, strict=True))
    print(
        f"{FILES} scenarios of four windows in {ending} ({size / 1e6:.1f} MB): check {check_s:.2f} s "
        f"({check_s / FILES * 1e3:.1f} ms each), reading alone {plain_s:.2f} s, ratio {check_s / plain_s:.1f}"
    )


def one_window() -> None:
    """Print the median for the bundled scenario, a hundred times: what a community of a hundred houses has."""
    text = (data_dir("rules") / "scenario.json").read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(FILES):
            (folder / f"scenario-{number:03}.json").write_text(text, encoding="utf-8")
        check_s = statistics.median(timed(run_check, folder) for _ in range(ROUNDS))
    print(f"{FILES} scenarios of one window in json: check {check_s:.2f} s (must be at most 2 s)")


if __name__ == "__main__":
    one_window()
    one_form("json")
    one_form("yaml")
