"""What a unit remembers of the store, so that a store that was lost or went back is noticed.

``store.json`` in the unit's state directory holds the identity of ``ctl`` and the highest revision that this unit has
seen of it, written at most once a second.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from apis_rules.whole_file import write_whole
from apis_transport.errors import CannotOpen

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_log = logging.getLogger(__name__)

FILE: Final = "store.json"
_WRITE_EVERY_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Amnesia:
    """The store has forgotten something.

    Attributes:
        known_revision, found_revision: what this unit had seen of it, and what it has now.
        same_store: whether it is the store that this unit knew, gone back, and not one made anew.
    """

    known_revision: int
    found_revision: int
    same_store: bool

    def __str__(self) -> str:
        if not self.same_store:
            return f"the store was made anew: revision {self.known_revision} is gone"
        return f"the store went back from revision {self.known_revision} to {self.found_revision}"


@dataclass(slots=True, eq=False)
class Continuity:
    """Compares every look at the store with what is remembered. Made by ``load_continuity``.

    Attributes:
        amnesia: the first sign of it; stays until ``accept``.
    """

    path: Path
    store_id: str | None = None
    revision: int = 0
    amnesia: Amnesia | None = None
    noticed: asyncio.Event = field(default_factory=asyncio.Event)
    _written: tuple[str | None, int] = (None, 0)
    _saving: threading.Lock = field(default_factory=threading.Lock)

    @property
    def knows_a_store(self) -> bool:
        """Whether this unit has ever worked with this cluster's store."""
        return self.store_id is not None

    @property
    def changed(self) -> bool:
        """Whether something is remembered that is not yet written."""
        return self.store_id is not None and self._written != (self.store_id, self.revision)

    def look(self, store_id: str, revision: int) -> None:
        """Compare a new look at everything with what is remembered."""
        same = store_id == self.store_id
        if self.knows_a_store and (not same or revision < self.revision) and self.amnesia is None:
            self.amnesia = Amnesia(self.revision, revision, same)
            self.noticed.set()
        if self.amnesia is None:
            self.store_id = store_id
            self.see(revision)

    def see(self, revision: int) -> None:
        """Note a revision that a view has shown."""
        if self.amnesia is None:
            self.revision = max(self.revision, revision)

    def accept(self, store_id: str, revision: int) -> None:
        """Go on with the store as it is now: an operator has looked."""
        self.amnesia, self.store_id, self.revision = None, store_id, revision
        self.noticed.clear()

    def save(self) -> None:
        """Write what is remembered, where it has changed, so that a power cut leaves the old or the new."""
        with self._saving:  # a save in the thread goes on when whoever waits for it is cancelled
            self._save()

    def _save(self) -> None:
        if not self.changed:
            return
        written = (self.store_id, self.revision)
        content = json.dumps({"format": 1, "store_id": self.store_id, "revision": self.revision})
        write_whole(self.path, content.encode(), durable=True)
        self._written = written


def load_continuity(state_dir: Path) -> Continuity:
    """Read what the unit remembers; nothing where it is new.

    Raises:
        CannotOpen: AR521, the file cannot be read.
    """
    path = state_dir / FILE
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return Continuity(path, str(document["store_id"]), int(document["revision"]))
    except FileNotFoundError:
        return Continuity(path)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CannotOpen(
            "AR521",
            str(path),
            f"cannot be read: {error}",
            "it says which store this unit knows; --new-store forgets it",
        ) from error


async def keep_saving(continuity: Continuity, revision: Callable[[], int]) -> None:
    """Note once a second what the view has shown, and save it in a thread: a card may take its time.

    A disk that does not take it ends nothing: a loss of the store that falls into that time shows by the units' epochs,
    and what a unit must keep it says itself.
    """
    told = False
    while True:
        await asyncio.sleep(_WRITE_EVERY_S)
        continuity.see(revision())
        if not continuity.changed:
            continue
        try:
            await asyncio.to_thread(continuity.save)
        except OSError as error:
            if not told:
                _log.warning("%s is not kept: %s", continuity.path, error)
            told = True
        else:
            told = False
