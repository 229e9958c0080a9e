"""What rules can be asked about: which keys stand at each place, and what kind of value.

The shapes of unit data, deals, messages and files are those of the models that read them. What a node adds by itself is
closed: another key there is a mistake. Where a device driver may deliver more than the specification knows
(``battery``, ``dcdc`` and what is in it, and beside them), another key is doubtful, and a mistake where it looks like a
known one.
"""

from __future__ import annotations

import enum
import types
import typing
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import BaseModel

from apis_rules.decide.tree import FactKind
from apis_rules.documents.hw_config import HwConfig
from apis_rules.documents.policy import Branch, Policy
from apis_rules.documents.shapes import did_you_mean
from apis_rules.ports.types.deal import Deal
from apis_rules.ports.types.error_event import ErrorEvent
from apis_rules.ports.types.grid import GridRecord
from apis_rules.ports.types.negotiation import Accept, Request
from apis_rules.ports.types.unit_data import OperationMode, UnitData

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Shape:
    """What can stand at a place; without any of these, anything.

    Attributes:
        kind: of a value.
        words: the only texts that a value can be; empty where it can be any.
        keys: of an object.
        each: what each element of a list is.
        named: what stands under names of one's own, such as the lines of a grid.
        delivered: whether a device driver fills it, which may know further keys and words.
    """

    kind: FactKind | None = None
    words: tuple[str, ...] = ()
    keys: Mapping[str, Shape] = field(default_factory=dict)
    each: Shape | None = None
    named: Shape | None = None
    delivered: bool = False


@dataclass(frozen=True, slots=True)
class Astray:
    """A path that leads to no value.

    Attributes:
        known: the keys that there are where it leaves the way.
        certain: False where a driver may deliver the value all the same.
    """

    message: str
    hint: str
    known: tuple[str, ...] = ()
    certain: bool = True


ANYTHING: Final = Shape()
NUMBER, TEXT, FLAG = Shape(FactKind.NUMBER), Shape(FactKind.TEXT), Shape(FactKind.FLAG)
CONVERTER_MODES: Final = ("wait", "charge", "discharge", "voltage-reference")
_MODE: Final = Shape(FactKind.TEXT, tuple(OperationMode))

WRITE: Final = Shape(
    keys={
        "mode": Shape(FactKind.TEXT, CONVERTER_MODES),
        "gridVoltageV": NUMBER,
        "gridCurrentA": NUMBER,
        "droopRatio": NUMBER,
    }
)
NODE: Final = Shape(
    keys={
        "ready": FLAG,
        "draining": FLAG,
        "excluded": FLAG,
        "hasMaster": FLAG,
        "mode": _MODE,
        "communityMode": _MODE,
        "localMode": _MODE,
        "localErrors": FLAG,
        "communityErrors": FLAG,
        "switching": FLAG,
        "dealsKnown": FLAG,
        "readingAgeS": NUMBER,
        "reservedDeals": NUMBER,
        "chargeLocked": FLAG,
        "dischargeLocked": FLAG,
        "outside": FLAG,
        "batteryUsers": TEXT,
    }
)
"""What a node may say of itself; ``questions`` says what it tells of it to which question."""

_WORDS: Final = {
    "alarmState": ("No alarm", "Light alarm", "Heavy alarm"),
    "operationMode": ("Waiting", "Heteronomy CV", "Grid Autonomy"),
}
"""Texts of ``dcdc.status`` (specification section 8)."""


@cache
def roots() -> Mapping[str, Shape]:
    """Return what stands under each name at the top of what rules are asked about."""
    unit, deal, accept = _unit(), _shape_of(Deal), _shape_of(Accept)
    branch = _shape_of(Branch)
    return {
        "unit": unit,
        "units": Shape(each=unit),
        "deals": Shape(each=deal),
        "grid": _shape_of(GridRecord),
        "deal": deal,
        "branch": replace(branch, keys={"id": TEXT, "capacityA": NUMBER, **branch.keys}),
        "accepts": Shape(each=accept),
        "accept": accept,
        "request": _shape_of(Request),
        "write": WRITE,
        "event": _shape_of(ErrorEvent),
        "node": NODE,
        "policy": _shape_of(Policy),
        "hwConfig": _shape_of(HwConfig),
    }


