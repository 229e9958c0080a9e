"""First light as users have it: a process, a broker, HTTP, files. The tests build on each other and run in order."""

from __future__ import annotations

import csv
import io
import json
import signal
import socket
from typing import TYPE_CHECKING

import pytest

from apis_rules.ports.types import DealRecord
from apis_rules.resources import data_dir
from tests.compose.houses import UNITS, Program, ask, ask_json, now_s, until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.compose.conftest import Running

pytestmark = pytest.mark.timeout(150)


def test_a_first_deal_starts(running: Running) -> None:
    """Nodes of a folder with a broker of their own start a deal within 20 s of the first line."""
    started_s = running.program.wait_line(": started", 60)
    assert started_s - running.program.lines[0][0] < 20
    assert len(running.houses.active()) >= 2


def test_verbs_show_what_runs(running: Running) -> None:
    """``status`` and ``deals`` show the units, the master, the holder, the deals, and the average energy."""
    status = ask_json("status", "--format", "json", *running.place)
    assert [u["unit_id"] for u in status["units"] if u["present"]] == list(UNITS)
    assert status["units_present"] == len(UNITS)
    assert status["master"] in UNITS
    assert running.houses.modes()[status["holder"]].name == "VOLTAGE_REFERENCE"
    mean_wh = sum(u["remaining_wh"] for u in status["units"]) / len(UNITS)
    assert status["mean_remaining_wh"] == pytest.approx(mean_wh)
    assert status["deals"]
    table = ask("status", *running.place)
    assert f"Grid Master {status['master']}" in table
    deals = ask_json("deals", "--format", "json", *running.place)
    assert {d["discharge_unit_id"] for d in deals} <= set(UNITS)


def test_an_observer_only_looks(running: Running, tmp_path: Path) -> None:
    """It shows the community and what its unit would do, without one request to the driver or a part in anything."""
    before = ask_json("status", "--format", "json", *running.place)
    with socket.create_server(("127.0.0.1", 0)) as driver:
        written = json.loads((running.folder / "config.E001.json").read_text())
        written["connection"]["emulator"] = {"host": "127.0.0.1", "port": driver.getsockname()[1]}
        written |= {k: str(running.folder / written[k]) for k in ("hwConfigFile", "policyFile", "scenarioFile")}
        (tmp_path / "config.json").write_text(json.dumps(written))
        said = ask("run", tmp_path / "config.json", "--observe", "--for", "3s", *running.place)
        driver.setblocking(False)
        with pytest.raises(BlockingIOError):  # nobody has called
            driver.accept()
    assert "E001 (observed) is " in said
    assert "would ask" in said
    assert f"Grid Master {before['master']} (epoch {before['epoch']})" in said
    assert said.splitlines()[-1].endswith("nothing was asked for and nothing was switched")
    after = ask_json("status", "--format", "json", *running.place)
    assert (after["epoch"], after["units_present"]) == (before["epoch"], len(UNITS))


def test_verbs_steer_what_runs(running: Running) -> None:
    """Modes are set and shown; an illegal mode changes nothing and exits 2."""
    assert ask("mode", "set", "heteronomous", *running.place) == "the community's mode is heteronomous"
    assert "get takes no mode" in ask("mode", "get", "stop", *running.place, expect=2)
    assert ask("mode", "get", *running.place) == "heteronomous"
    assert "AR101" in ask("mode", "set", "manual", "--unit", "E003", *running.place, expect=2)
    assert "AR101" in ask("mode", "set", "soft", *running.place, expect=2)
    refused = ask("converter", "E003", "charge", "1", *running.place, expect=2)
    assert "AR730 error: " in refused
    assert "not in manual mode" in refused
    assert "'apis-rules mode set manual'" in refused
    assert "amperes" in ask("converter", "E003", "charge", *running.place, expect=2)
    assert "'converter E003 reference 350'" in ask("converter", "E003", "reference", *running.place, expect=2)
    assert ask("mode", "get", *running.place) == "heteronomous"


