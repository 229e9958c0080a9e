"""The example's houses in virtual time (``apis_rules.compose.simulation``), watched for what must never happen."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from apis_rules.compose.onlooker import Onlooker
from apis_rules.compose.simulation.community import VirtualCommunity
from apis_rules.compose.simulation.invariants import Dealless
from apis_rules.documents.config import Config
from apis_rules.documents.reading import load_hw_config, load_policy, load_scenario
from apis_rules.documents.wiring import load_wiring
from apis_rules.grid.invariants import HoldersAtOnce, PeakCurrent, UnheldCurrent
from apis_rules.grid.model import Grid
from apis_rules.grid.plant import Plant
from apis_rules.grid.settings import community
from apis_rules.node.controller import DATA_KEY
from apis_rules.node.identity import Documents
from apis_rules.node.messages import MASTER_KEY
from apis_rules.node.records import WATCHED, Records
from apis_rules.node.reference import KEY
from apis_rules.ports.types import ConverterMode, ErrorEvent, OperationMode
from apis_rules.resources import data_dir

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Mapping
    from contextlib import AbstractAsyncContextManager


RULES = data_dir("rules")
SCRAM_DELAY_S = 5.0
SMALL_DEALS = {
    "mediator": {
        "deal": {"gridCurrentA": 2, "amountMinWh": 50, "amountMaxWh": 50, "amountUnitWh": 50},
        "negotiationTimeoutMsec": 500,
    }
}
"""Of the policy: deals of 50 Wh, which take about 260 s of unit time."""


class World(VirtualCommunity):
    """The community. All times are virtual."""

    def __init__(
        self, units: int, acceleration: float, seed: int, policy: Mapping[str, Any], rsoc: Any, *, ideal: bool
    ) -> None:
        settings = community(units, seed=seed, rsoc_percent=rsoc, ideal_sensors=ideal)
        plant = Plant(Grid(settings), now_s=asyncio.get_running_loop().time, acceleration=acceleration)
        times = load_wiring().times_of("embedded")
        self.hardware = load_hw_config(RULES / "hwConfig.json").model
        base = load_policy(RULES / "policy.json").model
        unit_ids = [u.unit_id for u in settings.units]
        in_force = type(base).model_validate(base.to_document() | {"memberUnitIds": unit_ids, **policy})
        scenario = load_scenario(RULES / "scenario.json").model
        in_effect = times.as_values(SCRAM_DELAY_S)
        documents = {u: Documents(_config(u), self.hardware, in_force, scenario, in_effect) for u in unit_ids}
        super().__init__(plant, documents, times, seed)
        self.unheld = UnheldCurrent(low_v=290, high_v=385)
        self.holders = HoldersAtOnce()
        self.peak = PeakCurrent()
        self.dealless = Dealless(self)
        self.acceleration = acceleration
        plant.grid_now().observers.extend([self.unheld, self.holders, self.peak, self.dealless])

    async def until(self, condition: Callable[[], Any], within_s: float, what: str = "") -> None:
        """Wait in virtual time."""
        loop = asyncio.get_running_loop()
        end_s = loop.time() + within_s
        while not condition():
            for house in self.houses.values():
                if house.task is not None and house.task.done() and house.node is not None:
                    house.task.result()
            if loop.time() > end_s:
                raise AssertionError(f"not within {within_s} s: {what or condition}\n{self.tell()}")
            await asyncio.sleep(0.05)

    def deals_in(self, *states: str) -> list[str]:
        """The ids of the deals that are in one of these states."""
        return [i for i, (deal, _) in self.records.deals().items() if deal.state in states]

    def events(self, rule: str) -> list[ErrorEvent]:
        """The error events called *rule* that the community keeps."""
        return [e for e in self.error_events() if e.rule == rule]

    async def operator_sets(self, mode: str) -> None:
        """Set the community's mode, as the verb does."""
        self.set_mode(OperationMode(mode))

    async def one_deal(self) -> str:
        """Wait until a deal runs; return its id."""
        await self.until(lambda: self.deals_in("started"), 60, "a deal")
        return self.deals_in("started")[0]

    async def at_rest(self, within_s: float) -> None:
        """Wait until nobody holds the voltage or is active, and no deal is left that was switched."""
        await self.until(
            lambda: (
                self.records.grid()[0].state == "dead"
                and not self.records.active()[0].units
                and not any(d.switched for d, _ in self.records.deals().values())
            ),
            within_s,
            "rest",
        )

    # What must hold at every moment, and at the end.

    def check_grid(self, *, dead: Collection[str] = (), dealless_s: float = 0.0) -> None:
        """No current without a voltage or a deal, one holder, currents within what hardware and lines bear.

        The converter of a *dead* unit stays as it is on a bus without voltage; it draws nothing there. For
        *dealless_s* a converter may go on whose deal was lost with the store.
        """
        self.plant.grid_now()
        seconds = {u: s / self.acceleration for u, s in self.unheld.longest_s.items() if u not in dead}
        assert max(seconds.values(), default=0.0) <= 1.5, f"current without a voltage: {seconds}"
        seconds = {u: s / self.acceleration for u, s in self.dealless.longest_s.items()}
        assert max(seconds.values(), default=0.0) <= dealless_s, f"current without a deal: {seconds}"
        assert self.holders.without_droop_s / self.acceleration <= 0.2, "two units held the voltage without droop"
        limit_a = self.hardware.grid_current_capacity_a + self.hardware.grid_current_allowance_a
        assert all(a <= limit_a for a in self.peak.units_a.values()), self.peak.units_a

    def check_books(self) -> None:
        """One final record for each ended deal, in both parties' files and equal; locks go with their deals."""
        counted = Counter(r.deal_id for r in self.final_records)
        assert not [d for d, n in counted.items() if n != 1], counted
        running = set(self.records.deals())
        for unit_id, (lock, _) in self.records.locks().items():
            assert {e.deal_id for e in lock.entries} <= running, (unit_id, lock)
        assert not self.unwritten()

    def check_still(self) -> None:
        """Nobody is active, nothing is open: the community is at rest."""
        grid, _ = self.records.grid()
        assert grid.state == "dead", self.tell()
        assert not self.records.active()[0].units, self.tell()
        assert {self.plant.grid_now().unit(u).mode for u in self.unit_ids} == {ConverterMode.WAIT}, self.tell()

    def mode(self, unit_id: str) -> str:
        return self.plant.grid_now().unit(unit_id).mode.name

    def tell(self) -> str:
        """Describe the moment, for a failed test."""
        lines = [f"t={asyncio.get_running_loop().time():.2f}"]
        grid, _ = self.records.grid()
        lines.append(f"grid {grid.state} holder={grid.holder} next={grid.next_holder} reason={grid.reason}")
        lines.append(f"active {dict(self.records.active()[0].units)}")
        for deal_id, (deal, _) in self.records.deals().items():
            lines.append(
                f"deal {deal_id[:8]} {deal.state} {deal.record.units} {deal.record.cumulate_amount_wh} {deal.detail}"
            )
        for unit_id in self.unit_ids:
            state = self.plant.grid_now().unit(unit_id)
            house = self.houses[unit_id]
            life = house.node.state if house.node else "dead"
            master = house.node and house.node.services and house.node.services.board.is_master
            trading = house.node.services.board.trading if house.node and house.node.services else ""
            lines.append(
                f"{unit_id} {life} {state.mode.name} {state.grid_voltage_v:.1f} V {state.grid_current_a:.2f} A "
                f"{state.rsoc_percent:.1f} % {'MASTER' if master else ''} {trading}"
            )
            if master and house.node.services.grid_master.plan:
                lines.append(f"   waiting {house.node.services.grid_master.plan.waiting}")
        return "\n".join(lines)


