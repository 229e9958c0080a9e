"""The questions that rule files answer: what each is asked about, and what it may answer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from apis_rules.decide.outcomes import Decline, RaiseError, React, SetMode
from apis_rules.decide.vocabulary import NODE, Shape, roots

if TYPE_CHECKING:
    from collections.abc import Mapping

    from apis_rules.decide.outcomes import Outcome

CONSTANT_ROOTS: Final = frozenset({"policy", "hwConfig"})
"""What is known when rules are compiled: facts from here are folded into them, whatever is asked."""


_SELF: Final = (
    "mode", "communityMode", "localMode", "localErrors", "communityErrors", "draining", "excluded", "hasMaster",
    "dealsKnown", "readingAgeS",
)  # fmt: skip
_GATE: Final = (*_SELF, "ready", "outside", "reservedDeals", "chargeLocked", "dischargeLocked", "batteryUsers")


@dataclass(frozen=True, slots=True)
class Question:
    """One question.

    Attributes:
        outcome: what its rules have as their outcome.
        about: the names at the top of what it is asked about, ``policy`` and ``hwConfig`` aside.
        node: what ``node`` says of itself there.
        loops: what its rules may run for each of.
    """

    outcome: type[Outcome]
    about: tuple[str, ...]
    node: tuple[str, ...] = ()
    loops: tuple[str, ...] = ()

    def given(self) -> Mapping[str, Shape]:
        """Return the shape of what stands under each name that there is, elements of loops included."""
        every = roots()
        shapes = {name: every[name] for name in (*self.about, *self.loops, *sorted(CONSTANT_ROOTS))}
        if self.node:
            shapes["node"] = replace(NODE, keys={key: NODE.keys[key] for key in self.node})
        return shapes


QUESTIONS: Final[Mapping[str, Question]] = {
    "request": Question(Decline, ("unit", "deals", "grid", "node", "request"), _GATE, ("deal",)),
    "accept": Question(Decline, ("unit", "deals", "grid", "node", "request"), _GATE, ("deal",)),
    "choose": Question(
        Decline, ("unit", "deals", "grid", "node", "request", "accepts"), _GATE, ("deal", "accept")
    ),
    "operation-mode": Question(SetMode, ("node",), ("communityMode", "localMode")),
    "hard-limits": Question(
        RaiseError, ("unit", "deals", "grid", "node", "write"), (*_SELF, "switching"), ("deal",)
    ),
    "local-safety": Question(RaiseError, ("unit", "deals", "grid", "node"), (*_SELF, "switching"), ("deal",)),
    "global-safety": Question(
        RaiseError, ("units", "deals", "grid", "node"), ("switching",), ("unit", "deal", "branch")
    ),
    "reactions": Question(React, ("event",)),
}  # fmt: skip
