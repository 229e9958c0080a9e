"""The effective operation mode, and what the node's chart lets each mode do."""

from __future__ import annotations

import pytest

from apis_rules.charts import bundled_chart, compile_chart
from apis_rules.charts.modes import COMMUNITY_MODES, LOCAL_MODES, effective_mode
from apis_rules.charts.node import EFFECTS, NodeLife
from apis_rules.ports.types import OperationMode

A, H, S, M = COMMUNITY_MODES

TABLE = """
local \\ community  autonomous    heteronomous  stop  manual
-                  autonomous    heteronomous  stop  manual
heteronomous       heteronomous  heteronomous  stop  manual
stop               stop          stop          stop  manual
"""


def test_the_table_of_modes() -> None:
    """All twelve cells of the specification's table."""
    for row in TABLE.strip().splitlines()[1:]:
        local, *cells = row.split()
        own = None if local == "-" else OperationMode(local)
        assert [effective_mode(c, S, own) for c in COMMUNITY_MODES] == [OperationMode(cell) for cell in cells]


@pytest.mark.parametrize("local", LOCAL_MODES)
def test_a_mode_that_nobody_set_is_the_policys(local: OperationMode | None) -> None:
    """Without a mode of the community the policy's counts."""
    for default in COMMUNITY_MODES:
        assert effective_mode(None, default, local) is effective_mode(default, A, local)


def test_a_unit_has_no_other_mode_of_its_own() -> None:
    """``autonomous`` and ``manual`` belong to the community."""
    for local in (A, M):
        with pytest.raises(ValueError, match="own mode"):
            effective_mode(A, A, local)


@pytest.mark.parametrize(
    ("mode", "idle", "allowed"),
    [
        (A, False, {"request", "accept", "deal", "obey", "master"}),
        (H, False, {"deal", "obey", "master"}),
        (S, False, {"obey", "master"}),
        (S, True, {"obey", "master"}),
        (M, False, {"obey", "master"}),
        (M, True, {"direct", "obey", "master"}),
    ],
)
def test_what_a_mode_gates(mode: OperationMode, idle: bool, allowed: set[str]) -> None:
    """What the node does in the state that a mode leads to, with a live deal and without."""
    machine = compile_chart(bundled_chart("node"), EFFECTS, {"leave_s": 12, "drain_s": 5})
    plan = machine.advance(NodeLife("joining"), "look", {"mode": mode.value, "idle": idle})
    assert machine.chart.allows(plan.state) == allowed


def test_nothing_is_done_outside_the_community() -> None:
    """Before joining, without store or driver, and on the way out, nothing new is agreed or commanded."""
    chart = bundled_chart("node")
    for state in ("looking", "quieting", "checking", "refused", "degraded", "draining", "forcing", "stopped"):
        assert chart.allows(state) <= {"obey", "deal", "master"}


def test_a_community_that_stops_keeps_a_master() -> None:
    """While deals are ended in order, by the mode or because every node stops, there may be a Grid Master."""
    chart = bundled_chart("node")
    for state in ("stopping", "halted", "draining"):
        assert "master" in chart.allows(state)
