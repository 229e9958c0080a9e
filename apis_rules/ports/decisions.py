"""Where decisions are written down, so that they can be explained and recomputed later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping


class DecisionLog(Protocol):
    """Decisions with an effect or a change, each with the facts it was made from and the hash of its rules.

    ``record`` never waits and never fails: a decision must not hang on its own record. What cannot be kept is counted
    in ``dropped``, and the oldest waiting record goes first.
    """

    def record(self, decision: Mapping[str, Any]) -> None:
        """Hand over one decision as plain JSON values."""

    @property
    def dropped(self) -> int:
        """How many were given up since the start."""

    async def flush(self, within_s: float) -> bool:
        """Wait until everything handed over is kept; False when time ran out."""

    async def run(self) -> None:
        """Carry decisions to where they are kept, for ever. The node runs it in its task group."""
