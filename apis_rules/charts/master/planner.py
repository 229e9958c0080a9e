"""The pure planner of the Grid Master: what is written, commanded and told, given everything it knows.

``plan`` goes one way round: what was seen → what became of open commands → what the community demands → the grid chart
→ each deal in order → converters that nobody asked for → the ``active`` record. Records change only in one batch that
is stored before anything is commanded, so a new master goes on from any of them. Whatever only takes energy away leaves
at once and waits for nothing (README, "How one node at a time commands").
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from apis_rules.charts.bindings import bundled_chart, bundled_machine
from apis_rules.charts.master import accounts
from apis_rules.charts.master.deal_effects import Append, Ask, Remove, Report
from apis_rules.charts.master.deal_view import STARTING, deal_context, deal_facts
from apis_rules.charts.master.delivery import OVERTAKEN, Outcome, end_orphans, outcome_of
from apis_rules.charts.master.demands import deal_demand, grid_demand
from apis_rules.charts.master.grid_effects import Tell
from apis_rules.charts.master.grid_view import (
    grid_context,
    grid_facts,
    has_lost_voltage,
    next_holder,
    standing_of,
)
from apis_rules.charts.master.housekeeping import (
    book_before_switch,
    book_energy,
    keep_active,
    keep_deals,
    keep_exclusions,
    send_strays,
)
from apis_rules.charts.master.manual import serve_orders
from apis_rules.charts.master.output import MasterPlan, Order
from apis_rules.charts.master.round import AGAIN_S, GRID, Round
from apis_rules.charts.master.sides import confirm

if TYPE_CHECKING:
    from collections.abc import Callable

    from apis_rules.charts.machine import Machine, Plan
    from apis_rules.charts.master.picture import ManualOrder, Picture
    from apis_rules.charts.master.settings import MasterSettings
    from apis_rules.ports.types import Deal, GridRecord

HAND_OVER = "hand-over"
"""Owner of the rest after a hand-over that was taken back."""

MOST_STEPS = 12
"""A record that moves more often in one round goes on in the next."""


class Planner:
    """Compiled charts and the policy's numbers; keeps nothing between two rounds. Exchanged when the policy changes."""

    def __init__(self, settings: MasterSettings) -> None:
        self.settings = settings
        self._grid: Machine[GridRecord] = _compiled("grid", settings)
        self._deal: Machine[Deal] = _compiled("deal", settings)

    def plan(self, picture: Picture, now_s: float) -> MasterPlan:
        """Return what follows from *picture* at *now_s* (runtime clock).

        Nothing at all follows at or after ``picture.act_until_s``, nor while the picture is not complete.
        """
        if now_s >= picture.act_until_s or not picture.complete:
            refused = picture.memory
            return MasterPlan(next_deadline_s=now_s + AGAIN_S, memory=refused, memory_if_refused=refused)
        round_ = Round(self.settings, picture, now_s)
        accounts.observe(round_)
        keep_exclusions(round_)
        end_orphans(round_)
        self._deliver(round_)
        keep_deals(round_)
        book_energy(round_)
        steps = round_.steps
        self._demand(round_)
        self._tick(round_)
        serve_orders(round_, self._grid_event)
        if round_.steps > steps:
            book_energy(round_)
        send_strays(round_)
        keep_active(round_)
        round_.waiting.extend(accounts.tell_unaccounted(round_))
        return round_.finish(accounts.to_announce(round_), standing_of(round_))

    # -- what became of commands --------------------------------------------------------------------------------------

    def _deliver(self, round_: Round) -> None:
        for deal_id in list(round_.deals):
            heard = outcome_of(round_, deal_id, round_.deals[deal_id])
            if heard is not None:
                self._hear_deal(round_, deal_id, heard)
        heard = outcome_of(round_, GRID, round_.grid)
        if heard is not None:
            if not heard.ok:
                round_.retry_at(GRID, round_.now_s + self.settings.repeat_s)
            self._grid_event(round_, "done" if heard.ok else "failed", reason=heard.reason)
            round_.grid = _closed(round_.grid, heard)

    def _hear_deal(self, round_: Round, deal_id: str, heard: Outcome) -> None:
        deal = round_.deals[deal_id]
        if heard.ok:
            self._deal_event(round_, deal_id, "done", reason=heard.reason, seen=confirm(deal))
        else:
            round_.retry_at(deal_id, round_.now_s + self.settings.repeat_s)
            self._deal_event(round_, deal_id, "failed", reason=heard.reason)
        if deal_id in round_.deals:
            round_.change_deal(deal_id, _closed(round_.deals[deal_id], heard))

    # -- what the community demands -----------------------------------------------------------------------------------

    def _demand(self, round_: Round) -> None:
        demand = grid_demand(round_)
        if demand is not None:
            self._grid_event(round_, demand.event, reason=demand.reason)
        elif has_lost_voltage(round_):
            self._grid_event(round_, "lost", reason="the voltage reference does not hold any more")
        for deal_id in list(round_.deals):
            wish = deal_demand(round_, deal_id)
            if wish is not None and deal_id in round_.deals:
                self._deal_event(round_, deal_id, wish.event, reason=wish.reason)

    # -- the charts ---------------------------------------------------------------------------------------------------

    def _tick(self, round_: Round) -> None:
        """Let grid and deals do what is due, until nothing moves any more: one may have waited for another."""
        self._grid_ticks(round_)
        for _ in range(MOST_STEPS):
            seen = round_.steps
            for deal_id in self._ordered(round_):
                self._deal_ticks(round_, deal_id)
            if round_.steps == seen:
                round_.at_rest = True
                break
            self._grid_ticks(round_)

    def _grid_ticks(self, round_: Round) -> None:
        timers = round_.timers.get(GRID)
        if timers is None:
            timers = self._grid.start_timers(round_.grid.state, round_.now_s)
            round_.timers[GRID] = timers
        due = self._grid.next_deadline(timers)
        while due is not None and due.at_s <= round_.now_s:
            self._grid_event(round_, due.event, reason=f"{round_.grid.state} took too long")
            due = self._grid.next_deadline(round_.timers[GRID])
        if due is not None:
            round_.due(due.at_s)
        for _ in range(MOST_STEPS):
            if not self._grid_event(round_, "tick"):
                break

    def _grid_event(
        self,
        round_: Round,
        event: str,
        *,
        reason: str = "",
        asking: Deal | None = None,
        by_hand: ManualOrder | None = None,
    ) -> bool:
        """Give the grid chart one event; whether it was answered with a move."""
        before = round_.grid
        facts = grid_facts(round_) if self._grid.answers(before.state, event) else {}
        context = Later(lambda: grid_context(round_, reason=reason, asking=asking, by_hand=by_hand, event=event))
        plan = self._grid.advance(before, event, facts, context)
        timers = round_.timers.get(GRID) or self._grid.start_timers(before.state, round_.now_s)
        round_.timers[GRID] = self._grid.move_timers(timers, plan, round_.now_s)
        if plan.taken is None:
            return False
        round_.steps += 1
        grid = plan.record
        if plan.moved:
            grid = grid.model_copy(update={"open_command": None, "open_unit_id": None})
            if plan.state in ("withdrawing", "restoring"):
                round_.retry_at(HAND_OVER, round_.now_s + self.settings.repeat_s)
            if plan.state != before.state:
                grid = grid.model_copy(update={"since": round_.time_of(grid.holder)})
                round_.level_since_s = None
                round_.retry_s.pop(GRID, None)
        round_.grid = grid
        self._perform_grid(round_, plan, reason, before.holder or "")
        return plan.moved

    def _perform_grid(self, round_: Round, plan: Plan[GridRecord], reason: str, holder: str) -> None:
        # What cannot be ordered yet, the unit being busy, is ordered when the state's command is repeated.
        orders = [c for c in plan.commands if isinstance(c, Order) and round_.can_order(c)]
        if orders:
            book_before_switch(round_, (o.unit_id for o in orders))
        for order in orders:
            if round_.grid.state in ("stopping_parties", "stopping_voltage"):
                round_.stop(order)
                continue
            command = round_.issue(order, round_.grid.deal_id)
            update = {"open_command": command, "open_unit_id": order.unit_id}
            round_.grid = round_.grid.model_copy(update=update)
        if plan.moved and not orders:
            round_.retry_at(GRID, round_.now_s + AGAIN_S)
        deal_id = round_.grid.deal_id
        why = reason or "the voltage could not be raised"
        for action in plan.commands:
            if isinstance(action, Report):
                round_.report(action.what, holder, deal_id, round_.grid.reason or "")
            elif isinstance(action, Tell) and deal_id in round_.deals:
                self._deal_event(round_, deal_id or "", action.event, reason=why)

    def _deal_ticks(self, round_: Round, deal_id: str) -> None:
        for _ in range(MOST_STEPS):
            if deal_id not in round_.deals or not self._deal_event(round_, deal_id, "tick"):
                break

    def _deal_event(
        self, round_: Round, deal_id: str, event: str, *, reason: str = "", seen: Deal | None = None
    ) -> bool:
        """Give one deal one event; whether it was answered with a move. *seen*: the deal as the guards see it."""
        before = round_.deals[deal_id]
        if not self._deal.answers(before.state, event):
            return False
        facts = deal_facts(round_, deal_id, seen or before, hopeful=seen is not None)
        plan = self._deal.advance(before, event, facts, Later(lambda: deal_context(round_, before, reason)))
        if plan.taken is None:
            return False
        round_.steps += 1
        deal = plan.record
        if plan.moved:
            deal = deal.model_copy(update={"open_command": None, "open_unit_id": None})
            if plan.state != before.state:
                round_.retry_s.pop(deal_id, None)
        round_.change_deal(deal_id, deal)
        self._perform_deal(round_, deal_id, plan, reason)
        return plan.moved

    def _perform_deal(self, round_: Round, deal_id: str, plan: Plan[Deal], reason: str) -> None:
        orders = [c for c in plan.commands if isinstance(c, Order) and round_.can_order(c)]
        if orders:
            book_before_switch(round_, (o.unit_id for o in orders))
        for order in orders:
            command = round_.issue(order, deal_id)
            update = {"open_command": command, "open_unit_id": order.unit_id}
            round_.change_deal(deal_id, round_.deals[deal_id].model_copy(update=update))
        if plan.moved and not orders:
            # A step that is not possible yet is looked at again; a record is published again, should it get lost.
            wait_s = self.settings.repeat_s if plan.state == "deactivated" else AGAIN_S
            round_.retry_at(deal_id, round_.now_s + wait_s)
        for action in (*plan.commands, *plan.writes):
            match action:
                case Report(what):
                    _report(round_, what, plan.record, reason)
                case Append(record):
                    round_.append(record)
                case Remove():
                    round_.remove_deal(deal_id)
                case Ask("hand_over") if not self._may_hand_over(round_):
                    pass  # nobody can take the voltage over yet, or that has failed just now
                case Ask(what):
                    self._grid_event(round_, what, asking=round_.deals[deal_id])

    def _may_hand_over(self, round_: Round) -> bool:
        rested = round_.now_s >= round_.retry_s.get(HAND_OVER, float("-inf"))
        return rested and next_holder(round_, round_.grid.holder or "") is not None

    # -- in which order -----------------------------------------------------------------------------------------------

    def _ordered(self, round_: Round) -> list[str]:
        """Return the deals' ids: what stops first, then what is being switched on, then new deals by their age.

        New deals with large units come before others, so that the voltage is raised where it should stay.
        """
        large = self.settings.large_units

        def rank(deal_id: str) -> tuple[int, int, str, str]:
            deal = round_.deals[deal_id]
            group = 2 if deal.state == "created" else 1 if deal.state in STARTING else 0
            small = 0 if any(u in large for u in deal.record.units) else 1
            return group, small, deal.record.create_date_time, deal_id

        return sorted(round_.deals, key=rank)


class Later:
    """A context that is made when an effect first asks for it: most events are not answered."""

    def __init__(self, make: Callable[[], object]) -> None:
        self._make = make

    def __getattr__(self, name: str) -> Any:
        context = self.__dict__.get("_made") or self.__dict__.setdefault("_made", self._make())
        return getattr(context, name)


def _report(round_: Round, what: str, deal: Deal, reason: str) -> None:
    if what == "stop_failed" and reason == OVERTAKEN:
        return  # the unit was told to stop altogether meanwhile, which did not wait for the step of this deal
    round_.report(what, deal.open_unit_id or deal.record.unit_id, deal.record.deal_id)


def _closed(record: Any, heard: Outcome) -> Any:
    """Return *record* without the open command that was heard of; another one that was opened since stays."""
    if record.open_command is not None and record.open_command.seq == heard.seq:
        return record.model_copy(update={"open_command": None, "open_unit_id": None})
    return record


def _compiled(name: str, settings: MasterSettings) -> Machine[Any]:
    values = bundled_chart(name).values
    return bundled_machine(name, {value: getattr(settings, _FIELDS.get(value, value)) for value in values})


_FIELDS = {"trial_limit": "compensation_trials"}
"""Value of a chart → field of the settings, where their names differ."""
