"""The condition language: one short expression over named facts, read into the condition tree.

::

    condition   condition "and" | "or" condition, "not" condition, a comparison, a membership, a flag, parentheses
    comparison  value  <  <=  >  >=  ==  !=  value        may be chained: 0 <= soc < 30
    membership  value ["not"] "in" "(" constant, ... ")"
    value       12.5  'text'  true  false  fact  value + - * / value  -value  abs(value)  min(a, ...)  max(a, ...)

``not`` binds closer than ``and``, ``and`` closer than ``or``. Texts and flags know ``==``, ``!=`` and (texts) ``in``.
Every name and every comparison is checked against the kinds of the facts while it is read.
"""

from __future__ import annotations

import difflib
import math
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal, TypeVar, cast, get_args

from apis_rules.decide.tree import (
    All,
    AnyOf,
    Arithmetic,
    Call,
    Comparison,
    Condition,
    Constant,
    Expression,
    FactKind,
    Member,
    Name,
    Not,
    Operator,
)
from apis_rules.documents.diagnostics import Location

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from apis_rules.documents.diagnostics import Findings

MAX_LENGTH: Final = 4000
"""Longest condition, in characters."""
MAX_DEPTH: Final = 40
"""Deepest nesting of parentheses, calls, ``not`` and signs."""
MAX_OPERATIONS: Final = 60
"""Most sums, differences, products and quotients in one condition."""
LARGEST: Final = 2.0**53
"""Whole numbers beyond this are not exact in a float; no number of a condition or a fact may be larger."""
KEYWORDS: Final = frozenset({"and", "or", "not", "in", "true", "false", "abs", "min", "max"})
NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}\Z")
"""How a fact may be called, keywords aside."""

_TOKEN: Final = re.compile(
    r"(?P<space>\s+)|(?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<text>'[^'\n]*'|\"[^\"\n]*\")|(?P<sign><=|>=|==|!=|[<>+\-*/(),])|(?P<wrong>.)",
    re.ASCII | re.DOTALL,
)
_HINTS: Final = {
    "=": "two values are compared with ==",
    "&": "write 'and'",
    "|": "write 'or'",
    "!": "write 'not', or != between two values",
    "'": "a text ends with the same quote, on the same line",
    '"': "a text ends with the same quote, on the same line",
    "%": "write a share as a number: 0.3, or 30 where the fact is a percentage",
}
_Function = Literal["abs", "min", "max"]
_Sign = Literal["+", "-", "*", "/"]
_COMPARING: Final = frozenset(str(o) for o in Operator)
_T = TypeVar("_T", bound=Condition | Expression)


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    location: Location

    def __str__(self) -> str:
        return "the end" if self.kind == "end" else repr(self.text)


