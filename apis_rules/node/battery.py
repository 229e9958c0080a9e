"""This node's share in a battery that several nodes use, a gateway between clusters (specification 11.2).

A direction is claimed before a deal of that direction is accepted or asked for, and given back when the last one has
ended and the converter is confirmed in WAIT. Where the battery is this node's alone, nothing is claimed.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Final, Protocol

from apis_rules.battery_claims import ClaimFile, Unclaimable
from apis_rules.ports.types import Direction

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from apis_rules.documents.config import Config
    from apis_rules.node.board import Board
    from apis_rules.node.errors import Errors
    from apis_rules.ports.types import DealRecord

LOOK_S: Final = 0.5
LOCK_NAMES: Final = {Direction.CHARGE: "batteryCapacity.CHARGE", Direction.DISCHARGE: "batteryCapacity.DISCHARGE"}
"""What stands for ``%s`` in ``fileSystemExclusiveLockFileFormat``, as in *apis-main*."""


class Places(Protocol):
    """What the mediator keeps free."""

    @property
    def reserved(self) -> tuple[Direction, ...]:
        """The directions of the places that are kept free."""


class Keeper(Protocol):
    """What this service asks the mediator."""

    def places(self) -> Places:
        """Return the places that are kept free now."""


class Battery:
    """One node's claims on its battery."""

    def __init__(self, board: Board, errors: Errors, temporary: Path) -> None:
        self._board = board
        self._errors = errors
        config = board.documents.config
        management = config.battery_capacity_management
        self._files: dict[Direction, ClaimFile] = {}
        if management.enabled:
            self._files = {
                direction: ClaimFile(path, owner_of(config), management.current_budget_a)
                for direction, path in claim_paths(config.file_system_exclusive_lock_file_format, temporary).items()
            }
        self._keeper: Keeper | None = None
        self._waits = False
        self._refused: dict[Direction, str] = {}
        self._lost: set[Direction] = set()

    def attach(self, keeper: Keeper) -> None:
        """Learn who keeps places free."""
        self._keeper = keeper

    def facts(self) -> dict[str, Any]:
        """Return what the gates ask: whether another node uses a direction, and who."""
        if not self._files:
            return {}
        return {
            "chargeLocked": Direction.CHARGE in self._refused,
            "dischargeLocked": Direction.DISCHARGE in self._refused,
            "batteryUsers": "; ".join(dict.fromkeys(self._refused.values())) or None,
        }

    def claim(self, direction: Direction) -> str:
        """Claim the current of one more deal; return why it cannot be had, empty where it is claimed."""
        file = self._files.get(direction)
        if file is None:
            return ""
        try:
            file.take(self._needed_a()[direction] + self._deal_a)
        except Unclaimable as error:
            self._refuse(direction, error)
            return str(error)
        return ""

    def look(self, *, waits: bool) -> None:
        """Bring the claims in line with the deals. *waits*: the converter is confirmed in WAIT."""
        needed_a = self._needed_a() if self._files else {}
        for direction, file in self._files.items():
            ampere = needed_a[direction]
            try:
                if ampere > 0:
                    if file.held is None or file.held.ampere != ampere or file.lost():
                        file.take(ampere)
                    self._lost.discard(direction)
                elif waits and (file.held is not None or file.left_behind() > 0):
                    file.release()
            except Unclaimable as error:
                self._lose(direction, error, deals=ampere > 0)
            self._test(direction, file, ampere + self._deal_a)

    async def run(self, waits: Callable[[], bool]) -> None:
        """Keep the claims in line until cancelled. *waits* tells whether the converter is confirmed in WAIT."""
        if not self._files:
            return
        changes = self._board.changes("records", "unit", "errors", "life", "documents")
        while True:
            self.look(waits=waits())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await anext(changes)

    def leave(self) -> None:
        """Give everything back: this node ends, and its converter waits."""
        for file in self._files.values():
            with contextlib.suppress(Unclaimable):  # what cannot be written stays claimed, which is the safe side
                if file.held is not None or file.left_behind() > 0:
                    file.release()

    def close(self) -> None:
        """Unlock the files; what is still claimed stays claimed."""
        for file in self._files.values():
            file.close()

    @property
    def _deal_a(self) -> float:
        return self._board.documents.policy.mediator.deal.grid_current_a

    def _needed_a(self) -> Mapping[Direction, float]:
        unit_id = self._board.identity.unit_id
        needed = dict.fromkeys(Direction, 0.0)
        for deal in self._board.records.deals_of(unit_id).values():
            needed[_direction_of(unit_id, deal.record)] += deal.record.deal_grid_current_a
        for direction in self._keeper.places().reserved if self._keeper else ():
            needed[direction] += self._deal_a
        return needed

    def _lose(self, direction: Direction, error: Unclaimable, *, deals: bool) -> None:
        """A deal without a claim must end: others may use the battery as if there were none."""
        if deals and direction not in self._lost:
            self._lost.add(direction)
            self._errors.raise_event("battery_claim_lost", f"{direction}: {error}")

    def _test(self, direction: Direction, file: ClaimFile, ampere: float) -> None:
        try:
            file.check(ampere)
        except Unclaimable as error:
            self._refuse(direction, error)
        else:
            self._refused.pop(direction, None)

    def _refuse(self, direction: Direction, error: Unclaimable) -> None:
        if not error.passes and self._refused.get(direction) != str(error):
            self._errors.raise_event("battery_claimed", f"{direction}: {error}")
        self._refused[direction] = str(error)


def owner_of(config: Config) -> str:
    """Return in whose name a node claims, unlike that of any other node at the same battery."""
    return f"{config.community_id}/{config.cluster_id}/{config.unit_id}"


def claim_paths(file_format: str, temporary: Path) -> dict[Direction, Path]:
    """Return the file of each direction; ``{tmpdir}`` is *temporary*."""
    pattern = file_format.replace("{tmpdir}", str(temporary))
    return {direction: temporary.joinpath(pattern % name).resolve() for direction, name in LOCK_NAMES.items()}


def _direction_of(unit_id: str, record: DealRecord) -> Direction:
    return Direction.CHARGE if record.charge_unit_id == unit_id else Direction.DISCHARGE
