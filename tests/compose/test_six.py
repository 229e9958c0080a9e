"""Six houses as their users run them: parallel deals under each strategy, and how long a force stop takes."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from apis_rules.ports.types import DealRecord
from apis_rules.ports.virtual_time import run_virtual
from tests.compose.houses import Houses, Program, ask, ask_json, until, write_community
from tests.node.test_modes import force_stop

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(600)]

SIX = tuple(f"E{n:03d}" for n in range(1, 7))
THREE_AND_THREE = (91.0, 93.0, 92.0, 27.0, 26.0, 28.0)
CAPACITY_A = 2.3


def choose_strategy(folder: Path, strategy: str) -> None:
    file = folder / "policy.json"
    policy = json.loads(file.read_text())
    policy["largeCapacityUnitIds"] = []
    policy["gridMaster"]["gridMasterSelection"] = {"strategy": strategy, "fixedUnitId": "E005"}
    file.write_text(json.dumps(policy))


class Watch:
    """What was seen of the community."""

    def __init__(self, place: tuple[Any, ...]) -> None:
        self._place = place
        self.at_once = 0
        self.holders: list[str] = []
        self.last: dict[str, Any] = {}

    def look(self) -> dict[str, Any]:
        status = self.last = ask_json("status", "--format", "json", *self._place)
        started = [d for d in status["deals"] if d["state"] == "started"]
        self.at_once = max(self.at_once, len(started))
        for unit_id in SIX:
            own = [d for d in started if unit_id in (d["charge_unit_id"], d["discharge_unit_id"])]
            assert sum(d["current_a"] for d in own) <= CAPACITY_A
            assert len({d["charge_unit_id"] == unit_id for d in own}) <= 1, "opposite directions"
        if status["bus"] == "held" and status["holder"] not in self.holders[-1:]:
            self.holders.append(status["holder"])
        return status

    def kept(self) -> bool:
        """Whether a hand-over was seen after several deals ran at once."""
        self.look()
        return len(self.holders) >= 2 and self.at_once >= 3


@pytest.mark.parametrize("strategy", ["voltageReferenceUnit", "fixed", "anywhere"])
def test_three_give_to_three(strategy: str, tmp_path: Path) -> None:
    """Parallel deals within capacity, a hand-over, records at both parties, energy within 1 %; a force stop."""
    with Houses(accelerate=10, rsoc=THREE_AND_THREE, units=SIX) as houses:
        write_community(tmp_path, houses.addresses, SIX)
        choose_strategy(tmp_path, strategy)
        place = ("--state-dir", tmp_path / "state")
        with Program("run", tmp_path, *place) as program:
            watch = Watch(place)
            program.wait_line(": started", 60)
            until(lambda: watch.look() and watch.at_once >= 3, 60, "three deals at once")
            ask("mode", "set", "soft-stop", "--unit", watch.holders[0], *place)
            until(watch.kept, 120, "a hand-over when the holder's deals end")
            if strategy == "fixed":
                assert watch.last["master"] == "E005"
            if strategy == "voltageReferenceUnit":
                until(lambda: watch.look()["master"] == watch.holders[-1], 20, "the holder is master")
            ask("mode", "set", "soft-stop", *place)
            until(lambda: not watch.look()["deals"], 120, "all deals over")
            _check_records(tmp_path, houses)
            ask("mode", "set", "clear", "--unit", watch.holders[0], *place)
            ask("mode", "set", "run", *place)
            until(lambda: watch.look() and len(watch.last["deals"]) >= 2, 60, "deals again")
            until(lambda: len([d for d in watch.look()["deals"] if d["state"] == "started"]) >= 2, 60, "two run")
            ask("mode", "set", "force-stop", *place)
            took_s = until(houses.all_wait, 20, "every converter in WAIT")
            until(lambda: not watch.look()["deals"], 5, "no deal is left")
            virtual_s = run_virtual(force_stop())
            seen = f"{watch.at_once} at once, held by {watch.holders}"
            sys.stdout.write(f"\n{strategy}: {seen}; force stop {took_s:.2f} s, in virtual time {virtual_s:.2f} s\n")
            assert took_s <= 3.0
            ask("stop", *place)
            assert program.end(30) == 0, program.told


def _check_records(folder: Path, houses: Houses) -> None:
    copies: dict[str, list[bytes]] = {}
    for file in (folder / "dealLog").glob("*/*/*/*/*"):
        copies.setdefault(file.name, []).append(file.read_bytes())
    records = [DealRecord.from_json(c[0]) for c in copies.values()]
    assert len(records) >= 3
    assert all(len(c) == 2 and c[0] == c[1] for c in copies.values())
    for record in records:
        assert record.abort_reason is None
        assert None not in (record.activate_date_time, record.start_date_time, record.deactivate_date_time)
        assert record.cumulate_amount_wh == pytest.approx(record.deal_amount_wh, rel=0.02)
    for unit_id in SIX:
        metered = houses.look(lambda grid, unit_id=unit_id: grid.energies(unit_id))
        got = sum(r.charge_unit_amount_wh or 0.0 for r in records if r.charge_unit_id == unit_id)
        gave = sum(r.discharge_unit_amount_wh or 0.0 for r in records if r.discharge_unit_id == unit_id)
        if got:
            assert got == pytest.approx(metered.battery_side_in_wh, rel=0.01)
        if gave:
            # What a holder spends on the ramp and on an idle grid belongs to no deal.
            assert metered.grid_out_wh < gave < 1.01 * metered.battery_side_out_wh