def find(steps: Sequence[str | int], given: Mapping[str, Shape]) -> Shape | Astray:
    """Return what stands at the end of a simple path, or why no value does."""
    shape, at = Shape(keys=given), "$"
    for step in steps:
        if shape == ANYTHING:
            return ANYTHING
        if isinstance(step, int):
            if shape.each is None:
                return Astray(f"{at} is no list, so it has no element {step}", "take the number in brackets out")
            shape, at = shape.each, f"{at}[{step}]"
            continue
        inner = shape.keys.get(step, shape.named)
        if inner is None:
            return _no_such_key(shape, at, step)
        shape, at = inner, f"{at}.{step}"
    if shape.keys:
        return Astray(f"{at} is no single value", f"name one of those in it: {', '.join(shape.keys)}")
    if shape.each or shape.named:
        return Astray(f"{at} holds several values", "a rule looks at one; or take a derived fact")
    return shape


def _no_such_key(shape: Shape, at: str, step: str) -> Astray:
    if shape.kind is not None:
        return Astray(f"{at} is a {shape.kind}: there is no {step!r} in it", "the path ends there")
    if shape.each is not None:
        return Astray(f"{at} is a list: there is no {step!r} in it", f"name an element first, as in {at}[0].{step}")
    near, known = did_you_mean(step, shape.keys), tuple(shape.keys)
    # A driver that has a second thermometer calls it tmp2.
    certain = not shape.delivered or bool(near and step.rstrip("0123456789_") != near)
    if not certain:
        hint = f"did you mean {at}.{near}?" if near else f"the specification has {', '.join(known)}"
        return Astray(f"no driver that comes with the program delivers {step!r} in {at}", hint, known, certain=False)
    hint = f"did you mean {at}.{near}?" if near else f"there are {', '.join(known)}"
    return Astray(f"there is no {step!r} in {at}", hint, known)


def _unit() -> Shape:
    # apis and oesunit are the node's own; the rest is the driver's.
    shape = _shape_of(UnitData)
    dcdc = shape.keys["dcdc"]
    status = dcdc.keys["status"]
    told = {name: replace(status.keys[name], words=words) for name, words in _WORDS.items()}
    status = replace(status, keys={**status.keys, **told})
    parts = {name: _delivered(part) for name, part in {**dcdc.keys, "status": status}.items()}
    own = {
        "dcdc": Shape(keys={**parts, "powermeter": ANYTHING}, delivered=True),
        "battery": _delivered(shape.keys["battery"]),
        "emu": ANYTHING,
    }
    return replace(shape, keys={**shape.keys, **own}, delivered=True)


def _delivered(shape: Shape) -> Shape:
    return replace(shape, keys={key: replace(s, delivered=True) for key, s in shape.keys.items()}, delivered=True)


def _shape_of(annotation: Any) -> Shape:
    """Return what a value of a model's field looks like in a document."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    shape = ANYTHING
    if origin is Annotated:
        shape = _shape_of(arguments[0])
    elif origin in (typing.Union, types.UnionType):
        shape = _shape_of(next(a for a in arguments if a is not type(None)))
    elif origin is typing.Literal:
        shape = Shape(FactKind.TEXT, tuple(map(str, arguments)))
    elif origin is tuple:
        shape = Shape(each=_shape_of(arguments[0]))
    elif origin is dict:
        shape = Shape(named=_shape_of(arguments[1]))
    elif isinstance(annotation, type):
        shape = _shape_of_class(annotation)
    return shape


def _shape_of_class(kind: type) -> Shape:
    if issubclass(kind, BaseModel):
        fields = kind.model_fields.items()
        return Shape(keys={f.alias or name: _shape_of(f.annotation) for name, f in fields if not f.exclude})
    if issubclass(kind, enum.Enum):
        return Shape(FactKind.TEXT, tuple(member.value for member in kind))
    return next((Shape(found) for base, found in _KINDS if issubclass(kind, base)), ANYTHING)


_KINDS: Final = ((bool, FactKind.FLAG), (int, FactKind.NUMBER), (float, FactKind.NUMBER), (str, FactKind.TEXT))
