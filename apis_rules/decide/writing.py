"""The condition tree written back in the condition language, for people."""

from __future__ import annotations

from typing import Final

from apis_rules.decide.tree import (
    All,
    AnyOf,
    Arithmetic,
    Call,
    Comparison,
    Condition,
    Constant,
    Expression,
    Member,
    Name,
    Not,
    Operator,
)

_RANK: Final = {AnyOf: 0, All: 1, Not: 2, Comparison: 3, Member: 3, Arithmetic: 4, Call: 6, Name: 6, Constant: 6}


def format_condition(node: Condition | Expression) -> str:
    """Write *node* in the condition language, with no more parentheses than needed; reading it gives an equal tree."""
    match node:
        case All(parts):
            text = " and ".join(_inner(p, 2) for p in parts) or "true"
        case AnyOf(parts):
            text = " or ".join(_inner(p, 1) for p in parts) or "false"
        case Not(part):
            text = f"not {_inner(part, 2)}"
        case Comparison(left, Operator.EQ, Constant(True)):
            text = _inner(left, 4)
        case Comparison(left, operator, right):
            text = f"{_inner(left, 4)} {operator} {_inner(right, 4)}"
        case Member(subject, values, negated):
            listed = ", ".join(map(format_value, values))
            text = f"{_inner(subject, 4)} {'not in' if negated else 'in'} ({listed})"
        case _:
            text = _format_expression(node)
    return text


def format_value(value: float | str) -> str:
    """Write a number, text or flag as it stands in a condition."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value}"' if "'" in value else f"'{value}'"
    return f"{value:g}" if float(f"{value:g}") == value else repr(value)


def _format_expression(node: Expression) -> str:
    match node:
        case Name(name):
            return name
        case Constant(value):
            return format_value(value)
        case Call(function, arguments):
            return f"{function}({', '.join(map(format_condition, arguments))})"
        case Arithmetic(operator, left, right):
            own = 5 if operator in "*/" else 4
            return f"{_inner(left, own)} {operator} {_inner(right, own + 1)}"


def _inner(node: Condition | Expression, least: int) -> str:
    rank = _RANK[type(node)]
    if isinstance(node, Arithmetic) and node.operator in "*/":
        rank = 5
    text = format_condition(node)
    return text if rank >= least else f"({text})"
