"""``kill -9`` of every part in every state of a deal and at every step of a hand-over, with real processes: a table.

``python -m tests.compose.kill_matrix [--victim master] [--way again] [--side-by-side 3]``, half an hour.

Three ways: *again*, the node dies and its supervisor starts it again (the broker comes back after 2 s, the emulator
after 3 s); *away*, the node dies for good and its supervisor does nothing but its duty; *power*, node and supervisor
are gone at once and are started again after 3 s. On a slow machine that takes longer than others wait: then the bus of
a converter that goes on by itself is not dead in time, and the community stops until a person has looked.
What must hold stands in ``judge``.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from apis_rules.ports.types import ConverterMode
from tests.compose.houses import UNITS, now_s, until
from tests.compose.killing import DEAL_STATES, HAND_OVER_STEPS, RSOC, Community

if TYPE_CHECKING:
    from apis_rules.ports.types import Deal
    from tests.compose.killing import Hit

LEASE_S: Final = 5.0
NEW_MASTER_S: Final = 1.5 * LEASE_S
UNHELD_S: Final = 1.5
ABSENCE_S: Final = 10.0
DRAINED_S: Final = 40.0
"""A command that is open may be in time for 20 s; then absence, and an orderly end, on a machine that is busy."""

HOLDER_DEAD_MAN_S: Final = 20.0
SUPERVISOR_S: Final = 3.0
REACHED_S: Final = 60.0
OVER_S: Final = 90.0
TRIPPED: Final = "the grid current is"
"""Without the policy's ``holderReserve``, a party that drops out may leave the holder with more than it bears."""

RETURN_S: Final = {"broker": 2.0}
CHAINS: Final = (
    ("master", "away"), ("party", "away"), ("broker", "away"), ("emulator", "away"), ("master", "again"),
    ("party", "again"), ("broker", "again"), ("emulator", "again"), ("master", "power"), ("party", "power"),
)  # fmt: skip
NEVER_SEEN: Final = {"energising", "compensating"}
"""Left in the very step in which they are entered unless something delays them: the store shows the next one."""


@dataclass
class Row:
    """One case: what was measured, in seconds after the kill, and what did not hold."""

    victim: str
    way: str
    moment: str
    what: str = ""
    new_master_s: float | None = None
    back_s: float | None = None
    own_wait_s: float | None = None
    drained_s: float | None = None
    over_s: float | None = None
    unheld_s: float = 0.0
    deals: int = 0
    kept: int = 0
    note: str = ""
    wrong: list[str] = field(default_factory=list)

    def line(self) -> str:
        def seconds(value: float | None) -> str:
            return "     -" if value is None else f"{value:6.2f}"

        measured = map(seconds, (self.new_master_s, self.back_s, self.own_wait_s, self.drained_s, self.over_s))
        return (
            f"{self.victim:8} {self.way:10} {self.moment:13} {self.what:14} {' '.join(measured)} {self.unheld_s:6.2f} "
            f"{self.kept:3}/{self.deals:<3} {'; '.join(self.wrong) or f'ok {self.note}'}"
        )


HEAD: Final = """\
victim   way        moment        unit            master   back  WAIT drained   over unheld kept/deals
(seconds after the kill: the next master; the unit is heard again; its converter, then all of the others in WAIT; each
deal that there was runs or is over; longest current without a voltage; deals that went on, of those that there were)"""


def run_case(community: Community, victim: str, way: str, moments: list[str]) -> Row:
    """Kill once, wait for what must follow, and say what did not hold. Raises ``TimeoutError``: no moment came."""
    houses = community.houses
    community.let_trade()
    houses.charge(RSOC)
    houses.unheld_s.update(dict.fromkeys(UNITS, 0.0))
    hit = community.kill_at(victim, moments, REACHED_S, whole=way == "power")
    role = "" if hit.unit_id is None else ("holder" if hit.unit_id == hit.holder else "other")
    row = Row(victim, way, hit.moment, f"{hit.unit_id or ''} {role}".strip(), deals=len(hit.deals))
    try:
        {"master": unit_case, "party": unit_case, "broker": broker_case, "emulator": emulator_case}[victim](
            community, hit, row
        )
        until(lambda: gone_on(community, hit), OVER_S, "its deals go on or are over")
        row.over_s = now_s() - hit.at_s
        community.ask_to_stop(hit.deals)
        until(lambda: not set(hit.deals) & community.deal_ids(), OVER_S, "its deals are over")
        if victim == "master":
            later = [at_s for at_s, number in community.epochs if number > hit.epoch]
            row.new_master_s = later[0] - hit.at_s if later else None
        row.unheld_s = max(houses.unheld_s.values())
        judge(community, hit, row)
    except AssertionError as error:
        row.wrong.append(str(error).splitlines()[0])
    return row


