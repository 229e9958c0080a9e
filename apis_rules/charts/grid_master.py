"""The effects of ``statecharts/grid_master.yaml``: what a node does about the Grid Master's lease."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from apis_rules.charts.bindings import Binding
from apis_rules.charts.lease import find_successor, left_s
from apis_rules.charts.machine import Draft, Effects

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from apis_rules.charts.lease import LeaseTimes


@dataclass(frozen=True, slots=True)
class Mastership:
    """One node's share in the question who is Grid Master. Lives in memory; a new process begins with a new one.

    Attributes:
        state: a state of the chart.
        outrank: an epoch's number that the next term must exceed, 0 where none is known.
        amnesia: how it showed that the store went back, empty where it did not; told by the next term.
        offered_to: the unit to which mastership was offered last, empty where to none.
        tried_at_s: unit → when mastership was offered to it, runtime clock.
    """

    state: str = "absent"
    outrank: int = 0
    amnesia: str = ""
    offered_to: str = ""
    tried_at_s: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Seen:
    """What the effects need beside the facts.

    Attributes:
        now_s: runtime clock.
        successor: to whom mastership should go, empty where to nobody.
        amnesia: how it shows that the store went back, empty where it does not.
        highest_reported: the highest number of an epoch that any unit has seen.
    """

    now_s: float = 0.0
    successor: str = ""
    amnesia: str = ""
    highest_reported: int = 0


@dataclass(frozen=True, slots=True)
class AskForLease:
    """Call ``Lease.acquire`` once; ``granted``, ``refused`` or ``unanswered`` follows."""

    highest_reported: int

    def __str__(self) -> str:
        return f"ask for the lease, epoch above {self.highest_reported}"


@dataclass(frozen=True, slots=True)
class BeginTerm:
    """Start to renew the lease, and to refresh the units with each acknowledged renewal."""

    def __str__(self) -> str:
        return "begin the term"


@dataclass(frozen=True, slots=True)
class Announce:
    """Tell the holder, or all others that have not acknowledged yet, of the new epoch."""

    to: str

    def __str__(self) -> str:
        return f"announce the epoch to the {self.to}"


@dataclass(frozen=True, slots=True)
class StopActing:
    """Forget the term and drop everything that is planned in its name. Comes before everything else."""

    def __str__(self) -> str:
        return "stop acting"


@dataclass(frozen=True, slots=True)
class ReleaseLease:
    """Call ``Lease.release``; that it fails changes nothing, for the lease ends by itself."""

    def __str__(self) -> str:
        return "release the lease"


@dataclass(frozen=True, slots=True)
class StopCommunity:
    """Write the community's mode ``stop``; only an operator sets another."""

    def __str__(self) -> str:
        return "set the mode stop"


@dataclass(frozen=True, slots=True)
class ReportAmnesia:
    """Raise the error that shared state was lost or went back."""

    reason: str

    def __str__(self) -> str:
        return f"report that {self.reason}"


@dataclass(frozen=True, slots=True)
class Situation:
    """What a node knows when it looks at its mastership; see the facts of the chart.

    Attributes:
        now_s: runtime clock, counting suspension.
        sent_at_s: when the last acknowledged acquisition or renewal was sent, None outside a term.
        free_since_s: since when no lease lives as far as this node knows, None while one does.
        claim_wait_s: the head start of others, from ``lease.claim_wait_s``.
        successor_ready: whether ``successor_of`` names a unit.
    """

    now_s: float
    sent_at_s: float | None = None
    free_since_s: float | None = None
    claim_wait_s: float = 0.0
    may_claim: bool = False
    holder_answered: bool = False
    all_answered: bool = False
    picture_current: bool = False
    grid_agrees: bool = False
    successor_ready: bool = False
    busy: bool = False
    store_went_back: bool = False
    must_outrank: bool = False