def test_deals_end_in_order_and_are_booked_as_they_were_metered(running: Running) -> None:
    """Both parties' files are equal and complete; energy is within 2 % of the agreed and 1 % of the metered one."""
    until(lambda: ask_json("deals", "--format", "json", *running.place) == [], 90, "all deals over")
    files = {u: list((running.folder / "dealLog" / u).glob("*/*/*/*")) for u in UNITS}
    by_deal: dict[str, list[bytes]] = {}
    for unit_files in files.values():
        for file in unit_files:
            by_deal.setdefault(file.name, []).append(file.read_bytes())
    assert by_deal
    records = []
    for copies in by_deal.values():
        assert len(copies) == 2
        assert copies[0] == copies[1]
        records.append(DealRecord.from_json(copies[0]))
    for record in records:
        assert None not in (record.activate_date_time, record.start_date_time, record.stop_date_time)
        assert record.abort_reason is None
        assert record.cumulate_amount_wh == pytest.approx(record.deal_amount_wh, rel=0.02)
    for unit_id in UNITS:
        metered = running.houses.look(lambda grid, unit_id=unit_id: grid.energies(unit_id))
        got = sum(r.charge_unit_amount_wh or 0.0 for r in records if r.charge_unit_id == unit_id)
        gave = sum(r.discharge_unit_amount_wh or 0.0 for r in records if r.discharge_unit_id == unit_id)
        if got:
            assert got == pytest.approx(metered.battery_side_in_wh, rel=0.01)
        if gave:
            # What the holder spends on the ramp and on an idle grid belongs to no deal.
            assert metered.grid_out_wh < gave < 1.01 * metered.battery_side_out_wh


def test_ended_deals_have_their_totals(running: Running) -> None:
    """``deals --since`` shows every deal that is over; the units' totals are their sums, in each format."""
    shown = ask_json("deals", "--since", "1h", "--format", "json", *running.place)
    logs = {f.name for f in (running.folder / "dealLog").glob("*/*/*/*/*")}
    assert {d["deal_id"] for d in shown["deals"]} == logs
    for unit in shown["units"]:
        gave = [d for d in shown["deals"] if d["discharge_unit_id"] == unit["unit_id"]]
        got = [d for d in shown["deals"] if d["charge_unit_id"] == unit["unit_id"]]
        assert unit["deals"] == len(gave) + len(got)
        assert unit["given_wh"] == pytest.approx(sum(d["discharge_wh"] for d in gave), abs=0.01)
        assert unit["taken_wh"] == pytest.approx(sum(d["charge_wh"] for d in got), abs=0.01)
        assert unit["earned_points"] - unit["paid_points"] == pytest.approx(
            sum(d["points"] for d in gave) - sum(d["points"] for d in got), abs=0.01
        )
    rows = list(csv.DictReader(io.StringIO(ask("deals", "--since", "1h", "--format", "csv", *running.place))))
    assert [r["deal_id"] for r in rows if r["row"] == "deal"] == [d["deal_id"] for d in shown["deals"]]
    assert [float(r["taken_wh"]) for r in rows if r["row"] == "unit"] == [u["taken_wh"] for u in shown["units"]]
    table = ask("deals", "--since", "1h", *running.place)
    shown_ids = [
        words[0] for line in table.splitlines() if (words := line.split()) and words[0] in {i[:8] for i in logs}
    ]
    assert shown_ids == [d["deal_id"][:8] for d in shown["deals"]]
    assert ask_json("deals", "--since", "0s", "--format", "json", *running.place)["deals"] == []


def test_one_deal_tells_its_story(running: Running) -> None:
    """``deals show`` has each step with its time, the rules that asked and accepted, the choice, and the end."""
    deal = ask_json("deals", "--since", "1h", "--format", "json", *running.place)["deals"][0]
    story = ask_json("deals", "show", deal["deal_id"][:8], "--format", "json", *running.place)
    assert [s["what"].split(":")[0] for s in story["steps"]][:4] == ["asked", "accepted", "created", "activated"]
    assert story["steps"][-1]["what"] == "deactivated: over"
    moments = [s["utc"] for s in story["steps"] if s["utc"] is not None]
    assert len(moments) >= 6
    assert moments == sorted(moments)
    assert {story[k].split(",")[0] for k in ("asked", "accepted")} == {
        deal["discharge_unit_id"],
        deal["charge_unit_id"],
    }
    assert "not kept" not in story["asked"] + story["accepted"] + story["chose"]
    assert story["ended"] == "in order"
    told = ask("deals", "show", deal["deal_id"], *running.place)
    assert "chose: " in told
    assert "started: both carry the current" in told
    assert "there is no deal zzz" in ask("deals", "show", "zzz", *running.place, expect=2)


def test_decisions_are_decided_again(running: Running, tmp_path: Path) -> None:
    """What a running community has decided comes out the same when it is decided once more."""
    log = tmp_path / "decisions.jsonl"
    log.write_text(ask("decisions", *running.place) + "\n")
    scenario = data_dir("rules") / "scenario.json"
    told = ask("replay", log, "--scenario", scenario, "--strict")
    assert "; 0 cannot be made again" in told
    assert not told.splitlines()[-1].startswith("0 of 0")


