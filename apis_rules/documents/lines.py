"""The grid's lines: which units lie on either side of each, found from what each line joins (specification 11.1).

A current that enters a line at one end leaves it at the other. So the line carries what all units beyond it take and
give together, and, counted from the other side, the same. Both sides have to be known for each line; in a grid without
loops they follow from the ends of all lines.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

TOPOLOGY: Final = ("safety", "gridTopologyBasedEvaluation")


@dataclass(frozen=True, slots=True)
class Sides:
    """The units on either side of a line: *forward* those beyond its second end, *backward* those beyond its first."""

    forward: tuple[str, ...]
    backward: tuple[str, ...]


def derive_sides(ends: Mapping[str, tuple[str, str]], units: Collection[str]) -> dict[str, Sides]:
    """Return line → its sides, in the order of *units*. A line that is part of a loop has none and is left out.

    Args:
        ends: line → the two places that it joins: units, or junctions without one.
        units: the units of the grid; one that no line reaches lies on no side.
    """
    neighbours: defaultdict[str, set[str]] = defaultdict(set)
    for first, second in ends.values():
        neighbours[first].add(second)
        neighbours[second].add(first)
    derived = {}
    for line, (first, second) in ends.items():
        forward = _reached(second, first, neighbours)
        doubled = sum({first, second} == set(pair) for pair in ends.values()) > 1
        if first in forward or doubled:
            continue
        backward = _reached(first, second, neighbours)
        derived[line] = Sides(tuple(u for u in units if u in forward), tuple(u for u in units if u in backward))
    return derived


def _reached(start: str, behind: str, neighbours: Mapping[str, set[str]]) -> set[str]:
    """Return every place that is reached from *start* without the line to *behind*."""
    reached, ahead = {start}, [start]
    while ahead:
        place = ahead.pop()
        blocked = {behind} if place == start else set()
        ahead += (new := neighbours[place] - reached - blocked)
        reached |= new
    return reached


def lines_of(policy: Any) -> dict[str, tuple[str, str]]:
    """Return what ``branchLines`` of a policy says, as far as it can be read: line → its two ends."""
    topology = policy
    for step in TOPOLOGY:
        topology = topology.get(step) if isinstance(topology, dict) else None
    lines = topology.get("branchLines") if isinstance(topology, dict) else None
    pairs = {k: v for k, v in lines.items() if isinstance(v, list | tuple)} if isinstance(lines, dict) else {}
    return {
        name: (pair[0], pair[1])
        for name, pair in pairs.items()
        if len(pair) == 2 and all(isinstance(end, str) for end in pair)
    }


def with_sides(policy: Any) -> Any:
    """Return a policy's document in which each of ``branchLines`` that nobody described has its derived sides."""
    lines = lines_of(policy)
    if not lines:
        return policy
    members = policy.get("memberUnitIds")
    units = [unit for unit in members if isinstance(unit, str)] if isinstance(members, list | tuple) else []
    safety = policy["safety"]
    topology = safety["gridTopologyBasedEvaluation"]
    described = topology.get("branchAssociation", {})
    if not isinstance(described, dict):
        return policy
    derived = {
        name: {"forwardUnitIds": list(sides.forward), "backwardUnitIds": list(sides.backward)}
        for name, sides in derive_sides(lines, units).items()
    }
    topology = {**topology, "branchAssociation": {**derived, **described}}
    return {**policy, "safety": {**safety, "gridTopologyBasedEvaluation": topology}}
