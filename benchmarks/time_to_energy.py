"""How long it takes from the reading that shows *excess* until energy flows, with each part of the time.

Four nodes, a real broker, the modelled grid over HTTP at ten times the speed, nobody trading; then one battery is set
to 95 %. The ramp of the bus and the travel of the authorization voltages are the grid's own. Beside it what was seen of
apis-main 3.0.0 against its emulator at the same speed (nine runs, median): 25.7 s, of which the ramp 11.0.

``python benchmarks/time_to_energy.py [--runs N]``
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
from contextlib import AsyncExitStack
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from apis_rules.compose.example import UNITS, example_sites
from apis_rules.compose.nodes import open_node
from apis_rules.compose.options import RunOptions
from apis_rules.compose.parent import Parent
from apis_rules.grid.model import Grid
from apis_rules.grid.plant import Plant
from apis_rules.grid.server import Emulator, EmulatorPorts
from apis_rules.grid.settings import community
from apis_rules.node.records import WATCHED, Records
from apis_rules.ports.types import ConverterMode
from apis_transport.device_hosts import DeviceHosts
from apis_transport.embedded import embedded_server

if TYPE_CHECKING:
    from collections.abc import Callable

    from apis_rules.node.runtime import Node

ACCELERATION = 10.0
BEFORE_PERCENT = (60.0, 40.0, 40.0, 40.0)
EXCESS_PERCENT = 95.0
LIMIT_S = 2.0
THEIRS_S, THEIR_RAMP_S = 25.7, 11.0
LOOK_S = 0.01
PARTS = ("reading to deal", "deal to first command", "ramp", "authorization", "authorized to started")


async def measure() -> list[float]:
    """Return the seconds of each of ``PARTS`` in one run."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        clock = asyncio.get_running_loop().time
        plant = Plant(Grid(community(len(UNITS), rsoc_percent=BEFORE_PERCENT)), now_s=clock, acceleration=ACCELERATION)
        emulator = await stack.enter_async_context(
            Emulator(plant, EmulatorPorts(emulator=0, v2_first=None, v1_first=None))
        )
        address = emulator.addresses.emulator
        if address is None:
            raise RuntimeError("the emulator serves no port")
        server = await stack.enter_async_context(embedded_server(folder / "store"))
        hosts = await stack.enter_async_context(DeviceHosts())
        options = RunOptions(
            None,
            (),
            None,
            None,
            accelerate=ACCELERATION,
            start_timeout_s=30.0,
            format="table",
            state_dir=folder,
        )
        nodes: list[Node] = []
        for site in example_sites(*address, folder):
            unit = folder / (site.config.model.unit_id if site.config else "")
            opened = open_node(site, (server.url,), unit, hosts, options, Parent())
            nodes.append((await stack.enter_async_context(opened)).node)
        view = await stack.enter_async_context(nodes[0].ports.community.ctl.watch(*WATCHED))
        records = Records(view)
        living = [asyncio.ensure_future(node.run()) for node in nodes]
        try:
            return await _moments(plant, nodes, records, clock)
        finally:
            for node in nodes:
                node.terminate()
            await asyncio.wait(living, timeout=30)


async def _moments(plant: Plant, nodes: list[Node], records: Records, clock: Callable[[], float]) -> list[float]:
    async def until(condition: Callable[[], object]) -> float:
        async with asyncio.timeout(60):
            while not condition():  # noqa: ASYNC110 - moments are to be seen from outside, as they come
                await asyncio.sleep(LOOK_S)
        return clock()

    def shown() -> bool:
        services = nodes[0].services
        reading = services.board.reading if services else None
        return reading is not None and float(reading.document["battery"]["rsoc"]) > EXCESS_PERCENT - 1

    def energised() -> bool:
        grid = plant.grid_now()
        return any(grid.unit(u).mode is ConverterMode.VOLTAGE_REFERENCE for u in UNITS)

    def state(name: str) -> bool:
        return any(deal.state == name for deal, _ in records.deals().values())

    await until(lambda: all(n.state == "autonomous" for n in nodes) and any(n.is_master for n in nodes))
    await asyncio.sleep(3)
    if records.deals():
        raise RuntimeError("somebody trades before there is an excess")
    plant.grid_now().set_rsoc(UNITS[0], EXCESS_PERCENT)
    read_s = await until(shown)
    deal_s = await until(records.deals)
    commanded_s = await until(energised)
    ramped_s = await until(lambda: state("ramped") or records.grid()[0].state in ("authorizing", "held"))
    held_s = await until(lambda: records.grid()[0].state == "held")
    started_s = await until(lambda: state("started"))
    moments = (read_s, deal_s, commanded_s, ramped_s, held_s, started_s)
    return [after - before for before, after in pairwise(moments)]


def main() -> int:
    """Print the parts; 1 where the rest beside ramp and authorization is above the limit."""
    parser = argparse.ArgumentParser(description="seconds from excess to energy")
    parser.add_argument("--runs", type=int, default=3)
    runs = [asyncio.run(measure()) for _ in range(parser.parse_args().runs)]
    medians = [statistics.median(run[i] for run in runs) for i in range(len(PARTS))]
    for part, seconds in zip(PARTS, medians, strict=True):
        print(f"{part:24}{seconds:8.2f} s")
    whole_s = statistics.median(sum(run) for run in runs)
    rest_s = statistics.median(sum(run) - run[2] - run[3] for run in runs)
    without_ramp_s = statistics.median(sum(run) - run[2] for run in runs)
    print(f"{'whole':24}{whole_s:8.2f} s   apis-main {THEIRS_S} s, {THEIRS_S / whole_s:.1f} times as long")
    theirs_s = THEIRS_S - THEIR_RAMP_S
    times = theirs_s / without_ramp_s
    print(f"{'without the ramp':24}{without_ramp_s:8.2f} s   apis-main {theirs_s:.1f} s, {times:.1f} times as long")
    print(f"{'beside ramp and travel':24}{rest_s:8.2f} s   limit {LIMIT_S} s")
    return int(rest_s > LIMIT_S)


if __name__ == "__main__":
    raise SystemExit(main())
