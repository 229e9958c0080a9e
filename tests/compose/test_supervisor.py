"""The process above the nodes, with real ones: killed, frozen, left alone. The tests build on each other, in order."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from apis_rules.compose.wait_orders import LOCK_FILE
from apis_rules.node import continuity as seen
from apis_rules.node.controller import MEMORY_FILE
from apis_rules.ports.types import ConverterMode
from apis_transport import continuity as transport_seen
from tests.compose.houses import UNITS, Program, ask_json, now_s, until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.compose.conftest import Running

pytestmark = pytest.mark.timeout(150)

WAIT_S = 3.0
ALIVE_S = 3.0
HOLDER_DEAD_MAN_S = 20.0


def test_no_two_parts_of_a_node_write_the_same_file() -> None:
    """Each name in a unit's state folder has one writer: a node killed between two of them could not start again."""
    names = [MEMORY_FILE, seen.FILE, transport_seen.FILE, LOCK_FILE]
    assert len({*names}) == len(names)


def test_nodes_that_may_not_be_started_again_end_the_run(tmp_path: Path) -> None:
    """A death too much is said, and ends the run with 1; a refused start ends it with 2 and is not repeated."""
    with Program("run", "--restarts", "0", "--state-dir", tmp_path / "one") as program:
        until(lambda: program.child("--no-supervisor"), 10, "the nodes are there")
        os.kill(program.nodes, signal.SIGKILL)
        assert program.end(10) == 1
    assert "the nodes' process ended by signal 9; it died and is not started again" in program.errors[-1]
    with Program("run", tmp_path, "--state-dir", tmp_path / "two") as program:
        assert program.end(20) == 2
    assert "AR102" in program.told
    assert "started again" not in program.told


def trading(running: Running) -> bool:
    modes = running.houses.modes().values()
    return ConverterMode.VOLTAGE_REFERENCE in modes and any(m.current_controlled for m in modes)


def current_controlled(running: Running) -> list[str]:
    return [u for u, mode in running.houses.modes().items() if mode.current_controlled]


def holders(running: Running) -> list[str]:
    return [u for u, mode in running.houses.modes().items() if mode is ConverterMode.VOLTAGE_REFERENCE]


def test_killed_nodes_come_back_and_leave_no_current_behind(running: Running) -> None:
    """``kill -9``: currents in WAIT within 3 s, the holder holds on, the broker stays, the nodes trade again."""
    program = running.program
    until(lambda: trading(running), 60, "deals run")
    nodes, broker, holder = program.nodes, program.child("nats-server"), holders(running)
    os.kill(nodes, signal.SIGKILL)
    took_s = until(lambda: not current_controlled(running), WAIT_S, "currents in WAIT")
    print(f"killed: currents in WAIT after {took_s:.2f} s")  # noqa: T201  the figure
    assert holders(running) == holder
    back_s = until(lambda: program.child("--no-supervisor") not in (None, nodes), 5, "they are started again")
    joined_s = until(lambda: trading(running), 60, "deals run again")
    print(f"killed: started again after {back_s:.2f} s, trading after {joined_s:.1f} s")  # noqa: T201
    assert program.child("nats-server") == broker
    assert any("started again" in line for line in program.errors)
    status = ask_json("status", "--format", "json", *running.place)
    assert [u["unit_id"] for u in status["units"] if u["present"]] == list(UNITS)


def test_frozen_nodes_are_ended_and_come_back(running: Running) -> None:
    """SIGSTOP: after 3 s without a sign of life the process is ended, and all goes on as after its death."""
    program = running.program
    nodes = program.nodes
    os.kill(nodes, signal.SIGSTOP)
    stopped_s = now_s()
    until(lambda: not current_controlled(running), ALIVE_S + WAIT_S, "currents in WAIT")
    took_s = now_s() - stopped_s
    print(f"frozen: currents in WAIT after {took_s:.2f} s")  # noqa: T201  the figure
    assert took_s > ALIVE_S - 1
    until(lambda: program.child("--no-supervisor") not in (None, nodes), 5, "they are started again")
    until(lambda: trading(running), 60, lambda: f"deals run again\n{program.told}")


def test_without_the_supervisor_the_nodes_end_in_order(running: Running) -> None:
    """Killed itself, it takes nothing along: the nodes notice, end their deals, and leave all converters in WAIT."""
    program = running.program
    nodes = program.nodes
    os.kill(program.pid, signal.SIGKILL)
    until(running.houses.all_wait, 30, "all converters in WAIT")
    until(lambda: not os.path.exists(f"/proc/{nodes}"), 30, "the nodes' process is gone")  # noqa: PTH110
    assert any("the supervisor is gone" in line for line in program.errors), program.told
    assert not any("failed" in line for line in program.errors), program.told
