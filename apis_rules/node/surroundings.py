"""What a node is given beside its ports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from apis_rules.node.deal_log import write_file

if TYPE_CHECKING:
    import random
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from apis_rules.node.state_dir import StateStore


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a node is given beside its ports.

    Attributes:
        times: the wiring's times in effect.
        write: puts a deal log in its place.
        temporary: stands for ``{tmpdir}`` in file formats.
        ping: asks once for the page of the hardware watchdog; None where the config names none.
        refusal: why this node may not join, known before it was started; empty where nothing is known against it.
    """

    times: Any
    store: StateStore
    temporary: Path
    source: random.Random
    write: Callable[[Path, bytes], Awaitable[None]] = write_file
    refusal: str = ""
    observing: bool = False
    start_timeout_s: float = 30.0
    ping: Callable[[], Awaitable[None]] | None = None
