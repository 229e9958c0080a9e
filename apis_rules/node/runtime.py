"""One node: its services, its life by ``statecharts/node.yaml``, and its end.

The services run as tasks of one group. What one of them cannot handle ends the node: the group is cancelled, and the
converter is brought to WAIT before the error goes on to whoever started the node.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any, Final

from apis_rules.charts.node import (
    BringToWait,
    Exit,
    Join,
    LeaveMastership,
    NodeLife,
    ReportHolding,
    StopDeals,
    TellRefusal,
)
from apis_rules.charts.unit import StopLocal
from apis_rules.errors import ApisRulesError, Outage, PortError, leaves
from apis_rules.node import messages
from apis_rules.node.changes import Sorter
from apis_rules.node.compiled import compile_life
from apis_rules.node.controller import DATA_KEY
from apis_rules.node.last_stop import bring_to_wait
from apis_rules.node.records import WATCHED, Records
from apis_rules.node.refresh import Refresher
from apis_rules.node.services import STALL_S, Services
from apis_rules.node.watchdog import keep_quiet
from apis_rules.ports.state import Write
from apis_rules.ports.types import ConverterMode, DcdcData

if TYPE_CHECKING:
    from apis_rules.charts import Machine, Timers
    from apis_rules.node.changes import What
    from apis_rules.node.compiled import Compiled
    from apis_rules.node.identity import Documents, Identity
    from apis_rules.node.surroundings import Surroundings
    from apis_rules.ports.bundle import NodePorts

log = logging.getLogger(__name__)

LOOK_S: Final = 0.5
LAST_STOP_S: Final = 10.0


class NodeEnded(ApisRulesError):
    """The node has ended by itself, with the exit code that its chart gave."""

    def __init__(self, exit_code: int) -> None:
        super().__init__(f"the node has ended with exit code {exit_code}")
        self.exit_code = exit_code


class Node:
    """A node. ``run`` returns its exit code.

    Attributes:
        life: where it stands, by ``node.yaml``.
        services: None before the node has begun to run.
        ended_because: why it could not start; empty where it could.
    """

    def __init__(self, identity: Identity, documents: Documents, ports: NodePorts, around: Surroundings) -> None:
        self.identity = identity
        self.documents = documents
        self.life = NodeLife()
        self.services: Services | None = None
        self._refusal = self.ended_because = around.refusal
        self._ports = ports
        self._around = around
        self._clock = ports.community.clock
        self._machine: Machine[NodeLife] = compile_life(documents)
        self._timers: Timers = self._machine.start_timers(self.life.state, self._clock.now_s())
        self._wishes: asyncio.Queue[str] = asyncio.Queue()
        self._changed = asyncio.Event()
        self._settled: tuple[object, ...] | None = None
        self._tasks: asyncio.TaskGroup | None = None

    def terminate(self) -> None:
        """Ask for an orderly end; asked twice, it hurries."""
        self._wish("terminate")

    def tell_asked_again(self, reason: str) -> None:
        """Tell of a request to the driver that has failed, and that is sent again."""
        if self.services is not None:
            self.services.errors.raise_event("asked_again", reason)

    @property
    def state(self) -> str:
        """The present state of the node's life."""
        return self.life.state

    @property
    def ports(self) -> NodePorts:
        """What the node was given, for those who look on from inside its process."""
        return self._ports

    @property
    def differing_policy(self) -> str:
        """The policy file of a node that may not join, or no longer; empty where nothing is known against it."""
        files = self._around.files
        return files.policy.path if self._refusal and files is not None else ""

    @property
    def is_master(self) -> bool:
        """Whether this node is the Grid Master now."""
        return self.services is not None and self.services.board.is_master

    @property
    def trouble(self) -> str:
        """What the node lacks of what it needs now, in a sentence; empty where it lacks nothing."""
        services = self.services
        if services is None:
            return "the node has not begun"
        found = []
        if not services.board.reading_fresh:
            reason = services.controller.failure
            found.append(f"the driver does not answer{f' ({reason})' if reason else ''}")
        if not (self._ports.community.link.connected and services.board.records.fresh):
            found.append("the community's shared state is not reached")
        return " and ".join(found)

    @property
    def at_rest(self) -> bool:
        """Whether the converter was confirmed in WAIT when the node last looked."""
        return self.services is not None and self.services.controller.unit.confirmed_wait

    async def run(self) -> int:
        """Live until the chart ends it. Raises what a service could not handle, once the converter is in WAIT."""
        async with self._ports.community.ctl.watch(*WATCHED) as view:
            try:
                await self._live(Records(view))
            except BaseExceptionGroup as group:
                ended = next((e for e in leaves(group) if isinstance(e, NodeEnded)), None)
                if ended is not None and all(isinstance(e, NodeEnded) for e in leaves(group)):
                    log.info("ends with exit code %d", ended.exit_code)
                    return ended.exit_code
                log.critical("ends by an error: %s", "; ".join(str(e) for e in leaves(group)), exc_info=group)
                await self._last_stop()
                raise
            except Exception as error:
                log.critical("ends by an error: %s", error, exc_info=error)
                await self._last_stop()
                raise
            except asyncio.CancelledError:
                await self._last_stop()
                raise
            finally:
                if self.services is not None:
                    self.services.battery.close()
        raise RuntimeError("a node's services do not return")

    async def _live(self, records: Records) -> None:
        log.info(
            "apis-rules %s begins as %s, boot %s", self.identity.version, self.identity.unit_id, self.identity.boot
        )
        services = self.services = Services(self.identity, self.documents, self._ports, records, self._around)
        services.errors.attach(_Reactions(self, services))
        try:
            await self._serve(records, services)
        finally:
            services.close()

    async def _serve(self, records: Records, services: Services) -> None:
        bus, unit_id = self._ports.community.bus, self.identity.unit_id
        async with (
            asyncio.TaskGroup() as tasks,
            bus.serve(unit_id, messages.TERMINATE, self._asked_to_end),
            bus.serve(unit_id, messages.SET_MODE, services.local_mode.set),
        ):
            self._tasks = tasks
            services.board.on_change(self._look_again, "records", "unit", "mode", "life", "master", "documents")
            tasks.create_task(services.supervisor.run())
            tasks.create_task(services.errors.run())
            tasks.create_task(services.continuity.run())
            tasks.create_task(services.narration.run())
            tasks.create_task(services.battery.run(lambda: self.at_rest))
            tasks.create_task(services.controller.run())
            tasks.create_task(self._ports.community.decisions.run())
            if self._around.ping is not None:
                period_s = self.documents.config.watchdog.period_s
                tasks.create_task(keep_quiet(self._around.ping, period_s, lambda: services.supervisor.all_alive))
            tasks.create_task(self._pump_records(records, services))
            tasks.create_task(self._give_up())
            if not self._refusal:
                tasks.create_task(self._refresher(services).run())
            await self._loop(services)

    def _refresher(self, services: Services) -> Refresher:
        def exchange(compiled: Compiled) -> None:
            services.exchange(compiled)
            self._machine = compiled.life

        return Refresher(
            self._ports.community.policy,
            services.board,
            services.rules,
            services.errors,
            services.supervisor.watch("refresh", STALL_S),
            self._around,
            exchange,
            self._dismiss,
        )

    def _dismiss(self, reason: str) -> None:
        """Take part no longer: end what is under way in order, and then as a node that was refused."""
        self._refusal = self.ended_because = reason
        if self.services is not None:
            self.services.errors.raise_event("dismissed", reason)
        self.terminate()

    # The life.

    async def _loop(self, services: Services) -> None:
        while True:
            services.life_progress.beat()
            self._changed.clear()
            await self._look(services)
            deadline = self._machine.next_deadline(self._timers)
            wait_s = LOOK_S if deadline is None else min(LOOK_S, max(0.0, deadline.at_s - self._clock.now_s()))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.01, wait_s)):
                    await self._changed.wait()

    async def _look(self, services: Services) -> None:
        deadline = self._machine.next_deadline(self._timers)
        if deadline is not None and deadline.at_s <= self._clock.now_s():
            await self._advance(deadline.event, services)
        while not self._wishes.empty():
            await self._advance(self._wishes.get_nowait(), services)
        standing = self._standing(services)
        if standing == self._settled:
            return  # all that the chart asks about is as it was when it had nothing more to do
        moved = await self._follow(services)
        self._settled = None if moved else standing

    def _standing(self, services: Services) -> tuple[object, ...]:
        """Return all that the life depends on, times and wishes aside."""
        unit, board = services.controller.unit, services.board
        facts = tuple(self._facts(services).values())
        found = unit.read_at_s is not None and unit.state != "looking"
        return self._machine, self.life.state, facts, found, board.records.fresh, self.trouble

    async def _follow(self, services: Services) -> bool:
        """Put to the chart what is so now; return whether that has led to anything."""
        unit, moved = services.controller.unit, False
        if self.life.state in ("looking", "quieting") and unit.read_at_s is not None and unit.state != "looking":
            moved |= await self._advance("found", services)
        if self.life.state == "checking" and services.board.records.fresh:
            moved |= await self._advance("checked", services)
        if self.trouble:
            moved |= await self._advance("lost", services)
        elif self.life.state == "degraded":
            moved |= await self._advance("restored", services)
        return await self._advance("look", services) or moved

    async def _advance(self, event: str, services: Services) -> bool:
        """Put an event to the chart and perform what follows; return whether anything does."""
        plan = self._machine.advance(self.life, event, self._facts(services))
        self._timers = self._machine.move_timers(self._timers, plan, self._clock.now_s())
        moved = plan.state != self.life.state
        if moved:
            log.info("%s -> %s", self.life.state, plan.state)
            services.board.changed("life")
        self.life = plan.record
        services.board.allowed = self._machine.chart.allows(plan.state)
        services.board.draining = plan.state in ("draining", "forcing")
        services.board.trouble = self.trouble if plan.state == "degraded" else ""
        for command in plan.commands:
            await self._perform(command, services)
        return moved or bool(plan.commands)

    def _facts(self, services: Services) -> dict[str, object]:
        unit, board = services.controller.unit, services.board
        quiet = unit.confirmed_wait
        return {
            "converter": _converter(unit.dcdc, quiet=quiet),
            "quiet": quiet,
            # A master that leaves finishes the step it is in: where all leave at once, nobody else does.
            "idle": quiet
            and not board.records.deals_of(self.identity.unit_id)
            and not (board.is_master and board.records.grid()[0].state not in ("dead", "held")),
            "may_join": not self._refusal,
            "mode": str(board.effective_mode),
        }

    async def _perform(self, command: object, services: Services) -> None:
        match command:
            case BringToWait() if services.controller.unit.stopping:
                pass  # it goes on until WAIT is confirmed; asked anew, it would begin anew
            case BringToWait():
                services.controller.put(StopLocal("the node's own wish"))
            case ReportHolding():
                services.errors.raise_event("found_holding", "")
            case Join():
                self._join(services)
            case TellRefusal():
                services.errors.raise_event("refused", self._refusal)
            case StopDeals():
                for deal_id in services.board.records.deals_of(self.identity.unit_id):
                    self._start(self._ask_to_stop(services, deal_id))
            case LeaveMastership():
                services.grid_master.halt()
            case Exit(code):
                await self._leave(services)
                raise NodeEnded(code)
            case _:
                raise TypeError(f"the chart of the node asks for {command!r}")

    async def _leave(self, services: Services) -> None:
        await services.errors.until_told(self._around.times.limit_s)
        await services.grid_master.until_halted(self._around.times.limit_s)
        if self.at_rest:
            services.battery.leave()
            # Nobody need wait for what it has published to grow old.
            with contextlib.suppress(PortError):
                await self._ports.community.unit.write(Write(DATA_KEY + self.identity.unit_id, None))

    def _join(self, services: Services) -> None:
        for service in (
            services.mediator.run(),
            services.outside.run(),
            services.user.run(),
            services.grid_master.run(),
            services.deal_log.run(),
        ):
            self._start(service)

    async def _ask_to_stop(self, services: Services, deal_id: str) -> None:
        try:
            await services.mediator.ask_to_stop(deal_id, services.board.why_leaving)
        except PortError as error:
            services.errors.note(f"stop of {deal_id} not asked for yet: {error}")

    async def _give_up(self) -> None:
        await asyncio.sleep(self._around.start_timeout_s)
        if self.life.state in ("looking", "quieting", "checking"):
            self.ended_because = (
                f"{self.trouble or 'the converter is not confirmed in WAIT'} within {self._around.start_timeout_s:g} s"
            )
            self._wish("gave_up")

    async def _pump_records(self, records: Records, services: Services) -> None:
        sorter = Sorter(records, self.identity.unit_id)
        async for entry in records.changes():
            services.mediator.forget_agreed()
            services.board.changed(sorter.sort(entry))

    def _look_again(self, what: What) -> None:
        _ = what
        self._changed.set()

    async def _asked_to_end(self, body: bytes) -> bytes:
        self.terminate()
        return body

    def _wish(self, event: str) -> None:
        self._wishes.put_nowait(event)
        self._changed.set()

    def _start(self, coroutine: Any) -> None:
        if self._tasks is None:
            raise RuntimeError("the node is not running")
        self._tasks.create_task(coroutine)

    async def _last_stop(self) -> None:
        """Bring the converter to WAIT without any service: they are gone."""
        if self._around.displaced():
            return

        async def tell_going() -> None:
            going = messages.Going(unit_id=self.identity.unit_id, reason="the node has failed")
            with contextlib.suppress(Outage):
                await self._ports.community.bus.broadcast(messages.VOLTAGE_GOING, going.to_json())

        voltage_v = self.documents.policy.operation_grid_voltage_v
        mode = await bring_to_wait(self._ports.device, voltage_v, LAST_STOP_S, tell_going)
        if mode is ConverterMode.WAIT and self.services is not None:
            self.services.battery.leave()


class _Reactions:
    """What the reactions to this unit's errors do."""

    def __init__(self, node: Node, services: Services) -> None:
        self._node = node
        self._services = services

    async def stop_deals(self, reason: str) -> None:
        limit_s = self._node.documents.policy.controller.stop_me_timeout_s
        await self._services.mediator.leave_deals(reason, limit_s)

    async def stop_local(self, reason: str) -> None:
        await self._services.controller.stop_local(reason, self._node.documents.policy.controller.stop_me_timeout_s)

    async def resign(self) -> None:
        self._services.grid_master.pause_candidacy()

    async def reset(self) -> None:
        self._services.mediator.forget()

    async def begin_term(self) -> None:
        if self._services.board.is_master:
            self._services.grid_master.pause_candidacy()

    async def shut_down(self, reason: str) -> None:
        _ = reason
        self._node._wish("fatal")  # noqa: SLF001 - one class in two parts


def _converter(dcdc: DcdcData, *, quiet: bool) -> str:
    mode = dcdc.status.mode
    if mode is ConverterMode.VOLTAGE_REFERENCE:
        return "holding"
    if mode is not None and mode.current_controlled:
        return "current"
    return "wait" if mode is ConverterMode.WAIT or quiet else "other"