def test_a_quiet_community_says_why(running: Running) -> None:
    """Where nothing is traded, the reason is shown with the command that changes it."""
    ask("mode", "set", "stop", *running.place)
    until(running.houses.all_wait, 20, "all converters in WAIT")
    assert "'apis-rules mode set autonomous'" in " ".join(ask("status", *running.place).split())


def test_a_community_elsewhere_is_named_by_a_config(running: Running) -> None:
    """Without the run's file verbs need a config of a node and a server; a unit that is none is refused as ever."""
    (url,) = json.loads((running.folder / "state" / "run.json").read_text())["urls"]
    place = ("--config", running.folder / "config.E001.json", "--nats", url)
    assert ask("mode", "get", *place) == ask("mode", "get", *running.place)
    status = ask_json("status", "--format", "json", *place)
    assert [u["unit_id"] for u in status["units"]] == list(UNITS)
    assert "members: E001, E002" in ask("mode", "get", "--unit", "E009", *place, expect=2)
    assert "AR700" in ask("status", *place[:2], expect=2)


def test_an_exclusion_ends_when_the_unit_is_seen_to_wait(running: Running) -> None:
    """``exclude`` takes members only; a unit that answers and waits is taken in again by itself."""
    assert "there is no unit E009" in ask("exclude", "E009", "--reason", "x", *running.place, expect=2)
    assert ask("exclude", "E003", "--reason", "breaker opened", *running.place) == "E003 is excluded"

    def exclusion() -> str | None:
        units = ask_json("status", "--format", "json", *running.place)["units"]
        return next(u["excluded"] for u in units if u["unit_id"] == "E003")

    until(lambda: exclusion() is None, 20, "the exclusion is lifted")


def test_stop_ends_everything_in_order(running: Running) -> None:
    """``stop`` ends all nodes; every converter waits, the grid has no voltage, and the run exits 0."""
    ask("stop", *running.place)
    assert running.program.end(15) == 0, running.program.told
    until(lambda: running.houses.all_wait() and running.houses.grid_v() < 1, 15, "a dead grid")
    assert "no running community" in ask("status", *running.place, expect=2)


def test_the_policy_of_a_run_that_has_ended_can_be_looked_at_and_changed(running: Running, tmp_path: Path) -> None:
    """Where a node is refused over its policy nothing may be running: the verbs work on the store that it has left."""
    file = tmp_path / "policy.json"
    file.write_text(ask("policy", "show", *running.place))
    written = json.loads(file.read_text())
    written["mediator"]["negotiationTimeoutMsec"] += 1
    file.write_text(json.dumps(written))
    assert "mediator.negotiationTimeoutMsec" in ask("policy", "diff", file, *running.place)
    assert "no node runs: it is in force at the next start" in ask("policy", "publish", file, *running.place)
    assert ask("policy", "diff", file, *running.place) == "the file says what the community goes by"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_run_with_deals_in_order(number: signal.Signals) -> None:
    """Ctrl-C, which a terminal sends to the whole process group, and SIGTERM leave all converters in WAIT, exit 0."""
    with Program("run", "--accelerate", "30") as program:
        program.wait_line(": started", 60)
        asked_s = now_s()
        program.signal(number)
        assert program.end(20) == 0, program.told
        assert now_s() - asked_s < 15
        assert program.lines[-1][1].endswith("every converter is in WAIT, the grid is at 0 V")


def test_a_run_ends_by_itself_with_a_summary() -> None:
    """``--until-deals`` ends a run; the summary names parties, energies, points, duration and the balance."""
    with Program("run", "--until-deals", "1", "--format", "json", "--accelerate", "60") as program:
        assert program.end(100) == 0, program.told
    summary = json.loads(program.output)
    first = summary["deals"][0]
    assert {first["discharge_unit_id"], first["charge_unit_id"]} <= set(UNITS)
    assert first["points"] == pytest.approx(10 * first["booked_wh"], rel=0.001)
    assert first["duration_s"] > 0
    assert summary["given_wh"] - summary["taken_wh"] == pytest.approx(summary["loss_wh"], abs=0.01)
    assert sum(u["taken_wh"] - u["given_wh"] for u in summary["units"]) == pytest.approx(-summary["loss_wh"], abs=0.01)
