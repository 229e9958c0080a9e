"""``apis-rules emulate``: a modelled DC grid behind the interfaces of real drivers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Final

from apis_rules.arguments import moment, number, percents, whole_number
from apis_rules.errors import Unsupported
from apis_rules.grid.configs import node_config, write_configs
from apis_rules.grid.files import load_faults, load_houses, load_topology
from apis_rules.grid.model import Grid
from apis_rules.grid.plant import Plant
from apis_rules.grid.settings import START, ConverterSettings, community
from apis_rules.grid.topology import Topology

if TYPE_CHECKING:
    import argparse

    from apis_rules.grid.faults import Fault
    from apis_rules.grid.server import Addresses, EmulatorPorts
    from apis_rules.grid.settings import GridSettings

_EXAMPLE: Final = """\
example:
  apis-rules emulate --units 4 --accelerate 10 --write-configs my-community

the page is at http://127.0.0.1:4390/ while it runs. Faults, as a script (--faults FILE) or while it runs:
  curl -X POST -d '{"kind": "heavy_alarm", "unit": "E001", "forS": 60}' http://127.0.0.1:4390/faults
  curl -X DELETE http://127.0.0.1:4390/faults"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--units", type=whole_number(1, 1000), default=4, metavar="N", help="how many units (default 4)"
    )
    parser.add_argument(
        "--accelerate", type=number(0.001, 86_400), default=10.0, metavar="X", help="unit seconds per second (10)"
    )
    parser.add_argument(
        "--ramp", type=number(0.1, 3600), default=60.0, metavar="S", help="unit seconds from 0 V to 350 V (60)"
    )
    parser.add_argument("--rsoc", metavar="P,P,…", type=percents, help="states of charge in percent, repeated")
    parser.add_argument(
        "--topology", metavar="F", help="a file with lines, or 11.1 for the specification's tree (default: one line)"
    )
    parser.add_argument("--houses", metavar="DIR", type=Path, help="tables of load and sun (default: a generator)")
    parser.add_argument("--faults", metavar="F", type=Path, help="a script of things that go wrong")
    parser.add_argument(
        "--seed", type=whole_number(0, 2**32 - 1), default=0, help="of sensor errors, loads and clouds (0)"
    )
    parser.add_argument("--start", type=moment, default=START, metavar="T", help="the units' clock at the beginning")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
    parser.add_argument(
        "--port", type=whole_number(0, 65_535), default=4390, help="of dcdc_emulator and the page (4390)"
    )
    parser.add_argument(
        "--v2-port", type=whole_number(0, 65_535), default=14_380, help="dcdc_v2 of the first unit (14380)"
    )
    parser.add_argument(
        "--v1-port", type=whole_number(0, 65_535), default=15_380, help="dcdc_v1 of the first unit (15380)"
    )
    parser.add_argument("--write-configs", metavar="DIR", type=Path, help="write config files for all units there")
    parser.add_argument(
        "--system-type",
        choices=("dcdc_emulator", "dcdc_v2", "dcdc_v1"),
        default="dcdc_emulator",
        help="the interface that the config files name",
    )
    parser.epilog = _EXAMPLE


def run(args: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM."""
    settings = _settings(args)
    faults = load_faults(args.faults, settings) if args.faults else ()
    try:
        from apis_rules.grid.server import EmulatorPorts
    except ModuleNotFoundError as error:
        raise Unsupported(f"{error.name} is missing: install apis-rules[emulator]") from error
    ports = EmulatorPorts(args.host, args.port, args.v2_port, args.v1_port)
    asyncio.run(_serve(args, settings, faults, ports))
    return 0


def _settings(args: argparse.Namespace) -> GridSettings:
    topology = None
    if args.topology == "11.1":
        topology = Topology.specification_11_1()
    elif args.topology:
        topology = load_topology(Path(args.topology))
    return community(
        args.units,
        seed=args.seed,
        rsoc_percent=args.rsoc,
        topology=topology,
        converter=ConverterSettings(ramp_s=args.ramp),
        houses=load_houses(args.houses) if args.houses else None,
        start=args.start,
    )


async def _serve(
    args: argparse.Namespace, settings: GridSettings, faults: tuple[Fault, ...], ports: EmulatorPorts
) -> None:
    from apis_rules.grid.server import Emulator

    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signal_number, ended.set)
    plant = Plant(Grid(settings), loop.time, args.accelerate)
    for fault in faults:
        plant.add_fault(fault)
    async with Emulator(plant, ports) as emulator:
        unit_ids = [u.unit_id for u in settings.units]
        with contextlib.suppress(BrokenPipeError):
            _tell(args, unit_ids, emulator.addresses)
        await ended.wait()


def _tell(args: argparse.Namespace, unit_ids: list[str], addresses: Addresses) -> None:
    host, port = addresses.emulator or (args.host, args.port)
    shown = f"[{host}]" if ":" in host else host
    print(f"{len(unit_ids)} units, {args.accelerate:g} times as fast as the clock on the wall")
    print(f"page            http://{shown}:{port}/")
    print(f"dcdc_emulator   {host}:{port}")
    for name, found in (("dcdc_v2", addresses.v2), ("dcdc_v1", addresses.v1)):
        print(f"{name}         " + ", ".join(f"{u} {p}" for u, (_, p) in found.items()))
    if args.write_configs:
        written = write_configs(args.write_configs, unit_ids, addresses, args.system_type)
        kept = "" if written else " (all were there already and were left as they are)"
        print(f"\nwrote {len(written)} files to {args.write_configs}{kept}")
        print(f"a community on them:  apis-rules run {args.write_configs}")
    else:
        print(f"\nconfig.json of {unit_ids[0]} (--write-configs DIR writes those of all units):")
        print(json.dumps(node_config(unit_ids[0], 1, addresses, args.system_type), indent=2))
    print("\nends with Ctrl-C", flush=True)
