"""A chart as it was declared, flattened: what a file says, with the place of each thing that can be wrong.

Nesting is for reading and drawing. When a chart is loaded, every leaf gets the answers of the groups around it, except
for events that it names itself; only leaves are states of a record.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Final, Literal

from apis_rules.decide.tree import FactKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from apis_rules.decide.tree import Condition
    from apis_rules.documents.diagnostics import Location

TIMEOUT: Final = "after "
"""What the event of a timeout begins with; the name of the value that limits the time follows."""


@dataclass(frozen=True, slots=True)
class Named:
    """A name with its sentence: an event or a value.

    Attributes:
        about: for readers; a value's is its path, such as ``policy.gridVoltageAllowanceV``.
    """

    name: str
    about: str
    location: Location


@dataclass(frozen=True, slots=True)
class Fact:
    """What guards may name.

    Attributes:
        low, high: a number's range, both ends included; None where it has none.
        values: the words that a text takes; empty where any.
    """

    name: str
    kind: FactKind
    about: str
    location: Location
    low: float | None = None
    high: float | None = None
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EffectDeclaration:
    """An effect that transitions may use.

    Attributes:
        arguments: name → the words it takes, or ``"number"``.
    """

    name: str
    about: str
    arguments: Mapping[str, tuple[str, ...] | Literal["number"]]
    location: Location


@dataclass(frozen=True, slots=True)
class EffectCall:
    """An effect where it is used."""

    name: str
    arguments: tuple[str | float, ...]
    location: Location

    def __str__(self) -> str:
        shown = ", ".join(f"{a:g}" if isinstance(a, float) else a for a in self.arguments)
        return f"{self.name}({shown})" if self.arguments else self.name


@dataclass(frozen=True, slots=True)
class Guard:
    """A condition with the words it was written in."""

    text: str
    condition: Condition
    location: Location


@dataclass(frozen=True, slots=True)
class Answer:
    """One way to answer an event.

    Attributes:
        guard: None means *otherwise*: taken where no other answer's guard holds.
        target: the leaf that is entered; None stays without entering anything.
    """

    guard: Guard | None
    effects: tuple[EffectCall, ...]
    target: str | None
    note: str
    location: Location
    target_location: Location


@dataclass(frozen=True, slots=True)
class Declared:
    """A state or a group as it stands in the file.

    Attributes:
        answers: event → answers in file order, the one without a guard last. Timeouts are events too.
        allows: what a record may do here, by the chart's permissions; a group allows it for every leaf inside.
        children: empty for a leaf.
        path: the groups around it, outermost first.
        places: event → where it is named.
    """

    name: str
    about: str
    final: bool
    allows: frozenset[str]
    entry: tuple[EffectCall, ...]
    answers: Mapping[str, tuple[Answer, ...]]
    children: tuple[Declared, ...]
    path: tuple[str, ...]
    location: Location
    places: Mapping[str, Location]


@dataclass(frozen=True, slots=True)
class Transition:
    """One edge of the flat machine: the *index*-th answer of *source* to *event*, declared by *owner*."""

    source: str
    event: str
    index: int
    owner: str
    answer: Answer

    @property
    def target(self) -> str:
        """The state afterwards."""
        return self.answer.target or self.source

    def __str__(self) -> str:
        guard = f" [{self.answer.guard.text}]" if self.answer.guard else ""
        arrow = f" → {self.answer.target}" if self.answer.target else " (stays)"
        return f"{self.source}: {self.event}{guard}{arrow}"


@dataclass(frozen=True)
class Chart:
    """A chart that was read without a mistake of form. ``check`` says whether it makes sense.

    Attributes:
        aborts: events that every state with a way out answers whatever the facts are.
        states: as nested in the file.
        canonical_hash: ``sha256:…`` of what the chart does; sentences, comments and the order of keys do not count.
            Nodes of one community run charts of one hash.
    """

    name: str
    about: str
    file: str
    location: Location
    events: Mapping[str, Named]
    aborts: tuple[Named, ...]
    facts: Mapping[str, Fact]
    values: Mapping[str, Named]
    permissions: Mapping[str, Named]
    effects: Mapping[str, EffectDeclaration]
    initial: Named
    canonical_hash: str
    states: tuple[Declared, ...] = field(repr=False)

    @cached_property
    def kinds(self) -> Mapping[str, FactKind]:
        """What guards may name: the facts, and the values as numbers."""
        return {f.name: f.kind for f in self.facts.values()} | dict.fromkeys(self.values, FactKind.NUMBER)

    @cached_property
    def declared(self) -> tuple[Declared, ...]:
        """Every group and leaf, in file order, a group before what is in it."""
        return tuple(_walk(self.states))

    @cached_property
    def leaves(self) -> Mapping[str, Declared]:
        """Name → leaf, in file order."""
        return {d.name: d for d in self.declared if not d.children}

    @cached_property
    def groups(self) -> Mapping[str, Declared]:
        """Name → group, in file order."""
        return {d.name: d for d in self.declared if d.children}

    def allows(self, state: str) -> frozenset[str]:
        """Return what is allowed in the leaf *state*, its groups' permissions included."""
        leaf = self.leaves[state]
        return leaf.allows.union(*(self.groups[name].allows for name in leaf.path))

    @cached_property
    def answers(self) -> Mapping[str, Mapping[str, tuple[Transition, ...]]]:
        """Leaf → event → what it may do, the groups' answers included."""
        flat: dict[str, Mapping[str, tuple[Transition, ...]]] = {}
        for leaf in self.leaves.values():
            chain = [*(self.groups[name] for name in leaf.path), leaf]
            own: dict[str, tuple[Transition, ...]] = {}
            for declared in chain:
                for event, answers in declared.answers.items():
                    own[event] = tuple(
                        Transition(leaf.name, event, index, declared.name, answer)
                        for index, answer in enumerate(answers)
                    )
            flat[leaf.name] = own
        return flat

    @cached_property
    def transitions(self) -> tuple[Transition, ...]:
        """Every edge of the flat machine."""
        return tuple(t for events in self.answers.values() for answers in events.values() for t in answers)


def _walk(states: tuple[Declared, ...]) -> list[Declared]:
    return [found for state in states for found in (state, *_walk(state.children))]
