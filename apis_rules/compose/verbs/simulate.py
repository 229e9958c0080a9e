"""``apis-rules simulate``: a community of modelled houses for days, in virtual time."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from apis_rules.arguments import moment, number, percents, whole_number
from apis_rules.documents.diagnostics import Location
from apis_rules.documents.source import refusal

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from apis_rules.compose.simulation.setup import Setup
    from apis_rules.documents.community import Site

EXAMPLE: Final = "example"
EXAMPLE_UNITS: Final = 4
_DAY_S: Final = 86_400.0
_TOLD_EVERY_S: Final = 5.0
_HELP: Final = """\
examples:
  apis-rules simulate --units 4 --days 1 --out day             the example's houses: table, pictures, CSV
  apis-rules simulate my-community --days 7 --seed 3           a folder of config*.json
  apis-rules simulate --faults rules/samples/faults.yaml       a day on which much goes wrong
  apis-rules simulate --seed 3 --until 09:12:30                the same run, stopped at a moment and described

The nodes' own time runs slower than the units' clock (--accelerate), as beside 'run' and 'emulate': periods of the
policy and the times of a mastership count in the nodes' time. More is quicker and coarser."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "target", nargs="?", default=EXAMPLE, metavar="DIR|example", help="a folder of config*.json, or the example"
    )
    parser.add_argument("--units", type=whole_number(1, 1000), metavar="N", help="how many (DIR: as it has; else 4)")
    parser.add_argument("--days", type=number(0.001, 3660), default=1.0, metavar="D", help="of the units' clock (1)")
    parser.add_argument("--faults", type=Path, metavar="FILE", help="a script of what goes wrong")
    parser.add_argument("--seed", type=whole_number(0, 2**32 - 1), default=0, metavar="S", help="of all chance (0)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write CSV files and pictures there")
    parser.add_argument(
        "--accelerate", type=number(1, 600), default=10.0, metavar="X", help="units' seconds per nodes' second (10)"
    )
    parser.add_argument("--until", metavar="[D.]HH:MM:SS", help="stop after so long, and describe the moment")
    parser.add_argument("--start", type=moment, metavar="T", help="the units' clock at the beginning")
    parser.add_argument("--rsoc", type=percents, metavar="P,P,…", help="states of charge at the beginning, repeated")
    parser.add_argument("--houses", type=Path, metavar="DIR", help="tables of load and sun (default: a generator)")
    parser.add_argument("--topology", metavar="F", help="a file with lines, or 11.1 for the specification's tree")
    parser.add_argument("--sample", type=number(1, 86_400), default=300.0, metavar="S", help="between rows (300)")
    parser.add_argument("--ideal-sensors", action="store_true", help="meters show the truth")
    parser.add_argument("--format", choices=("table", "json"), default="table", help="for people or for programs")
    parser.epilog = _HELP


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise refusal(Location(str(folder)), "AR104", f"cannot be written to: {error.strerror}") from error


def run(args: argparse.Namespace) -> int:
    """Simulate; exit 1 where something happened that must never happen."""
    from apis_rules.compose.simulation.books import write_books
    from apis_rules.compose.simulation.pictures import draw_pictures, require_matplotlib
    from apis_rules.compose.simulation.run import simulate
    from apis_rules.compose.simulation.summary import sum_up_simulation, table

    setup = _prepare(args)
    if args.out:  # whatever may be missing is said before hours of computing
        require_matplotlib()
        _make_folder(args.out)
    outcome = simulate(setup, _progress(setup))
    summary = sum_up_simulation(outcome)
    if args.format == "json":
        print(json.dumps(summary, indent=2))
    else:
        print(table(summary))
        if args.until:
            print(f"\n{outcome.left}")
    if args.out:
        written = (*write_books(args.out, outcome), *draw_pictures(args.out, outcome))
        print(f"wrote {', '.join(path.name for path in written)} to {args.out}", file=sys.stderr)
    return 1 if outcome.violations or not outcome.rested else 0


def _prepare(args: argparse.Namespace) -> Setup:
    from apis_rules.compose.simulation.setup import prepare
    from apis_rules.grid.files import load_houses, load_topology
    from apis_rules.grid.topology import Topology

    sites = _sites(args.target)
    topology = None
    if args.topology:
        topology = Topology.specification_11_1() if args.topology == "11.1" else load_topology(Path(args.topology))
    return prepare(
        sites,
        units=args.units or (EXAMPLE_UNITS if args.target == EXAMPLE else len(sites)),
        until_s=_until_s(args.until) if args.until else args.days * _DAY_S,
        acceleration=args.accelerate,
        seed=args.seed,
        faults=args.faults,
        topology=topology,
        houses=load_houses(args.houses) if args.houses else None,
        rsoc_percent=args.rsoc,
        start=args.start,
        ideal_sensors=args.ideal_sensors,
        sample_s=args.sample,
    )


def _sites(target: str) -> Sequence[Site]:
    from apis_rules.compose.sites import bundled_site, load_sites

    return [bundled_site()] if target == EXAMPLE else load_sites(Path(target))


def _until_s(text: str) -> float:
    days, _, rest = text.rpartition(".")
    parts = rest.split(":")
    if len(parts) != 3 or not all(part.isdigit() for part in (*parts, days or "0")):
        raise refusal(Location("<argument --until>"), "AR101", f"{text!r} is no time", "02:30:00, or 1.02:30:00")
    hours, minutes, seconds = map(int, parts)
    return int(days or 0) * _DAY_S + hours * 3600.0 + minutes * 60.0 + seconds


def _progress(setup: Setup) -> Callable[[float], None]:
    if not sys.stderr.isatty():
        return lambda _: None
    begun_s = last_s = time.perf_counter()

    def tell(at_s: float) -> Any:
        nonlocal last_s
        now_s = time.perf_counter()
        if now_s - last_s >= _TOLD_EVERY_S and at_s:
            last_s = now_s
            left_s = (now_s - begun_s) * (setup.until_s / at_s - 1)
            print(f"day {at_s / _DAY_S:.2f} of {setup.days:g}, {left_s:.0f} s to go", file=sys.stderr)

    return tell
