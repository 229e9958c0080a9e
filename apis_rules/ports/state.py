"""Shared state: keys with revisions, conditional writes, atomic batches, and a view that knows how old it is.

The contract
------------
- One *bucket* is one history of writes. Every write, deletion and expiry in it gets a revision; revisions only grow.
  A key shows only its last value.
- A *condition* ``At(key, revision)`` holds when the last change of ``key`` has exactly that revision. Revision 0: the
  key was never written. Deleting and expiring are changes with revisions of their own: ``get`` of an absent key returns
  the revision to put into the condition. (Long after an expiry the store forgets it: then that is 0 again.)
- A *prefix* is whole words with a dot at its end (``deal.``), a whole key (``grid``), or nothing: everything.
- ``write`` is atomic over all its parts: either every condition holds and everything is visible at once, or nothing is
  written and ``Conflict`` says so. Each part carries at most one condition; the condition may be about a key that is
  not written (that is how a term fences its writes: ``At("gm.epoch", term.fence_revision)``).
- A value written with ``time_limit_s`` (whole seconds, at least 1) expires that long after it was written; writing the
  key again without a limit makes it permanent. Expiry is measured by the store's clock.
- ``get`` and ``keys`` answer from the store's leader and are never proof of being master: a leader that was cut off
  answers for a while. Only the acknowledgement of a conditional write is proof.
- A view (``watch``) shows every key below its prefixes, later changes in order, and never a change before an earlier
  one. After any doubt it takes everything again. While it cannot know that it is current, ``fresh`` is false.

Errors of every call: ``Outage`` when the store was not reached or is without a leader (nothing was written, nothing
will be: a call made while disconnected is never delivered later); ``Refused`` when the store said no (quota, rights,
key not allowed); ``Conflict`` when a condition did not hold; ``Unknown`` when a write was sent and no answer came in
time: it may or may not be applied, even later. Re-read before deciding.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager


@dataclass(frozen=True, slots=True)
class At:
    """The condition that the last change of ``key`` has this revision (0: never written)."""

    key: str
    revision: int


@dataclass(frozen=True, slots=True)
class Write:
    """One part of a batch.

    Attributes:
        value: None deletes the key.
        when: the condition of this part, on its own key or on another one.
        time_limit_s: after which the value expires; None keeps it.
    """

    key: str
    value: bytes | None
    when: At | None = None
    time_limit_s: int | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A key as it is.

    Attributes:
        value: None where the key is absent: never written, deleted or expired.
        revision: of its last change; 0 where nothing is known of it.
    """

    key: str
    value: bytes | None
    revision: int

    @property
    def at(self) -> At:
        """The condition that nothing has changed since this was read."""
        return At(self.key, self.revision)


@lru_cache(maxsize=1024)
def absent(key: str) -> Entry:
    """Return the entry of a key of which nothing is known."""
    return Entry(key, None, 0)


class Shown(Protocol):
    """What is known of the keys below some prefixes."""

    def get(self, key: str) -> Entry:
        """Return what the picture shows of *key*; never waits."""

    def entries(self, prefix: str = "") -> Mapping[str, Entry]:
        """Return every present key below *prefix*."""

    @property
    def fresh(self) -> bool:
        """Whether the picture is complete and the store was heard of within the freshness limit."""

    @property
    def revision(self) -> int:
        """The highest revision that the picture contains; a picture with revision n contains every change up to n."""

    @property
    def store_id(self) -> str:
        """Identity of the bucket's present life; another one after the store was lost and made anew."""


class View(Shown, Protocol):
    """A local picture of the keys below some prefixes, kept current by the store."""

    def changes(self) -> AsyncIterator[Entry]:
        """Yield each change from now on, deletions and expiries included, and what a new look at everything revealed.

        A slow reader may miss values that were replaced meanwhile, never a key's last one.
        """

    async def wait_fresh(self) -> None:
        """Return as soon as ``fresh`` is true."""


class SharedState(Protocol):
    """One bucket. The module's docstring is the contract."""

    async def get(self, key: str) -> Entry:
        """Read one key from the leader."""

    async def keys(self, prefix: str = "") -> Sequence[str]:
        """List the present keys below *prefix*, sorted, from the leader."""

    async def write(self, *writes: Write) -> int:
        """Apply all of *writes* or none; return the revision of the last one.

        Raises:
            Conflict: a condition did not hold.
            ValueError: no write, one key twice, or a time limit that is not whole seconds from 1.
        """

    def watch(self, *prefixes: str) -> AbstractAsyncContextManager[View]:
        """Open a view of all keys below *prefixes* (none given: the whole bucket).

        Entering returns at once; the view becomes fresh when the store has told everything.
        """
