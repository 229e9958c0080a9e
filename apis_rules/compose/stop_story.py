"""Why a community stopped: the first cause, what was done about it in which order, and what to do next.

Told from what is kept: the stream of errors, the final records of deals, the decisions since then, and the records as
they stand. Everything here is a value; nothing is asked of anybody.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from apis_rules.compose.kept import ended_at
from apis_rules.compose.summary import why_ended
from apis_rules.decide.decision import Decider, compile_rules
from apis_rules.decide.error_catalogue import load_errors
from apis_rules.decide.outcomes import Action, React
from apis_rules.decide.rulefile import load_rules
from apis_rules.decide.ruleset import Evaluator
from apis_rules.ports.types import Extent, Level, OperationMode
from apis_rules.resources import data_dir

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from apis_rules.node.records import ModeRecord, Sustain
    from apis_rules.ports.types import DealRecord, ErrorEvent, GridRecord

GAP: Final = timedelta(seconds=60)
"""What is told within this time of each other is one story."""

STOPPING_WARNINGS: Final = frozenset({"silent", "reference_lost", "deserted", "amnesia"})
"""After these the bus is drained or a unit stops, although they are warnings: the state machines do it, no reaction."""

DONE: Final = {
    Action.STOP_DEALS: "the deals of {unit} are ended",
    Action.STOP_LOCAL: "the converter of {unit} is set to WAIT",
    Action.RESIGN: "{unit} is Grid Master no longer",
    Action.RESET_LOCAL: "{unit} begins anew",
    Action.SHUT_DOWN: "the node of {unit} ends",
    Action.SCRAM: "every converter is set to WAIT, the one that holds the voltage last",
    Action.DRAIN: "every deal is ended in order, the voltage last",
    Action.MODE_STOP: "the mode is set to stop, with this error as its reason",
    Action.RESET_ALL: "every node begins anew, in a new term",
    Action.SHUT_DOWN_ALL: "every node ends",
}
WARNED: Final = {
    "silent": "nothing is started; after the absence time every deal is ended in order, the voltage last",
    "reference_lost": "every deal is ended in order",
    "deserted": "the converter of {unit} goes to WAIT by itself",
    "amnesia": "the mode is set to stop, and nothing is believed that units do not confirm",
}


@dataclass(frozen=True, slots=True)
class Told:
    """One line of the story: when (UTC), about whom, what."""

    at: datetime
    unit_id: str
    what: str


@dataclass(frozen=True, slots=True)
class StopStory:
    """The story of one stop.

    Attributes:
        cause: what was told first of what led to it; None where nobody reported an error.
        about: what the rule behind it looks at.
        done: what followed, in order.
        since: what units have decided since.
        now: how things stand.
        next_steps: what to do.
    """

    cause: Told | None
    rule: str
    about: str
    done: tuple[Told, ...]
    since: tuple[str, ...]
    now: tuple[str, ...]
    next_steps: tuple[str, ...]

    def to_document(self) -> dict[str, Any]:
        """Return plain values for programs."""

        def told(line: Told) -> dict[str, Any]:
            return {**asdict(line), "at": line.at.isoformat(timespec="milliseconds")}

        return {
            "cause": told(self.cause) if self.cause else None,
            "rule": self.rule,
            "about": self.about,
            "done": [told(line) for line in self.done],
            "since": list(self.since),
            "now": list(self.now),
            "next": list(self.next_steps),
        }

    def lines(self) -> Iterable[str]:
        """Yield the story for people; times are UTC."""
        if self.cause is None:
            yield "nobody has reported an error"
        else:
            yield f"first cause, {self.cause.at:%Y-%m-%d} UTC"
            yield f"  {_line(self.cause)}"
            if self.about:
                yield f"                {self.rule} is about this: {self.about}"
        if self.done:
            yield "what followed"
            yield from (f"  {_line(line)}" for line in self.done)
        if self.since:
            yield "since then"
            yield from (f"  {sentence}" for sentence in self.since)
        yield "now"
        yield from (f"  {sentence}" for sentence in self.now)
        if self.next_steps:
            yield "what to do next"
            yield from (f"  {sentence}" for sentence in self.next_steps)


def tell_stop(
    events: Sequence[ErrorEvent],
    finished: Sequence[DealRecord],
    decisions: Sequence[Mapping[str, Any]],
    mode: ModeRecord | None,
    grid: GridRecord,
    sustain: Sustain | None,
    now: datetime,
    since: datetime | None = None,
) -> StopStory:
    """Put the story of the last stop together.

    Args:
        events: all that are kept, oldest first.
        finished: final records of deals.
        decisions: those that are kept.
        mode: the record as it stands.
        grid: likewise.
        sustain: likewise.
        now: the present moment.
        since: only what was told from then on; None: the last stop, whenever it was.
    """
    story = _last_story([e for e in events if since is None or _at(e) >= since])
    cause = next((e for e in story if _stops(e)), None)
    first = next((e for e in story if cause and (e.rule, e.unit_id) == (cause.rule, cause.unit_id)), cause)
    done = list(_what_followed(story, first))
    if first is not None:
        done += _ended_deals(finished, _at(first), _at(story[-1]) + GAP)
    return StopStory(
        cause=_told(first) if first else None,
        rule=first.rule if first else "",
        about=_abouts().get(first.rule, "") if first else "",
        done=tuple(sorted(done, key=lambda line: line.at)),
        since=tuple(_decided(decisions, first.date_time, {record.deal_id for record in finished})) if first else (),
        now=tuple(_how_it_stands(mode, grid, sustain, now)),
        next_steps=tuple(dict.fromkeys(_next_steps(story, mode, _dealing_again(decisions, story)))),
    )


def _last_story(events: Sequence[ErrorEvent]) -> list[ErrorEvent]:
    """Return the last events that belong together and among which one stopped something."""
    last = next((i for i in reversed(range(len(events))) if _stops(events[i])), None)
    if last is None:
        return []
    first, after = last, last
    while first > 0 and _at(events[first]) - _at(events[first - 1]) <= GAP:
        first -= 1
    while after + 1 < len(events) and _at(events[after + 1]) - _at(events[after]) <= GAP:
        after += 1
    return list(events[first : after + 1])


def _stops(event: ErrorEvent) -> bool:
    return event.level is not Level.WARN or event.rule in STOPPING_WARNINGS


def _what_followed(story: Sequence[ErrorEvent], first: ErrorEvent | None) -> Iterable[Told]:
    react = _reactions()
    seen: set[tuple[str, str, Level]] = set()
    for event in story:
        key = (event.rule, event.unit_id, event.level)
        if key in seen:
            continue
        seen.add(key)
        if event is not first:
            yield _told(event)
        if event.level is Level.WARN:
            if event.rule in WARNED:
                yield Told(_at(event), "", "-> " + WARNED[event.rule].format(unit=event.unit_id))
            continue
        for action in react(event):
            yield Told(_at(event), "", "-> " + DONE[action].format(unit=event.unit_id))


def _ended_deals(finished: Sequence[DealRecord], after: datetime, before: datetime) -> list[Told]:
    told = []
    for record in finished:
        at = ended_at(record)
        if at is not None and after <= at <= before:
            booked = f"{record.cumulate_amount_wh or 0:.1f} of {record.deal_amount_wh} Wh"
            parties = f"deal {record.deal_id[:8]} {record.discharge_unit_id} -> {record.charge_unit_id}"
            told.append(Told(at, "", f"{parties} is over with {booked}: {why_ended(record)}"))
    return told


def _decided(decisions: Sequence[Mapping[str, Any]], unit_time: str, over: set[str]) -> Iterable[str]:
    """Yield what each unit has decided last after that moment of the units' clock; decisions have no other time.

    *over* are the ids of deals that have a final record.
    """
    told: dict[str, str] = {}
    for decision in _requests_after(decisions, unit_time):
        reason, deal_id = decision.get("reason"), str(decision.get("dealId"))
        deal = f"had deal {deal_id[:8]}, which is over" if deal_id in over else f"has deal {deal_id[:8]}"
        told[str(decision["unitId"])] = f"asks for nothing: {reason}" if reason else deal
    return (f"{unit_id} {what}" for unit_id, what in sorted(told.items()))


def _requests_after(decisions: Sequence[Mapping[str, Any]], unit_time: str) -> Iterable[Mapping[str, Any]]:
    return (d for d in decisions if d.get("question") == "request" and str(d.get("time", "")) > unit_time)


def _dealing_again(decisions: Sequence[Mapping[str, Any]], story: Sequence[ErrorEvent]) -> set[str]:
    """Return the units that have had a deal of their own asking after the last that was told of them."""
    last = {event.unit_id: event.date_time for event in story}
    return {
        unit_id
        for unit_id, unit_time in last.items()
        for decision in _requests_after(decisions, unit_time)
        if decision["unitId"] == unit_id and decision.get("dealId")
    }


def _how_it_stands(mode: ModeRecord | None, grid: GridRecord, sustain: Sustain | None, now: datetime) -> Iterable[str]:
    yield "the grid is dead" if grid.state == "dead" else f"the grid: {grid.state}, {grid.holder or 'nobody'} holds it"
    if mode is not None:
        yield f"the mode is {mode.mode}" + (f": {mode.reason}" if mode.reason else "")
    until = datetime.fromtimestamp(sustain.until_utc_s, UTC) if sustain else now
    if until > now:
        yield f"nobody trades before {until:%H:%M:%S} UTC"


def _next_steps(story: Sequence[ErrorEvent], mode: ModeRecord | None, dealing: set[str]) -> Iterable[str]:
    for event in story:
        unit_id = event.unit_id
        if event.extent is Extent.LOCAL and unit_id in dealing:
            continue  # whoever trades again has nothing left that needs a look
        if event.rule == "silent":
            yield f"look after the node of {unit_id}"
            yield f"if its converter is cut off from the bus: apis-rules exclude {unit_id} --reason TEXT"
        elif event.rule in ("battery_claimed", "battery_claim_lost"):
            yield "apis-rules battery CONFIG.json shows who claims the battery"
        elif event.level is Level.FATAL and event.extent is Extent.LOCAL:
            yield f"mend it, then start the node of {unit_id} again"
        elif event.level is Level.FATAL:
            yield "mend it, then start the nodes again"
        elif event.level is Level.ERROR and event.extent is Extent.LOCAL:
            yield f"look at {unit_id}; it takes part again by itself when the error has been gone for its time"
        elif event.level is Level.ERROR:
            yield "find and mend what the first cause names before anything is switched on again"
    if mode is not None and mode.mode is OperationMode.STOP:
        yield "when everything is well: apis-rules mode set autonomous"


def _told(event: ErrorEvent) -> Told:
    who = event.unit_id if event.reported_by == event.unit_id else f"{event.unit_id} (told by {event.reported_by})"
    return Told(_at(event), who, f"{event.rule} {event.kind}: {event.message}")


def _line(line: Told) -> str:
    who = f"{line.unit_id}  " if line.unit_id else ""
    return f"{line.at:%H:%M:%S}.{line.at.microsecond // 1000:03d}  {who}{line.what}"


def _at(event: ErrorEvent) -> datetime:
    return datetime.fromisoformat(event.date_time_utc)


def _abouts() -> dict[str, str]:
    """Return what is said of each rule and each entry of the catalogue."""
    rules = data_dir("rules")
    found = {name: entry.about for name, entry in load_errors(rules / "errors.yaml").items()}
    for file in ("hard-limits", "local-safety", "global-safety"):
        found |= {rule.id: rule.about for rule in load_rules(rules / f"{file}.yaml").rules}
    return found


def _reactions() -> Callable[[ErrorEvent], tuple[Action, ...]]:
    """Return what the table says is done about an event."""
    table = compile_rules(load_rules(data_dir("rules") / "reactions.yaml"), {})

    def react(event: ErrorEvent) -> tuple[Action, ...]:
        with Decider(table, Evaluator.PURE) as decider:
            hit = decider.decide({"event": event.to_document()}, 0.0).first
        return hit.outcome.actions if hit is not None and isinstance(hit.outcome, React) else ()

    return react