def gone_on(community: Community, hit: Hit) -> bool:
    """Return whether each deal that there was is over or runs, longer than the absence time after the kill."""
    if now_s() - hit.at_s < ABSENCE_S + 2:
        return not set(hit.deals) & community.deal_ids()
    return all(d.state == "started" for d in community.overview().deals if d.deal_id in hit.deals)


def unit_case(community: Community, hit: Hit, row: Row) -> None:
    unit_id = hit.unit_id
    assert unit_id is not None
    modes = community.houses.modes
    if row.way == "power":
        until(lambda: now_s() - hit.at_s >= SUPERVISOR_S, 5, "it is away")
        community.start_again(unit_id)
        await_back(community, hit, row)
        return
    if row.way == "again":
        community.renew_pid(unit_id, community.nodes_pid(unit_id))
        await_back(community, hit, row)
        return
    holds = modes()[unit_id] is ConverterMode.VOLTAGE_REFERENCE
    limit_s = HOLDER_DEAD_MAN_S + 2 if holds else SUPERVISOR_S
    if hit.was_active and not holds:
        until(lambda: modes()[unit_id] is ConverterMode.WAIT, limit_s, "its supervisor brings it to WAIT")
        row.own_wait_s = now_s() - hit.at_s
    if hit.was_active:
        others = [u for u in UNITS if u != unit_id]
        until(lambda: all(modes()[u] is ConverterMode.WAIT for u in others), DRAINED_S, "the others wait")
        row.drained_s = now_s() - hit.at_s
    if holds:
        until(lambda: modes()[unit_id] is ConverterMode.WAIT, limit_s, "its supervisor brings it to WAIT")
        row.own_wait_s = now_s() - hit.at_s
        if row.drained_s is not None and row.own_wait_s < row.drained_s:
            row.wrong.append("the voltage went before the last current")
    until(lambda: not community.nodes[unit_id].running, HOLDER_DEAD_MAN_S + 15, "its supervisor has done its duty")
    community.start_again(unit_id)


def await_back(community: Community, hit: Hit, row: Row) -> None:
    assert hit.unit_id is not None
    unit_id = hit.unit_id
    until(lambda: community.revision_of(unit_id) > hit.revision, 40, "the unit is heard again")
    row.back_s = now_s() - hit.at_s


def broker_case(community: Community, hit: Hit, row: Row) -> None:
    community.server.kill()
    if row.way == "again":
        until(lambda: now_s() - hit.at_s >= RETURN_S["broker"], 5, "it is away")
    else:
        until(community.houses.all_wait, HOLDER_DEAD_MAN_S + 4, "without a broker all converters wait")
        row.drained_s = now_s() - hit.at_s
    community.server.start()


def emulator_case(community: Community, hit: Hit, row: Row) -> None:
    community.houses.stop()
    away_s = SUPERVISOR_S if row.way == "again" else 1.5 * ABSENCE_S
    until(lambda: now_s() - hit.at_s >= away_s, away_s + 5, "it is away")
    community.houses.start()
    community.houses.charge(RSOC)


