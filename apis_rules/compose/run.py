"""Runs the nodes that were asked for, shows what they do, and ends them in order."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from apis_rules.compose.action_log import UNIT, answer_failures, open_action_log
from apis_rules.compose.display import REDRAW_S, Display
from apis_rules.compose.memory import give_back_memory, keep_giving_back, share_memory
from apis_rules.compose.nodes import open_node
from apis_rules.compose.onlooker import look_through, open_onlooker
from apis_rules.compose.options import state_root, unit_folder
from apis_rules.compose.overview import tell_trouble
from apis_rules.compose.parent import open_parent
from apis_rules.compose.places import check_writable, find_store, named_urls, running_of, scratch_folder
from apis_rules.compose.precautions import check_local, doubts
from apis_rules.compose.refused import quiet_after_refusal
from apis_rules.compose.sites import config_files, load_sites
from apis_rules.compose.steer import let_go
from apis_rules.documents.diagnostics import Findings, Location
from apis_rules.errors import InputError, plain_error
from apis_transport.device_hosts import DeviceHosts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from apis_rules.compose.action_log import ActionLog
    from apis_rules.compose.nodes import OpenNode
    from apis_rules.compose.onlooker import Onlooker
    from apis_rules.compose.options import RunOptions
    from apis_rules.compose.parent import Parent
    from apis_rules.errors import ApisRulesError
    from apis_rules.node.runtime import Node

REFUSED: Final = 2
LAST_LOOK_S: Final = 2 * REDRAW_S
"""For the view to show the end as well."""

LEAVE_S: Final = 30.0
SPAN: Final = "span"
LEFT: Final = "left"
TOLD: Final = "told"
"""What a process leaves for the one that runs the nodes after it."""

DEAD_S: Final = 10.0
"""How long the example's grid may take to lose its voltage before that is said as it is."""


async def run_nodes(options: RunOptions) -> int:
    """Run until stopped, or until what was asked for has happened; return the exit code.

    Raises:
        InputError: a node cannot start from what it was given.
        ExceptionGroup: of the errors that ended nodes, all converters in WAIT as far as they can be reached.
    """
    share_memory()
    async with open_parent() as parent:
        try:
            return await _run(options, parent)
        except (InputError, BaseExceptionGroup) as error:
            refusal = error if isinstance(error, InputError) else plain_error(error)
            if isinstance(refusal, InputError):
                for sentence in await quiet_after_refusal(
                    config_files(options.target), state_root(options.state_dir), named_urls(options), refusal
                ):
                    print(sentence, file=sys.stderr)
            raise


async def _run(options: RunOptions, parent: Parent) -> int:
    root = state_root(options.state_dir)
    check_writable(root)
    async with AsyncExitStack() as stack:
        example = None
        if options.target is None:
            folder = options.state_dir or scratch_folder(parent, stack)
            # The modelled grid and its server are loaded only where they are wanted: a node of a small board is small.
            from apis_rules.compose.example import open_example

            example = await stack.enter_async_context(open_example(options.accelerate, folder))
            sites, nodes_root = example.sites, folder
        else:
            sites, nodes_root = load_sites(options.target, parent.kept.get(LEFT, ())), root
        log = stack.enter_context(open_action_log(sites, nodes_root, options.logging))
        for doubt in doubts(sites, log.doubts):
            print(doubt, file=sys.stderr)
        urls = await find_store(options, sites, nodes_root, stack, parent)
        check_local(sites, urls)
        hosts = await stack.enter_async_context(DeviceHosts())
        nodes = []
        for site in sites:
            # One that had ended by its own decision before the others died stays away.
            if site.config is not None and site.config.model.unit_id not in parent.kept.get(LEFT, ()):
                unit = unit_folder(nodes_root, site.config.model)
                nodes.append(await stack.enter_async_context(open_node(site, urls, unit, hosts, options, parent)))
        running = running_of(urls, sites[0], parent.pid)
        running.save(root)
        stack.callback(running.remove, root)
        looking = look_through(nodes[0].community, running) if nodes else open_onlooker(running)
        onlooker = await stack.enter_async_context(looking)

        def remember_members() -> None:
            with contextlib.suppress(OSError):  # on a full disk verbs know the members of the start
                replace(running, members=onlooker.members).save(root)

        run = _Run(options, nodes, onlooker, parent, log, remember_members)
        await run.until_stopped()
        if not run.failed:
            parent.decide_end()
        if example is not None:
            await example.until_dead(DEAD_S)
        run.tell_end(None if example is None else example.grid_v)
        return run.exit_code()


