"""The lease over any shared state: two keys, conditional writes, and nothing believed but an acknowledgement.

``gm.lease`` holds the owner and the term's random id and expires by itself; ``gm.epoch`` holds the epoch of the last
term. A term begins in two steps, each on condition of the one before: take the lease (nobody else has it), write the
epoch (the lease is still ours). From then on every fenced write is on condition that the epoch is still ours.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from apis_rules.errors import Conflict, Fenced
from apis_rules.ports.lease import LeaseState, Term
from apis_rules.ports.state import At, Entry, Write
from apis_rules.ports.types import Epoch
from apis_rules.ports.types.model import FORMAT
from apis_rules.ports.unique import new_uuid

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from apis_rules.ports.clock import Clock
    from apis_rules.ports.state import SharedState

LEASE_KEY: Final = "gm.lease"
EPOCH_KEY: Final = "gm.epoch"


class StateLease:
    """``Lease`` over a bucket whose writes are conditional and whose values can expire.

    *life_s* is the lease's time limit in whole seconds (``L``).
    """

    def __init__(self, state: SharedState, clock: Clock, life_s: int) -> None:
        self._state = state
        self._clock = clock
        self._life_s = life_s

    async def state(self) -> LeaseState:
        """Read the lease and the epoch."""
        return _state_of(await self._state.get(LEASE_KEY), await self._state.get(EPOCH_KEY))

    async def acquire(self, owner: str, highest_reported: int = 0) -> Term | None:
        """Try once to become master."""
        entry = await self._state.get(LEASE_KEY)
        if entry.value is not None:
            return None
        term_id = new_uuid().hex
        sent_at_s = self._clock.now_s()
        try:
            revision = await self._state.write(self._lease(owner, term_id, entry.revision))
            stored = _epoch_of(await self._state.get(EPOCH_KEY))
            epoch = Epoch(number=max(stored.number if stored else 0, highest_reported) + 1, term_id=term_id)
            fence = await self._state.write(Write(EPOCH_KEY, epoch.to_json(), At(LEASE_KEY, revision)))
        except Conflict:
            return None
        return Term(epoch, owner, At(EPOCH_KEY, fence), revision, sent_at_s)

    async def renew(self, term: Term) -> Term:
        """Write the lease anew on condition that it is still ours."""
        sent_at_s = self._clock.now_s()
        try:
            revision = await self._write_over(term, term.lease_revision)
        except Conflict:
            # An earlier renewal may have been applied without an answer; then the lease bears our term's id.
            entry = await self._state.get(LEASE_KEY)
            if _term_id_of(entry) != term.epoch.term_id:
                raise Fenced("the lease ended or is another's") from None
            sent_at_s = self._clock.now_s()
            try:
                revision = await self._write_over(term, entry.revision)
            except Conflict as error:
                raise Fenced("the lease ended or is another's") from error
        return replace(term, lease_revision=revision, sent_at_s=sent_at_s)

    async def release(self, term: Term) -> None:
        """Delete the lease on condition that it is still ours."""
        entry = await self._state.get(LEASE_KEY)
        if _term_id_of(entry) != term.epoch.term_id:
            return
        try:
            await self._state.write(Write(LEASE_KEY, None, entry.at))
        except Conflict:
            return

    async def changes(self) -> AsyncIterator[LeaseState]:
        """Yield the state when it is first known and whenever it changes."""
        async with self._state.watch(LEASE_KEY, EPOCH_KEY) as view:
            changes = view.changes()
            await view.wait_fresh()
            last = _state_of(view.get(LEASE_KEY), view.get(EPOCH_KEY))
            yield last
            async for _ in changes:
                now = _state_of(view.get(LEASE_KEY), view.get(EPOCH_KEY))
                if now != last:
                    last = now
                    yield now

    async def _write_over(self, term: Term, revision: int) -> int:
        return await self._state.write(self._lease(term.owner, term.epoch.term_id, revision))

    def _lease(self, owner: str, term_id: str, over_revision: int) -> Write:
        value = json.dumps({"format": FORMAT, "owner": owner, "termId": term_id}).encode()
        return Write(LEASE_KEY, value, At(LEASE_KEY, over_revision), self._life_s)


def _term_id_of(lease: Entry) -> str | None:
    return None if lease.value is None else str(json.loads(lease.value)["termId"])


def _epoch_of(entry: Entry) -> Epoch | None:
    return None if entry.value is None else Epoch.from_json(entry.value)


def _state_of(lease: Entry, epoch: Entry) -> LeaseState:
    holder = None if lease.value is None else str(json.loads(lease.value)["owner"])
    return LeaseState(holder, _epoch_of(epoch))
