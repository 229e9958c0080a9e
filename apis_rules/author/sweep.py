"""The states that stand for a whole scenario: every window times every percent, and every bound between two rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from apis_rules.author.states import States, states_of
from apis_rules.decide.amounts import remaining_wh
from apis_rules.decide.regions import Region, regions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apis_rules.decide.intent import CompiledScenario


def parts_of_day(scenario: CompiledScenario, most_wh: int, at_s: int | None) -> list[Region]:
    """Return the regions of a scenario, by time of day, each from empty to full; only those at *at_s* if given."""
    found = [r for r in regions(scenario, most_wh) if at_s is None or at_s in r.seconds]
    return sorted(found, key=lambda r: (r.seconds.witness if at_s is None else at_s, r.energies.start))


def corners(parts: Sequence[Region], at_s: int | None) -> States:
    """Return the first state of each region."""
    times = [region.seconds.witness if at_s is None else at_s for region in parts]
    return states_of(times, [int(region.energies.start) for region in parts])


def sweep(parts: Sequence[Region], nominal_wh: float, at_s: int | None) -> States:
    """Return every percent of the battery, and the least energy of each region, at the start of each part of the day.

    Where a part of the day is cut in two, as a window that goes past midnight, each piece has its states.
    """
    percents = {remaining_wh(percent, nominal_wh) for percent in range(101)}
    by_start: dict[int, set[int]] = {}
    for region in parts:
        starts = [int(span.start) for span in region.seconds] if at_s is None else [at_s]
        for start in starts:
            by_start.setdefault(start, set(percents)).add(int(region.energies.start))
    states = [(start, energy) for start in sorted(by_start) for energy in sorted(by_start[start])]
    return states_of([start for start, _ in states], [energy for _, energy in states])
