"""One bucket of shared state in memory: keys with revisions, conditions, time limits and their markers."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Protocol

from apis_rules.errors import Conflict, Refused
from apis_rules.ports.memory.picture import Life, Picture, covers
from apis_rules.ports.state import Entry, Write, absent
from apis_rules.ports.unique import new_uuid

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from apis_rules.ports.memory.faults import Line

MARKER_LIFE_S: Final = 5.0
"""How long the store remembers that a key expired; afterwards its condition is revision 0 again."""


@dataclass(slots=True)
class _Kept:
    entry: Entry
    expires_at_s: float | None = None


@dataclass(slots=True)
class Snapshot:
    """The bucket at one moment, to be put back later."""

    revision: int
    kept: dict[str, _Kept] = field(default_factory=dict)


class Hearer(Protocol):
    """Who is told of changes over a wire."""

    line: Line

    def hear(self, batch: Sequence[Entry]) -> None:
        """Take what was written in one step."""


class Bucket:
    """The store's side of a bucket. Everything in it happens at once; the wire before it takes time.

    Attributes:
        full: refuse every write, as a store does whose quota is used up.
        life: its present one.
    """

    def __init__(self) -> None:
        self.life = Life(new_uuid().hex)
        self.revision = 0
        self.full = False
        self._kept: dict[str, _Kept] = {}
        self._listeners: list[Callable[[Sequence[Entry]], None]] = []
        self._hearers: list[Hearer] = []

    @property
    def store_id(self) -> str:
        """Identity of its present life."""
        return self.life.store_id

    def get(self, key: str) -> Entry:
        """Return *key* as it is now."""
        kept = self._kept.get(key)
        return absent(key) if kept is None else kept.entry

    def keys(self, prefix: str) -> list[str]:
        """Return the present keys that *prefix* covers, sorted."""
        return sorted(k for k, kept in self._kept.items() if kept.entry.value is not None and covers((prefix,), k))

    def entries(self) -> list[Entry]:
        """Return everything known, absent keys whose revision is still known included, oldest change first."""
        return sorted((kept.entry for kept in self._kept.values()), key=lambda entry: entry.revision)

    def write(self, writes: Sequence[Write]) -> int:
        """Apply all of *writes* or none; return the revision of the last one."""
        if self.full:
            raise Refused("the store is full")
        self.check_conditions(writes)
        self._announce([self._put(write) for write in writes])
        return self.revision

    def check_conditions(self, writes: Sequence[Write]) -> None:
        """Raise ``Conflict`` for the first condition that does not hold."""
        for write in writes:
            if write.when is None:
                continue
            actual = self.get(write.when.key).revision
            if actual != write.when.revision:
                raise Conflict(
                    f"{write.when.key} was last changed at revision {actual}, not {write.when.revision}", actual
                )

    def picture(self, prefixes: tuple[str, ...]) -> Picture:
        """Return everything below *prefixes*."""
        return Picture.of(self.life, prefixes, self.revision, self.entries())

    def subscribe(self, listener: Callable[[Sequence[Entry]], None]) -> None:
        """Call *listener* at once with what each step changes."""
        self._listeners.append(listener)

    def attach(self, hearer: Hearer) -> None:
        """Let *hearer* hear each step, as long as its wire carries."""
        self._hearers.append(hearer)

    def detach(self, hearer: Hearer) -> None:
        """Let *hearer* hear nothing any more."""
        self._hearers.remove(hearer)

    def snapshot(self) -> Snapshot:
        """Return a copy of what is stored."""
        return Snapshot(self.revision, {k: replace(v) for k, v in self._kept.items()})

    def rewind(self, to: Snapshot) -> None:
        """Go back in time, as a store does that lost its last writes: revisions are handed out again."""
        self.life = Life(self.store_id)
        self.revision = to.revision
        self._kept = {k: replace(v) for k, v in to.kept.items()}
        for key, kept in self._kept.items():
            if kept.expires_at_s is not None:
                asyncio.get_running_loop().call_at(kept.expires_at_s, self._expire, key, kept)

    def lose(self) -> None:
        """Begin a new life with nothing in it."""
        self.rewind(Snapshot(0))
        self.life = Life(new_uuid().hex)

    def _put(self, write: Write) -> Entry:
        self.revision += 1
        kept = self._kept[write.key] = _Kept(Entry(write.key, write.value, self.revision))
        if write.time_limit_s is not None and write.value is not None:
            loop = asyncio.get_running_loop()
            kept.expires_at_s = loop.time() + write.time_limit_s
            loop.call_at(kept.expires_at_s, self._expire, write.key, kept)
        return kept.entry

    def _expire(self, key: str, kept: _Kept) -> None:
        if self._kept.get(key) is not kept:
            return
        self.revision += 1
        marker = self._kept[key] = _Kept(Entry(key, None, self.revision))
        self._announce([marker.entry])
        asyncio.get_running_loop().call_later(MARKER_LIFE_S, self._forget, key, marker)

    def _forget(self, key: str, marker: _Kept) -> None:
        if self._kept.get(key) is marker:
            del self._kept[key]

    def _announce(self, batch: Sequence[Entry]) -> None:
        for listener in self._listeners:
            listener(batch)
        # One timer for all whose wires are equally long.
        waves: dict[float, list[Hearer]] = {}
        for hearer in self._hearers:
            if hearer.line.connected:
                waves.setdefault(hearer.line.latency_s, []).append(hearer)
        for latency_s, wave in waves.items():
            asyncio.get_running_loop().call_later(latency_s, _arrive, wave, batch)


def _arrive(wave: Sequence[Hearer], batch: Sequence[Entry]) -> None:
    for hearer in wave:
        if hearer.line.connected:
            hearer.hear(batch)
