"""Conditions over whole columns of facts, with NumPy: the vectorised twin of ``apis_rules.decide.codegen.Program``."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from apis_rules.decide.codegen import masks_source, run_source
from apis_rules.decide.facts import MAX_TEXT, Value
from apis_rules.decide.language import LARGEST
from apis_rules.decide.tree import FactKind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from apis_rules.decide.amounts import DealLimits
    from apis_rules.decide.lower import Lowered

_BLOCK: Final = 16_384
"""Rows evaluated at a time: their columns and masks stay in the processor's second cache."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Rows of facts, column by column, as one ``ColumnProgram`` reads them."""

    rows: int
    values: list[NDArray[np.float64]]


@dataclass(frozen=True)
class ColumnProgram:
    """Conditions made runnable over columns; ``Ruleset.over_columns`` makes one."""

    lowered: Lowered

    @cached_property
    def _masks(self) -> Callable[[Sequence[NDArray[np.float64]]], list[NDArray[np.bool_]]]:
        function: Callable[[Sequence[NDArray[np.float64]]], list[NDArray[np.bool_]]]
        function = run_source(masks_source(self.lowered), "masks", _VECTOR_NAMES)
        return function

    def columns(self, facts: Mapping[str, NDArray[Any]], rows: int) -> Columns:
        """Bring columns of facts, each of *rows* values, into the form that ``masks`` and ``first`` take.

        Numbers and flags come as arrays of numbers or bool with NaN where missing, texts as arrays of ``str`` or
        objects with None where missing. A fact without a column is missing in every row.
        """
        codes = dict(self.lowered.texts)
        return Columns(rows, [_column(facts.get(name), kind, rows, codes) for name, kind in self.lowered.facts])

    def masks(self, columns: Columns) -> list[NDArray[np.bool_]]:
        """Return for each condition the rows in which it holds."""
        with np.errstate(all="ignore"):
            return [np.broadcast_to(mask, columns.rows) for mask in self._masks(columns.values)]

    def first(self, columns: Columns) -> NDArray[np.int16]:
        """Return for each row the index of the first condition that holds, or -1."""
        count = len(self.lowered.conditions)
        rank = np.int8 if count < 128 else np.int16
        result = np.empty(columns.rows, dtype=np.int16)
        with np.errstate(all="ignore"):
            for start in range(0, columns.rows, _BLOCK):
                block = result[start : start + _BLOCK]
                # The first condition has the highest rank. Products and maxima of small integers beat any assignment
                # through a mask by a factor of ten.
                best = np.zeros(len(block), dtype=rank)
                for index, mask in enumerate(self._masks([c[start : start + _BLOCK] for c in columns.values])):
                    np.maximum(best, np.multiply(mask, count - index, dtype=rank), out=best)
                np.subtract(count, best, out=block, dtype=np.int16)
        result[result == count] = -1
        return result


def deal_amounts_wh(limits: DealLimits, amounts_wh: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return ``limits.deal_amount_wh`` for many amounts that both sides agree on, with 0 where there is no deal."""
    cut = np.minimum(amounts_wh, limits.amount_max_wh)
    cut -= cut % limits.amount_unit_wh
    return np.where(cut >= max(limits.amount_min_wh, 1), cut, 0)


def _finite_all(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(np.isfinite(values), values, np.nan)


_VECTOR_NAMES: Final[dict[str, object]] = {
    "finite": _finite_all,
    "quotient": lambda a, b: np.where((b != 0) & np.isfinite(b), np.divide(a, b), np.nan),
    "least": lambda *v: np.minimum.reduce(np.broadcast_arrays(*map(_finite_all, v))),
    "greatest": lambda *v: np.maximum.reduce(np.broadcast_arrays(*map(_finite_all, v))),
}


def _column(values: NDArray[Any] | None, kind: FactKind, rows: int, codes: dict[str, float]) -> NDArray[np.float64]:
    if values is None:
        return np.full(rows, np.nan)
    if kind is FactKind.TEXT:
        return np.fromiter((_text_code(v, codes) for v in values.tolist()), np.float64, len(values))
    numbers = np.asarray(values, dtype=np.float64)
    if kind is FactKind.NUMBER and _extreme(np.fmin, numbers) > -LARGEST and _extreme(np.fmax, numbers) < LARGEST:
        return numbers
    usable = (numbers == 0) | (numbers == 1) if kind is FactKind.FLAG else np.abs(numbers) < LARGEST
    return np.where(usable, numbers, np.nan)


def _extreme(function: np.ufunc, numbers: NDArray[np.float64]) -> float:
    """Return the least or the greatest number that is known; 0 counts as well, which changes no comparison here."""
    return float(function.reduce(numbers, initial=0.0))


def _text_code(value: Value | None, codes: dict[str, float]) -> float:
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        return math.nan
    return codes.setdefault(value, float(len(codes)))
