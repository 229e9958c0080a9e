"""What follows from a rule that holds: the closed set of outcomes that rule files may name."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias

from pydantic import ConfigDict, Field

from apis_rules.documents.model import FileModel, Text
from apis_rules.documents.shapes import did_you_mean
from apis_rules.ports.types.error_event import Category, Extent, Level
from apis_rules.ports.types.negotiation import DeclineReason
from apis_rules.ports.types.unit_data import OperationMode

if TYPE_CHECKING:
    from collections.abc import Iterable

    from apis_rules.documents.diagnostics import Findings, Location


class Action(enum.StrEnum):
    """What is done about an error (specification 10.1); the order in a rule is the order of doing."""

    LOG = "log"
    STOP_DEALS = "stop-deals"
    STOP_LOCAL = "stop-local"
    RESIGN = "resign"
    RESET_LOCAL = "reset-local"
    SHUT_DOWN = "shut-down"
    SCRAM = "scram"
    DRAIN = "drain"
    MODE_STOP = "mode-stop"
    RESET_ALL = "reset-all"
    SHUT_DOWN_ALL = "shut-down-all"


@dataclass(frozen=True, slots=True)
class Decline:
    """No request, accept or choice, for this reason."""

    reason: DeclineReason


@dataclass(frozen=True, slots=True)
class RaiseError:
    """An error event. While the rule's debounce runs it is a warning."""

    category: Category
    extent: Extent
    level: Level


@dataclass(frozen=True, slots=True)
class SetMode:
    """The operation mode in effect."""

    mode: OperationMode


@dataclass(frozen=True, slots=True)
class React:
    """Actions, in this order."""

    actions: tuple[Action, ...]


Outcome: TypeAlias = Decline | RaiseError | SetMode | React


KEYWORDS: Final[dict[type[Outcome], str]] = {Decline: "decline", RaiseError: "error", SetMode: "mode", React: "do"}
"""The key that stands for each in a file."""


def said(kind: type[Outcome]) -> str:
    """Return how an outcome of *kind* is written, with the words that there are for it."""
    if kind is RaiseError:
        return "error: CATEGORY:EXTENT:LEVEL, for example HARDWARE:LOCAL:ERROR"
    words: type[enum.StrEnum] = {Decline: DeclineReason, SetMode: OperationMode}.get(kind, Action)
    return f"{KEYWORDS[kind]}: {' | '.join(words)}"


def permits(outcome: Outcome) -> bool:
    """Whether the outcome allows something, so that in doubt it does not count; all others forbid or report."""
    return outcome == SetMode(OperationMode.AUTONOMOUS)


class OutcomeModel(FileModel):
    """``outcome``: exactly one of the keys."""

    model_config = ConfigDict(alias_generator=None)

    decline: Text | None = None
    error: Text | None = None
    mode: Text | None = None
    do: Annotated[tuple[Text, ...] | None, Field(min_length=1)] = None


def read_outcome(model: OutcomeModel, where: Location, findings: Findings) -> Outcome | None:
    """Return what *model* says; AR256 and None where it says nothing, several things, or something unknown."""
    given = [key for key in OutcomeModel.model_fields if getattr(model, key) is not None]
    if len(given) != 1:
        message = "an outcome is one of decline, error, mode, do"
        findings.error(where, "AR256", message, f"here are {', '.join(given)}" if given else "")
        return None
    outcome: Outcome | None = None
    if model.decline is not None and _known([model.decline], DeclineReason, where, findings):
        outcome = Decline(DeclineReason(model.decline))
    elif model.mode is not None and _known([model.mode], OperationMode, where, findings):
        outcome = SetMode(OperationMode(model.mode))
    elif model.do is not None and _known(model.do, Action, where, findings):
        outcome = React(tuple(map(Action, model.do)))
    elif model.error is not None:
        outcome = _read_error(model.error, where, findings)
    return outcome


def _read_error(text: str, where: Location, findings: Findings) -> RaiseError | None:
    parts = text.split(":")
    if len(parts) != len(_PARTS):
        findings.error(where, "AR256", f"{text!r} is no error", "for example HARDWARE:LOCAL:ERROR")
        return None
    words = [[str(word) for word in kinds] for kinds in _PARTS]
    if all(part in known for part, known in zip(parts, words, strict=True)):
        return RaiseError(Category(parts[0]), Extent(parts[1]), Level(parts[2]))
    near = [did_you_mean(part, known) for part, known in zip(parts, words, strict=True)]
    unknown = next(known for part, known in zip(parts, words, strict=True) if part not in known)
    hint = f"did you mean {':'.join(near)}?" if all(near) else f"there are {', '.join(unknown)}"
    findings.error(where, "AR256", f"{text!r} is no error", hint)
    return None


_PARTS: Final[tuple[type[enum.StrEnum], ...]] = (Category, Extent, Level)


def _known(words: Iterable[str], choices: type[enum.StrEnum], where: Location, findings: Findings) -> bool:
    known = [str(choice) for choice in choices]
    wrong = [word for word in words if word not in known]
    for word in wrong:
        near = did_you_mean(word, known)
        hint = f"did you mean {near}?" if near else f"known: {', '.join(known)}"
        findings.error(where, "AR256", f"an outcome cannot be {word!r}", hint)
    return not wrong
