"""What can happen to the planner's world, drawn at random: deals, faults, deaths, silence, loss of the store.

Each kind of trouble is a method. ``heal`` ends all trouble, ``settle`` brings the world to rest, and ``check_at_rest``
holds it to what must be true at the end. The hazards of the safety case are counted where a walk reaches them.
"""

from __future__ import annotations

import random
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING

import pytest

from apis_rules.charts.master import Reaction, ReactionKind
from apis_rules.charts.master.deal_view import STARTING, STOPPING
from apis_rules.charts.unit import Faulted
from apis_rules.ports.types import Direction, OperationMode
from tests.charts.master.house import VR, WAIT
from tests.charts.master.store import make_deal
from tests.charts.master.world import World, shipped_settings, thaw

if TYPE_CHECKING:
    from tests.charts.master.house import House

RISKY = 0.5
"""How often the unit that dies is one whose partner's stop would overload the holder, where there is one."""

GUARDED = 0.7
"""How often only a process dies; else the whole machine does, and its converter goes on for ever."""

HANDING = ("announcing", "taking", "settling", "yielding", "straightening", "withdrawing", "restoring")
SUPERVISOR_S = 3.0
WH_PER_AS = 1.0
"""What 1 A moves in 1 s at the side that gives, with 350 V and clocks that run ten times as fast."""

KNOWN_TO_S = 0.6
"""So well it is known when a switch took effect that no master lived to see."""

READ_AFTER_S = 1.0
"""An active converter is read at least that often, also while there is no master."""

QUICK = {"dead_man_s": 4.0, "absence_s": 3.0, "drain_s": 4.0, "hand_over_s": 5.0, "holder_dead_man_s": 8.0}
"""A holder's time still outlasts a party's by the scram delay."""


@cache
def starts() -> dict[str, bytes]:
    """Worlds from which a walk may start: on a dead bus, and in the middle of things."""
    settings = shipped_settings(QUICK, scram_delay_s=2.0, settle_s=0.5)
    found: dict[str, bytes] = {}
    world = World(settings=settings, times=QUICK)
    found["dead"] = world.freeze()
    world.create(make_deal("s1", "E001", "E002"))
    world.run_until(lambda w: w.grid.state == "ramping")
    found["ramping"] = world.freeze()
    world.run_until(lambda w: w.grid.state == "authorizing")
    found["authorizing"] = world.freeze()
    world.run_until(lambda w: w.state_of("s1") == "started")
    found["one deal"] = world.freeze()
    world.create(make_deal("s2", "E003", "E004", amount_wh=100))
    world.run_until(lambda w: w.state_of("s2") == "started")
    found["two deals"] = world.freeze()
    shared = thaw(found["one deal"])
    shared.create(make_deal("s2", "E001", "E004"))
    shared.run_until(lambda w: w.state_of("s2") == "started")
    found["two deals of one unit"] = shared.freeze()
    heavy = World(settings=settings, times=QUICK)
    heavy.create(make_deal("s1", "E001", "E002", current_a=2.0))
    heavy.run_until(lambda w: w.state_of("s1") == "started")
    heavy.create(make_deal("s2", "E004", "E003", current_a=2.0))
    heavy.run_until(lambda w: w.state_of("s2") == "started")
    found["two deals of 2 A"] = heavy.freeze()
    for state in ("announcing", "taking", "settling", "yielding", "straightening"):
        world.run_until(lambda w, state=state: w.grid.state == state)
        found[state] = world.freeze()
    return found


KINDS = (
    *("wait",) * 8,
    *("deal",) * 6,
    *("crash_master",) * 4,
    *("deliver_late",) * 3,
    *("kill_master", "lose_lease", "kill_unit", "cut_off", "refuse", "mute", "wish", "forget") * 2,
    *("driver_down", "slow", "lose", "scram", "drain", "stop_mode", "trip", "soft_fault", "store_down"),
    *("kill_master_and_holder", "exclude", "store_goes_back"),
)
"""Methods of ``Trouble``, the likelier ones more often; the first is what a walk shrinks to."""

