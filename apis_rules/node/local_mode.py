"""The unit's own operation mode: set by an operator, kept over restarts (specification 4.3)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from apis_rules.charts.modes import LOCAL_MODES
from apis_rules.errors import Refused
from apis_rules.node import messages
from apis_rules.ports.types import OperationMode

if TYPE_CHECKING:
    from apis_rules.node.board import Board
    from apis_rules.node.state_dir import StateStore

log = logging.getLogger(__name__)

FILE: Final = "operationMode"


class LocalModeKeeper:
    """Keeps the unit's own mode on the board and on the disk.

    Args:
        inherited: what apis-main has kept as the unit's own mode; it counts until one is set here.
    """

    def __init__(self, board: Board, store: StateStore, inherited: bytes | None = None) -> None:
        self._board = board
        self._store = store
        content = store.load(FILE)
        if content is None and inherited:
            content = inherited
            log.info("the unit's own mode is taken over from apis-main: %s", content.decode(errors="replace").strip())
        word = content.decode(errors="replace").strip() if content else ""
        # A file that somebody has spoiled must not let a unit trade that was stopped.
        board.local_mode = (
            (OperationMode.HETERONOMOUS if word == "heteronomous" else OperationMode.STOP) if word else None
        )

    async def set(self, body: bytes) -> bytes:
        """Set the mode as asked, on the disk first.

        Raises:
            Refused: a unit cannot have this mode, or the disk does not take it.
        """
        mode = messages.read_message(messages.LocalMode, body).mode
        if mode not in LOCAL_MODES:
            raise Refused(f"a unit cannot have the mode {mode} of its own")
        try:
            await self._store.save(FILE, str(mode or "").encode(), durable=True)
        except OSError as error:
            raise Refused(f"the mode cannot be kept: {error}") from error
        self._board.local_mode = mode
        self._board.changed("mode")
        return body
