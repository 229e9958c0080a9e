"""A whole scenario at once: the day and the battery cut into the parts in which the same rules hold.

Exact, since every rule's part is known: nothing is sampled. Tables, pictures, gaps, and differences come from here.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from apis_rules.decide.scenario import DAY, Question, ScenarioRule, Section
from apis_rules.decide.spans import Span, Spans

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from apis_rules.decide.intent import CompiledScenario


@dataclass(frozen=True, slots=True)
class Region:
    """A part of the day, a span of energy, and the rules that hold throughout.

    Attributes:
        section: None in a gap between windows.
        energies: whole Wh, ``start <= x < end``.
        rules: at most one per question.
    """

    section: Section | None
    seconds: Spans
    energies: Span
    rules: Mapping[Question, ScenarioRule]

    @property
    def status(self) -> str | None:
        """The name of the band, or None in a gap."""
        rule = self.rules.get(Question.STATUS)
        return None if rule is None else rule.status

    @property
    def states(self) -> int:
        """How many whole seconds times whole Wh it holds."""
        return sum(int(s.end - s.start) for s in self.seconds) * int(self.energies.end - self.energies.start)


def regions(scenario: CompiledScenario, most_wh: int) -> Iterator[Region]:
    """Yield the regions of a battery from 0 to *most_wh* Wh, by window as in the file, then from empty to full.

    The gap between windows, where there is one, comes last.
    """
    battery = Spans.of((0, most_wh + 1))
    rest = DAY
    for section, seconds in scenario.scenario.in_effect():
        rest -= seconds
        if seconds:
            own = [rule for rule in scenario.rules if rule.section is section]
            yield from _stack(section, seconds, own, battery)
    if rest:
        yield from _stack(None, rest, [], battery)


def cuts(sets: Iterable[Spans]) -> list[float]:
    """Return every bound of *sets*, once, sorted."""
    return sorted({bound for spans in sets for span in spans for bound in span})


def _stack(section: Section | None, seconds: Spans, rules: Sequence[ScenarioRule], battery: Spans) -> Iterator[Region]:
    bounds = [b for b in cuts([battery, *(rule.energies & battery for rule in rules)]) if math.isfinite(b)]
    for start, end in itertools.pairwise(bounds):
        holding = {rule.question: rule for rule in rules if start in rule.energies}
        yield Region(section, seconds, Span(start, end), holding)
