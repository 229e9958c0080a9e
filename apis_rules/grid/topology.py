"""Which nodes a grid has and how lines join them (specification 11.1): any shape, most often a tree."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

LINE_OHM: Final = 0.2
LINE_CAPACITY_A: Final = 10.0


@dataclass(frozen=True, slots=True)
class Line:
    """A line; its current counts positive from *start* to *end*.

    Attributes:
        capacity_a: what it may carry in either direction (policy ``branchCurrentCapacityA``).
    """

    start: str
    end: str
    resistance_ohm: float = LINE_OHM
    capacity_a: float = LINE_CAPACITY_A

    @property
    def name(self) -> str:
        """``start-end``."""
        return f"{self.start}-{self.end}"


@dataclass(frozen=True, slots=True)
class Topology:
    """Nodes and lines.

    Attributes:
        nodes: in order of their first mention.
        units: where units sit, as far as it is said; any other unit sits at the node of its own name, or at the next
            node that no unit sits at.
    """

    nodes: tuple[str, ...]
    lines: tuple[Line, ...]
    units: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of_lines(cls, lines: Iterable[Line], units: Mapping[str, str] | None = None) -> Topology:
        """Return the topology whose nodes are the ends of *lines* and the places of *units*."""
        found = tuple(lines)
        names = dict.fromkeys(node for line in found for node in (line.start, line.end))
        names |= dict.fromkeys((units or {}).values())
        return cls(tuple(names), found, dict(units or {}))

    @classmethod
    def common_line(cls, nodes: Sequence[str]) -> Topology:
        """Return one line through all *nodes*; with more than eight, arms of four from a junction ``bus``."""
        if len(nodes) == 1:
            return cls((nodes[0],), ())
        if len(nodes) <= 8:
            return cls.of_lines(Line(a, b) for a, b in pairwise(nodes))
        arms = [nodes[k : k + 4] for k in range(0, len(nodes), 4)]
        return cls.of_lines(Line(a, b) for arm in arms for a, b in pairwise(["bus", *arm]))

    @classmethod
    def specification_11_1(cls, resistance_ohm: float = LINE_OHM, capacity_a: float = LINE_CAPACITY_A) -> Topology:
        """Return the tree of specification Fig. 11-2: 19 nodes in three arms around the junction F012."""
        arms = (
            "F012 F005 F006 F007 F008 F009 F010 F011",
            "F012 F026 F018 F019 F020 F021 F022",
            "F012 F013 F014 F015 F004",
            "F015 F017",
        )
        return cls.of_lines(
            Line(a, b, resistance_ohm, capacity_a) for arm in map(str.split, arms) for a, b in pairwise(arm)
        )

    def places(self, unit_ids: Sequence[str]) -> dict[str, str]:
        """Return unit id → node for *unit_ids*; with more units than nodes the nodes are used again from the first."""
        placed = {u: self.units[u] for u in unit_ids if u in self.units}
        placed |= {u: u for u in unit_ids if u not in placed and u in self.nodes}
        taken = set(placed.values())
        free = [n for n in self.nodes if n not in taken and n != "bus"] or list(self.nodes)
        rest = [u for u in unit_ids if u not in placed]
        placed |= {u: free[k % len(free)] for k, u in enumerate(rest)}
        return {u: placed[u] for u in unit_ids}

    def extended(self, node: str, new: str) -> Topology:
        """Return the same with one more node *new* on a line from *node*."""
        return replace(self, nodes=(*self.nodes, new), lines=(*self.lines, Line(node, new)))
