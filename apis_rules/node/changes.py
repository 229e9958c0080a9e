"""What wakes the services of a node: the names of what has changed, sorted out before anybody is woken.

A service looks at how things stand now. It needs one sign however much has changed, and none of what concerns others.
"""

from __future__ import annotations

import asyncio
import weakref
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, get_args

from apis_rules.node.records import DEAL, EPOCH, GRID, LOCK, MODE, SUSTAIN, parse_record
from apis_rules.ports.types import Deal

if TYPE_CHECKING:
    from collections.abc import Callable

    from apis_rules.node.records import Records
    from apis_rules.ports.state import Entry

What: TypeAlias = Literal[
    "unit", "records", "deals", "others", "mode", "errors", "command", "life", "master", "documents"
]
"""What a node's services tell each other of.

*records* are those that concern this unit: of the community, and its own; *deals*: one of others has begun or ended;
*others*: every other change of the records, which is the Grid Master's alone.
"""

OF_ALL: Final = frozenset({GRID, MODE, SUSTAIN, EPOCH})


class Changes:
    """One reader: yields the name of each change that it asked for, once however often it changed meanwhile."""

    def __init__(self) -> None:
        self._new: dict[What, None] = {}
        self._some = asyncio.Event()

    def put(self, what: What) -> None:
        """Wake the reader."""
        self._new[what] = None
        self._some.set()

    def skip(self) -> None:
        """Forget what is waiting: it is looked at now."""
        self._new.clear()

    def __aiter__(self) -> Changes:
        return self

    async def __anext__(self) -> What:
        while not self._new:
            self._some.clear()
            await self._some.wait()
        what = next(iter(self._new))
        del self._new[what]
        return what


class AllChanges:
    """All present readers. One that nobody holds any more is forgotten; who is called back stays."""

    def __init__(self) -> None:
        self._called: dict[What, list[Callable[[What], None]]] = {what: [] for what in get_args(What)}
        self._readers: dict[What, list[weakref.ref[Changes]]] = {what: [] for what in get_args(What)}

    def open(self, *names: What) -> Changes:
        """Return a new reader of these names; none given: of all."""
        changes = Changes()
        for what in names or self._readers:
            self._readers[what] = [reader for reader in self._readers[what] if reader() is not None]
            self._readers[what].append(weakref.ref(changes))
        return changes

    def call(self, tell: Callable[[What], None], *names: What) -> None:
        """Call *tell* at once at each change of these names: who has only a flag to set needs no task of its own."""
        for what in names:
            self._called[what].append(tell)

    def put(self, what: What) -> None:
        """Tell whoever reads this name."""
        for tell in self._called[what]:
            tell(what)
        for reader in self._readers[what]:
            changes = reader()
            if changes is not None:
                changes.put(what)


class Sorter:
    """Tells of each change of the records whether it concerns a unit."""

    def __init__(self, records: Records, unit_id: str) -> None:
        self._unit_id = unit_id
        self._own = {deal_id: unit_id in deal.record.units for deal_id, (deal, _) in records.deals().items()}

    def sort(self, entry: Entry) -> What:
        """Return the name of this change.

        Raises:
            UnknownRecord: it cannot be read.
        """
        if entry.key in OF_ALL or entry.key == LOCK + self._unit_id:
            return "records"
        if not entry.key.startswith(DEAL):
            return "others"
        deal_id = entry.key.removeprefix(DEAL)
        if entry.value is None:
            return "records" if self._own.pop(deal_id, False) else "deals"
        known = self._own.get(deal_id)
        if known is None:
            known = self._own[deal_id] = self._unit_id in parse_record(entry.key, entry.value, Deal).record.units
            return "records" if known else "deals"
        return "records" if known else "others"
