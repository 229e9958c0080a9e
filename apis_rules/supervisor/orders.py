"""What a node leaves with the process above it, in the form in which it travels."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

from apis_rules.supervisor.duty import Duty, Shown

Steps: TypeAlias = tuple[str | int, ...]

VARIABLE: Final = "APIS_RULES_PARENT"
"""Environment variable by which a node finds the process above it."""

ALIVE_S: Final = 3.0
"""How long a sign of life of running nodes lasts."""

STARTING_S: Final = 30.0
"""How long one lasts while nodes are being made ready or taken down."""

# Linux; elsewhere the monotonic clock is the best there is. The same clock as the nodes' (``apis_transport.clock``).
_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def now_s() -> float:
    """Return the runtime clock, which all processes of a machine share."""
    return time.clock_gettime(_CLOCK)


@dataclass(frozen=True, slots=True)
class Place:
    """Where an answer tells the mode, and what its words mean there.

    Attributes:
        at: keys and indices; several, of which the first that finds something counts.
        words: the word → a value of ``Shown``. Words that are numbers in base 16 stand as four digits, ``0x0014``.
    """

    at: tuple[Steps, ...]
    words: dict[str, str]

    def show(self, answer: Any) -> Shown:
        """Return what *answer* shows here."""
        found = next((value for value in (_find(answer, steps) for steps in self.at) if value is not None), None)
        if found is None:
            return Shown.NOTHING
        return Shown(self.words.get(_plain(found), Shown.OTHER.value))


def _find(value: Any, steps: Steps) -> Any:
    for step in steps:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def _plain(found: Any) -> str:
    text = str(found).strip()
    try:
        return f"0x{int(text, 16):04x}" if text.lower().startswith("0x") else text
    except ValueError:
        return text


@dataclass(frozen=True, slots=True)
class UnitOrders:
    """How one converter is kept safe without its node.

    Attributes:
        lock: the lock file of the unit's state folder.
        memory: the file in which the node keeps when it was last refreshed.
        clock_id: of the runtime clock that this time must be of.
        read_url: a GET of it tells the mode.
        places: what its answer says; all that say something must agree.
        wait_url: a GET of it orders WAIT.
        owner: in whose name a battery that several nodes share is claimed.
        claims: the files of these claims; none where the battery is the unit's own.
    """

    unit_id: str
    lock: str
    memory: str
    clock_id: str
    read_url: str
    places: tuple[Place, ...]
    wait_url: str
    holder_dead_man_s: float
    request_timeout_s: float
    owner: str = ""
    claims: tuple[str, ...] = ()

    def show(self, answer: Any) -> Shown:
        """Return what *answer* shows of the converter."""
        shown = {place.show(answer) for place in self.places} - {Shown.NOTHING}
        if not shown:
            return Shown.NOTHING
        return shown.pop() if len(shown) == 1 else Shown.OTHER

    def begin_duty(self) -> Duty:
        """Return the duty for the converter as the node has left it."""
        return Duty(self._refreshed_at_s(), self.holder_dead_man_s, self.request_timeout_s)

    def _refreshed_at_s(self) -> float | None:
        try:
            memory = json.loads(Path(self.memory).read_bytes())
            if memory.get("clockId") != self.clock_id:
                return None
            at_s = memory.get("refreshedAtS")
        except (OSError, ValueError, AttributeError):
            return None
        return float(at_s) if isinstance(at_s, int | float) else None

    def to_document(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> UnitOrders:
        """Read what ``to_document`` has made."""
        places = tuple(Place(tuple(tuple(steps) for steps in p["at"]), p["words"]) for p in document["places"])
        return cls(**{**document, "places": places, "claims": tuple(document["claims"])})


@dataclass(frozen=True, slots=True)
class Inherited:
    """What a process is given by the one above it.

    Attributes:
        channel: file descriptor of the socket between them.
        locks: lock file of a unit → file descriptor that holds it.
        kept: what the process before this one has left for it.
        server_pid: of the nats-server that runs already; 0: none.
        scratch: a folder that lives as long as the run.
    """

    channel: int
    locks: dict[str, int]
    kept: dict[str, Any]
    server_pid: int
    scratch: str

    def to_text(self) -> str:
        """Return it as the environment carries it."""
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str) -> Inherited:
        """Read what ``to_text`` has made."""
        return cls(**json.loads(text))
