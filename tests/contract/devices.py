"""Every way to reach a converter, over one modelled grid: in this process, and over HTTP by each declared driver."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from apis_rules.documents.driver import load_driver
from apis_rules.grid.device import ModelDevice
from apis_rules.grid.faults import Fault, FaultKind
from apis_rules.grid.model import Grid
from apis_rules.grid.plant import Plant
from apis_rules.grid.server import Emulator, EmulatorPorts
from apis_rules.grid.settings import community
from apis_transport.device import DriverTimes, HttpDevice
from apis_transport.device_hosts import DeviceHosts
from tests.devices.server import scripted_driver
from tests.devices.specified import SpecifiedDriver

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from apis_rules.ports.device import Device

KINDS: Final = ("model", "dcdc_emulator", "dcdc_v1", "dcdc_v2", "specified")
UNIT: Final = "E001"
TIMEOUT_S: Final = 0.5
"""Long enough for an answer on a busy machine, short enough to wait for its end."""


@dataclass
class DeviceBench:
    """One unit's device, and the grid behind it."""

    device: Device
    plant: Plant

    def fault(self, kind: FaultKind) -> None:
        self.plant.add_fault(Fault(kind=kind, unit=UNIT))

    def recover(self) -> None:
        self.plant.grid_now().faults.clear(None)


@asynccontextmanager
async def open_devices(kind: str) -> AsyncIterator[DeviceBench]:
    """Open the device of ``UNIT`` by *kind*."""
    now_s = asyncio.get_running_loop().time
    plant = Plant(Grid(community(2, ideal_sensors=True)), now_s, acceleration=10.0)
    if kind == "model":
        device = ModelDevice(plant, UNIT, latency_s=0.0, timeout_s=TIMEOUT_S, attempts=2)
        yield DeviceBench(device, plant)
        await device.close()
        return
    times = DriverTimes(request_timeout_s=TIMEOUT_S, attempts=2)
    if kind == "specified":
        declared = load_driver("dcdc_v2")
        async with scripted_driver(SpecifiedDriver(plant, UNIT)) as driver, DeviceHosts() as hosts:
            addresses = dict.fromkeys(declared.hosts, driver.address)
            yield DeviceBench(HttpDevice(declared, UNIT, addresses, hosts, times, now_s), plant)
        return
    async with Emulator(plant, EmulatorPorts(emulator=0, v2_first=0, v1_first=0)) as emulator, DeviceHosts() as hosts:
        listening = {
            "dcdc_emulator": emulator.addresses.emulator,
            "dcdc_v1": emulator.addresses.v1[UNIT],
            "dcdc_v2": emulator.addresses.v2[UNIT],
        }[kind]
        assert listening is not None
        host, port = listening
        declared = load_driver(kind)
        addresses = dict.fromkeys(declared.hosts, f"http://{host}:{port}")
        yield DeviceBench(HttpDevice(declared, UNIT, addresses, hosts, times, now_s), plant)