def _config(unit_id: str) -> Config:
    return Config.model_validate(
        {
            "unitId": unit_id,
            "communityId": "test",
            "clusterId": "test",
            "systemType": "dcdc_emulator",
            "hwConfigFile": "h",
            "policyFile": "p",
            "scenarioFile": "s",
            "dealLogDirFormat": f"'/{unit_id}/'uuuu'/'MM'/'dd",
        }
    )


@asynccontextmanager
async def world(
    units: int = 4,
    *,
    acceleration: float = 10.0,
    seed: int = 1,
    policy: Mapping[str, Any] | None = None,
    rsoc: Any = None,
    ideal: bool = False,
    started: bool = True,
) -> AsyncIterator[World]:
    """Open a community with all nodes running; whatever still runs at the end is cancelled."""
    opened = World(units, acceleration, seed, policy or {}, rsoc, ideal=ideal)
    for unit_id in opened.unit_ids if started else ():
        opened.start(unit_id)
    try:
        yield opened
    finally:
        await opened.close()


@asynccontextmanager
async def operator(w: World) -> AsyncIterator[Onlooker]:
    """Open the operator's look at a community, with which ``compose.steer`` works as the verbs do."""
    ports = w.store.connect("operator")
    community: Any = SimpleNamespace(ports=ports, times=w.times)
    async with (
        ports.ctl.watch(*WATCHED) as ctl,
        ports.unit.watch(DATA_KEY, MASTER_KEY) as units,
        ports.policy.watch(KEY) as policy,
    ):
        await ctl.wait_fresh()
        await units.wait_fresh()
        yield Onlooker(community, Records(ctl), units, policy, w.unit_ids, w.policy.operation_mode)


def pair(acceleration: float) -> AbstractAsyncContextManager[World]:
    """Open a community of two that trade one small deal after the other."""
    return world(2, acceleration=acceleration, policy=SMALL_DEALS, rsoc=[92.0, 27.0])
