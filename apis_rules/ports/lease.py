"""The mastership as the store sees it: a lease with a time limit, and an epoch that only grows.

The contract
------------
- At most one lease lives at a time. It ends when it is released or when its time limit passes without a renewal.
- ``acquire`` never takes a living lease. It starts a new term: an epoch with number
  max(stored, *highest_reported*) + 1 and a new random id, written on condition that the lease is still ours. The
  revision of that write is the term's *fence*: a write ``when=term.fence`` is refused with ``Conflict`` as soon as
  anybody else has started a term.
- ``renew`` is a conditional write. Only its acknowledgement extends the mastership, counted from the moment *before it
  was sent* (``sent_at_s``, on the runtime clock). Whether the holder may still act is arithmetic on that value, the
  lease's life and a margin; it is not asked of the store.
- ``Unknown`` from ``renew`` leaves the deadline where it was; the next ``renew`` finds out by itself whether the
  earlier one was applied. ``Fenced`` means that the term is over for good.
- No call raises when it merely finds that somebody else is master.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from apis_rules.ports.state import At
    from apis_rules.ports.types import Epoch


@dataclass(frozen=True, slots=True)
class LeaseState:
    """What the store shows of the mastership.

    Attributes:
        holder: unit id of the living lease's owner, None where there is none.
        epoch: the last one started, None where there never was one.
    """

    holder: str | None
    epoch: Epoch | None


@dataclass(frozen=True, slots=True)
class Term:
    """A mastership that was acknowledged.

    Attributes:
        fence: condition of everything that is written in this term.
        lease_revision: of the last acknowledged renewal.
        sent_at_s: runtime clock directly before the last acknowledged acquisition or renewal was sent.
    """

    epoch: Epoch
    owner: str
    fence: At
    lease_revision: int
    sent_at_s: float


class Lease(Protocol):
    """The Grid Master's lease. The module's docstring is the contract."""

    async def state(self) -> LeaseState:
        """Read from the leader. Never proof of being master. Raises ``Outage``."""

    async def acquire(self, owner: str, highest_reported: int = 0) -> Term | None:
        """Try once to become master; None where a lease lives or another candidate was quicker.

        Raises:
            Outage: nothing was written.
            Unknown: try again; a lease that was taken without our knowing ends by its time limit.
        """

    async def renew(self, term: Term) -> Term:
        """Return the term with its new ``lease_revision`` and ``sent_at_s``.

        Raises:
            Fenced: the lease is another's, or it ended.
            Outage, Unknown: the term's deadline stands where it was.
        """

    async def release(self, term: Term) -> None:
        """End the term, so that another candidate need not wait. Without effect where it is over already.

        Raises:
            Outage, Unknown: it ends by its time limit.
        """

    def changes(self) -> AsyncIterator[LeaseState]:
        """Yield the state once at the start and then whenever the lease appears, changes hands or ends."""