def judge(community: Community, hit: Hit, row: Row) -> None:
    """Note what does not hold of what must, whatever was killed."""
    if row.unheld_s > UNHELD_S:
        row.wrong.append(f"{row.unheld_s:.2f} s of current without a voltage")
    if hit.victim == "master" and not (row.new_master_s is not None and row.new_master_s <= NEW_MASTER_S):
        row.wrong.append("no new master in time")
    asked = hit.asked
    due = {i for i, deal in hit.deals.items() if deal.switched}
    with suppress(AssertionError):  # counted below
        until(lambda: due <= {r.deal_id for r in community.final_records()}, 20, "the final records")
    counted = Counter(r.deal_id for r in community.final_records())
    finals = {r.deal_id: r for r in community.final_records()}
    for deal_id, deal in hit.deals.items():
        n = counted[deal_id]
        if n > 1 or (n == 0 and deal.switched):
            row.wrong.append(f"{n} final records of {deal_id[:8]}")
        if n == 1:
            parties = deal.record.units
            until(lambda i=deal_id, p=parties: set(p) <= set(community.files(i)), 20, "both parties' files")
            if len(set(community.files(deal_id).values())) != 1:
                row.wrong.append(f"the parties' records of {deal_id[:8]} differ")
        record = finals.get(deal_id)
        ended = "" if record is None else (record.abort_reason or record.scram_reason or "")
        if community.asked.get(deal_id) == "started":
            ended = ""
        row.kept += record is not None and not ended
        goes_on = goes_on_without(deal, hit, row) and deal_id not in asked
        if goes_on and TRIPPED in ended:
            row.note = "holder tripped"
        elif goes_on and ended:
            row.wrong.append(f"{deal_id[:8]} of the living ended: {ended}")
        if hit.victim == "emulator" and deal.switched and deal.state == "started" and not ended:
            row.wrong.append(f"{deal_id[:8]} went on over another grid")


def goes_on_without(deal: Deal, hit: Hit, row: Row) -> bool:
    """Return whether a deal has to go on: it runs, and whoever is dead is back in time and no current of it."""
    if row.way == "away" or hit.victim == "emulator" or deal.state != "started":
        return False
    if hit.unit_id in deal.record.units and hit.unit_id != hit.holder:
        return False  # its converter went to WAIT
    return (row.back_s or 0.0) < ABSENCE_S - 2


def run_chain(victim: str, way: str, folder: Path, kept: Path | None, moments: list[str]) -> list[Row]:
    """Kill at each of the moments once, in the order in which they come; a community that broke is made anew."""

    def keep(what: str, community: Community) -> None:
        if kept is not None:
            kept.mkdir(parents=True, exist_ok=True)
            (kept / f"{victim}-{way}-{what}.txt").write_text(community.told())

    rows: list[Row] = []
    left, community = list(moments), None
    try:
        while left:
            if community is None:
                made = folder / f"{victim}-{way}-{len(rows)}"
                community = Community(made, restarts=0 if way == "away" else 5)
            try:
                row = run_case(community, victim, way, left)
            except TimeoutError:
                missed = [m for m in left if m not in NEVER_SEEN]
                rows += [Row(victim, way, m, wrong=["did not come"]) for m in missed]
                keep("missed", community)
                break
            left.remove(row.moment)
            rows.append(row)
            print(row.line(), flush=True)  # noqa: T201  the table
            if row.wrong:
                keep(row.moment, community)
                community.close()
                community = None
        if community is not None:
            codes = community.end()
            if any(codes) or not community.houses.all_wait():
                rows.append(Row(victim, way, "SIGTERM", wrong=[f"exit {codes}, active {community.houses.active()}"]))
    finally:
        if community is not None:
            community.close()
    return rows


def main() -> int:
    """Run the table; 1 where something did not hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--victim", choices=["master", "party", "broker", "emulator"])
    parser.add_argument("--way", choices=["again", "away", "power"])
    parser.add_argument("--moment", action="append", choices=[*DEAL_STATES, *HAND_OVER_STEPS])
    parser.add_argument("--side-by-side", type=int, default=3, metavar="N")
    parser.add_argument("--folder", type=Path, help="for what failed cases have said")
    args = parser.parse_args()
    chains = [c for c in CHAINS if args.victim in (None, c[0]) and args.way in (None, c[1])]
    moments = args.moment or [*DEAL_STATES, *HAND_OVER_STEPS]
    print(HEAD, flush=True)  # noqa: T201
    with tempfile.TemporaryDirectory() as temporary, ThreadPoolExecutor(args.side_by_side) as pool:
        runs = [pool.submit(run_chain, v, w, Path(temporary), args.folder, moments) for v, w in chains]
        rows = [row for run in runs for row in run.result()]
    failed = [row for row in rows if row.wrong]
    print(f"\n{len(rows)} cases, {len(failed)} failed")  # noqa: T201
    for row in failed:
        print(row.line())  # noqa: T201
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