class _WrongError(Exception):
    def __init__(self, location: Location, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.finding = (location, code, message, hint)


def parse_condition(
    text: str, kinds: Mapping[str, FactKind | None], at: Location, findings: Findings
) -> Condition | None:
    """Read a condition.

    Args:
        text: the condition.
        kinds: every fact that may be named, with its kind; None where that is not known, so that any will do.
        at: where the first character of *text* stands, for the places in the tree and in the findings.
        findings: takes AR250 (not an expression), AR251 (unknown name), AR252 (kinds do not fit), AR253 (a number
            that cannot be used), AR254 (too long or too deep).

    Returns:
        The tree, with ``Not`` as written; None when anything was found.
    """
    return _parse(text, kinds, at, findings, lambda parser: parser.condition())


def parse_expression(
    text: str, kinds: Mapping[str, FactKind | None], at: Location, findings: Findings
) -> Expression | None:
    """Read a single value, ``min(limit_wh - remaining_wh, 500)``; otherwise like ``parse_condition``."""
    return _parse(text, kinds, at, findings, lambda parser: parser.value())


def kind_of(expression: Expression, kinds: Mapping[str, FactKind | None]) -> FactKind | None:
    """Return what values *expression* takes; None for a name that *kinds* does not have or tell."""
    match expression:
        case Name(name):
            return kinds.get(name)
        case Constant(bool()):
            return FactKind.FLAG
        case Constant(str()):
            return FactKind.TEXT
        case _:
            return FactKind.NUMBER


def _parse(
    text: str,
    kinds: Mapping[str, FactKind | None],
    at: Location,
    findings: Findings,
    read: Callable[[_Parser], _T],
) -> _T | None:
    try:
        parser = _Parser(_tokens(text, at), kinds)
        result = read(parser)
        parser.end()
    except _WrongError as wrong:
        findings.error(*wrong.finding)
        return None
    for unknown in parser.unknown:
        findings.error(*unknown)
    return None if parser.unknown else result


def _tokens(text: str, at: Location) -> list[_Token]:
    if len(text) > MAX_LENGTH:
        raise _WrongError(at, "AR254", f"the condition has {len(text)} characters; at most {MAX_LENGTH} are read")
    tokens = []
    line, column = at.line, at.column
    for found in _TOKEN.finditer(text):
        kind, part = str(found.lastgroup), found[0]
        end_line, end_column = line + part.count("\n"), column + len(part)
        if "\n" in part:
            end_column = len(part) - part.rfind("\n")
        here = Location(at.file, line, column, end_line, end_column)
        if kind == "wrong":
            hint = _HINTS.get(part, "")
            raise _WrongError(here, "AR250", f"{part!r} is not part of the condition language", hint)
        if kind != "space":
            tokens.append(_Token(kind, part, here))
        line, column = end_line, end_column
    tokens.append(_Token("end", "", Location(at.file, line, column)))
    return tokens


class _Parser:
    """Recursive descent, one method per rank of operators. What may be a value or a condition is told apart by type."""

    def __init__(self, tokens: list[_Token], kinds: Mapping[str, FactKind | None]) -> None:
        self.unknown: list[tuple[Location, str, str, str]] = []
        self._tokens = tokens
        self._kinds = kinds
        self._next = 0
        self._depth = 0
        self._operations = 0

    @property
    def _token(self) -> _Token:
        return self._tokens[self._next]

    def _take(self, *texts: str) -> _Token | None:
        token = self._token
        if token.kind in ("name", "sign") and token.text in texts:
            self._next += 1
            return token
        return None

    def _expect(self, text: str, where: str) -> _Token:
        token = self._take(text)
        if token is None:
            raise _WrongError(self._token.location, "AR250", f"expected {text!r} {where}, found {self._token}")
        return token

    def end(self) -> None:
        """Refuse anything that is left over."""
        if self._token.kind != "end":
            hint = "a name is one word; two conditions are joined by 'and' or 'or'"
            raise _WrongError(self._token.location, "AR250", f"expected the end, found {self._token}", hint)

    def condition(self) -> Condition:
        """Read all of a condition."""
        return self._as_condition(self._any())

    def value(self) -> Expression:
        """Read all of a value."""
        return self._as_value(self._any())

    def _any(self) -> Condition | Expression:
        return self._joined("or", AnyOf, lambda: self._joined("and", All, self._not))

    def _joined(
        self, word: str, join: type[All | AnyOf], part: Callable[[], Condition | Expression]
    ) -> Condition | Expression:
        first = part()
        if self._token.text != word:
            return first
        parts = [self._as_condition(first)]
        while self._take(word):
            parts.append(self._as_condition(part()))
        return join(tuple(parts), _span(parts[0].location, parts[-1].location))

    def _not(self) -> Condition | Expression:
        word = self._take("not")
        if word is None:
            return self._comparison()
        with self._deeper(word):
            part = self._as_condition(self._not())
        return Not(part, _span(word.location, part.location))

    def _comparison(self) -> Condition | Expression:
        left = self._sum()
        if self._token.text in ("in", "not"):
            return self._member(self._as_value(left))
        links: list[Condition] = []
        while token := self._take(*_COMPARING):
            first, second = self._as_value(left), self._as_value(self._sum())
            operator = Operator(token.text)
            self._check_kinds(first, operator, second, token)
            links.append(Comparison(first, operator, second, _span(first.location, second.location)))
            left = second
        if not links:
            return left
        return links[0] if len(links) == 1 else All(tuple(links), _span(links[0].location, links[-1].location))

    def _member(self, subject: Expression) -> Condition:
        negated = self._take("not") is not None
        self._expect("in", "after 'not'" if negated else "here")
        self._expect("(", "after 'in'")
        values: list[float | str] = []
        while not values or self._take(","):
            item = self._sum()
            if not isinstance(item, Constant) or isinstance(item.value, bool):
                raise _WrongError(item.location, "AR250", "the values behind 'in' are numbers or texts")
            self._check_kinds(subject, Operator.EQ, item, self._token)
            values.append(item.value)
        close = self._expect(")", "behind the values")
        return Member(subject, tuple(dict.fromkeys(values)), negated, _span(subject.location, close.location))

    def _sum(self) -> Condition | Expression:
        return self._left_to_right(("+", "-"), lambda: self._left_to_right(("*", "/"), self._signed))

    def _left_to_right(
        self, signs: tuple[str, ...], part: Callable[[], Condition | Expression]
    ) -> Condition | Expression:
        left = part()
        while token := self._take(*signs):
            self._operations += 1
            if self._operations > MAX_OPERATIONS:
                message = f"more than {MAX_OPERATIONS} sums and products in one condition"
                raise _WrongError(token.location, "AR254", message, "use derived facts")
            first, second = self._as_number(left), self._as_number(part())
            left = Arithmetic(cast("_Sign", token.text), first, second, _span(first.location, second.location))
        return left

    def _signed(self) -> Condition | Expression:
        sign = self._take("-")
        if sign is None:
            return self._atom()
        with self._deeper(sign):
            operand = self._as_number(self._signed())
        here = _span(sign.location, operand.location)
        if isinstance(operand, Constant):
            return Constant(-operand.value, here)  # type: ignore[operator]  # _as_number let numbers through only
        return Arithmetic("-", Constant(0, sign.location), operand, here)

    def _atom(self) -> Condition | Expression:
        token = self._token
        self._next += 1
        if token.kind == "number":
            return Constant(_number(token), token.location)
        if token.kind == "text":
            return Constant(token.text[1:-1], token.location)
        if token.text in ("true", "false"):
            return Constant(token.text == "true", token.location)
        if token.text in get_args(_Function):
            return self._call(token)
        if token.text == "(":
            with self._deeper(token):
                inner = self._any()
            close = self._expect(")", "to close the parenthesis")
            return replace(inner, location=_span(token.location, close.location))
        if token.kind == "name" and token.text not in KEYWORDS:
            return self._name(token)
        raise _WrongError(token.location, "AR250", f"expected a value, found {token}")

    def _name(self, token: _Token) -> Name:
        if token.text not in self._kinds:
            near = difflib.get_close_matches(token.text, self._kinds, n=1)
            hint = f"did you mean {near[0]}?" if near else "a text stands in quotes; a fact is declared under 'facts'"
            self.unknown.append((token.location, "AR251", f"there is no fact called {token.text!r}", hint))
        return Name(token.text, token.location)

    def _call(self, token: _Token) -> Call:
        self._expect("(", f"after {token.text!r}")
        with self._deeper(token):
            arguments = [self._as_number(self._sum())]
            while self._take(","):
                arguments.append(self._as_number(self._sum()))
        close = self._expect(")", f"to close {token.text}(")
        here = _span(token.location, close.location)
        if (token.text == "abs") != (len(arguments) == 1):
            wanted = "one value" if token.text == "abs" else "two or more values"
            raise _WrongError(here, "AR250", f"{token.text} takes {wanted}")
        return Call(cast("_Function", token.text), tuple(arguments), here)

    def _as_condition(self, part: Condition | Expression) -> Condition:
        if not isinstance(part, Expression):
            return part
        if kind_of(part, self._kinds) not in (FactKind.FLAG, None):
            raise _WrongError(part.location, "AR252", "a condition is needed here, not a value", "compare it: a > 0")
        return Comparison(part, Operator.EQ, Constant(True, part.location), part.location)

    def _as_value(self, part: Condition | Expression) -> Expression:
        if isinstance(part, Expression):
            return part
        hint = "a condition cannot be compared or counted; join conditions by 'and', 'or', 'not'"
        raise _WrongError(part.location, "AR252", "a value is needed here, not a condition", hint)

    def _as_number(self, part: Condition | Expression) -> Expression:
        value = self._as_value(part)
        kind = kind_of(value, self._kinds)
        if kind not in (FactKind.NUMBER, None):
            raise _WrongError(value.location, "AR252", f"a number is needed here, not a {kind}")
        return value

    def _check_kinds(self, left: Expression, operator: Operator, right: Expression, token: _Token) -> None:
        kinds = [kind_of(side, self._kinds) for side in (left, right)]
        if None in kinds:
            return
        if kinds[0] is not kinds[1]:
            raise _WrongError(token.location, "AR252", f"a {kinds[0]} is never compared with a {kinds[1]}")
        if kinds[0] is not FactKind.NUMBER and operator not in (Operator.EQ, Operator.NE):
            message = f"a {kinds[0]} has no order: {operator} compares numbers"
            raise _WrongError(token.location, "AR252", message, "use == or !=")

    def _deeper(self, token: _Token) -> _Parser:
        if self._depth == MAX_DEPTH:
            raise _WrongError(token.location, "AR254", f"nested more than {MAX_DEPTH} deep", "use derived facts")
        return self

    def __enter__(self) -> None:
        self._depth += 1

    def __exit__(self, *_: object) -> None:
        self._depth -= 1


def _number(token: _Token) -> float:
    value = float(token.text)
    if not math.isfinite(value) or abs(value) > LARGEST:
        raise _WrongError(token.location, "AR253", f"{token.text} is too large: at most 2^53 either way")
    return int(value) if value.is_integer() and token.text.isdigit() else value


def _span(first: Location, last: Location) -> Location:
    return Location(first.file, first.line, first.column, last.end_line, last.end_column)
