"""Whole watt-hours: what a battery holds, what a unit may offer, how much a deal is about (specification 6.4).

One minimum rule holds everywhere: an amount counts when it is *at least* ``amountMinWh``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    _Number = TypeVar("_Number", float, NDArray[np.float64])

# 4800 Wh at 58.1 % is 2788.8 Wh; a product that is whole on paper must not lose a Wh to binary fractions.
_ROUNDING: Final = 1e-6


def remaining_wh(rsoc_percent: float, nominal_wh: float) -> int:
    """Return the energy in a battery in whole Wh, rounded down, as unit data carries it (specification 8)."""
    return math.floor(unrounded_wh(rsoc_percent, nominal_wh))


def unrounded_wh(rsoc_percent: _Number, nominal_wh: float) -> _Number:
    """Return what ``remaining_wh`` rounds down, for one battery or an array of them."""
    return nominal_wh * rsoc_percent / 100 + _ROUNDING


@dataclass(frozen=True, slots=True)
class DealLimits:
    """What the community's policy says about the size of one deal (``mediator.deal``), in whole Wh.

    Attributes:
        amount_unit_wh: a deal is a multiple of it; positive.
    """

    amount_min_wh: int
    amount_max_wh: int
    amount_unit_wh: int

    def offers(self, amount_wh: int) -> bool:
        """Whether an amount is large enough to be asked for or offered."""
        return amount_wh >= self.amount_min_wh

    def deal_amount_wh(self, request_wh: int, accept_wh: int) -> int | None:
        """Return the size of the deal that a request and an accept make, or None where it stays below the minimum.

        It is the smaller of both, cut to the maximum, rounded *down* to a multiple of the unit.
        """
        amount_wh = min(request_wh, accept_wh, self.amount_max_wh)
        amount_wh -= amount_wh % self.amount_unit_wh
        return amount_wh if amount_wh >= max(self.amount_min_wh, 1) else None
