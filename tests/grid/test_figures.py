"""The situations of the specification's figures, played on the modelled grid."""

from __future__ import annotations

import pytest

from apis_rules.grid.model import Grid
from apis_rules.grid.topology import Topology
from tests.grid.builders import CHARGE, DISCHARGE, REFERENCE, WAIT, energised, ideal, with_offsets

CAPACITY_A = 2.3
DROOP = 0.039


def _peak_a(grid: Grid, seconds: float) -> dict[str, float]:
    # The largest current of each unit, without sign, in the time to come.
    peak = dict.fromkeys(grid.unit_ids, 0.0)

    def look(at: Grid, _: float) -> None:
        for unit_id, current_a in zip(at.unit_ids, at.unit_current_a, strict=True):
            peak[unit_id] = max(peak[unit_id], abs(float(current_a)))

    grid.observers.append(look)
    grid.advance(grid.now_s + seconds)
    grid.observers.remove(look)
    return peak


def test_two_references_fight_and_current_shoots() -> None:
    """Fig. 2-7: a second converter that holds its own voltage without droop drives both beyond their capacity."""
    grid = Grid(with_offsets(ideal(), E002=(1.0, 0.0)))
    grid.set_mode("E002", REFERENCE, 350.0, CAPACITY_A, 0.0)
    grid.advance(5.0)
    assert _peak_a(grid, 5.0)["E002"] == pytest.approx(0.0, abs=1e-6)
    grid.set_mode("E003", REFERENCE, 350.0, CAPACITY_A, 0.0)
    peak = _peak_a(grid, 5.0)
    assert peak["E002"] > CAPACITY_A
    assert peak["E003"] > CAPACITY_A


def test_one_reference_and_current_sources_live_in_peace() -> None:
    """Fig. 2-8: with one holder the others carry just what is set and the holder the difference."""
    grid = energised(ideal(), holder="E002", limit_a=CAPACITY_A)
    grid.set_mode("E001", DISCHARGE, 380.0, 1.0, 0.0)
    grid.set_mode("E004", DISCHARGE, 380.0, 1.5, 0.0)
    grid.set_mode("E003", CHARGE, 350.0, 1.5, 0.0)
    grid.advance(grid.now_s + 5.0)
    assert grid.unit_current_a.tolist() == pytest.approx([-1.0, 1.0, 1.5, -1.5], abs=1e-6)


def test_a_conflict_is_seen_by_moving_the_voltage() -> None:
    """Specification 7.3: a reference in conflict cannot follow its new set-point, one that is alone can."""
    for foreign, follows in ((False, True), (True, False)):
        grid = energised(ideal(), limit_a=CAPACITY_A)
        if foreign:
            grid.set_mode("E003", REFERENCE, 350.0, CAPACITY_A, 0.0)
            grid.advance(grid.now_s + 1.0)
        grid.set_voltage("E001", 370.0, 0.0)
        grid.advance(grid.now_s + 0.3)
        assert (abs(grid.meter("E001").vg - 370.0) <= 4.0) is follows
        assert (abs(grid.meter("E001").ig) <= 0.125) is follows


def _before_the_hand_over(*, droop_ready: bool) -> Grid:
    # Fig. 7-2 and 7-3: E001 holds; E002 fed it 2 A and now waits; E004 feeds 2 A to E003. Voltmeters differ.
    grid = energised(with_offsets(ideal(), E001=(0.6, 0.0), E003=(-0.6, 0.0)), limit_a=CAPACITY_A)
    grid.set_mode("E002", DISCHARGE, 380.0, 2.0, 0.0)
    grid.set_mode("E003", CHARGE, 350.0, 2.0, 0.0)
    grid.set_mode("E004", DISCHARGE, 380.0, 2.0, 0.0)
    grid.advance(grid.now_s + 5.0)
    assert grid.unit_current_a.tolist() == pytest.approx([2.0, -2.0, 2.0, -2.0], abs=1e-5)  # Fig. 7-2
    grid.set_mode("E002", WAIT, 350.0, 0.0, 0.0)
    grid.advance(grid.now_s + 5.0)
    assert grid.unit_current_a.tolist() == pytest.approx([0.0, 0.0, 2.0, -2.0], abs=1e-5)  # Fig. 7-3
    if droop_ready:
        grid.set_voltage("E001", 350.0, DROOP)
        grid.advance(grid.now_s + 1.0)
    return grid


def test_hand_over_with_droop_overloads_nobody() -> None:
    """Fig. 7-4, 7-5: with droop on both, two holders share for a while, none beyond its capacity; then one is left."""
    grid = _before_the_hand_over(droop_ready=True)
    grid.set_mode("E003", REFERENCE, 350.0, CAPACITY_A, DROOP)
    peak = _peak_a(grid, 3.0)
    shared = -grid.unit_current_a
    assert shared[3] == pytest.approx(2.0, abs=1e-5)
    assert shared[0] + shared[2] == pytest.approx(-2.0, abs=1e-4)
    grid.set_mode("E001", WAIT, 350.0, 0.0, 0.0)
    peak_after = _peak_a(grid, 3.0)
    grid.set_voltage("E003", 350.0, 0.0)
    peak_last = _peak_a(grid, 3.0)
    for found in (peak, peak_after, peak_last):
        assert max(found.values()) < CAPACITY_A
    assert grid.unit_current_a.tolist() == pytest.approx([0.0, 0.0, 2.0, -2.0], abs=1e-4)  # Fig. 7-5
    assert grid.unit("E003").grid_voltage_v == pytest.approx(350.0, abs=1.0)


