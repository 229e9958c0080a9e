"""A million states from CSV to CSV, as ``apis-rules dry-run`` and as what a script with csv and if would take.

Run: ``python benchmarks/dry_run.py [--states 1000000]``. Each figure is the median of five interleaved rounds of whole
processes, start included; limit: 3 s for a million states with the extra ``fast``.
"""

from __future__ import annotations

import argparse
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from apis_rules.resources import data_dir

SCRIPT = """
import csv, sys
out = csv.writer(sys.stdout)
for row in csv.DictReader(open(sys.argv[1])):
    wh = int(row["remaining_wh"])
    if wh < 1440:
        out.writerow([row["time"], wh, "short", "charge", 1440 - wh, 10, "charge", 2400 - wh, 10])
    elif wh < 2400:
        out.writerow([row["time"], wh, "scarce", "", "", "", "charge", 2400 - wh, 10])
    elif wh < 3360:
        out.writerow([row["time"], wh, "sufficient", "", "", "", "discharge", wh - 2400, 10])
    else:
        out.writerow([row["time"], wh, "excess", "discharge", wh - 3360, 10, "discharge", wh - 2400, 10])
"""
PLAIN = """
import sys
sys.modules["polars"] = None
import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name == "polars" else find(name, package)
from apis_rules.cli import main
sys.exit(main(sys.argv[1:]))
"""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--states", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        states = Path(folder, "states.csv")
        draw = random.Random(1)
        with states.open("w") as file:
            file.write("remaining_wh,time\n")
            for _ in range(args.states):
                t = draw.randrange(86400)
                file.write(f"{draw.randrange(4801)},{t // 3600:02}:{t // 60 % 60:02}:{t % 60:02}\n")
        scenario = str(data_dir("rules") / "scenario.json")
        dry_run = ["dry-run", "--scenario", scenario, "--states", str(states), "--format", "csv"]
        commands = {
            "dry-run, with polars": [sys.executable, "-m", "apis_rules", *dry_run],
            "dry-run, without": [sys.executable, "-c", PLAIN, *dry_run],
            "a script of ten lines": [sys.executable, "-c", SCRIPT, str(states)],
        }
        seconds: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(args.rounds):
            for name, command in commands.items():
                started = time.perf_counter()
                subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                seconds[name].append(time.perf_counter() - started)
    base = statistics.median(seconds["a script of ten lines"])
    print(f"{args.states} states, CSV to CSV, median of {args.rounds} rounds")
    for name, rounds in seconds.items():
        median = statistics.median(rounds)
        print(
            f"{name:24} {median:7.2f} s  {args.states / median / 1e6:6.2f} million/s  {base / median:6.2f} x the script"
        )


if __name__ == "__main__":
    main()
