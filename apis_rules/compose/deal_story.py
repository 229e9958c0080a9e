"""One deal from beginning to end: its steps with their times, and why it came about, was chosen and ended."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from apis_rules.compose.summary import why_ended
from apis_rules.documents.diagnostics import Location
from apis_rules.documents.source import refusal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from apis_rules.ports.types import Deal, DealRecord

_STEPS: Final = (
    ("request_date_time", "asked"),
    ("accept_date_time", "accepted"),
    ("create_date_time", "created"),
    ("activate_date_time", "activated: the side at the voltage reference"),
    ("ramp_up_date_time", "ramped up: the grid has its voltage"),
    ("warm_up_date_time", "warmed up: the other side"),
    ("start_date_time", "started: both carry the current"),
    ("cumulate_date_time", "last booked"),
    ("abort_date_time", "aborted"),
    ("scram_date_time", "stopped with everything else"),
    ("stop_date_time", "stopped: no current of this deal"),
    ("deactivate_date_time", "deactivated: over"),
)
"""In the order of a deal's life: the times are of the unit clock, in whole seconds."""

_LEFT_OUT: Final = "--"
_NOT_KEPT: Final = "not kept"


@dataclass(frozen=True, slots=True)
class Step:
    """One step: by the unit clock, and in UTC where the record has it."""

    time: str
    utc: str | None
    what: str


@dataclass(frozen=True, slots=True)
class Story:
    """One deal.

    Attributes:
        asked, accepted: the rule of the scenario by which the requester asked, and by which the other accepted.
        chose: how the accept was chosen, and from which.
        ended: why it ended; where it goes on, its state.
    """

    deal_id: str
    state: str
    parties: str
    agreed: str
    steps: tuple[Step, ...]
    asked: str
    accepted: str
    chose: str
    ended: str

    def to_document(self) -> dict[str, Any]:
        """Return plain values for programs."""
        return asdict(self)

    def lines(self) -> Iterable[str]:
        """Yield the story for people."""
        yield f"deal {self.deal_id}: {self.parties}, {self.agreed}; {self.state}"
        width = max(len(step.utc or "") for step in self.steps)
        for step in self.steps:
            yield f"  {step.time}  {step.utc or '':{width}}  {step.what}"
        for what, reason in (("asked", self.asked), ("accepted", self.accepted), ("chose", self.chose)):
            yield f"{what}: {reason}"
        yield f"ended: {self.ended}"


def find_deal(wanted: str, living: Mapping[str, Deal], kept: Sequence[DealRecord]) -> tuple[str, DealRecord]:
    """Return the state and the record of the deal whose id is, or begins with, *wanted*.

    Raises:
        InputError: there is none, or more than one.
    """
    found = {r.deal_id: ("over", r) for r in kept} | {i: (d.state, d.record) for i, d in living.items()}
    ids = [deal_id for deal_id in found if deal_id.startswith(wanted)]
    if len(ids) == 1 or wanted in ids:
        return found[wanted if wanted in ids else ids[0]]
    message = f"there is no deal {wanted}" if not ids else f"{len(ids)} deals begin with {wanted}"
    hint = "'apis-rules deals' shows those that run, 'apis-rules deals --since 1d' those that are over"
    raise refusal(Location("<argument ID>"), "AR101", message, ", ".join(sorted(ids)) or hint)


def tell_story(state: str, record: DealRecord, decisions: Iterable[Mapping[str, Any]]) -> Story:
    """Put together what the record and the kept decisions say of one deal."""
    asked = accepted = None
    for decision in decisions:
        if decision["question"] == "request" and decision.get("dealId") == record.deal_id:
            asked = decision
        elif decision.get("negotiationId") == record.negotiation_id and decision["unitId"] == record.accept_unit_id:
            accepted = decision
    price = "" if record.point_per_wh is None else f" at {record.point_per_wh:g} points/Wh"
    booked = "" if record.cumulate_amount_wh is None else f", {record.cumulate_amount_wh:.1f} Wh booked"
    return Story(
        deal_id=record.deal_id,
        state=state,
        parties=f"{record.discharge_unit_id} -> {record.charge_unit_id}",
        agreed=f"{record.deal_amount_wh} Wh with {record.deal_grid_current_a:g} A{price}{booked}",
        steps=tuple(_steps(record)),
        asked=_by_rule(record.request_unit_id, f"{record.type} of {record.request_amount_wh} Wh", asked),
        accepted=_by_rule(record.accept_unit_id, f"{record.accept_amount_wh} Wh", accepted),
        chose=_choice(record, asked),
        ended=why_ended(record) if state == "over" else f"it goes on ({state})",
    )


def _steps(record: DealRecord) -> Iterable[Step]:
    for field, what in _STEPS:
        if field == "activate_date_time":
            for note in record.reset or ():
                yield Step(note.date_time, None, f"began anew ({note.reason})")
        time = getattr(record, field)
        if time and time != _LEFT_OUT:
            reason = {"abort_date_time": record.abort_reason, "scram_date_time": record.scram_reason}.get(field)
            yield Step(time, getattr(record, f"{field}_utc", None), f"{what} ({reason})" if reason else what)


def _by_rule(unit_id: str, what: str, decision: Mapping[str, Any] | None) -> str:
    return f"{unit_id}, {what}, by {decision['rule'] if decision else f'a rule that was {_NOT_KEPT}'}"


def _choice(record: DealRecord, asked: Mapping[str, Any] | None) -> str:
    if asked is None or not asked.get("accepts"):
        return _NOT_KEPT
    accepts = ", ".join(
        f"{a['unitId']} ({a['amountWh']} Wh" + (f" at {a['pointPerWh']:g})" if a.get("pointPerWh") is not None else ")")
        for a in asked["accepts"]
    )
    return f"{record.accept_unit_id} by {asked['strategy']}, from {accepts}"
