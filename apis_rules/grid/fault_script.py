"""A script of what goes wrong in a simulated community: in converters and drivers, in processes, in the shared store.

::

    faults:
      - {kind: kill, unit: E002, afterS: 3600, forS: 120}
      - {kind: sensor_drift, unit: E001, meter: vg, perS: 0.1, afterS: 7200, forS: 600}
    random:
      - {kind: freeze, everyS: 7200, forS: [5, 300]}

All times are seconds of the units' clock. What is random is drawn from the simulation's seed before it begins
(``draw_faults``), so every run can be told, and run once more, as a list of faults.
"""

from __future__ import annotations

import enum
import math
from typing import TYPE_CHECKING, Annotated, Any, Final, Protocol, TypeAlias

from pydantic import (
    AfterValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from apis_rules.documents.diagnostics import Findings
from apis_rules.documents.load import load_document
from apis_rules.documents.shapes import did_you_mean
from apis_rules.errors import InputError
from apis_rules.grid.faults import Fault, FaultKind
from apis_rules.grid.wording import sentence
from apis_rules.ports.types import OperationMode
from apis_rules.ports.types.model import WireModel

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence
    from pathlib import Path as FilePath

    from apis_rules.documents.document import Document, Path


class CommunityFaultKind(enum.StrEnum):
    """What can go wrong beside the grid and its drivers."""

    KILL = "kill"  # the node's process; started anew after forS; its supervisor stops the converter unless told not to
    FREEZE = "freeze"  # the node's process is suspended
    CUT = "cut"  # the node does not reach the store
    LOST_MESSAGES = "lost_messages"  # *value* of the node's calls to the store meet no answer
    DISK_FULL = "disk_full"  # the node cannot keep anything
    STORE_DOWN = "store_down"  # nobody reaches the store
    STORE_LOST = "store_lost"  # the store begins anew, empty; after forS an operator lets trading go on
    STORE_REWOUND = "store_rewound"  # the same with what it held *value* s before
    CLOCK_STEP = "clock_step"  # the machines' wall clock jumps by *value* s
    MODE = "mode"  # an operator sets the community's mode *mode*; after forS autonomous again


_OF_A_UNIT: Final = frozenset(
    {
        CommunityFaultKind.KILL,
        CommunityFaultKind.FREEZE,
        CommunityFaultKind.CUT,
        CommunityFaultKind.LOST_MESSAGES,
        CommunityFaultKind.DISK_FULL,
    }
)
_NEEDS_END: Final = frozenset(
    {
        CommunityFaultKind.FREEZE,
        CommunityFaultKind.CUT,
        CommunityFaultKind.LOST_MESSAGES,
        CommunityFaultKind.DISK_FULL,
        CommunityFaultKind.STORE_DOWN,
    }
)
_NEEDS_VALUE: Final = {
    CommunityFaultKind.LOST_MESSAGES: (0.0, 1.0),
    CommunityFaultKind.STORE_REWOUND: (0.0, 86_400.0),
    CommunityFaultKind.CLOCK_STEP: (-86_400.0, 86_400.0),
}


class CommunityFault(WireModel):
    """One thing that goes wrong with a process or with the store.

    Attributes:
        value: see the kind.
        mode: of an operator's wish.
        supervised: whether a supervisor stands by a killed node.
        after_s, for_s: seconds of the units' clock until it begins, and until it ends after that.
    """

    model_config = ConfigDict(extra="forbid")

    kind: CommunityFaultKind
    unit: str | None = None
    value: float | None = None
    mode: OperationMode | None = None
    supervised: bool = True
    after_s: float = Field(default=0.0, ge=0.0)
    for_s: float | None = Field(default=None, gt=0.0)

    @model_validator(mode="after")
    def _complete(self) -> CommunityFault:
        needed = {
            "unit": self.kind in _OF_A_UNIT,
            "forS": self.kind in _NEEDS_END,
            "value": self.kind in _NEEDS_VALUE,
            "mode": self.kind is CommunityFaultKind.MODE,
        }
        given = {"unit": self.unit, "forS": self.for_s, "value": self.value, "mode": self.mode}
        missing = [name for name, wanted in needed.items() if wanted and given[name] is None]
        if missing:
            raise ValueError(f"a fault of kind {self.kind} needs {' and '.join(missing)}")
        least, most = _NEEDS_VALUE.get(self.kind, (-math.inf, math.inf))
        if self.value is not None and not least <= self.value <= most:
            raise ValueError(f"a fault of kind {self.kind} takes a value from {least:g} to {most:g}")
        return self


def _family(value: Any) -> str:
    kind = value.get("kind") if isinstance(value, dict) else getattr(value, "kind", None)
    return "community" if kind in set(CommunityFaultKind) else "grid"


AnyFault: TypeAlias = Annotated[
    Annotated[CommunityFault, Tag("community")] | Annotated[Fault, Tag("grid")], Discriminator(_family)
]
_ANY_FAULT: Final[TypeAdapter[CommunityFault | Fault]] = TypeAdapter(AnyFault)


def _in_order(value: float | tuple[float, float]) -> float | tuple[float, float]:
    if isinstance(value, tuple) and value[0] > value[1]:
        raise ValueError("goes from the lower number to the higher one")
    return value


Range: TypeAlias = Annotated[float | tuple[float, float], AfterValidator(_in_order)]
"""A number, or from where to where one is drawn, each alike."""


class Draws(Protocol):
    """Chance, as ``random.Random`` has it."""

    def uniform(self, a: float, b: float) -> float:
        """Draw from *a* to *b*, each alike."""


class RandomFault(WireModel):
    """Something that goes wrong again and again.

    Attributes:
        every_s: from one to the next, on average, in the whole community.
        units: where; none named: at any.
        for_s, value: as in a fault, or a range.
    """

    model_config = ConfigDict(extra="forbid")

    kind: CommunityFaultKind | FaultKind
    every_s: float = Field(gt=0.0)
    units: tuple[str, ...] = ()
    line: str | None = None
    meter: str | None = None
    value: Range | None = None
    text: str | None = None
    per_s: float | None = None
    mode: OperationMode | None = None
    supervised: bool | None = None
    for_s: Range | None = None

    @property
    def of_a_unit(self) -> bool:
        """Whether it happens to a unit."""
        if isinstance(self.kind, CommunityFaultKind):
            return self.kind in _OF_A_UNIT
        return self.line is None and self.kind is not FaultKind.RESTART

    def once(self, after_s: float, unit_id: str | None, source: Draws) -> CommunityFault | Fault:
        """Return it as it happens at *after_s*. Raises ``ValidationError``."""
        written: dict[str, Any] = {
            "kind": self.kind.value,
            "unit": unit_id,
            "line": self.line,
            "meter": self.meter,
            "value": _drawn(self.value, source),
            "text": self.text,
            "perS": self.per_s,
            "mode": self.mode,
            "supervised": self.supervised,
            "afterS": after_s,
            "forS": _drawn(self.for_s, source),
        }
        return _ANY_FAULT.validate_python({key: value for key, value in written.items() if value is not None})


KINDS: Final = (*map(str, CommunityFaultKind), *map(str, FaultKind))
_MODELS: Final[tuple[type[WireModel], ...]] = (CommunityFault, Fault, RandomFault)
KEYS: Final = tuple(dict.fromkeys(f.alias or name for model in _MODELS for name, f in model.model_fields.items()))
"""The keys that an entry may have, whatever its kind."""
_FAMILIES: Final = ("community", "grid")


class FaultScript(WireModel):
    """A whole script."""

    model_config = ConfigDict(extra="forbid")

    faults: tuple[AnyFault, ...] = ()
    random: tuple[RandomFault, ...] = ()


def load_fault_script(path: FilePath, units: Sequence[str], lines: Sequence[str]) -> FaultScript:
    """Read a script for a grid of *units* and *lines*.

    Raises:
        InputError: with everything that is wrong in it (AR750), or names what is not there (AR751).
    """
    findings = Findings()
    document = load_document(path, findings)
    script = read_fault_script(document, findings)
    if script is not None:
        _check_names(script, document, units, lines, findings)
    if script is None or findings.failed:
        raise InputError(findings.sorted())
    return script


def read_fault_script(document: Document, findings: Findings) -> FaultScript | None:
    """Return *document* as a script, None where it is none; what is wrong goes to *findings* (AR750)."""
    unknown = _unknown_kinds(document, findings)
    try:
        script = FaultScript.model_validate(document.value)
    except ValidationError as error:
        _report(error, document, unknown, findings)
        return None
    for number, fault in enumerate(script.random):
        try:
            fault.once(0.0, "E001" if fault.of_a_unit else None, _Middle())
        except ValidationError as error:
            for detail in error.errors(include_url=False):
                findings.error(document.location(("random", number)), "AR750", sentence({**detail, "loc": ()}))
    return script


def _unknown_kinds(document: Document, findings: Findings) -> set[Path]:
    """Note each kind that there is not; return the places of these entries, of which nothing more can be said."""
    places: set[Path] = set()
    for part in ("faults", "random"):
        entries = document.get((part,))
        for number, entry in enumerate(entries if isinstance(entries, list) else ()):
            kind = entry.get("kind") if isinstance(entry, dict) else None
            if kind is None or kind in KINDS:
                continue
            near = did_you_mean(str(kind), KINDS)
            hint = f"did you mean {near}?" if near else f"there are {', '.join(KINDS)}"
            where = document.location((part, number, "kind"))
            findings.error(where, "AR750", f"there is no fault of kind {kind!r}", hint)
            places.add((part, number))
    return places


def _report(error: ValidationError, document: Document, unknown: set[Path], findings: Findings) -> None:
    """Note what pydantic found, a misspelt key once."""
    told = [(tuple(s for s in d["loc"] if s not in _FAMILIES), d) for d in error.errors(include_url=False)]
    meant = {(*path[:-1], did_you_mean(str(path[-1]), KEYS)) for path, d in told if d["type"] == "extra_forbidden"}
    for path, detail in told:
        if path[:2] in unknown or (detail["type"] == "missing" and path in meant):
            continue
        extra = detail["type"] == "extra_forbidden"
        near = did_you_mean(str(path[-1]), KEYS) if extra else ""
        hint = f"did you mean {near}?" if near else ""
        if detail["type"] == "missing" and path[-1] == "kind":
            hint = f"there are {', '.join(KINDS)}"
        where = document.key_location(path) if extra else document.location(path)
        findings.error(where, "AR750", sentence({**detail, "loc": path}), hint)


def check_document(document: Document, findings: Findings) -> None:
    """Check *document* as a script of faults."""
    read_fault_script(document, findings)


def draw_faults(
    script: FaultScript, units: Sequence[str], until_s: float, source: random.Random
) -> tuple[CommunityFault | Fault, ...]:
    """Return every fault of *script* that begins before *until_s*, random ones drawn, in order of their beginning."""
    drawn: list[CommunityFault | Fault] = [f for f in script.faults if f.after_s < until_s]
    for entry in script.random:
        after_s = source.expovariate(1.0 / entry.every_s)
        while after_s < until_s:
            unit_id = source.choice(entry.units or tuple(units)) if entry.of_a_unit else None
            drawn.append(entry.once(round(after_s, 1), unit_id, source))
            after_s += source.expovariate(1.0 / entry.every_s)
    return tuple(sorted(drawn, key=lambda fault: fault.after_s))


def _check_names(
    script: FaultScript, document: Document, units: Sequence[str], lines: Sequence[str], findings: Findings
) -> None:
    for number, fault in enumerate(script.faults):
        line = fault.line if isinstance(fault, Fault) else None
        for what, name, known in (("unit", fault.unit, units), ("line", line, lines)):
            if name is not None and name not in known:
                where = document.location(("faults", number, what))
                findings.error(where, "AR751", f"there is no {what} {name!r}", f"there are {', '.join(known)}")
    for number, entry in enumerate(script.random):
        for place, name in enumerate(entry.units):
            if name not in units:
                where = document.location(("random", number, "units", place))
                findings.error(where, "AR751", f"there is no unit {name!r}", f"there are {', '.join(units)}")
        if entry.line is not None and entry.line not in lines:
            where = document.location(("random", number, "line"))
            findings.error(where, "AR751", f"there is no line {entry.line!r}", f"there are {', '.join(lines)}")


def _drawn(value: Range | None, source: Draws) -> float | None:
    return round(source.uniform(*value), 3) if isinstance(value, tuple) else value


class _Middle:
    """Draws the middle, to look at a random fault before it is one."""

    def uniform(self, a: float, b: float) -> float:
        return (a + b) / 2
