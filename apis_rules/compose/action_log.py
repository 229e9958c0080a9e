"""The action log of the nodes of one process (specification 9.1, 9.2).

What any module logs goes through a queue to a thread that writes, so that no disk and no network holds up a node. Each
line has the id of the unit in whose task it was logged. Nodes that say the same of their log share its outputs.

The live view shows a community from outside; the log is what the nodes write down of themselves. On the console there
is one of the two: the log where it is switched on there, else the view.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from logging.handlers import QueueHandler, QueueListener
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from apis_rules.compose.log_outputs import (
    ConsoleHandler,
    LineFormatter,
    MulticastHandler,
    WholeLineFiles,
    resolve_pattern,
)
from apis_rules.documents.community import stays_local
from apis_rules.documents.diagnostics import Findings, Location
from apis_rules.documents.logging_properties import NAME, load_logging_properties
from apis_rules.documents.source import refusal
from apis_rules.log_levels import OFF, THRESHOLDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from apis_rules.documents.community import Site
    from apis_rules.documents.diagnostics import Diagnostic
    from apis_rules.documents.logs import Logging
    from apis_rules.log_levels import LogLevel
    from apis_rules.node.runtime import Node

UNIT: Final[ContextVar[str]] = ContextVar("unit", default="")
"""Id of the unit for which the present task works; tasks that it starts inherit it."""

OURS: Final = ("apis_rules", "apis_transport")
LOOK_S: Final = 0.1
QUEUE_LIMIT: Final = 10_000
DEFAULT_FILE: Final = "log/apis-rules.%u.%g.log"
"""In the state folder, where nothing else is said."""


@dataclass(frozen=True, slots=True)
class LogSettings:
    """What one node says of its log.

    Attributes:
        base: folder from which relative paths count.
        local: datagrams stay on this machine.
    """

    logging: Logging
    base: Path
    program_id: str
    local: bool


@dataclass(frozen=True, slots=True)
class LogFailure:
    """A file of the log that could not be written, and the units whose it is."""

    units: frozenset[str]
    reason: str


class ActionLog:
    """The open log.

    Attributes:
        doubts: what is doubtful about its settings.
        failures: of files, for the nodes to answer; filled from the writing thread.
        on_console: whether lines stand on the console.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, doubts: Sequence[Diagnostic]) -> None:
        self.doubts = tuple(doubts)
        self.failures: asyncio.Queue[LogFailure] = asyncio.Queue()
        self.on_console = False
        self.handlers: list[logging.Handler] = []
        self._loop = loop

    def add(self, settings: LogSettings, units: frozenset[str], state: Path) -> None:
        """Open the outputs of nodes that say the same.

        Raises:
            InputError: a file cannot be written, or a network interface is not there.
        """

        def failed(handler: logging.Handler, reason: str) -> None:
            if isinstance(handler, WholeLineFiles):
                failure = LogFailure(units, f"action log {reason}")
                with contextlib.suppress(RuntimeError):  # the loop has ended; nobody is left to answer
                    self._loop.call_soon_threadsafe(self.failures.put_nowait, failure)
            else:
                logging.getLogger(__name__).warning("%s of the action log: %s", type(handler).__name__, reason)

        def use(handler: logging.Handler, level: LogLevel) -> None:
            handler.setLevel(THRESHOLDS[level])
            handler.setFormatter(LineFormatter(settings.program_id))
            handler.addFilter(lambda record: getattr(record, "unit_id", "") in ("", *units))
            self.handlers.append(handler)

        wanted = settings.logging
        if wanted.console is not None and wanted.console.level != "OFF":
            self.on_console = True
            use(ConsoleHandler(failed), wanted.console.level)
        for file in (wanted.file, wanted.error_file):
            if file is None or file.level == "OFF":
                continue
            pattern, base = (file.pattern, settings.base) if file.pattern else (DEFAULT_FILE, state)
            path = resolve_pattern(pattern, base)
            try:
                use(WholeLineFiles(file, path, failed), file.level)
            except OSError as error:
                shown = str(path).replace("\0", "%g").replace("\1", "%u")
                message = f"the action log cannot be written: {error.strerror or error}"
                hint = "name another logging.file.pattern, or set its level to OFF"
                raise refusal(Location(shown), "AR722", message, hint) from error
        if wanted.udp is not None and wanted.udp.level != "OFF":
            udp = wanted.udp.model_copy(update={"interface_address": "127.0.0.1"}) if settings.local else wanted.udp
            try:
                use(MulticastHandler(udp, failed), udp.level)
            except OSError as error:
                message = f"the action log cannot be sent through {udp.interface_address}: {error.strerror or error}"
                hint = "logging.udp.interfaceAddress is the address of an interface of this machine"
                raise refusal(Location(str(settings.base)), "AR722", message, hint) from error

    @property
    def level(self) -> int:
        """From which level on any output takes lines."""
        return min((handler.level for handler in self.handlers), default=OFF)


