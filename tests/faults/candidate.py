"""A candidate for mastership, as a process that can be killed and frozen: ``python -m tests.faults.candidate …``.

While it is master it commands a unit, writes facts, makes and ends deals with their interlocks, appends records; each
step is told on standard output as one JSON line, so that the campaign can say afterwards whether anything was lost.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from contextlib import suppress
from pathlib import Path

from apis_rules.documents.wiring import Kind, Wiring, load_wiring
from apis_rules.errors import Conflict, Fenced, Outage, PortError, Refused, Unknown
from apis_rules.ports.bundle import CommunityPorts
from apis_rules.ports.lease import Term
from apis_rules.ports.state import At, Write
from apis_rules.ports.types import Command, CommandName, CommandParams, Direction, Lock, LockEntry
from apis_transport.community import open_community
from apis_transport.errors import CannotOpen

UNITS = ("E1", "E2", "E3", "E4")
AMPERE, CAPACITY_A = 0.5, 2.0
STEP_S = 0.02


def quick_wiring() -> Wiring:
    """Return the shipped wiring with short times, so that a minute holds many terms."""
    wiring = load_wiring()
    embedded = {"life_s": 2, "renewal_s": 0.5, "limit_s": 0.5, "margin_s": 0.3}
    cluster = {"life_s": 5, "renewal_s": 1.0, "limit_s": 1.0, "margin_s": 0.5}
    times = {
        "embedded": wiring.times.embedded.model_copy(update=embedded),
        "cluster": wiring.times.cluster.model_copy(update=cluster),
    }
    return wiring.model_copy(update={"times": wiring.times.model_copy(update=times)})


def tell(what: str, **details) -> None:
    sys.stdout.write(json.dumps({"what": what, **details}) + "\n")
    sys.stdout.flush()


class Candidate:
    """One process's part in the campaign."""

    def __init__(self, name: str, ports: CommunityPorts, wiring: Wiring, kind: Kind) -> None:
        self.name = name
        self.ports = ports
        self.times = wiring.times_of(kind)
        self.random = random.Random(name)
        self.term: Term | None = None
        self.seq = 0
        self.deals: list[tuple[str, str, str]] = []

    @property
    def may_act(self) -> bool:
        """Arithmetic on the last acknowledged renewal, nothing else."""
        term = self.term
        clock = self.ports.clock
        return term is not None and clock.now_s() < term.sent_at_s + self.times.life_s - self.times.margin_s

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.hold_lease())
            tasks.create_task(self.rule())

    async def hold_lease(self) -> None:
        ended = asyncio.Event()

        async def hear() -> None:
            async for state in self.ports.lease.changes():
                if state.holder is None:
                    ended.set()

        hearing = asyncio.create_task(hear())
        while True:
            try:
                if self.term is None:
                    self.term = await self.ports.lease.acquire(self.name)
                    if self.term is not None:
                        epoch = self.term.epoch
                        tell("acquired", epoch=epoch.number, term=epoch.term_id, fence=self.term.fence.revision)
                        continue
                    ended.clear()
                    with suppress(TimeoutError):
                        async with asyncio.timeout(self.times.life_s):
                            await ended.wait()
                    await asyncio.sleep(self.random.uniform(0, 0.05))
                else:
                    await asyncio.sleep(self.times.renewal_s)
                    if not self.may_act:
                        self.term = None
                        continue
                    self.term = await self.ports.lease.renew(self.term)
            except Fenced:
                self.term = None
            except (Outage, Unknown, Conflict):
                if not self.may_act:
                    self.term = None
                await asyncio.sleep(0.05)
            if hearing.done():
                hearing.result()

    async def rule(self) -> None:
        number = 0
        announced = None
        while True:
            await asyncio.sleep(STEP_S)
            term = self.term
            if term is None or not self.may_act:
                continue
            number += 1
            try:
                if announced != term.epoch:
                    self.seq, self.deals = 0, []
                    with suppress(PortError):
                        await self.ports.bus.ask("E1", "announce", term.epoch.to_json(), 0.5)
                    announced = term.epoch
                await (self.command, self.fact, self.deal, self.record)[number % 4](term, number)
            except Fenced:
                self.term = None
            except (Outage, Refused, Unknown):
                pass

    async def command(self, term: Term, number: int) -> None:
        """Order a current, or WAIT by both paths."""
        self.seq += 1
        name = (CommandName.CHARGE, CommandName.CURRENT, CommandName.WAIT)[self.seq % 3]
        order = Command(
            epoch=term.epoch,
            seq=self.seq,
            boot="boot1",
            refresh=self.seq,
            name=name,
            params=CommandParams(grid_current_a=self.random.choice((0.5, 1.0, 1.5))),
        )
        if not self.may_act:
            return
        tell("sends", epoch=term.epoch.number, at_s=self.ports.clock.now_s())
        if name.stops:
            try:
                await self.ports.commands.send_stop("E1", order)
            except Outage:
                # A number that was used by nothing: if it is ever obeyed, the message was delivered late.
                tell("not sent", epoch=term.epoch.number, seq=self.seq)
                return
        await self.ports.commands.send("E1", order, term)

    async def fact(self, term: Term, number: int) -> None:
        """Write something once; where the outcome is unknown, ask the store by writing again on the same conditions.

        Fenced and on its own revision, as the master writes its records: the fence alone would let an attempt without
        an answer land after a later one and take its place.
        """
        key = f"fact.{self.name}-{term.epoch.number}-{number}"
        for attempt in range(20):
            value = f"{attempt}"
            try:
                carrier = Write("carrier", key.encode(), term.fence)
                revision = await self.ports.ctl.write(carrier, Write(key, value.encode(), At(key, 0)))
            except Unknown:
                tell("unsure", key=key, value=value, epoch=term.epoch.number)
            except Conflict:
                return
            except Outage:
                await asyncio.sleep(0.05)
            else:
                tell("kept", key=key, value=value, revision=revision, epoch=term.epoch.number)
                return
            if not self.may_act:
                return

    async def deal(self, term: Term, number: int) -> None:
        """Make a deal between two units, or end one: its record and both locks in one batch."""
        if len(self.deals) > 3:
            await self.end_deal(term, *self.deals.pop(0))
            return
        charger, discharger = self.random.sample(UNITS, 2)
        deal_id = f"{self.name}-{term.epoch.number}-{number}"
        locks = []
        for unit_id, direction in ((charger, Direction.CHARGE), (discharger, Direction.DISCHARGE)):
            entry = await self.ports.ctl.get(f"lock.{unit_id}")
            lock = Lock.from_json(entry.value) if entry.value else Lock()
            if any(e.direction is not direction for e in lock.entries):
                return
            if sum(e.ampere for e in lock.entries) + AMPERE > CAPACITY_A:
                return
            entries = (*lock.entries, LockEntry(deal_id=deal_id, direction=direction, ampere=AMPERE))
            locks.append(Write(entry.key, Lock(entries=entries).to_json(), entry.at))
        body = json.dumps([charger, discharger]).encode()
        try:
            await self.ports.ctl.write(Write(f"deal.{deal_id}", body, term.fence), *locks)
        except Unknown:
            tell("unsure deal", deal=deal_id)
        except Conflict:
            return
        else:
            tell("dealt", deal=deal_id)
            self.deals.append((deal_id, charger, discharger))

    async def end_deal(self, term: Term, deal_id: str, *units: str) -> None:
        locks = []
        for unit_id in units:
            entry = await self.ports.ctl.get(f"lock.{unit_id}")
            lock = Lock.from_json(entry.value or b"{}")
            rest = tuple(e for e in lock.entries if e.deal_id != deal_id)
            value = Lock(entries=rest).to_json() if rest else None
            locks.append(Write(entry.key, value, At(entry.key, entry.revision)))
        with suppress(Conflict):
            tell("ends", deal=deal_id)
            await self.ports.ctl.write(Write(f"deal.{deal_id}", None, term.fence), *locks)

    async def record(self, term: Term, number: int) -> None:
        """Append a record that must be there exactly once, whatever it takes."""
        subject = f"{self.name}-{term.epoch.number}-{number}"
        for _ in range(20):
            try:
                seq = await self.ports.streams.append(
                    "DEALLOG", subject, subject.encode(), message_id=subject, expected_last=0
                )
            except Conflict:
                # An earlier attempt was stored and is no longer known by its id: it is there, which is what counts.
                return
            except (Outage, Unknown):
                await asyncio.sleep(0.05)
            else:
                tell("recorded", subject=subject, seq=seq)
                return


async def main(urls: str, community_id: str, name: str, folder: str, kind: Kind) -> None:
    wiring = quick_wiring()
    while True:
        try:
            async with open_community(
                urls.split(","), community_id, "c", name, Path(folder) / name, kind=kind, wiring=wiring, within_s=20
            ) as community:
                await Candidate(name, community.ports, wiring, kind).run()
        except CannotOpen as error:
            tell("cannot open", code=error.code)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))  # type: ignore[arg-type]  # the campaign gives the right ones
