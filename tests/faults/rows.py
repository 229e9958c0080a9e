"""The fault table: what goes wrong, what is declared to happen, how soon everything is safe, and what follows.

Times are those of the contract: a unit's own reaction is one reading (1 s), the debounce of its rule and half a second;
the community's is the scram delay and a second from the moment of the error; a unit that is away is waited for, then
the bus is drained.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from apis_rules.grid.faults import Fault, FaultKind
from apis_rules.ports.types import Level, OperationMode
from tests.faults.places import PAUSE_S, Place

LOCAL_S = 1.0 + 0.5
STEP_S = 0.5
"""What is looked at every 50 ms, by a machine that does other things too."""

SCRAM_S = 5.0 + 1.0
AWAY_S = 2.5 + 10.0 + 5.0 + 1.0
DEAD_MAN_S = 20.0 + 1.0
STALL_S, GUARD_S = 3.0, 3.0
NOTICED_S = 25.0
RECOVERED_S = 120.0
LINES: Mapping[str, Any] = {
    "safety": {
        "sumOfDealingUnitGridCurrentAllowancePerUnitA": 0.1,
        "sumOfDealGridCurrentMaxA": 100,
        "gridTopologyBasedEvaluation": {
            "enabled": True,
            "branchIds": ["line"],
            "branchAssociation": {"line": {"forwardUnitIds": ["E001", "E003"], "backwardUnitIds": ["E002", "E004"]}},
            "branchCurrentCapacityA": {"line": 4.0},
        },
    }
}


@dataclass(frozen=True)
class Scene:
    """The community as the fault finds it: two deals run.

    Attributes:
        party: a current-controlled unit of the deal in which the holder is not.
        partner: the other one of that deal.
        gives: whether the holder discharges.
    """

    holder: str
    master: str
    party: str
    partner: str
    gives: bool
    deals: frozenset[str]
    at_s: float


@dataclass(frozen=True)
class Row:
    """One row.

    Attributes:
        reaction: as declared.
        rule: of the event that must be told; empty: none.
        make: lets it go wrong.
        safe: units whose converter must be in WAIT, and by *limit_s* after the fault (*from_event*: after the error).
        later: units that cannot be reached: in WAIT at first contact, after *mend*.
        goes_on: the other units' deal is not disturbed.
        stops: the mode is stop afterwards.
        apart: needs a process for each node.
        supervised: with their supervisors, which there are with real processes only.
        before_deals: the fault is there before the first deal.
    """

    fault: str
    reaction: str
    rule: str
    make: Callable[[Place, Scene], Awaitable[None]]
    safe: Callable[[Scene], tuple[str, ...]]
    limit_s: float
    mend: Callable[[Place, Scene], Awaitable[None]]
    later: Callable[[Scene], tuple[str, ...]] = lambda _: ()
    level: Level = Level.ERROR
    from_event: bool = False
    goes_on: bool = False
    stops: bool = False
    apart: bool = False
    supervised: bool = False
    before_deals: bool = False
    policy: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Result:
    """What was measured."""

    row: Row
    told_s: float | None
    safe_s: float
    lost: int
    recovered_s: float

    @property
    def cells(self) -> tuple[str, ...]:
        told = f"{self.told_s:.1f}" if self.told_s is not None else "-"
        start = "error" if self.row.from_event else "fault"
        safe = f"{self.safe_s:.1f} of {self.row.limit_s:g} after the {start}"
        return self.row.fault, self.row.reaction, self.row.rule, told, safe, f"{self.recovered_s:.0f}", str(self.lost)


def everybody(_: Scene) -> tuple[str, ...]:
    return ("E001", "E002", "E003", "E004")


def nobody(_: Scene) -> tuple[str, ...]:
    return ()


def the_party(scene: Scene) -> tuple[str, ...]:
    return (scene.party,)


def all_but_the_party(scene: Scene) -> tuple[str, ...]:
    return tuple(u for u in everybody(scene) if u != scene.party)


def all_but_the_master(scene: Scene) -> tuple[str, ...]:
    return tuple(u for u in everybody(scene) if u != scene.master)


def at(who: str, kind: FaultKind, **values: Any) -> Callable[[Place, Scene], Awaitable[None]]:
    async def make(place: Place, scene: Scene) -> None:
        await place.add(Fault(kind=kind, unit=getattr(scene, who), **values))

    return make


async def clear(place: Place, _: Scene) -> None:
    await place.clear()


async def leak(place: Place, scene: Scene) -> None:
    value = 0.9 if scene.gives else -0.9  # less than it carries: its own limits see nothing
    await place.add(Fault(kind=FaultKind.SENSOR_DRIFT, unit=scene.holder, meter="ig", value=value))


async def overload(place: Place, scene: Scene) -> None:
    # More than the line may carry; less than what G04 allows four units, and than what the holder's own limits do.
    value = -0.27 if scene.gives else 0.27
    await place.add(Fault(kind=FaultKind.SENSOR_DRIFT, unit=scene.holder, meter="ig", value=value))


async def stuck(place: Place, scene: Scene) -> None:
    await place.add(Fault(kind=FaultKind.STUCK_MODE, unit=scene.party))
    await place.set_mode("stop")


async def unstuck(place: Place, _: Scene) -> None:
    await place.clear()


async def kill_party(place: Place, scene: Scene) -> None:
    await place.kill(scene.party)


async def start_party(place: Place, scene: Scene) -> None:
    await place.start(scene.party)


async def kill_nodes(place: Place, scene: Scene) -> None:
    place.signal_nodes(scene.party, signal.SIGKILL)


async def freeze_nodes(place: Place, scene: Scene) -> None:
    place.signal_nodes(scene.party, signal.SIGSTOP)


async def freeze_party(place: Place, scene: Scene) -> None:
    place.freeze(scene.party)


async def thaw_party(place: Place, scene: Scene) -> None:
    place.thaw(scene.party)


async def kill_master(place: Place, scene: Scene) -> None:
    await place.kill(scene.master)


async def start_master(place: Place, scene: Scene) -> None:
    await place.start(scene.master)


async def second_master(place: Place, scene: Scene) -> None:
    place.freeze(scene.master)
    await place.until(lambda: place.master() not in (None, scene.master), 9.0, "another master")
    place.thaw(scene.master)  # it believes to be master still, until it asks


async def step_clock(place: Place, _: Scene) -> None:
    await place.step_clock(3600.0)


async def nothing(_: Place, __: Scene) -> None:
    return


async def no_broker(place: Place, _: Scene) -> None:
    place.broker(up=False)


async def broker_again(place: Place, _: Scene) -> None:
    place.broker(up=True)


async def full_disk(place: Place, scene: Scene) -> None:
    place.disk(scene.party, full=True)


async def empty_disk(place: Place, scene: Scene) -> None:
    await place.until(lambda: place.ended(scene.party), 90.0, "its node ends")
    place.disk(scene.party, full=False)
    await place.start(scene.party)


WAIT_AND_END = "its deals end, it waits"
STOP_ALL = "everything stops, mode stop"
DRAIN = "after 10 s all drained"

ROWS = (
    Row("heavy alarm", WAIT_AND_END, "L01", at("party", FaultKind.HEAVY_ALARM), the_party, LOCAL_S, clear,
        goes_on=True),
    Row("over-temperature", WAIT_AND_END, "L10", at("party", FaultKind.OVER_TEMPERATURE, value=72.0), the_party,
        LOCAL_S, clear, goes_on=True),
    Row("permission withdrawn", WAIT_AND_END, "L02", at("party", FaultKind.PERMISSION_WITHDRAWN), the_party, LOCAL_S,
        clear, goes_on=True),
    Row("dead battery", WAIT_AND_END, "L12", at("party", FaultKind.DEAD_BATTERY), the_party, LOCAL_S, clear,
        goes_on=True),
    Row("heavy alarm of the holder", "it says so and stops, all wait", "L01", at("holder", FaultKind.HEAVY_ALARM),
        everybody, LOCAL_S + 0.5, clear),
    Row("drift of a voltage meter", WAIT_AND_END, "L32", at("party", FaultKind.SENSOR_DRIFT, meter="vg", value=34.0),
        the_party, LOCAL_S, clear, goes_on=True),
    Row("drift of a current meter", STOP_ALL, "G04", at("party", FaultKind.SENSOR_DRIFT, meter="ig", value=0.9),
        everybody, SCRAM_S, clear, from_event=True, stops=True),
    Row("current leak", STOP_ALL, "G04", leak, everybody, SCRAM_S, clear, from_event=True, stops=True),
    Row("branch over capacity", STOP_ALL, "G07", overload, everybody, SCRAM_S, clear, from_event=True, stops=True,
        policy=LINES),
    Row("foreign source", STOP_ALL, "grid_already_live", at("party", FaultKind.FOREIGN_SOURCE, value=352.0), everybody,
        SCRAM_S, clear, from_event=True, stops=True, before_deals=True),
    Row("stuck mode", "drained, WAIT again and again", "not_confirmed", stuck, all_but_the_party, AWAY_S, unstuck,
        later=the_party),
    Row("lost driver", DRAIN, "L33", at("party", FaultKind.SILENT), all_but_the_party, AWAY_S, clear, later=the_party),
    Row("clock step", "told, all goes on", "clock_set", step_clock, nobody, 0.0, nothing, goes_on=True,
        level=Level.WARN),
    Row("dead node, converter active", DRAIN, "silent", kill_party, all_but_the_party, AWAY_S, start_party,
        later=the_party, level=Level.WARN, apart=True),
    Row("frozen node", DRAIN, "silent", freeze_party, all_but_the_party, AWAY_S, thaw_party, later=the_party,
        level=Level.WARN, apart=True),
    Row("dead node, supervised", "its supervisor sets WAIT, starts it", "", kill_nodes, the_party, GUARD_S,
        nothing, apart=True, supervised=True),
    Row("frozen node, supervised", "ended after 3 s, WAIT, started", "", freeze_nodes, the_party, STALL_S + GUARD_S,
        nothing, apart=True, supervised=True),
    Row("lost master", "another one, then " + DRAIN, "G11", kill_master, all_but_the_master, AWAY_S + 6.0,
        start_master, later=lambda s: (s.master,), level=Level.WARN, apart=True),
    Row("two masters attempted", "the older one obeys, all goes on", "", second_master, nobody, 0.0, nothing,
        goes_on=True, apart=True),
    Row("lost broker", "each unit stops by itself", "", no_broker, everybody, DEAD_MAN_S, broker_again),
    Row("disk full", "its deals end, its node ends", "disk", full_disk, the_party, LOCAL_S, empty_disk, from_event=True,
        level=Level.FATAL, apart=True, goes_on=True),
)  # fmt: skip


async def run_row(row: Row, place: Place) -> Result:
    """Let it go wrong, see what must hold, mend it, see that they trade again, end everything, count the records."""
    scene = await _two_deals(row, place)
    began_s = place.now_s()
    known = {e.event_id for e in place.events()}

    def told() -> float | None:
        for event in place.events():
            if event.event_id not in known and event.rule.startswith(row.rule) and event.level is row.level:
                return place.now_s()
        return None

    await row.make(place, scene)
    if row.before_deals:
        await place.set_mode("autonomous")
    units = row.safe(scene)
    reported_s: float | None = None
    safe_s: float | None = began_s if not units else None
    limit_s = NOTICED_S + row.limit_s if row.from_event else row.limit_s + STEP_S
    end_s = began_s + max(limit_s, NOTICED_S)
    while (row.rule and reported_s is None) or safe_s is None:
        modes = place.modes()
        if reported_s is None and row.rule:
            reported_s = told()
        if safe_s is None and all(modes[u] == "WAIT" for u in units):
            safe_s = place.now_s()
        if place.now_s() > end_s:
            missing = "not told" if row.rule and reported_s is None else f"not safe: {modes}"
            raise AssertionError(f"{row.fault}: {missing} after {place.now_s() - began_s:.1f} s\n{place.tell()}")
        await asyncio.sleep(PAUSE_S)
    start_s = reported_s if row.from_event and reported_s is not None else began_s
    took_s = max(0.0, safe_s - start_s)
    if took_s > row.limit_s + STEP_S:
        raise AssertionError(f"{row.fault}: safe after {took_s:.1f} s, {row.limit_s} allowed\n{place.tell()}")
    if row.stops:
        await place.until(lambda: _mode(place) is OperationMode.STOP, 5.0, "the mode is stop")
    await row.mend(place, scene)
    mended_s = place.now_s()
    if row.later(scene):
        await place.until(
            lambda: all(place.modes()[u] == "WAIT" for u in row.later(scene)), 40.0, "WAIT at first contact"
        )
    if _mode(place) is OperationMode.STOP:
        await place.until(lambda: not place.deals(), 40.0, "everything has ended")
        await place.set_mode("autonomous")
    known_deals = set(scene.deals) | set(place.deals())
    await place.until(lambda: set(place.deals("started")) - known_deals, RECOVERED_S, "they trade again")
    recovered_s = place.now_s() - mended_s
    if row.goes_on:
        others = [r for r in await place.finals() if r.deal_id in scene.deals and scene.party not in r.units]
        if any(r.abort_reason or r.scram_reason for r in others):
            reasons = [r.abort_reason or r.scram_reason for r in others]
            raise AssertionError(f"{row.fault}: the others' deal was aborted: {reasons}\n{place.tell()}")
    seen = scene.deals | set(place.deals("started"))
    await place.set_mode("stop")
    await place.until(lambda: set(place.modes().values()) == {"WAIT"} and not place.deals(), 40.0, "at rest at the end")
    await asyncio.sleep(1.0)
    lost = await place.lost(seen)
    if lost:
        raise AssertionError(f"{row.fault}: lost {lost}\n{place.tell()}")
    return Result(row, None if reported_s is None else reported_s - began_s, took_s, len(lost), recovered_s)


def _mode(place: Place) -> OperationMode | None:
    record = place.mode()
    return record.mode if record else None


async def _two_deals(row: Row, place: Place) -> Scene:
    if row.before_deals:
        await place.until(place.master, 60, "a master")
        return Scene("E001", "E001", "E002", "E001", gives=True, deals=frozenset(), at_s=place.now_s())
    await place.until(lambda: len(place.deals("started")) >= 2, 120, "two deals")
    holder = place.records.grid()[0].holder
    assert holder is not None
    await place.until(lambda: place.master() == place.records.grid()[0].holder, 60, "the holder is master")
    deals = place.deals("started")
    for deal in deals.values():
        record = deal.record
        if holder not in record.units:
            own = next(d.record for d in deals.values() if holder in d.record.units)
            gives = own.discharge_unit_id == holder
            party, partner = record.charge_unit_id, record.discharge_unit_id
            return Scene(holder, holder, party, partner, gives, frozenset(deals), place.now_s())
    raise AssertionError(f"no deal without the holder\n{place.tell()}")
