"""Whether, until when and in which order a node may be Grid Master. All times are arguments, runtime clock, seconds.

Only the acknowledgement of a conditional write proves mastership, and it proves it from the moment *before* the write
was sent: the store counts the lease's life from a later one. With the margin kept before the end, two masters do not
act at the same instant as long as their clocks run equally fast; that an older one's late command does no harm is
seen to by the units, which refuse lower epochs.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final, Protocol

from apis_rules.ports.types import EpochRelation

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from apis_rules.ports.types import Epoch

HAND_OVER_PAUSE_S: Final = 60.0
"""How long a unit to which mastership was offered in vain is not offered it again."""


class LeaseTimes(Protocol):
    """What of ``transport/wiring.yaml`` counts here."""

    @property
    def life_s(self) -> float:
        """How long the lease lives after a renewal."""

    @property
    def renewal_s(self) -> float:
        """From one renewal to the next."""

    @property
    def limit_s(self) -> float:
        """How long one request to the store may take."""

    @property
    def margin_s(self) -> float:
        """How much earlier than the lease a master ends."""

    @property
    def election_s(self) -> float:
        """How long the store may be without a leader."""

    @property
    def dead_man_s(self) -> float:
        """After which a current-controlled converter gives up waiting for a refresh."""


class Strategy(enum.StrEnum):
    """Who should be Grid Master (policy ``gridMaster.gridMasterSelection.strategy``)."""

    VOLTAGE_REFERENCE_UNIT = "voltageReferenceUnit"
    FIXED = "fixed"
    ANYWHERE = "anywhere"


def acts_until_s(sent_at_s: float, times: LeaseTimes) -> float:
    """Return when a master stops acting whose last acknowledged acquisition or renewal was sent at *sent_at_s*."""
    return sent_at_s + times.life_s - times.margin_s


def left_s(now_s: float, sent_at_s: float, times: LeaseTimes) -> float:
    """Return how much longer a master may act; it may not at 0 and below."""
    return acts_until_s(sent_at_s, times) - now_s


def takeover_s(times: LeaseTimes) -> float:
    """Return the longest time from a master's last refresh to the next one's first.

    The lease's life and an election; two renewals that the store took and whose acknowledgement, and with it the
    refresh, was lost, each within the limit of a request; and the new master's first renewal.
    """
    return times.life_s + times.election_s + 3 * times.renewal_s + 2 * times.limit_s


def rank_candidates(strategy: Strategy, holder: str | None, ranked: Sequence[str]) -> tuple[str, ...]:
    """Return the units that should be master, best first; empty where anyone will do.

    Args:
        strategy: the policy's.
        holder: the unit that holds the voltage, None where none does.
        ranked: the policy's ``fixedUnitId`` and ``candidateUnitIds``, in order.
    """
    if strategy is Strategy.FIXED:
        return tuple(dict.fromkeys(ranked))
    if strategy is Strategy.VOLTAGE_REFERENCE_UNIT and holder is not None:
        return (holder,)
    return ()


def claim_wait_s(unit_id: str, preferred: Sequence[str], present: Collection[str], times: LeaseTimes) -> float:
    """Return how long *unit_id* lets others go first when the lease has become free.

    The best present unit waits for nobody, and one that is not preferred for all of them: also under ``fixed`` a
    community whose candidates are all away is not left without a master. No wait exceeds the lease's margin, nor what
    the dead-man time leaves; a preferred unit that is listed as present and dead costs no deal.
    """
    here = [u for u in preferred if u in present or u == unit_id]
    spare_s = max(0.0, min(times.margin_s, times.dead_man_s - takeover_s(times)))
    if unit_id in here:
        return spare_s * here.index(unit_id) / len(here)
    return spare_s if here else 0.0


def find_successor(
    unit_id: str, preferred: Sequence[str], ready: Collection[str], tried_at_s: Mapping[str, float], now_s: float
) -> str | None:
    """Return the unit to which the master *unit_id* should hand over, None where it should stay.

    Args:
        unit_id: the present master.
        preferred: see ``rank_candidates``.
        ready: units that are present and have acknowledged the present term.
        tried_at_s: unit → when mastership was last offered to it in this process.
        now_s: runtime clock.
    """
    for better in preferred:
        if better == unit_id:
            return None
        if better in ready and now_s - tried_at_s.get(better, -HAND_OVER_PAUSE_S) >= HAND_OVER_PAUSE_S:
            return better
    return None


def next_epoch_number(stored: Epoch | None, reported: Iterable[Epoch]) -> int:
    """Return the number of a new term: above the stored one and above the highest that any unit has seen."""
    return max((epoch.number for epoch in (stored, *reported) if epoch is not None), default=0) + 1


def must_outrank(own: Epoch, reported: Iterable[Epoch]) -> bool:
    """Say whether a unit will refuse *own*: it has seen a higher number, or this one with another term's id."""
    return any(e.relation_to(own) in (EpochRelation.NEWER, EpochRelation.FOREIGN) for e in reported)


def find_amnesia(own: Epoch, revision: int, seen_revision: int, reported: Mapping[str, Epoch]) -> str | None:
    """Return how it shows that shared state was lost or went back, None where nothing does.

    Args:
        own: the epoch of the present term.
        revision: of the bucket ``ctl`` as it is now.
        seen_revision: the highest that this node has persisted of it.
        reported: unit → the highest epoch it has seen.
    """
    if revision < seen_revision:
        return f"the store is at revision {revision}; this node has seen {seen_revision}"
    for unit_id, epoch in sorted(reported.items()):
        relation = epoch.relation_to(own)
        if relation is EpochRelation.NEWER:
            return f"{unit_id} has seen epoch {epoch.number}; the present one is {own.number}"
        if relation is EpochRelation.FOREIGN:
            return f"{unit_id} knows epoch {epoch.number} as another term's"
    return None
