"""One instance of a unit id at a time.

``presence.<unit>`` in the bucket ``unit`` names the instance and the state directory that it works with. A start that
finds another instance looks whether it renews: then it is alive, and the start is refused. A start that holds the lock
of the same state directory knows that the former one is dead, and takes over at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pydantic import ValidationError

from apis_rules.errors import Conflict, PortError, Refused
from apis_rules.ports.state import At, Write
from apis_rules.ports.types.model import StoredModel
from apis_rules.whole_file import write_whole
from apis_transport.errors import CannotOpen

if TYPE_CHECKING:
    from pathlib import Path

    from apis_rules.documents.wiring import PresenceTimes
    from apis_rules.ports.state import Entry, SharedState

_log = logging.getLogger(__name__)

KEY: Final = "presence."
HOME_FILE: Final = "home.id"
_LOOK_EVERY_S: Final = 0.25


class Instance(StoredModel):
    """Who is present.

    Attributes:
        instance: random, of this process.
        home: random, of the state directory.
        renewed: how often; only that it changes is looked at.
    """

    unit_id: str
    instance: str
    home: str
    host: str
    process: int
    renewed: int = 0


class Displaced(Refused):
    """Another instance of this unit id has taken its place."""

    code = "AR519"


@dataclass(slots=True)
class Presence:
    """This process's claim to a unit id. Made by ``claim_presence``.

    Attributes:
        displaced: whether another instance has the unit id now.
    """

    unit: SharedState
    me: Instance
    revision: int
    times: PresenceTimes
    displaced: bool = False

    async def keep(self) -> None:
        """Renew until cancelled.

        Raises:
            Displaced: another instance has the unit id.
        """
        while True:
            await asyncio.sleep(self.times.renewal_s)
            try:
                await self.renew()
            except Displaced:
                self.displaced = True
                raise

    async def renew(self) -> None:
        """Write the presence anew, over an own one or over none. Raises ``Displaced``."""
        self.me = self.me.model_copy(update={"renewed": self.me.renewed + 1})
        try:
            self.revision = await self._write(self.revision)
        except Conflict:
            try:
                entry = await self.unit.get(self._key)
                other = _instance_of(entry)
                if other is not None and other.instance != self.me.instance:
                    raise _displaced(other)
                # Expired while we were away, lost with the servers, or renewed without our hearing of it.
                self.revision = await self._write(entry.revision)
            except Displaced:
                raise
            except PortError as error:
                _log.debug("presence of %s: %s", self.me.unit_id, error)
        except PortError as error:
            _log.debug("presence of %s: %s", self.me.unit_id, error)

    async def leave(self) -> None:
        """Give the unit id free, so that another instance need not wait."""
        try:
            await self.unit.write(Write(self._key, None, At(self._key, self.revision)))
        except PortError as error:
            _log.debug("presence of %s ends by itself: %s", self.me.unit_id, error)

    async def _write(self, over_revision: int) -> int:
        return await self.unit.write(Write(self._key, self.me.to_json(), At(self._key, over_revision)))

    @property
    def _key(self) -> str:
        return KEY + self.me.unit_id


async def claim_presence(unit: SharedState, unit_id: str, state_dir: Path, times: PresenceTimes) -> Presence:
    """Become the one instance of *unit_id*. The caller holds the lock of *state_dir*.

    Raises:
        CannotOpen: AR518, another instance has it and renews; AR526, it is of another format.
        Outage: the store went away meanwhile.
    """
    me = Instance(
        unit_id=unit_id,
        instance=uuid.uuid4().hex,
        home=home_of(state_dir),
        host=socket.gethostname(),
        process=os.getpid(),
    )
    while True:
        entry = await unit.get(KEY + unit_id)
        other = _instance_of(entry)
        if other is not None and other.home != me.home:
            entry, alive = await _look_for_renewal(unit, entry, times)
            if alive is not None:
                raise CannotOpen(
                    "AR518",
                    unit_id,
                    f"is already running on {alive.host} as process {alive.process}",
                    "every node needs a unit id of its own",
                )
        try:
            revision = await unit.write(Write(KEY + unit_id, me.to_json(), entry.at))
        except Conflict:
            continue
        return Presence(unit, me, revision, times)


async def find_alive(unit: SharedState, unit_id: str, state_dir: Path, times: PresenceTimes) -> Instance | None:
    """Return the instance of *unit_id* that renews, None where there is none; one of *state_dir* itself is dead.

    Raises:
        PortError: the store does not say.
    """
    entry = await unit.get(KEY + unit_id)
    present = _instance_of(entry)
    if present is None or present.home == _known_home(state_dir):
        return None
    _, alive = await _look_for_renewal(unit, entry, times)
    return alive


async def _look_for_renewal(unit: SharedState, first: Entry, times: PresenceTimes) -> tuple[Entry, Instance | None]:
    """Return the entry as it was seen last, and the instance in it if it was renewed since *first*."""
    loop = asyncio.get_running_loop()
    until, entry = loop.time() + times.refusal_s, first
    while loop.time() < until:
        await asyncio.sleep(_LOOK_EVERY_S)
        entry = await unit.get(first.key)
        if entry.value is None or entry.revision != first.revision:
            return entry, _instance_of(entry)
    return entry, None


def _known_home(state_dir: Path) -> str | None:
    try:
        return (state_dir / HOME_FILE).read_text(encoding="ascii").strip()
    except OSError:
        return None


def home_of(state_dir: Path) -> str:
    """Return the identity of a state directory, made on first use and where its file is empty."""
    path = state_dir / HOME_FILE
    with contextlib.suppress(FileNotFoundError):
        if home := path.read_text(encoding="ascii").strip():
            return home
    state_dir.mkdir(parents=True, exist_ok=True)
    home = uuid.uuid4().hex
    write_whole(path, home.encode(), durable=True)
    return home


def _instance_of(entry: Entry) -> Instance | None:
    if entry.value is None:
        return None
    try:
        return Instance.from_json(entry.value)
    except ValidationError as error:
        reason = error.errors()[0]["msg"].removeprefix("Value error, ")
        hint = "stop the other program of this unit, or exchange the older of the two"
        raise CannotOpen("AR526", entry.key, f"is not of this program's making: {reason}", hint) from error


def _displaced(other: Instance) -> Displaced:
    return Displaced(
        f"{Displaced.code}: the unit id was taken by another instance on {other.host}, process {other.process}"
    )