def successor_of(
    record: Mastership, unit_id: str, preferred: Sequence[str], ready: Collection[str], now_s: float
) -> str | None:
    """Return the unit to which the master *unit_id* should give mastership, None where it should keep it.

    See ``lease.find_successor``. An offer that is under way stands as long as its unit is the best that is ready.
    """
    tried_at_s = dict(record.tried_at_s)
    if record.state == "handing_over":
        tried_at_s.pop(record.offered_to, None)
    return find_successor(unit_id, preferred, ready, tried_at_s, now_s)


def mastership_facts(record: Mastership, situation: Situation, times: LeaseTimes) -> dict[str, object]:
    """Return the facts of the chart. What is not known is left out, and no guard over it holds."""
    facts: dict[str, object] = {
        "lease_free": situation.free_since_s is not None,
        "may_claim": situation.may_claim,
        "holder_answered": situation.holder_answered,
        "all_answered": situation.all_answered,
        "picture_current": situation.picture_current,
        "grid_agrees": situation.grid_agrees,
        "successor_ready": situation.successor_ready,
        "busy": situation.busy,
        "store_went_back": situation.store_went_back or bool(record.amnesia),
        "must_outrank": situation.must_outrank,
    }
    if situation.free_since_s is not None:
        facts["wait_left_s"] = situation.claim_wait_s - (situation.now_s - situation.free_since_s)
    if situation.sent_at_s is not None:
        facts["left_s"] = left_s(situation.now_s, situation.sent_at_s, times)
    return facts


EFFECTS: Effects[Mastership] = Effects()


@EFFECTS.define
def ask_for_lease(draft: Draft[Mastership]) -> None:
    """Take the lease once, with a number above all that is known."""
    seen: Seen = draft.context
    draft.commands.append(AskForLease(max(draft.record.outrank, seen.highest_reported)))


@EFFECTS.define
def begin_term(draft: Draft[Mastership]) -> None:
    """Renew and refresh from now on; the new number outranks what had to be outranked."""
    draft.record = replace(draft.record, outrank=0)
    draft.commands.append(BeginTerm())


@EFFECTS.define
def announce(draft: Draft[Mastership], to: str) -> None:
    """Tell units of the new epoch."""
    draft.commands.append(Announce(to))


@EFFECTS.define
def stop_acting(draft: Draft[Mastership]) -> None:
    """End what this node does as a master."""
    draft.commands.append(StopActing())


@EFFECTS.define
def release_lease(draft: Draft[Mastership]) -> None:
    """Give the lease back."""
    draft.commands.append(ReleaseLease())


@EFFECTS.define
def note_successor(draft: Draft[Mastership]) -> None:
    """Remember the offer, so that one that comes to nothing is not repeated at once."""
    seen: Seen = draft.context
    tried_at_s = {**draft.record.tried_at_s, seen.successor: seen.now_s}
    draft.record = replace(draft.record, offered_to=seen.successor, tried_at_s=tried_at_s)


@EFFECTS.define
def note_amnesia(draft: Draft[Mastership]) -> None:
    """Remember what was seen."""
    seen: Seen = draft.context
    outrank = max(draft.record.outrank, seen.highest_reported)
    draft.record = replace(draft.record, amnesia=seen.amnesia, outrank=outrank)


@EFFECTS.define
def stop_community(draft: Draft[Mastership]) -> None:
    """Let nothing start until a person has looked."""
    draft.commands.append(StopCommunity())


@EFFECTS.define
def report_amnesia(draft: Draft[Mastership]) -> None:
    """Say it once."""
    seen: Seen = draft.context
    draft.commands.append(ReportAmnesia(draft.record.amnesia or seen.amnesia))
    draft.record = replace(draft.record, amnesia="")


def _make_record(given: Mapping[str, Any]) -> Mastership:
    return Mastership(**given)


def _make_context(given: Mapping[str, Any]) -> Seen:
    return Seen(**given)


BINDING = Binding("grid_master", EFFECTS, _make_record, _make_context)
