"""What a node is given beside its ports."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from apis_rules.node.deal_log import write_file

if TYPE_CHECKING:
    import random
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from apis_rules.documents.versions import KeptFile
    from apis_rules.node.state_dir import StateStore


@dataclass(frozen=True, slots=True)
class NodeFiles:
    """The files that a node reads again while it runs, as they were at its start.

    Attributes:
        rules: folder of own rule files.
        versions: folder that keeps what was in force.
    """

    hw_config: KeptFile
    scenario: KeptFile
    policy: KeptFile
    rules: Path | None
    versions: Path


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a node is given beside its ports.

    Attributes:
        times: the wiring's times in effect.
        write: puts a deal log in its place.
        work: does what may block beside the loop; a simulation has no threads and does it at once.
        files: None: the documents stay as they are but for the policy, which is the community's.
        temporary: stands for ``{tmpdir}`` in file formats.
        ping: asks once for the page of the hardware watchdog; None where the config names none.
        refusal: why this node may not join, known before it was started; empty where nothing is known against it.
        inherited_mode: the unit's own mode as apis-main has kept it, None where it has not.
        displaced: whether another instance has taken the unit id: the converter is that one's business then.
    """

    times: Any
    store: StateStore
    temporary: Path
    source: random.Random
    write: Callable[[Path, bytes], Awaitable[None]] = write_file
    refusal: str = ""
    start_timeout_s: float = 30.0
    ping: Callable[[], Awaitable[None]] | None = None
    work: Callable[[Callable[[], Any]], Awaitable[Any]] = asyncio.to_thread
    files: NodeFiles | None = None
    inherited_mode: bytes | None = None
    displaced: Callable[[], bool] = lambda: False
