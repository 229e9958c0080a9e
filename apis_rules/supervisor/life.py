"""What becomes of a run whose process has ended (pure)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

REFUSED: Final = 2
WINDOW_S: Final = 120.0
"""Deaths longer ago count no more."""

PAUSES_S: Final = (0.0, 1.0, 2.0, 4.0, 8.0)
DEFAULT_RESTARTS: Final = len(PAUSES_S)


@dataclass(frozen=True, slots=True)
class Ending:
    """How a process ended.

    Attributes:
        code: its exit code; minus the signal's number where one ended it.
        decided: it said before that this end is its own decision.
        asked: it had been asked to end.
    """

    code: int
    decided: bool
    asked: bool


@dataclass(frozen=True, slots=True)
class Again:
    """It is started again, at this moment of the runtime clock."""

    at_s: float


@dataclass(frozen=True, slots=True)
class Over:
    """The run is over.

    Attributes:
        code: what the run ends with.
        looping: it died too often.
    """

    code: int
    looping: bool = False


def decide_next(ending: Ending, deaths_s: tuple[float, ...], now_s: float, restarts: int) -> Again | Over:
    """Return what follows an end.

    Args:
        ending: how it ended.
        deaths_s: when it died before, without this time.
        now_s: the runtime clock.
        restarts: how often it may be started again within two minutes.
    """
    if ending.decided or ending.code == REFUSED:
        return Over(1 if ending.code < 0 else ending.code)
    if ending.asked:
        return Over(1)
    recent = sum(1 for at_s in deaths_s if now_s - at_s < WINDOW_S)
    if recent >= restarts:
        return Over(1, looping=True)
    return Again(now_s + PAUSES_S[min(recent, len(PAUSES_S) - 1)])


def is_frozen(heard_at_s: float, good_for_s: float, looked_at_s: float, now_s: float, look_every_s: float) -> bool:
    """Return whether the last sign of life is too old.

    Where the last look was longer ago than two of its periods, this process stood still as well: then nobody is judged.

    Args:
        heard_at_s: when the last sign came.
        good_for_s: for how long it was meant to last.
        looked_at_s: when this was asked before.
        now_s: the runtime clock.
        look_every_s: how often this is asked.
    """
    return now_s - looked_at_s <= 2 * look_every_s and now_s - heard_at_s > good_for_s
