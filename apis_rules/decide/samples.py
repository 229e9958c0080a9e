"""Rows of facts near everything that conditions compare: where two evaluators would differ if they did."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from apis_rules.decide.tree import All, AnyOf, Comparison, Condition, Constant, FactKind, Name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from apis_rules.decide.codegen import Row
    from apis_rules.decide.lower import Lowered

_PLAIN: Final = (0.0, 1.0, -1.0, math.nan, 1e-05)
_STEPS: Final = (3, 5, 7, 11, 13, 17, 19, 23)
"""Strides through the values, one per column in turn, so that columns do not move in step."""


def sample_rows(lowered: Lowered, count: int) -> list[Row]:
    """Return *count* rows, always the same: thresholds, their neighbours, 0, a tiny number, and missing values.

    Derived columns get values of their own as well: this tests evaluators, not arithmetic.
    """
    values: dict[str, dict[float, None]] = {column: dict.fromkeys(_PLAIN) for column in lowered.columns}
    for number, (_, kind) in enumerate(lowered.facts):
        if kind is FactKind.FLAG:
            values[f"f{number}"] = dict.fromkeys((0.0, 1.0, math.nan))
    for condition in lowered.conditions:
        for name, threshold in _thresholds(condition):
            near = (threshold, math.nextafter(threshold, math.inf), math.nextafter(threshold, -math.inf))
            values[name].update(dict.fromkeys(near))
    columns = [list(v) for v in values.values()]
    return [
        tuple(options[(row * _STEPS[i % len(_STEPS)] + i) % len(options)] for i, options in enumerate(columns))
        for row in range(count)
    ]


def _thresholds(node: Condition) -> Iterator[tuple[str, float]]:
    match node:
        case All(parts) | AnyOf(parts):
            for part in parts:
                yield from _thresholds(part)
        case Comparison(Name(name), _, Constant(value)):
            yield name, float(value)