class _Writer(QueueListener):
    """Takes lines to the outputs; its end waits for room."""

    def __init__(self, lines: queue.Queue[Any], *handlers: logging.Handler) -> None:
        super().__init__(lines, *handlers, respect_handler_level=True)
        self._lines = lines

    def enqueue_sentinel(self) -> None:
        self._lines.put(None)


class _Entrance(QueueHandler):
    """Notes who logs, and never waits: what finds no room is counted, and told when there is room again."""

    def __init__(self, lines: queue.Queue[Any]) -> None:
        super().__init__(lines)
        self._lost = 0

    def prepare(self, record: logging.LogRecord) -> Any:
        prepared = super().prepare(record)
        prepared.unit_id = UNIT.get()
        return prepared

    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            if self._lost:
                told = logging.makeLogRecord({
                    "name": __name__, "levelno": logging.WARNING, "msg": f"{self._lost} lines found no room",
                    "unit_id": "",
                })  # fmt: skip
                self.queue.put_nowait(told)
                self._lost = 0
            self.queue.put_nowait(record)
        except queue.Full:
            self._lost += 1


def find_settings(site: Site, given: Path | None, findings: Findings) -> LogSettings:
    """Return what a node says of its log: *given*, else logging.properties beside its config, else the config itself.

    Raises:
        InputError: with everything that is wrong with the file.
    """
    if site.config is None:
        raise ValueError("a node needs its config")
    config = site.config.model
    path = Path(site.config.document.file)
    local = stays_local(config)
    beside = given or path.parent / NAME
    if given is None and not beside.is_file():
        return LogSettings(config.logging, path.parent, config.program_id, local)
    loaded = load_logging_properties(beside)
    findings.extend(loaded.warnings)
    if "logging" in config.model_fields_set:
        place = site.config.document.key_location(("logging",))
        findings.warning(
            place, "AR242", f"the section logging has no effect: {beside} counts alone", "keep one of them"
        )
    return LogSettings(loaded.model, beside.parent, config.program_id, local)


@contextmanager
def open_action_log(sites: Sequence[Site], state: Path, given: Path | None = None) -> Iterator[ActionLog]:
    """Write what is logged where the nodes of *sites* want it. Within a running event loop.

    Args:
        sites: the nodes of this process.
        state: folder for the files where none is named.
        given: a logging.properties that counts instead of what lies beside the configs.

    Raises:
        InputError: what is said of the log is wrong, or a file cannot be written.
    """
    findings = Findings()
    shared: dict[int, tuple[LogSettings, set[str]]] = {}
    kinds: list[LogSettings] = []
    for site in sites:
        settings = find_settings(site, given, findings)
        if settings not in kinds:
            kinds.append(settings)
        units = shared.setdefault(kinds.index(settings), (settings, set()))[1]
        if site.config is not None:
            units.add(site.config.model.unit_id)
    log = ActionLog(asyncio.get_running_loop(), findings.sorted())
    lines: queue.Queue[Any] = queue.Queue(QUEUE_LIMIT)
    entrance, root = _Entrance(lines), logging.getLogger()
    levels = {name: logging.getLogger(name).level for name in OURS}
    listener: _Writer | None = None
    try:
        for settings, units in shared.values():
            log.add(settings, frozenset(units), state)
        listener = _Writer(lines, *log.handlers)
        for name in OURS:
            logging.getLogger(name).setLevel(log.level)
        root.addHandler(entrance)
        listener.start()
        yield log
    finally:
        root.removeHandler(entrance)
        if listener is not None:
            listener.stop()
        for handler in log.handlers:
            handler.close()
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


async def answer_failures(log: ActionLog, nodes: Sequence[Node]) -> None:
    """Let nodes answer it where their log cannot be written, for ever: to them it is a disk that fails."""
    while True:
        failure = await log.failures.get()
        for node in nodes:
            if node.identity.unit_id in failure.units:
                while node.services is None:  # noqa: ASYNC110 - it begins within a moment
                    await asyncio.sleep(LOOK_S)
                node.services.errors.raise_event("disk", failure.reason)
