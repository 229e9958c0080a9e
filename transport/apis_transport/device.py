"""The device port over HTTP: one client for every driver that a file in ``transport/drivers`` declares.

What an answer proves
---------------------
- Reads are tried again, at once, as often as the policy says. A set is tried again where it was not reached or was
  refused. Where it was sent and no answer came it is ``Unknown`` at once and not sent again: a second copy of it could
  land after what the unit decides next. WAIT is tried again in every case.
- An answer that is no JSON object, holds NaN, or lacks what the driver's file needs is ``Refused``, as is every status
  but 200. A set that was answered like that may have been done.
"""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from pydantic import ValidationError

from apis_rules.documents.driver import fill_in, load_driver
from apis_rules.documents.jsonpath import compile_path
from apis_rules.errors import Outage, PortError, Refused, Unknown
from apis_rules.ports.device import Reading
from apis_rules.ports.types import ConverterMode, UnitData

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from apis_rules.documents.config import Config
    from apis_rules.documents.driver import Driver, DriverRequest
    from apis_rules.documents.jsonpath import JsonPath
    from apis_rules.ports.device import Guard
    from apis_transport.device_hosts import DeviceHosts

T = TypeVar("T")


class Asking(Protocol):
    """``requestTimeoutMsec`` and ``retryLimit`` of the policy; *attempts* counts the first one too."""

    @property
    def request_timeout_s(self) -> float:
        """How long an answer is waited for."""

    @property
    def attempts(self) -> int:
        """How often is asked at most."""


@dataclass(frozen=True, slots=True)
class DriverTimes:
    """``Asking`` that stays as it is."""

    request_timeout_s: float
    attempts: int


class _Mapped:
    """A request with its paths compiled."""

    def __init__(self, asked: DriverRequest) -> None:
        self.asked = asked
        self._getters: list[tuple[list[str], list[JsonPath]]] = [
            (place.split("."), [compile_path(text) for text in paths]) for place, paths in asked.answer.items()
        ]

    def write_into(self, document: dict[str, Any], answer: dict[str, Any]) -> None:
        """Put what *answer* says of the unit into *document*. Raises ``Refused`` where something needed is missing."""
        for place, paths in self._getters:
            value = _first(paths, answer)
            if value is not None:
                _put(document, place, value)
        for needed, kind in self.asked.needs.items():
            found = _at(document, needed.split("."))
            if not (isinstance(found, str) if kind == "text" else _is_number(found)):
                raise Refused(f"{self.asked.path}: {needed} is {'missing' if found is None else f'no {kind}'}")


def _first(paths: Iterable[JsonPath], answer: dict[str, Any]) -> Any:
    return next((value for value in (path.get(answer) for path in paths) if value is not None), None)


def _put(document: dict[str, Any], place: Sequence[str], value: Any) -> None:
    for key in place[:-1]:
        document = document.setdefault(key, {})
    document[place[-1]] = value


def _at(document: Any, place: Sequence[str]) -> Any:
    for key in place:
        document = document.get(key) if isinstance(document, dict) else None
    return document


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def decimal(value: float) -> str:
    """Write *value* as the drivers read it: ``350.0``, never ``-0.0`` or ``1e-05``."""
    if not math.isfinite(value):
        raise ValueError(f"{value} is no set-point")
    whole, _, fraction = f"{value:.6f}".partition(".")
    text = f"{whole}.{fraction.rstrip('0') or '0'}"
    return "0.0" if text == "-0.0" else text


def wait_set_points(grid_voltage_v: float) -> dict[str, str]:
    """Return what a driver is sent to set WAIT, by the names of its file."""
    return {
        "mode": ConverterMode.WAIT.code,
        "grid_voltage_v": decimal(grid_voltage_v),
        "grid_current_a": decimal(0.0),
        "droop_ratio": decimal(0.0),
    }


class _StoppedByGuardError(Exception):
    """Carries what a guard raised past the attempts that would follow."""


