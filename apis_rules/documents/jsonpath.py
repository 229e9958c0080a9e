"""The one compiler of JSONPath: an expression is read once and becomes a function of a document.

A *simple* path (``$.unit.dcdc.meter.tmp``, ``$.deals[0].dealId``) names at most one value and becomes a getter that
costs well under a microsecond. Any other (``$.units[*].battery.rsoc``, ``$..tmp``, filters) names several.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from jsonpath_ng import jsonpath as nodes
from jsonpath_ng.ext.parser import parse

from apis_rules.documents.diagnostics import Location
from apis_rules.documents.source import refusal

if TYPE_CHECKING:
    from collections.abc import Callable

Steps: TypeAlias = tuple[str | int, ...]

# By name: releases of the library within our range differ in which class stands for a wildcard.
_PLACES_ONLY: Final = frozenset({"Root", "Fields", "Index", "Slice", "Wildcard", "Filter"})


@dataclass(frozen=True, slots=True)
class JsonPath:
    """A compiled path.

    Attributes:
        text: as written.
        steps: keys and indices of a simple path, else None.
        get: document → the value, None where there is none (or it is null). Of a path that is not simple: the first.
        find: document → every value, in document order.
    """

    text: str
    steps: Steps | None
    get: Callable[[Any], Any] = field(compare=False)
    find: Callable[[Any], list[Any]] = field(compare=False)

    @property
    def simple(self) -> bool:
        """Whether the path names at most one value."""
        return self.steps is not None


def compile_path(text: str, location: Location | None = None) -> JsonPath:
    """Compile *text*; *location* is where it was written, for the error.

    Raises:
        InputError: it is no JSONPath that begins at ``$``, or does more than name places.
    """
    where = location or Location("<JSONPath>")
    try:
        expression = _parse(text)
    except Exception as error:  # the library raises plain Exception for some wrong expressions
        message = f"{text!r} is not a JSONPath: {str(error).strip()}"
        raise refusal(where, "AR130", message, "for example $.unit.dcdc.meter.tmp") from error
    if not _begins_at_root(expression):
        raise refusal(where, "AR130", f"the JSONPath {text!r} does not begin at the document", "begin it with '$.'")
    if not _names_places(expression):
        raise refusal(
            where, "AR130", f"the JSONPath {text!r} computes something", "name places only; compute in a rule"
        )
    steps = _steps(expression)
    if steps is not None:
        get = _getter(steps)
        return JsonPath(text, steps, get, lambda document: [v for v in (get(document),) if v is not None])

    def find(document: Any) -> list[Any]:
        return [match.value for match in expression.find(document)]

    def first(document: Any) -> Any:
        return next(iter(find(document)), None)

    return JsonPath(text, None, first, find)


@lru_cache(maxsize=1024)
def _parse(text: str) -> nodes.JSONPath:
    """Read an expression; the same few stand in the files of every node, and the parser is slow."""
    return parse(text)


def _begins_at_root(expression: nodes.JSONPath) -> bool:
    while isinstance(expression, nodes.Child | nodes.Descendants):
        expression = expression.left
    return isinstance(expression, nodes.Root)


def _names_places(expression: nodes.JSONPath) -> bool:
    if isinstance(expression, nodes.Child | nodes.Descendants):
        return _names_places(expression.left) and _names_places(expression.right)
    return type(expression).__name__ in _PLACES_ONLY


def _steps(expression: nodes.JSONPath) -> Steps | None:
    match expression:
        case nodes.Root():
            return ()
        case nodes.Child(left=left, right=nodes.Fields(fields=(str() as name,))) if name != "*":
            before = _steps(left)
            return None if before is None else (*before, name)
        case nodes.Child(left=left, right=nodes.Index(indices=(int() as index,))):
            before = _steps(left)
            return None if before is None else (*before, index)
        case _:
            return None


def _getter(steps: Steps) -> Callable[[Any], Any]:
    # A text has indices too, and a mapping may have the key 0: only a list is counted in, only a mapping asked.
    typed: tuple[tuple[Any, Any], ...] = tuple((step, dict if isinstance(step, str) else list) for step in steps)

    def get(document: Any) -> Any:
        value = document
        for step, holder in typed:
            if type(value) is not holder:
                return None
            try:
                value = value[step]
            except (KeyError, IndexError):
                return None
        return value

    return get
