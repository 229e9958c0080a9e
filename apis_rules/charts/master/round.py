"""One planning round: working copies of the records, the numbering of commands, and the plan they add up to."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from apis_rules.charts.master.energy import format_time
from apis_rules.charts.master.load import BusLoad
from apis_rules.charts.master.memory import Booked, Memory, Sent
from apis_rules.charts.master.output import MasterPlan, Order, Problem, Put, Reply, Send
from apis_rules.ports.types import (
    ActiveRecord,
    ActiveUnit,
    Command,
    CommandName,
    Deal,
    DealRecord,
    DealSide,
    Direction,
    GridRecord,
    Lock,
)

if TYPE_CHECKING:
    from collections.abc import Collection

    from apis_rules.charts.master.picture import Picture, UnitPicture
    from apis_rules.charts.master.settings import MasterSettings

GRID: Final = "grid"
"""Owner of the grid chart's commands, beside the ids of deals."""

AGAIN_S: Final = 0.3
"""Between two looks at a step that is not possible yet, and between two wishes for a reading."""

REPORT_AGAIN_S: Final = 30.0
"""A problem that lasts is reported that often."""

LATEST_S: Final = 1.0
"""A round is due at least that often: readings age, silence grows."""

_DIRECTIONS: Final = {CommandName.CHARGE: Direction.CHARGE, CommandName.DISCHARGE: Direction.DISCHARGE}


@dataclass(frozen=True, slots=True)
class Standing:
    """How far this term has come: what the chart of the mastership asks."""

    holder_answered: bool
    all_answered: bool
    grid_agrees: bool
    half_done: bool
    still: bool