def test_hand_over_without_droop_overloads() -> None:
    """The same steps without droop: small differences of two voltmeters make a current beyond the capacity."""
    grid = _before_the_hand_over(droop_ready=False)
    grid.set_mode("E003", REFERENCE, 350.0, CAPACITY_A, 0.0)
    peak = _peak_a(grid, 3.0)
    assert peak["E001"] > CAPACITY_A or peak["E003"] > CAPACITY_A


def test_the_line_stays_up_through_a_hand_over() -> None:
    """From the old holder to the new one the voltage stays within 5 V (droop at 2 A) of the set-point."""
    grid = _before_the_hand_over(droop_ready=True)
    lowest: list[float] = []
    grid.observers.append(lambda at, _: lowest.append(float(abs(at.unit_voltage_v - 350.0).max())))
    grid.set_mode("E003", REFERENCE, 350.0, CAPACITY_A, DROOP)
    grid.advance(grid.now_s + 2.0, exact=True)
    grid.set_mode("E001", WAIT, 350.0, 0.0, 0.0)
    grid.advance(grid.now_s + 2.0, exact=True)
    grid.set_voltage("E003", 350.0, 0.0)
    grid.advance(grid.now_s + 2.0)
    assert max(lowest) < 5.0


@pytest.mark.parametrize("side", ["charging", "discharging"])
def test_compensation_of_a_wrong_ammeter(side: str) -> None:
    """Fig. 7-1: an ammeter 0.1 A off shows 1.9 A at the reference; moving the other side's set-point makes it 2.0 A."""
    grid = Grid(with_offsets(ideal(2, topology=Topology.common_line(["E001", "E002"])), E001=(0.0, -0.1)))
    grid.set_mode("E001", REFERENCE, 350.0, 2.5, 0.0)
    grid.advance(5.0)
    mode, volts, sign = (DISCHARGE, 380.0, 1.0) if side == "charging" else (CHARGE, 350.0, -1.0)
    grid.set_mode("E002", mode, volts, 2.0, 0.0)
    grid.advance(grid.now_s + 2.0)
    assert grid.meter("E002").ig == pytest.approx(-sign * 2.0, abs=1e-6)
    shown = grid.meter("E001").ig
    assert shown == pytest.approx(sign * 2.0 - 0.1, abs=1e-3)
    if side == "charging":
        grid.set_current("E002", 2.0 + (2.0 - shown))
        grid.advance(grid.now_s + 2.0)
        assert grid.meter("E001").ig == pytest.approx(2.0, abs=1e-3)
        assert grid.meter("E002").ig == pytest.approx(-2.1, abs=1e-3)


@pytest.mark.parametrize(
    ("deals", "expected"),
    [
        ([(2, 7), (3, 6), (4, 5), (8, 1)], [-2.0, 0.0, 2.0, 4.0, 2.0, 0.0, -2.0]),
        ([(2, 7), (3, 6), (4, 5)], [0.0, 2.0, 4.0, 6.0, 4.0, 2.0, 0.0]),
    ],
)
def test_lines_carry_the_net_of_all_deals(deals: list[tuple[int, int]], expected: list[float]) -> None:
    """Fig. 11-1: eight nodes in a row; the end of the deal that flows back leaves 6 A on a line meant for 5 A."""
    grid = energised(ideal(8, rsoc_percent=[60.0]))
    for giver, taker in deals:
        grid.set_mode(f"E{giver:03d}", DISCHARGE, 380.0, 2.0, 0.0)
        if taker != 1:
            grid.set_mode(f"E{taker:03d}", CHARGE, 350.0, 2.0, 0.0)
    grid.advance(grid.now_s + 5.0)
    assert [line.current_a for line in grid.lines()] == pytest.approx(expected, abs=1e-6)


def test_the_tree_of_the_specification() -> None:
    """Fig. 11-2: nineteen nodes, eighteen lines; a line's current is the sum of what lies beyond it (formula A-1)."""
    topology = Topology.specification_11_1(0.05)
    assert (len(topology.nodes), len(topology.lines)) == (19, 18)
    settings = ideal(19, topology=topology, rsoc_percent=[60.0])
    at = {u.node: u.unit_id for u in settings.units}
    grid = energised(settings, holder=at["F012"])
    for node, current_a in (("F022", 1.0), ("F020", 0.5), ("F018", 0.25), ("F017", 1.0), ("F004", 0.5)):
        grid.set_mode(at[node], CHARGE, 350.0, current_a, 0.0)
    grid.advance(grid.now_s + 5.0)
    carried = {line.name: line.current_a for line in grid.lines()}
    for name, beyond in (("F021-F022", 1.0), ("F019-F020", 1.5), ("F026-F018", 1.75), ("F013-F014", 1.5)):
        assert carried[name] == pytest.approx(beyond, abs=0.01)
    assert carried["F012-F005"] == pytest.approx(0.0, abs=0.01)