def _remedy(node: Node) -> str:
    """Return what an operator does about a node that was refused."""
    file = node.differing_policy
    if not file:
        return "'apis-rules doc AR703'"
    return (
        f"'apis-rules policy diff {file}' shows how, 'policy show > {file}' takes what the community goes by, "
        f"'policy publish {file}' makes this the community's; then start it again"
    )


class _Run:
    """One run of some nodes in this process."""

    def __init__(
        self,
        options: RunOptions,
        nodes: Sequence[OpenNode],
        onlooker: Onlooker,
        parent: Parent,
        log: ActionLog,
        remember_members: Callable[[], None],
    ) -> None:
        self._options = options
        self._log = log
        self._remember_members = remember_members
        self._opened = {n.node.identity.unit_id: n for n in nodes}
        self._beginning = asyncio.Lock()
        self._nodes = [n.node for n in nodes]
        self._onlooker = onlooker
        self._parent = parent
        self._display = Display(onlooker, options.format)
        self._stop = asyncio.Event()
        self._codes: dict[str, int] = {}
        self._failures: list[ApisRulesError] = []

    async def until_stopped(self) -> None:
        """Run, show what happens, and end all nodes in order."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._asked_to_stop)
        deals_from, errors_from, ends_at_s = await self._span()
        self._display.told = self._parent.kept.get(TOLD, 0)
        self._parent.watch(self._alive)
        try:
            async with asyncio.TaskGroup() as tasks:
                living = [tasks.create_task(self._live(node)) for node in self._nodes]
                watching = [
                    tasks.create_task(self._onlooker.follow_deals(deals_from)),
                    tasks.create_task(self._onlooker.follow_errors(errors_from)),
                    tasks.create_task(self._onlooker.follow_members(self._remember_members)),
                    tasks.create_task(self._show()),
                    tasks.create_task(self._until(ends_at_s)),
                    tasks.create_task(self._mind_parent()),
                    tasks.create_task(self._hand_on()),
                    tasks.create_task(self._settle()),
                    tasks.create_task(answer_failures(self._log, self._nodes)),
                ]
                await self._stop.wait()
                await self._leave(living)
                await asyncio.sleep(LAST_LOOK_S)
                for task in watching:
                    task.cancel()
        finally:
            self._parent.watch(lambda: None)
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    async def _span(self) -> tuple[int, int, float | None]:
        """Return with which deal and error the run began, and when it ends; its process may have died meanwhile."""
        if SPAN not in self._parent.kept:
            ports = self._onlooker.ports
            for_s = self._options.for_s
            deals_from = await ports.streams.last_seq("DEALLOG") + 1
            errors_from = await ports.streams.last_seq("ERRLOG") + 1
            self._parent.keep(span=(deals_from, errors_from, None if for_s is None else ports.clock.now_s() + for_s))
        deals_from, errors_from, ends_at_s = self._parent.kept[SPAN]
        return deals_from, errors_from, ends_at_s

    async def _settle(self) -> None:
        """Give back what the nodes needed only to begin: files read, rules built and tried; later what deals leave."""
        while not self._all_begun:  # noqa: ASYNC110 - nodes begin on their own
            await asyncio.sleep(REDRAW_S)
        give_back_memory()
        await keep_giving_back()

    def _alive(self) -> bool | None:
        """Return whether all loops of those that have begun go round; None: none has begun."""
        begun = [n.services for n in self._nodes if n.services and n.identity.unit_id not in self._codes]
        if not begun and not self._all_begun:
            return None
        return not any(services.supervisor.stalled for services in begun)

    @property
    def _all_begun(self) -> bool:
        return all(n.services or n.identity.unit_id in self._codes for n in self._nodes)

    async def _hand_on(self) -> None:
        """Tell the process above what was told, and whenever a policy in force changes how a converter is kept safe."""
        known = {unit_id: opened.node.documents.policy for unit_id, opened in self._opened.items()}
        while True:
            await asyncio.sleep(REDRAW_S)
            if self._parent.kept.get(TOLD, 0) != self._display.told:
                self._parent.keep(told=self._display.told)
            for unit_id, opened in self._opened.items():
                if known[unit_id] is not opened.node.documents.policy:
                    known[unit_id] = opened.node.documents.policy
                    self._parent.change(opened.orders)

    async def _mind_parent(self) -> None:
        """Without the process above, nobody would bring a dead node's converter to WAIT: the nodes end in order."""
        await self._parent.gone.wait()
        with contextlib.suppress(OSError):  # a terminal may be gone as well
            print("the supervisor is gone: the nodes end in order", file=sys.stderr)
        self._asked_to_stop()

    @property
    def failed(self) -> bool:
        """Whether nodes were ended by errors."""
        return bool(self._failures)

    def exit_code(self) -> int:
        """Return what the process ends with.

        Raises:
            ExceptionGroup: nodes were ended by errors.
            InputError: nodes could not start.
        """
        refused = [n for n in self._nodes if self._codes.get(n.identity.unit_id) == REFUSED]
        if refused:
            findings = Findings()
            for node in refused:
                hint = f"{_remedy(node)}; its converter was brought to WAIT if it could be reached"
                findings.error(Location(node.identity.unit_id), "AR703", node.ended_because, hint)
            raise InputError(findings.sorted())
        if self._failures:
            raise ExceptionGroup("nodes failed", self._failures)
        return max(self._codes.values(), default=0)

    def tell_end(self, grid_v: float | None) -> None:
        """Say how things were left, for people, and what was done, for programs. *grid_v* None: not known."""
        active = [n.identity.unit_id for n in self._nodes if not n.at_rest]
        text = f"not confirmed in WAIT: {', '.join(active)}" if active else "every converter is in WAIT"
        if grid_v is not None:
            text += f", the grid is at {grid_v:.0f} V"
        self._display.end(text)

    def _lacking(self) -> Iterator[str]:
        """Yield what the nodes of this process lack."""
        return (tell_trouble(n.identity.unit_id, n.trouble) for n in self._nodes if n.state == "degraded")

    def _asked_to_stop(self) -> None:
        if self._stop.is_set():
            for node in self._nodes:
                node.terminate()
        self._stop.set()

    async def _live(self, node: Node) -> None:
        unit_id = node.identity.unit_id
        UNIT.set(unit_id)
        # One after the other: what a node does at its beginning takes a moment in which nothing else goes on.
        async with self._beginning:
            await self._parent.take_over(self._opened[unit_id].orders)
        try:
            code = await node.run()
            self._parent.leave(unit_id, at_rest=node.at_rest)
            self._parent.keep(left=[*self._parent.kept.get(LEFT, ()), unit_id])
        except BaseExceptionGroup as group:
            # The nodes beside it may go on for a while, and so may whatever keeps its converter from WAIT.
            self._parent.leave(unit_id, at_rest=self._opened[unit_id].displaced())
            failure = plain_error(group)
            if failure is None:
                raise
            code = 1
            self._failures.append(failure)
            self._stop.set()
        self._codes[unit_id] = code
        if len(self._codes) == len(self._nodes):
            self._stop.set()

    async def _leave(self, living: Sequence[asyncio.Task[None]]) -> None:
        """End all nodes in order: the Grid Master last, so that it can end the others' deals.

        What an operator holds by hand is let go of first.
        """
        await let_go(self._onlooker, [n.identity.unit_id for n in self._nodes])
        master = [node for node in self._nodes if node.is_master]
        for some in ([n for n in self._nodes if n not in master], master):
            for node in some:
                node.terminate()
            ids = {node.identity.unit_id for node in some}
            waiting = [t for t, n in zip(living, self._nodes, strict=True) if n.identity.unit_id in ids]
            if waiting:
                await asyncio.wait(waiting, timeout=LEAVE_S)

    async def _until(self, ends_at_s: float | None) -> None:
        """Stop when the time is out, or when as many deals are over as were asked for."""
        left_s = None if ends_at_s is None else max(0.0, ends_at_s - self._onlooker.ports.clock.now_s())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(left_s):
                wanted = self._options.until_deals
                while wanted is None or self._onlooker.finished_count < wanted:  # noqa: ASYNC110 - looked at with the view
                    await asyncio.sleep(REDRAW_S)
        self._stop.set()

    async def _show(self) -> None:
        """Show what happens, until nobody can look any more: then the run ends in order."""
        if self._log.on_console:  # then the action log says what happens
            return
        if not await self._display.run(self._lacking, self._codes.keys):
            self._asked_to_stop()