class Round:
    """Working state of one call of the planner. Made from a picture, ends as a plan; not kept.

    Attributes:
        fresh: the units whose reading is young enough to say something.
        bus: what the grid chart calls the bus, as observed.
        live: the deals that may ask converters for something, None while they have to be looked for again.
        steps: how many edges of the charts were taken so far.
        at_rest: whether no chart had anything more to do.
        sampled: deals that were found sampled; their next step waits anew.
    """

    def __init__(self, settings: MasterSettings, picture: Picture, now_s: float) -> None:
        memory = picture.memory
        self.settings = settings
        self.picture = picture
        self.now_s = now_s
        self.grid: GridRecord = picture.grid.value
        self.active: dict[str, ActiveUnit] = dict(picture.active.value.units)
        self.deals: dict[str, Deal] = {}
        oldest_s = now_s - settings.reading_age_s
        self.fresh = frozenset(u for u, p in picture.units.items() if p.data is not None and p.read_at_s >= oldest_s)
        self.bus = "unknown"
        self.live: tuple[Deal, ...] | None = None
        self.steps = 0
        self.at_rest = False
        self.sampled: set[str] = set()
        self.exclusions = {u: s.value for u, s in picture.locks.items() if s.value.exclusion is not None}
        self.excluded_a = {u: self._excluded_a(u, lock) for u, lock in self.exclusions.items()}
        self.locks: dict[str, Lock] = {}
        self.last_seq = memory.last_seq
        self.sent = dict(memory.sent)
        self.repeated_stops = dict(memory.stops)
        self.ended = dict(memory.ended)
        self.absent = dict(memory.absent)
        self.low_since_s = memory.low_since_s
        self.voltages = dict(memory.voltages)
        self.level_since_s = memory.level_since_s
        self.timers = dict(memory.timers)
        self.retry_s = dict(memory.retry_s)
        self.stored_s = dict(memory.stored_s)
        self.clocks = dict(memory.clocks)
        self.reported = dict(memory.reported)
        self.wanted = dict(memory.wanted)
        self.sampling = dict(memory.sampling)
        self.waiting: list[str] = []
        self._changed: set[str] = set()
        self._removed: list[str] = []
        self._stops: list[Send] = []
        self._sends: list[Send] = []
        self._appends: list[DealRecord] = []
        self._problems: list[Problem] = []
        self._reads: dict[str, None] = {}
        self._replies: list[Reply] = []
        self._due_s = now_s + LATEST_S
        self._deals_of: dict[str, list[str]] = {}
        for deal_id, stored in picture.deals.items():
            self.deals[deal_id] = _with_booked(stored.value, memory.booked.get(deal_id))
            for unit_id in stored.value.record.units:
                self._deals_of.setdefault(unit_id, []).append(deal_id)
        self.load = BusLoad(self.deals.values(), self.excluded_a)
        self._number_from_records()

    def _excluded_a(self, unit_id: str, lock: Lock) -> float:
        if lock.excluded_current_a is not None:
            return lock.excluded_current_a
        known = self.active.get(unit_id)
        return known.current_a if known is not None else 0.0

    def _number_from_records(self) -> None:
        # A write whose fate was unknown may have stored a number that the memory does not know.
        commands = (self.grid.open_command, *(d.open_command for d in self.deals.values()))
        for command in commands:
            if command is not None and command.epoch == self.picture.epoch:
                self.last_seq = max(self.last_seq, command.seq)

    # -- looking ------------------------------------------------------------------------------------------------------

    def unit(self, unit_id: str) -> UnitPicture | None:
        """Return what is known of *unit_id*."""
        return self.picture.units.get(unit_id)

    @property
    def parties(self) -> Collection[str]:
        """The units of the deals that the round began with."""
        return self._deals_of.keys()

    def deals_of(self, unit_id: str) -> list[Deal]:
        """Return the deals in which *unit_id* is a party."""
        deals = self.deals
        return [deals[i] for i in self._deals_of.get(unit_id, ()) if i in deals]

    def time_of(self, unit_id: str | None) -> str:
        """Return the unit clock of *unit_id* now, ``yyyy/MM/dd-HH:mm:ss``; our own where it is not known."""
        clock = self.clocks.get(unit_id) if unit_id else None
        return format_time(self.picture.local_s if clock is None else clock.shown_at(self.now_s))

    def is_pending(self, record: GridRecord | Deal) -> bool:
        """Whether the record's open command is one of this term's: its outcome is still to come."""
        command = record.open_command
        return command is not None and command.epoch == self.picture.epoch

    def may_repeat(self, owner: str, record: GridRecord | Deal) -> bool:
        """Whether the command of the record's state may be given: none is pending, and it did not fail just now."""
        return not self.is_pending(record) and self.now_s >= self.retry_s.get(owner, float("-inf"))

    # -- changing -----------------------------------------------------------------------------------------------------

    def change_deal(self, deal_id: str, deal: Deal, *, store: bool = True) -> None:
        """Replace a deal; *store* False where only energy was booked."""
        before = self.deals[deal_id]
        if before is deal:
            return
        self.load.add(before, -1)
        self.load.add(deal)
        self.deals[deal_id] = deal
        self.live = None
        if store:
            self._changed.add(deal_id)

    def remove_deal(self, deal_id: str) -> None:
        """Take a deal out of shared state, with its part of both locks, in this round's batch."""
        self._removed.append(deal_id)
        deal = self.deals.pop(deal_id)
        self.live = None
        self.load.add(deal, -1)
        for unit_id in deal.record.units:
            stored = self.picture.locks.get(unit_id)
            if stored is not None:
                lock = self.locks.get(unit_id, stored.value)
                entries = tuple(e for e in lock.entries if e.deal_id != deal_id)
                self.locks[unit_id] = lock.model_copy(update={"entries": entries})

    def retry_at(self, owner: str, at_s: float) -> None:
        """Do not repeat the owner's step before *at_s*."""
        self.retry_s[owner] = at_s
        self.due(at_s)

    def due(self, at_s: float) -> None:
        """Plan again at *at_s* at the latest."""
        self._due_s = min(self._due_s, max(at_s, self.now_s))

    def want(self, unit_id: str) -> None:
        """Ask for a reading of *unit_id* now, unless that was done a moment ago."""
        since_s = self.wanted.setdefault(unit_id, self.now_s)
        asked_s = self.now_s - since_s
        if asked_s == 0 or asked_s % 1.0 < AGAIN_S:
            self._reads[unit_id] = None
        self.due(self.now_s + AGAIN_S)

    # -- commanding ---------------------------------------------------------------------------------------------------

    def can_order(self, order: Order) -> bool:
        """Whether *order* may go out: one command at a time, stops aside."""
        return order.name.stops or order.unit_id not in self.sent

    def issue(self, order: Order, deal_id: str | None) -> Command:
        """Number *order* and send it with this round's plan; a stop leaves at once as well."""
        self.last_seq += 1
        unit = self.unit(order.unit_id)
        command = Command(
            epoch=self.picture.epoch,
            seq=self.last_seq,
            boot=(unit.boot if unit else None) or "",
            refresh=self.picture.refresh,
            name=order.name,
            deal_id=deal_id,
            params=order.params,
        )
        self._send(Send(order.unit_id, command))
        again_s = self.now_s + self.settings.repeat_s
        self.sent[order.unit_id] = Sent(command.seq, self.now_s, self.now_s, again_s, order.name.stops)
        self.due(again_s)
        self._note_active(order)
        return command

    def repeat(self, unit_id: str, command: Command) -> None:
        """Send an open command again under its own number."""
        sent = self.sent.get(unit_id)
        again_s = self.now_s + self.settings.repeat_s
        first_s = sent.first_s if sent is not None and sent.seq == command.seq else self.now_s
        self.sent[unit_id] = Sent(command.seq, first_s, self.now_s, again_s, command.name.stops)
        self._send(Send(unit_id, command.model_copy(update={"refresh": self.picture.refresh})))
        self.due(again_s)

    def stop(self, order: Order) -> None:
        """Send a stop that no record waits for; repeated until the unit is confirmed in WAIT."""
        self.issue(order, None)
        self.repeated_stops[order.unit_id] = self.sent.pop(order.unit_id)

    def _send(self, send: Send) -> None:
        if send.command.name.stops:
            self._stops.append(send)
        self._sends.append(send)

    def _note_active(self, order: Order) -> None:
        known = self.active.get(order.unit_id, ActiveUnit())
        direction, current_a = known.direction, known.current_a
        match order.name:
            case CommandName.CHARGE | CommandName.DISCHARGE:
                direction = _DIRECTIONS[order.name]
            case CommandName.VOLTAGE_REFERENCE | CommandName.WILL_TAKE_OVER:
                direction = None
        if order.params.grid_current_a is not None:
            current_a = order.params.grid_current_a
        elif direction is None:
            current_a = 0.0
        if not order.name.stops or order.unit_id in self.active:
            self.active[order.unit_id] = ActiveUnit(direction=direction, current_a=current_a)

    # -- telling ------------------------------------------------------------------------------------------------------

    def append(self, record: DealRecord) -> None:
        """Publish a final record after this round's batch."""
        self._appends.append(record)

    def reply(self, reply: Reply) -> None:
        """Answer a manual order."""
        self._replies.append(reply)

    def report(self, what: str, unit_id: str, deal_id: str | None = None, detail: str = "") -> None:
        """Report a problem, unless that was done a short while ago."""
        key = f"{what} {unit_id} {deal_id}"
        if self.now_s - self.reported.get(key, float("-inf")) < REPORT_AGAIN_S:
            return
        self.reported[key] = self.now_s
        self._problems.append(Problem(what, unit_id, detail, deal_id))

    # -- ending -------------------------------------------------------------------------------------------------------

    def finish(self, announce: tuple[str, ...], standing: Standing) -> MasterPlan:
        """Return the plan of this round."""
        puts = self._puts()
        memory = self._memory()
        refused = dataclasses.replace(
            self.picture.memory,
            last_seq=self.last_seq,
            # Stops have left whatever becomes of the batch.
            stops={u: s for u, s in self.repeated_stops.items() if any(u == x.unit_id for x in self._stops)}
            | dict(self.picture.memory.stops),
            # So has the energy flowed that was booked, up to those stops.
            booked=memory.booked,
        )
        return MasterPlan(
            stops=tuple(self._stops),
            puts=puts,
            sends=tuple(self._sends),
            appends=tuple(self._appends),
            problems=tuple(self._problems),
            reads=tuple(self._reads),
            announce=announce,
            refresh=self._refresh(),
            replies=tuple(self._replies),
            holder_answered=standing.holder_answered,
            all_answered=standing.all_answered,
            grid_agrees=standing.grid_agrees,
            busy=bool(self.sent) or standing.half_done,
            still=standing.still,
            settled=self._is_settled(),
            waiting=tuple(dict.fromkeys(self.waiting)),
            next_deadline_s=self._due_s,
            memory=memory,
            memory_if_refused=refused,
        )

    def _is_settled(self) -> bool:
        """Whether what this round has changed is no reason for the next one: nothing that is decided first rests on it.

        Demands, deliveries and exclusions come before the charts and look at the grid, at ``active`` and at locks;
        where the voltage goes, at the other deals too.
        """
        return (
            self.at_rest
            and self.grid == self.picture.grid.value
            and self.grid.state in ("dead", "held")
            and self.active.keys() >= self.picture.active.value.units.keys()
            and not (self._removed or self.locks or self.settings.test_features)
        )

    def _puts(self) -> tuple[Put, ...]:
        picture = self.picture
        puts: list[Put] = []
        if self.grid is not picture.grid.value and self.grid != picture.grid.value:
            puts.append(Put("grid", self.grid.to_json(), picture.grid.revision))
        if self.active != picture.active.value.units:
            puts.append(Put("active", ActiveRecord(units=self.active).to_json(), picture.active.revision))
        for deal_id in sorted(self._changed & self.deals.keys()):
            self.stored_s[deal_id] = self.now_s
            puts.append(Put(f"deal.{deal_id}", self.deals[deal_id].to_json(), picture.deals[deal_id].revision))
        for deal_id in self._removed:
            puts.append(Put(f"deal.{deal_id}", None, picture.deals[deal_id].revision))
            for unit_id, reason in picture.stop_requests.get(deal_id, {}).items():
                puts.append(Put(f"stop.{deal_id}.{unit_id}", None, reason.revision))
        for unit_id, lock in self.locks.items():
            puts.append(Put(f"lock.{unit_id}", lock.to_json(), picture.locks[unit_id].revision))
        return tuple(puts)

    def _refresh(self) -> dict[str, tuple[str, ...]]:
        deals_of: dict[str, list[str]] = {unit_id: [] for unit_id in self.active}
        for deal_id, deal in self.deals.items():
            for unit_id in deal.record.units:
                deals_of.setdefault(unit_id, []).append(deal_id)
        return {unit_id: tuple(ids) for unit_id, ids in deals_of.items()}

    def _booked(self, deal_id: str, deal: Deal) -> Booked:
        stored = None if deal_id in self._changed else self.picture.deals[deal_id].value
        return Booked(deal, stored)

    def _memory(self) -> Memory:
        return Memory(
            last_seq=self.last_seq,
            planned_s=self.now_s,
            sent=self.sent,
            stops=self.repeated_stops,
            ended=self.ended,
            absent=self.absent,
            low_since_s=self.low_since_s,
            voltages=self.voltages,
            level_since_s=self.level_since_s,
            timers=self.timers,
            retry_s={o: s for o, s in self.retry_s.items() if s > self.now_s},
            booked={i: self._booked(i, d) for i, d in self.deals.items() if d.detail.flowing},
            stored_s={i: s for i, s in self.stored_s.items() if i in self.deals},
            clocks=self.clocks,
            reported={k: s for k, s in self.reported.items() if self.now_s - s < REPORT_AGAIN_S},
            wanted=self.wanted,
            sampling={i: s for i, s in self.sampling.items() if i in self.deals and i not in self.sampled},
        )


def _with_booked(deal: Deal, booked: Booked | None) -> Deal:
    if booked is None or not deal.detail.flowing:
        return deal
    if deal is booked.stored:
        return booked.deal
    detail = deal.detail
    charge, discharge = (
        _newer(detail.charge, booked.deal.detail.charge),
        _newer(detail.discharge, booked.deal.detail.discharge),
    )
    if charge is detail.charge and discharge is detail.discharge:
        return deal
    return deal.model_copy(update={"detail": detail.model_copy(update={"charge": charge, "discharge": discharge})})


def _newer(stored: DealSide, booked: DealSide) -> DealSide:
    if booked.sample is None or (stored.sample is not None and stored.sample.at_s >= booked.sample.at_s):
        return stored
    return stored.model_copy(update={"amount_wh": booked.amount_wh, "sample": booked.sample})
