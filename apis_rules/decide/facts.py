"""What a fact may be, and what of the outside world is let in.

A fact is a number (a float; whole numbers become floats), a text or a flag. Anything else, a value of another kind
among it, counts as *missing*: a text where a number belongs, NaN and the infinities, numbers from 2^53 on either way,
texts of more than 256 characters. So nothing that an outside source delivers can change what a comparison means.
"""

from __future__ import annotations

import numbers
from typing import Final, TypeAlias

from apis_rules.decide.language import LARGEST
from apis_rules.decide.tree import FactKind

Value: TypeAlias = float | str | bool
"""A known fact."""

MAX_TEXT: Final = 256


def clean_value(value: object, kind: FactKind) -> Value | None:
    """Return *value* as a fact of *kind*, or None where it is missing."""
    if kind is FactKind.NUMBER:
        return clean_number(value)
    if kind is FactKind.FLAG:
        return value if isinstance(value, bool) else None
    return value if isinstance(value, str) and len(value) <= MAX_TEXT else None


def clean_number(value: object) -> float | None:
    """Return *value* as a float, or None where it is no usable number."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if -LARGEST < number < LARGEST else None
