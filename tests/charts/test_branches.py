"""What deals can make lines and the voltage reference carry."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apis_rules.charts.branches import LineViews, Share, line_views, reserve_need_a
from apis_rules.documents.lines import derive_sides

if TYPE_CHECKING:
    from collections.abc import Iterator

Tree = dict[str, tuple[str, str]]
SMALL_A = 1e-9


def test_nothing_is_netted() -> None:
    """Opposite flows through one line do not cancel (Fig. 11-1): each side counts by direction."""
    shares = [Share("1", "4", 2.0), Share("3", "2", 1.5), Share("2", "1", 1.0)]
    assert line_views({"1", "2"}, {"3", "4"}, shares, {}) == LineViews(3.0, 2.5, 1.5, 2.0)
    assert line_views({"1", "2"}, {"3", "4"}, shares, {"4": 2.0}) == LineViews(3.0, 2.5, 3.5, 4.0)


@st.composite
def communities(draw: st.DrawFn) -> tuple[Tree, list[Share]]:
    """Return a random tree of lines and deals in which no unit both charges and discharges."""
    units = [f"E{k:03}" for k in range(draw(st.integers(2, 6)))]
    lines = {}
    for k in range(1, len(units)):
        ends = (units[draw(st.integers(0, k - 1))], units[k])
        lines[f"line-{k}"] = ends if draw(st.booleans()) else ends[::-1]
    givers = draw(st.lists(st.sampled_from(units), min_size=1, max_size=len(units) - 1, unique=True))
    pairs = st.tuples(st.sampled_from(givers), st.sampled_from([unit for unit in units if unit not in givers]))
    currents = st.sampled_from([0.5, 1.0, 2.0])
    return lines, [Share(*pair, a) for pair, a in draw(st.lists(st.tuples(pairs, currents), max_size=4))]


def set_points_a(shares: list[Share]) -> dict[str, float]:
    """Return what each party takes from the grid when it is on."""
    parties = dict.fromkeys(unit for s in shares for unit in (s.charge_unit_id, s.discharge_unit_id))
    taken = {u: sum(s.current_a for s in shares if s.charge_unit_id == u) for u in parties}
    return {u: taken[u] - sum(s.current_a for s in shares if s.discharge_unit_id == u) for u in parties}


def states_a(lines: Tree, shares: list[Share]) -> Iterator[dict[str, float]]:
    """Yield the currents of all units for every set of parties that is on and every place of the voltage reference."""
    wanted = set_points_a(shares)
    places = {unit for ends in lines.values() for unit in ends}
    for on in itertools.product([False, True], repeat=len(wanted)):
        flowing = {unit: a for (unit, a), is_on in zip(wanted.items(), on, strict=True) if is_on}
        for holder in places:
            others = {unit: a for unit, a in flowing.items() if unit != holder}
            yield {**others, holder: -sum(others.values())}


@given(communities())
def test_no_set_of_converters_loads_a_line_beyond_the_four_sums(community: tuple[Tree, list[Share]]) -> None:
    """Whoever is on, and wherever the voltage is held, a line carries at most the worst of its four sums."""
    lines, shares = community
    units = sorted({unit for ends in lines.values() for unit in ends})
    sides = derive_sides(lines, units)
    assert sides.keys() == lines.keys()
    worst_a = dict.fromkeys(lines, 0.0)
    for currents in states_a(lines, shares):
        for line, side in sides.items():
            carried_a = sum(currents.get(unit, 0.0) for unit in side.forward)
            assert carried_a == pytest.approx(-sum(currents.get(unit, 0.0) for unit in side.backward))
            worst_a[line] = max(worst_a[line], abs(carried_a))
    for line, side in sides.items():
        assert worst_a[line] <= line_views(side.forward, side.backward, shares, {}).worst_a + SMALL_A


@given(communities())
def test_the_four_sums_are_reached(community: tuple[Tree, list[Share]]) -> None:
    """With an idle unit on either side to hold the voltage, some set of converters makes a line carry that much."""
    lines, shares = community
    units = sorted({unit for ends in lines.values() for unit in ends})
    for side in derive_sides(lines, units).values():
        views = line_views(side.forward, side.backward, shares, {})
        idle = set(units) - set_points_a(shares).keys()
        reached = [abs(sum(c.get(u, 0.0) for u in side.forward)) for c in states_a(lines, shares)]
        if idle & set(side.forward) and idle & set(side.backward):
            assert max(reached) == pytest.approx(views.worst_a)


@given(communities(), st.data())
def test_the_reserve_is_what_the_holder_needs_when_one_party_drops_out(
    community: tuple[Tree, list[Share]], data: st.DataObject
) -> None:
    """With all parties on, or all but any one, the holder carries at most its reserve, and once exactly that."""
    lines, shares = community
    holder = data.draw(st.sampled_from(sorted({unit for ends in lines.values() for unit in ends})))
    others = {unit: a for unit, a in set_points_a(shares).items() if unit != holder}
    carried = {None: abs(sum(others.values()))}
    carried |= {out: abs(sum(a for unit, a in others.items() if unit != out)) for out in others}
    need_a, dropped = reserve_need_a(holder, shares, {})
    assert need_a == pytest.approx(max(carried.values()))
    assert carried[dropped] == pytest.approx(need_a)
    assert reserve_need_a(holder, shares, {"E009": 0.5})[0] == pytest.approx(need_a + 0.5)
