"""Whether shared state goes on from where this node last saw it (architecture: the epoch, amnesia).

A node keeps how far the store had come. A store that is behind that, or in another life, was lost or went back: what it
says of deals and converters is not to be trusted until a person has looked.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from pydantic import ValidationError

from apis_rules.ports.types.model import StoredModel

if TYPE_CHECKING:
    from apis_rules.node.errors import Errors
    from apis_rules.node.records import Records
    from apis_rules.node.state_dir import StateStore

log = logging.getLogger(__name__)

FILE: Final = "seen.json"
PERIOD_S: Final = 1.0


class SeenStore(StoredModel):
    """The store's life and its highest revision as far as this node has seen."""

    store_id: str = ""
    revision: int = 0


def load_seen(store: StateStore) -> SeenStore:
    """Return what was kept; nothing where it is damaged: the units' epochs tell of a lost store as well."""
    content = store.load(FILE)
    if content is None:
        return SeenStore()
    try:
        return SeenStore.from_json(content)
    except ValidationError:
        log.warning("%s is damaged and counts as lost", FILE)
        return SeenStore()


class Continuity:
    """One node's memory of the store."""

    def __init__(self, records: Records, store: StateStore, errors: Errors) -> None:
        self._records = records
        self._store = store
        self._errors = errors
        self._seen = load_seen(store)

    @property
    def seen_revision(self) -> int:
        """The revision that the store must have reached; one that began a new life cannot have reached any."""
        records = self._records
        if self._seen.store_id and self._seen.store_id != records.store_id:
            return max(self._seen.revision, records.revision + 1)
        return self._seen.revision

    @property
    def broken(self) -> bool:
        """Whether the store is behind what this node has seen, or another one."""
        return self._records.fresh and self._records.revision < self.seen_revision

    def accept(self) -> None:
        """Go by the store as it is now: the community knows that it was lost, and stands still."""
        self._seen = SeenStore(store_id=self._records.store_id, revision=self._records.revision)

    async def run(self) -> None:
        """Keep at most once a second how far the store has come, until cancelled."""
        kept = self._seen
        while True:
            await asyncio.sleep(PERIOD_S)
            mode = self._records.mode()
            if self._records.fresh and (not self.broken or (mode is not None and mode.amnesia)):
                self.accept()
            if self._seen != kept:
                kept = self._seen
                await self._keep(kept)

    async def _keep(self, seen: SeenStore) -> None:
        try:
            await self._store.save(FILE, seen.to_json(), durable=False)
        except OSError as error:
            # A loss of the store that falls into a time of a full disk shows by the units' epochs.
            self._errors.note(f"{FILE}: {error}")
