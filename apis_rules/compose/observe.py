"""``run --observe``: shows a community and what a unit would ask for and accept, and never acts.

There is no node here: no presence under the unit's name, no answer to anybody, no part in the mastership, nothing that
could be commanded. The unit's state is what its node publishes; where none runs, its driver is read.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from apis_rules.compose.display import REDRAW_S, Display, Opinion
from apis_rules.compose.onlooker import open_onlooker
from apis_rules.compose.options import Running, load_running, state_root
from apis_rules.compose.places import find_urls, running_of
from apis_rules.compose.sites import load_sites
from apis_rules.decide.declared import declared_scenario
from apis_rules.decide.intent import compile_scenario, scenario_facts
from apis_rules.documents.diagnostics import Location
from apis_rules.documents.source import refusal
from apis_rules.errors import PortError
from apis_rules.node.unit_clock import UnitClock, parse_unit_time, time_of_day_s
from apis_rules.ports.types import UnitData
from apis_transport.device import DriverTimes, open_device
from apis_transport.device_hosts import DeviceHosts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from apis_rules.compose.onlooker import Onlooker
    from apis_rules.compose.options import RunOptions
    from apis_rules.documents.community import Site
    from apis_rules.ports.device import Device

LOOK_S: Final = 1.0


async def observe(options: RunOptions) -> int:
    """Show until stopped, or until what was asked for has happened; return the exit code.

    Raises:
        InputError: no community is known, or a file cannot be used.
    """
    sites = [] if options.target is None else load_sites(options.target)
    running = find_community(options, sites)
    async with AsyncExitStack() as stack:
        onlooker = await stack.enter_async_context(open_onlooker(running))
        hosts = await stack.enter_async_context(DeviceHosts())
        observers = []
        for site in sites:
            observer = Observer(site, onlooker, open_driver(site, hosts, onlooker))
            stack.push_async_callback(observer.close)
            observers.append(observer)
        await _until_stopped(options, onlooker, observers)
    return 0


def find_community(options: RunOptions, sites: Sequence[Site]) -> Running:
    """Return which community is meant: that of the files, at the place that is named, else of the run on this machine.

    Raises:
        InputError: none is known.
    """
    root = state_root(options.state_dir)
    try:
        found = load_running(root)
    except (OSError, ValueError):
        found = None
    urls = find_urls(options, sites) or (found.urls if found else ())
    if not urls or (not sites and found is None):
        message = "it is not said which community is observed"
        hint = "a config and --nats nats://HOST:4222, or --state-dir of a run on this machine"
        raise refusal(Location(str(options.target or root)), "AR700", message, hint)
    if sites:
        return running_of(urls, sites[0], 0)
    assert found is not None  # noqa: S101  # looked at above
    return replace(found, urls=urls)


def open_driver(site: Site, hosts: DeviceHosts, onlooker: Onlooker) -> Device:
    """Make the device of a unit; an observer only reads it."""
    assert site.config is not None  # noqa: S101  # sites are whole
    assert site.policy is not None  # noqa: S101
    controller = site.policy.model.controller
    times = DriverTimes(controller.request_timeout_s, 1)
    return open_device(site.config.model, hosts, times, onlooker.ports.clock.now_s)


class Observer:
    """Says what one unit would do."""

    def __init__(self, site: Site, onlooker: Onlooker, device: Device) -> None:
        assert site.config is not None  # noqa: S101  # sites are whole
        assert site.scenario is not None  # noqa: S101
        assert site.hw_config is not None  # noqa: S101
        self.unit_id = site.config.model.unit_id
        self._onlooker = onlooker
        self._device = device
        self._scenario = compile_scenario(declared_scenario(site.scenario.model), partners=False)
        self._nominal_wh = site.hw_config.model.battery_nominal_capacity_wh
        self._clock = UnitClock()
        self.opinion = Opinion()

    async def run(self) -> None:
        """Keep ``opinion`` young until cancelled."""
        while True:
            self.opinion = await self._look()
            await asyncio.sleep(LOOK_S)

    async def close(self) -> None:
        """Leave the driver alone."""
        await self._device.close()

    async def _look(self) -> Opinion:
        published = next((u for u in self._onlooker.overview().units if u.unit_id == self.unit_id and u.present), None)
        if published is not None:
            return self.would(published.remaining_wh, parse_unit_time(published.time or ""))
        ports = self._onlooker.ports
        try:
            reading = await self._device.read()
        except PortError as error:
            return self._say("is not known", f": no node runs, and {error}")
        unit_time_s = self._clock.at(reading.time, reading.sent_at_s, ports.clock.utc_s())
        rsoc = UnitData.model_validate(dict(reading.document)).battery.rsoc_percent
        return self.would(None if rsoc is None else int(self._nominal_wh * rsoc / 100), unit_time_s)

    def _say(self, gist: str, more: str = "") -> Opinion:
        return Opinion(f"{self.unit_id} {gist}", f"{self.unit_id} (observed) {gist}{more}")

    def would(self, remaining_wh: int | None, unit_time_s: float | None) -> Opinion:
        """Return what the scenario says in this state."""
        if remaining_wh is None or unit_time_s is None:
            return self._say("has told no state of charge")
        time_s = time_of_day_s(unit_time_s)
        hits = self._scenario.ruleset.match(scenario_facts(time_s, remaining_wh))
        intent = self._scenario.intent(hits, time_s, remaining_wh)
        request = intent.request
        asks = "nothing" if request is None else f"to {request.offer.direction}"
        accepts = " or ".join(f"to {direction}" for direction in sorted(intent.accepts)) or "nothing"
        gist = f"is {intent.status or f'in no {intent.missing}'}: would ask {asks}, accept {accepts}"
        amounts = [p.amount_wh for p in (request, *intent.accepts.values()) if p is not None]
        return self._say(gist, f" ({', '.join(f'{wh} Wh' for wh in amounts)})" if amounts else "")


async def _until_stopped(options: RunOptions, onlooker: Onlooker, observers: Sequence[Observer]) -> None:
    stop, loop, streams = asyncio.Event(), asyncio.get_running_loop(), onlooker.ports.streams
    display = Display(onlooker, options.format, lambda: [o.opinion for o in observers if o.opinion.gist])
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)

    deals_from, errors_from = await streams.last_seq("DEALLOG") + 1, await streams.last_seq("ERRLOG") + 1
    try:
        async with asyncio.TaskGroup() as tasks:
            watching = [
                tasks.create_task(onlooker.follow_deals(deals_from)),
                tasks.create_task(onlooker.follow_errors(errors_from)),
                tasks.create_task(_show(display, stop)),
                tasks.create_task(_enough(options.until_deals, onlooker, stop)),
                *(tasks.create_task(o.run()) for o in observers),
            ]
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(options.for_s):
                    await stop.wait()
            for task in watching:
                task.cancel()
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
    display.end("no longer observed; nothing was asked for and nothing was switched")


async def _show(display: Display, stop: asyncio.Event) -> None:
    if not await display.run(lambda: ()):
        stop.set()


async def _enough(wanted: int | None, onlooker: Onlooker, stop: asyncio.Event) -> None:
    while wanted is None or onlooker.finished_count < wanted:  # noqa: ASYNC110 - looked at with the view
        await asyncio.sleep(REDRAW_S)
    stop.set()