HAZARDS = frozenset(
    {
        "master and holder die at once",
        "the holder is partitioned",
        "a scram in the first moment of a term while a party is silent",
        "a new epoch during a stepping command",
        "a hand-over broken after a step",
        "a dead party whose partner's stop would overload the holder",
        "the holder's own alarm, with a hard limit",
        "the holder's own alarm, without a hard limit",
        "a write that lands after its process died",
        "a stop and an older start that arrive in the wrong order",
        "a store that went back",
        "a new master after a unit died active and its deal was closed",
    }
)


class Trouble:
    """Random events for one world; the seed says where it starts and what happens.

    Attributes:
        touched: units to which something happened.
        disturbed: deals that ran meanwhile: whose energy flowed where is not known exactly.
        unknown_s: deal → how long it was between the looks before and after a stop that no record told the next master.
        scrammed: whether everything was stopped at once: then nobody waits for anybody.
    """

    def __init__(self, start: str, seed: int) -> None:
        self.random = random.Random(seed)
        self.world = thaw(starts()[start])
        self.touched: set[str] = set()
        self.disturbed: set[str] = set()
        self.scrammed = False
        self.unknown_s: Counter[str] = Counter()
        self.hazards: Counter[str] = Counter()
        self.done: list[str] = []
        self.number = 0

    def happen(self, kind: str) -> None:
        """Let one thing happen, and a little time pass."""
        self.done.append(f"{self.world.now_s:.2f} {kind}")
        getattr(self, kind)()
        self.world.run(self.random.choice((0.0, 0.02, 0.1, 0.3, 1.0)))

    def _house(self) -> House:
        return self.random.choice(list(self.world.houses.values()))

    def _touch(self, house: House) -> None:
        self.touched.add(house.unit_id)
        self.world.troubled_s = self.world.now_s
        self.disturbed |= self.world.deals.keys()

    def _holder(self) -> House | None:
        return self.world.houses.get(self.world.grid.holder or "")

    def wait(self) -> None:
        self.world.run(self.random.choice((0.1, 0.5, 1.0, 3.0)))

    def deal(self) -> None:
        discharge, charge = self.random.sample(sorted(self.world.houses), 2)
        for unit_id, direction in ((discharge, Direction.DISCHARGE), (charge, Direction.CHARGE)):
            lock = self.world.lock(unit_id)
            if lock.exclusion or len(lock.entries) >= 2 or any(e.direction is not direction for e in lock.entries):
                return
        self.number += 1
        self.world.create(make_deal(f"d{self.number}", discharge, charge, amount_wh=self.random.choice((3, 50))))

    def _new_master(self) -> None:
        without_s = self.random.choice((0.05, 0.5, 3.0))
        blind = without_s >= 0.5 or self.world.now_s < self.world.late_until_s
        if blind and any(d.state in STARTING | STOPPING for d in self.world.deals.values()):
            # A switch that nobody sees take effect: what flowed is known no better than how long nobody looked.
            self.disturbed |= self.world.deals.keys()
        self.world.run(without_s)
        parties = {u for d in self.world.deals.values() for u in d.record.units}
        if any(not self.world.houses[u].up and u not in parties for u in self.world.active.units):
            self.hazards["a new master after a unit died active and its deal was closed"] += 1
        for deal_id, looked_s in self.world.unrecorded_s.items():
            self.unknown_s[deal_id] += self.world.now_s + READ_AFTER_S - looked_s
        self.world.new_term()

    def kill_master(self) -> None:
        self.world.kill_master()
        self._new_master()
        if self.world.reaction is not None and any(not h.up for h in self.world.houses.values()):
            self.hazards["a scram in the first moment of a term while a party is silent"] += 1

    def lose_lease(self) -> None:
        """The master lives, but its lease runs out: it may not act, and another one begins."""
        self.world.act_until_s = self.world.now_s + self.random.choice((0.0, 0.2, 1.0))
        self._new_master()

    def crash_master(self) -> None:
        state = self.world.grid.state
        self.world.crash_after = self.random.randint(1, 5)
        for _ in range(self.random.choice((3, 20))):
            if self.world.master_alive:
                self.world.run(0.1)
        self.world.crash_after = None
        if not self.world.master_alive:
            if any(h.record is not None and h.record.job is not None for h in self.world.houses.values()):
                self.hazards["a new epoch during a stepping command"] += 1
            if state in HANDING or self.world.grid.state in HANDING:
                self.hazards["a hand-over broken after a step"] += 1
            self._new_master()

    def kill_unit(self) -> None:
        risky = [h for h in self.world.houses.values() if h.mode is not WAIT and self._would_overload(h)]
        self._kill(self.random.choice(risky) if risky and self.random.random() < RISKY else self._house())

    def _kill(self, house: House) -> None:
        if house.record is None:
            return
        self._touch(house)
        busy = house.record.step is not None
        if house.mode is not WAIT and self._would_overload(house):
            self.hazards["a dead party whose partner's stop would overload the holder"] += 1
        house.guarded = self.random.random() < GUARDED
        house.kill()
        if busy:
            self.hazards["a write that lands after its process died"] += 1
        self.world.at(self.world.now_s + SUPERVISOR_S, house.unit_id, "supervise")
        if self.random.random() < 0.6:
            self.world.at(self.world.now_s + self.random.choice((1.0, 4.0, 15.0)), house.unit_id, "restart")

    def _would_overload(self, dead: House) -> bool:
        """Whether the holder, with *dead* going on and its partner stopped, would carry more than it can."""
        holder = self._holder()
        if holder is None or holder is dead:
            return False
        for deal in self.world.deals.values():
            partners = [u for u in deal.record.units if u not in (dead.unit_id, holder.unit_id)]
            if dead.unit_id in deal.record.units and len(partners) == 1:
                rest_a = holder.grid_current_a() + self.world.houses[partners[0]].grid_current_a()
                return abs(rest_a) > holder.capacity_a
        return False

    def kill_master_and_holder(self) -> None:
        holder = self._holder()
        self.world.kill_master()
        if holder is not None and holder.mode is VR:
            self._kill(holder)
            self.hazards["master and holder die at once"] += 1
        self._new_master()

    def cut_off(self) -> None:
        house = self._house()
        self._touch(house)
        house.reachable = False
        if house.mode is VR:
            self.hazards["the holder is partitioned"] += 1
        if self.random.random() < 0.7:
            self.world.at(self.world.now_s + self.random.choice((0.5, 3.0, 14.0)), house.unit_id, "rejoin")

    def driver_down(self) -> None:
        house = self._house()
        self._touch(house)
        house.driver_up = False
        self.world.at(self.world.now_s + self.random.choice((0.5, 4.0)), house.unit_id, "repair")

    def refuse(self) -> None:
        house = self._house()
        house.refuse_next = self.random.randint(1, 3)

    def lose(self) -> None:
        house = self._house()
        self._touch(house)
        house.lose_next = 1

    def slow(self) -> None:
        """A driver takes its time from now on, or does so no more."""
        house = self._house()
        self._touch(house)
        house.device_s = self.random.choice((0.03, 0.3, 0.8))

    def mute(self) -> None:
        self._house().mute_next = self.random.randint(1, 2)

    def wish(self) -> None:
        deals = list(self.world.deals.values())
        if deals:
            deal = self.random.choice(deals)
            unit_id = self.random.choice(deal.record.units)
            self.world.ask_stop(deal.record.deal_id, unit_id)
            if unit_id == self.world.grid.holder:
                self.hazards["the holder's own alarm, without a hard limit"] += 1

    def scram(self) -> None:
        self.scrammed = True
        self.world.reaction = Reaction(ReactionKind.SCRAM, "HARDWARE:GLOBAL:ERROR")
        self.world.touch()
        self.world.run(self.random.choice((0.05, 2.0, 8.0)))
        if self.random.random() < 0.3:
            self.kill_master()
        self.world.reaction = None

    def drain(self) -> None:
        self.world.reaction = Reaction(ReactionKind.DRAIN, "a hazard")
        self.world.touch()
        self.world.run(self.random.choice((0.05, 2.0, 8.0)))
        self.world.reaction = None

    def stop_mode(self) -> None:
        self.world.mode = OperationMode.STOP
        self.world.touch()
        self.world.run(self.random.choice((0.5, 6.0)))
        self.world.mode = OperationMode.AUTONOMOUS

    def trip(self) -> None:
        house = self._house()
        self._touch(house)
        if house.mode is VR:
            self.hazards["the holder's own alarm, with a hard limit"] += 1
        house.give(Faulted("L13", hard=True))

    def soft_fault(self) -> None:
        house = self._house()
        if house.mode is not VR:
            self._touch(house)
        house.give(Faulted("L26", hard=False))

    def store_down(self) -> None:
        self.world.store_up = False
        self.world.run(self.random.choice((0.3, 2.0)))
        self.world.store_up = True
        self.world.touch()

    def deliver_late(self) -> None:
        """A start is under way for so long that a stop may overtake it."""
        self.world.late_next[self._house().unit_id] = self.random.choice((0.3, 1.0, 2.5))

    def forget(self) -> None:
        self.world.forget_next = 1

    def exclude(self) -> None:
        dead = [h for h in self.world.houses.values() if not h.up]
        if dead:
            house = self.random.choice(dead)
            self.world.exclude(house.unit_id)
            self._touch(house)

    def store_goes_back(self) -> None:
        """The store is an earlier one: everything since then is forgotten; the community stops until told otherwise."""
        kept = self.world.snapshots
        if not kept or self.random.random() < 0.5:
            kept.append(dict(self.world.values))
            return
        self.hazards["a store that went back"] += 1
        for house in self.world.houses.values():
            self._touch(house)
        self.world.go_back(self.random.choice(kept))
        # Of what neither the earlier store nor a unit knows, no master can ever hear again.
        known = {i for i, d in self.world.deals.items() if d.switched or i in self.world.reached}
        self.world.switched &= known | self.world.stream.keys()
        self.world.run(3.0)

    # -- the end ------------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """End all trouble, then let the community stop in order."""
        world = self.world
        for house in world.houses.values():
            house.reachable, house.driver_up, house.device_s = True, True, 0.03
            house.refuse_next = house.lose_next = house.mute_next = 0
            if house.record is None:
                house.start()
        world.reaction, world.store_up, world.forget_next, world.crash_after = None, True, 0, None
        if not world.master_alive:
            world.new_term()
        world.mode = OperationMode.STOP
        world.touch()
        world.run_until(lambda w: w.ended and all(h.mode is WAIT for h in w.houses.values()), 120)
        if world.overtaken:
            self.hazards["a stop and an older start that arrive in the wrong order"] += world.overtaken

    def check_at_rest(self) -> None:
        """What must hold at the end."""
        world = self.world
        world.check()
        assert all(h.mode is WAIT for h in world.houses.values()), world.describe()
        for deal_id in world.switched:
            assert len(world.stream.get(deal_id, ())) == 1, (
                f"{deal_id}: {world.stream.get(deal_id)}\n{world.describe()}"
            )
        for (record,) in world.stream.values():
            assert record.deactivate_date_time, record
        self._check_energy()
        self._check_currents()

    def _check_currents(self) -> None:
        """Where everybody did what was planned, every unit stayed within its limits at every step of it."""
        alone = any("deserted" in h.told for h in self.world.houses.values())
        if self.touched or self.scrammed or alone:
            return
        for unit_id, house in self.world.houses.items():
            limit_a = house.capacity_a + house.allowance_a
            assert self.world.peak_a.get(unit_id, 0.0) <= limit_a, f"{unit_id}: {self.world.peak_a}"

    def _check_energy(self) -> None:
        """Of each unit that nothing happened to, the energy of all its deals is what its meter saw."""
        records = [record for (record,) in self.world.stream.values()]
        # Where nobody was master for a unit's own time, it stopped without anybody looking.
        alone = {u for u, h in self.world.houses.items() if "deserted" in h.told}
        for unit_id in self.world.houses.keys() - self.touched:
            own = [r for r in records if unit_id in r.units]
            unseen = self.disturbed | self.world.late_deals
            if any(r.deal_id in unseen or (alone | self.touched) & set(r.units) for r in own):
                continue
            booked_wh = sum(
                (r.charge_unit_amount_wh if r.charge_unit_id == unit_id else r.discharge_unit_amount_wh) or 0.0
                for r in own
            )
            true_wh = sum(self.world.bus.true_wh.get((r.deal_id, unit_id), 0.0) for r in own)
            # Where all that is known are two looks, their mean is off by at most half of what could flow between them.
            allowed_wh = WH_PER_AS * sum(
                r.deal_grid_current_a * (KNOWN_TO_S + self.unknown_s[r.deal_id] / 2) for r in own
            )
            assert booked_wh == pytest.approx(true_wh, rel=0.01, abs=allowed_wh), (unit_id, own)
