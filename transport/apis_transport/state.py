"""``ports.state.SharedState`` over one stream: keys are subjects, revisions are the stream's sequences."""

from __future__ import annotations

import asyncio
import random
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from apis_rules.errors import Conflict, Outage, Refused
from apis_rules.ports.state import Entry
from apis_transport.jetstream import EXPECTED_SEQ, EXPECTED_SUBJECT, OPERATION, TIME_LIMIT, Publication, UnderWay

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from contextlib import AbstractAsyncContextManager

    from apis_rules.ports.state import At, View, Write
    from apis_transport.jetstream import JetStream
    from apis_transport.mirror import Mirror

_KEY: Final = re.compile(r"[-/_=A-Za-z0-9]+(\.[-/_=A-Za-z0-9]+)*")
_READS_AT_ONCE: Final = 32

_draw = random.SystemRandom()


@dataclass(frozen=True, slots=True)
class NatsState:
    """One bucket. Made by ``open_community``.

    Attributes:
        stream: its name on the server.
        before: what stands before each key in a subject.
        deletion_marker_s: how long a deletion is remembered as a change; None: for ever.
    """

    jetstream: JetStream
    mirror: Mirror
    stream: str
    before: str
    deletion_marker_s: int | None
    _meeting: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def get(self, key: str) -> Entry:
        """Read one key from the leader."""
        stored = await self.jetstream.last(self.stream, self._subject(key))
        if stored is None:
            return Entry(key, None, 0)
        return Entry(key, None if stored.gone else stored.body, stored.seq)

    async def keys(self, prefix: str = "") -> Sequence[str]:
        """List the present keys below *prefix*, sorted, from the leader."""
        # A consumer would be quicker, but a follower may serve it, and it may lack what was just acknowledged.
        info = await self.jetstream.info(self.stream, f"{self.before}>")
        known = [subject.removeprefix(self.before) for subject in info["state"].get("subjects") or ()]
        reads = asyncio.Semaphore(_READS_AT_ONCE)

        async def present(key: str) -> bool:
            async with reads:
                return (await self.get(key)).value is not None

        wanted = sorted(key for key in known if key.startswith(prefix))
        found = await asyncio.gather(*(present(key) for key in wanted))
        return [key for key, is_present in zip(wanted, found, strict=True) if is_present]

    async def write(self, *writes: Write) -> int:
        """Apply all of *writes* or none; return the revision of the last one."""
        _check(writes)
        conditions = _place_conditions(writes)
        publications = [self._publication(write, conditions.get(write.key)) for write in writes]
        try:
            return await self.jetstream.store(*publications)
        except UnderWay:
            # On a cluster two writes with one fence meet here, although they are not about the same key.
            async with self._meeting:
                return await self._write_patiently(publications, conditions.values())

    def watch(self, *prefixes: str) -> AbstractAsyncContextManager[View]:
        """Open a view of all keys below *prefixes* (none given: the whole bucket)."""
        return self.mirror.watch(prefixes)

    async def _write_patiently(self, publications: Sequence[Publication], conditions: Iterable[At]) -> int:
        loop = asyncio.get_running_loop()
        until = loop.time() + self.jetstream.limit_s
        while True:
            await self._expect(conditions)
            try:
                return await self.jetstream.store(*publications)
            except UnderWay:
                if loop.time() > until:
                    raise Outage("other writes with the same condition were always under way") from None
            await asyncio.sleep(_draw.uniform(0.001, 0.02))

    async def _expect(self, conditions: Iterable[At]) -> None:
        for condition in conditions:
            revision = (await self.get(condition.key)).revision
            if revision != condition.revision:
                raise Conflict(f"{condition.key} is at revision {revision}, not {condition.revision}", revision)

    def _publication(self, write: Write, condition: At | None) -> Publication:
        headers = {}
        limit_s = write.time_limit_s
        if write.value is None:
            headers[OPERATION] = "DEL"
            limit_s = self.deletion_marker_s
        if limit_s is not None:
            headers[TIME_LIMIT] = str(limit_s)
        if condition is not None:
            headers[EXPECTED_SEQ] = str(condition.revision)
            if condition.key != write.key:
                headers[EXPECTED_SUBJECT] = self._subject(condition.key)
        return Publication(self._subject(write.key), write.value or b"", headers)

    def _subject(self, key: str) -> str:
        if not _KEY.fullmatch(key):
            raise Refused(f"{key!r} is not a key: words of letters, digits and '-/_=', with dots between")
        return self.before + key


def _check(writes: Sequence[Write]) -> None:
    if not writes:
        raise ValueError("nothing to write")
    if len({write.key for write in writes}) < len(writes):
        raise ValueError("a batch writes each key once")
    for write in writes:
        limit_s = write.time_limit_s
        if limit_s is not None and (limit_s < 1 or limit_s != int(limit_s)):
            raise ValueError(f"a time limit is whole seconds from 1, not {limit_s:g}")


def _place_conditions(writes: Sequence[Write]) -> dict[str, At]:
    """Return, by the key of the part that carries it, each condition.

    All conditions are about what is there before the batch. The server checks a part's own key against that, but
    another key that the same batch writes against what the batch made of it, so such a condition moves to the part
    that writes the key.
    """
    wanted: dict[str, At] = {}
    for write in writes:
        if write.when is not None and wanted.setdefault(write.when.key, write.when) != write.when:
            raise Conflict(f"{write.when.key} cannot be at two revisions at once")
    placed = {write.key: wanted.pop(write.key) for write in writes if write.key in wanted}
    free = (write.key for write in writes if write.key not in placed)
    return placed | dict(zip(free, wanted.values(), strict=False))