class HttpDevice:
    """``ports.device.Device`` for one unit.

    Args:
        addresses: name of a host in the driver's file → ``http://HOST:PORT``.
        now_s: the runtime clock.
        on_failed_attempt: hears of each failed attempt after which another one follows.
    """

    def __init__(
        self,
        driver: Driver,
        unit_id: str,
        addresses: Mapping[str, str],
        hosts: DeviceHosts,
        times: Asking,
        now_s: Callable[[], float],
        on_failed_attempt: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self._driver = driver
        self._unit_id = unit_id
        self._addresses = addresses
        self._hosts = hosts
        self._times = times
        self._now_s = now_s
        self._on_failed_attempt = on_failed_attempt
        self._reads = [_Mapped(asked) for asked in driver.read]
        self._status, self._set_mode = _Mapped(driver.status), _Mapped(driver.set_mode)
        self._set_voltage, self._set_current = _Mapped(driver.set_voltage), _Mapped(driver.set_current)
        self._row = asyncio.Lock()
        self._confirmed = not driver.confirm_unit

    async def check(self) -> None:
        """Find out once whether this driver can be used: its version, and whether it knows the unit."""
        asked = self._driver.version
        if asked:
            base, path = self._addresses[asked.host], fill_in(asked.path, {"unit": self._unit_id})

            async def ask() -> dict[str, Any]:
                async with self._hosts.slot(base, urgent=False):
                    return await self._hosts.get(base, path, {}, self._times.request_timeout_s)

            async with self._row:
                answer = await self._read_until_answered(ask)
            found = _first([compile_path(text) for text in asked.version], answer)
            major = str(found).strip().partition(".")[0]
            if not major.isdecimal():
                raise Refused(f"{path}: the driver tells no version: {answer}")
            if int(major) > asked.ours:
                raise Refused(f"{path}: the driver's version is {found}, and we know none above {asked.ours}")
        if not self._confirmed:
            await self.read()

    async def read(self) -> Reading:
        """Read battery and converter."""
        async with self._row:
            return await self._read()

    async def read_status(self) -> Reading:
        """Read the converter only."""
        async with self._row:
            return await self._read_until_answered(lambda: self._ask([self._status], {}))

    async def _read(self) -> Reading:
        try:
            reading = await self._read_until_answered(lambda: self._ask(self._reads, {}))
        except Refused:
            self._confirmed = not self._driver.confirm_unit
            raise
        self._confirmed = True
        return reading

    async def set_mode(
        self,
        mode: ConverterMode,
        grid_voltage_v: float,
        grid_current_a: float,
        droop_ratio: float,
        *,
        guard: Guard | None = None,
    ) -> Reading:
        """Set mode and all set-points at once."""
        return await self._set(
            self._set_mode,
            {
                "mode": mode.code,
                "grid_voltage_v": decimal(grid_voltage_v),
                "grid_current_a": decimal(grid_current_a),
                "droop_ratio": decimal(droop_ratio),
            },
            guard,
        )

    async def set_voltage(self, grid_voltage_v: float, droop_ratio: float, *, guard: Guard | None = None) -> Reading:
        """Move the voltage reference's set-point and droop."""
        set_points = {"grid_voltage_v": decimal(grid_voltage_v), "droop_ratio": decimal(droop_ratio)}
        return await self._set(self._set_voltage, set_points, guard)

    async def set_current(self, grid_current_a: float, *, guard: Guard | None = None) -> Reading:
        """Move the current set-point."""
        return await self._set(self._set_current, {"grid_current_a": decimal(grid_current_a)}, guard)

    async def stop(self, grid_voltage_v: float) -> Reading:
        """Set WAIT, current 0, droop 0, past everything that is under way."""
        if not self._confirmed:
            await self._read()
        set_points = wait_set_points(grid_voltage_v)
        return await self._try_again(lambda: self._ask([self._set_mode], set_points, urgent=True))

    async def close(self) -> None:
        """Give up nothing: the connections belong to ``DeviceHosts``."""

    async def _set(self, mapped: _Mapped, set_points: Mapping[str, str], guard: Guard | None) -> Reading:
        async with self._row:
            if not self._confirmed:
                await self._read()
            return await self._try_again(lambda: self._ask([mapped], set_points, guard=guard), when_unknown=False)

    async def _read_until_answered(self, attempt: Callable[[], Awaitable[T]]) -> T:
        try:
            return await self._try_again(attempt)
        except Unknown as error:
            raise Outage(str(error)) from error  # nothing can have been done by a question

    async def _try_again(self, attempt: Callable[[], Awaitable[T]], *, when_unknown: bool = True) -> T:
        """Return what the first attempt that succeeds returns."""
        left = self._times.attempts
        while True:
            left -= 1
            try:
                return await attempt()
            except _StoppedByGuardError as error:
                raise error.args[0] from None
            except PortError as error:
                if left <= 0 or (isinstance(error, Unknown) and not when_unknown):
                    raise
                self._on_failed_attempt(str(error))

    async def _ask(
        self,
        requests: Sequence[_Mapped],
        set_points: Mapping[str, str],
        *,
        urgent: bool = False,
        guard: Guard | None = None,
    ) -> Reading:
        """Ask each of *requests* once, all together; return one reading of their answers."""
        sent_at_s = self._now_s()
        values = {"unit": self._unit_id, **set_points}
        asked = [self._get(mapped.asked, values, urgent=urgent, guard=guard) for mapped in requests]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        document: dict[str, Any] = {}
        for mapped, answer in zip(requests, answers, strict=True):
            if isinstance(answer, BaseException):
                raise answer
            mapped.write_into(document, answer)
        try:
            time = UnitData.model_validate(document).time
        except ValidationError as error:
            place = ".".join(str(key) for key in error.errors()[0]["loc"])
            raise Refused(f"{requests[0].asked.path}: {place} is not what it should be") from error
        document.pop("time", None)
        return Reading(document, time, sent_at_s, self._now_s())

    async def _get(
        self, asked: DriverRequest, values: Mapping[str, str], *, urgent: bool, guard: Guard | None
    ) -> dict[str, Any]:
        base, path = self._addresses[asked.host], fill_in(asked.path, values)
        query = {key: fill_in(text, values) for key, text in asked.query.items()}
        async with self._hosts.slot(base, urgent=urgent):
            if guard is not None:
                try:
                    guard()
                except Exception as error:
                    raise _StoppedByGuardError(error) from error
            return await self._hosts.get(base, path, query, self._times.request_timeout_s)


def open_device(
    config: Config,
    hosts: DeviceHosts,
    times: Asking,
    now_s: Callable[[], float],
    on_failed_attempt: Callable[[str], None] = lambda _text: None,
) -> HttpDevice:
    """Make the device of the node that *config* is about; nothing is sent yet. For the others see ``HttpDevice``.

    Raises:
        InputError: the driver's file is wrong.
    """
    driver = load_driver(config.system_type)
    return HttpDevice(driver, config.unit_id, addresses_of(driver, config), hosts, times, now_s, on_failed_attempt)


def addresses_of(driver: Driver, config: Config) -> dict[str, str]:
    """Return name of a host in the driver's file → ``http://HOST:PORT``."""
    addresses = {}
    for name, key in driver.hosts.items():
        endpoint = getattr(config.connection, key.removeprefix("connection."))
        if endpoint is None:
            raise ValueError(f"{key} is missing, which a checked config with this systemType has")
        host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
        addresses[name] = f"http://{host}:{endpoint.port}"
    return addresses
