"""The community's records as this node's view shows them: typed, and each value parsed once.

What is derived from the records below a prefix stands in a table that belongs to what the view shows there; nodes in
one process whose views show the same object share the table.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import cached_property, lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, TypeVar, cast

from pydantic import ValidationError

from apis_rules.errors import ApisRulesError
from apis_rules.ports.types import ActiveRecord, Deal, Epoch, GridRecord, Lock, OperationMode
from apis_rules.ports.types.model import StoredModel, WireModel

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from apis_rules.ports.state import Entry, Shown, View

GRID: Final = "grid"
ACTIVE: Final = "active"
MODE: Final = "mode"
SUSTAIN: Final = "sustain"
EPOCH: Final = "gm.epoch"
DEAL: Final = "deal."
LOCK: Final = "lock."
STOP: Final = "stop."
WATCHED: Final = (EPOCH, GRID, ACTIVE, DEAL, LOCK, STOP, MODE, SUSTAIN)

M = TypeVar("M", bound=WireModel)


class UnknownRecord(ApisRulesError):
    """A record was written by a program that is newer or older than this one, or is damaged."""


class Sustain(StoredModel):
    """``sustain``: until when a community error keeps everybody from trading (UTC seconds since 1970), and why.

    Attributes:
        answered_seq: the community errors up to this one of the stream of errors are answered.
    """

    until_utc_s: float
    reason: str
    answered_seq: int = 0


class StopRequest(StoredModel):
    """``stop.<deal>.<unit>``: a party asks the Grid Master to end the deal."""

    reason: str


class ModeRecord(StoredModel):
    """``mode``: the community's operation mode, as an operator or an error reaction set it.

    Attributes:
        amnesia: the mode is stop because the store was lost or went back; cleared by an operator's next mode.
    """

    mode: OperationMode
    reason: str = ""
    amnesia: bool = False


class _Table(Generic[M]):
    """The records below one prefix as they stand at one moment, and what follows from them."""

    prefix: ClassVar[str]
    kind: ClassVar[type[WireModel]]

    def __init__(self, entries: Mapping[str, Entry]) -> None:
        self.entries = entries
        self.records: Mapping[str, tuple[M, int]] = {
            key.removeprefix(self.prefix): (cast("M", parse_record(key, entry.value, self.kind)), entry.revision)
            for key, entry in entries.items()
            if entry.value is not None
        }


class _Deals(_Table[Deal]):
    prefix, kind = DEAL, Deal

    @cached_property
    def of_unit(self) -> Mapping[str, Mapping[str, Deal]]:
        found: dict[str, dict[str, Deal]] = {}
        for deal_id, (deal, _) in self.records.items():
            for unit_id in deal.record.units:
                found.setdefault(unit_id, {})[deal_id] = deal
        return found


class _StopRequests(_Table[StopRequest]):
    prefix, kind = STOP, StopRequest

    @cached_property
    def of_deal(self) -> Mapping[str, Mapping[str, tuple[StopRequest, int]]]:
        found: dict[str, dict[str, tuple[StopRequest, int]]] = {}
        for rest, request in self.records.items():
            deal_id, _, unit_id = rest.rpartition(".")
            found.setdefault(deal_id, {})[unit_id] = request
        return found


class _Locks(_Table[Lock]):
    prefix, kind = LOCK, Lock


T = TypeVar("T", bound=_Table[Any])

_NO_GRID: Final = GridRecord()
_NO_ACTIVE: Final = ActiveRecord()
_NO_LOCK: Final = Lock()
_NO_DEALS: Final[Mapping[str, Deal]] = MappingProxyType({})


class RecordTables:
    """Typed access to what is shown of ``ctl``. Parsing a value that has not changed costs a look-up."""

    def __init__(self, view: Shown) -> None:
        self._view = view
        self._parsed: dict[str, tuple[Entry, WireModel]] = {}
        self._tables: dict[str, _Table[Any]] = {}

    @property
    def fresh(self) -> bool:
        """Whether the picture is current."""
        return self._view.fresh

    @property
    def revision(self) -> int:
        """The highest revision in the picture."""
        return self._view.revision

    @property
    def store_id(self) -> str:
        """Identity of the store's present life."""
        return self._view.store_id

    def entry(self, key: str) -> Entry:
        """Return one key as the view has it."""
        return self._view.get(key)

    def grid(self) -> tuple[GridRecord, int]:
        """Who holds the voltage, with the record's revision."""
        return self._one(GRID, GridRecord) or _NO_GRID, self._view.get(GRID).revision

    def active(self) -> tuple[ActiveRecord, int]:
        """Which converters may be active, with the record's revision."""
        return self._one(ACTIVE, ActiveRecord) or _NO_ACTIVE, self._view.get(ACTIVE).revision

    def epoch(self) -> Epoch | None:
        """The last epoch that was started."""
        return self._one(EPOCH, Epoch)

    def mode(self) -> ModeRecord | None:
        """The community's mode, None where nobody has set one."""
        return self._one(MODE, ModeRecord)

    def sustain(self) -> Sustain | None:
        """The time after a community error."""
        return self._one(SUSTAIN, Sustain)

    def deals(self) -> Mapping[str, tuple[Deal, int]]:
        """Return deal id → (deal, revision)."""
        return self._table(_Deals).records

    def deals_of(self, unit_id: str) -> Mapping[str, Deal]:
        """Return the deals in which a unit is a party."""
        return self._table(_Deals).of_unit.get(unit_id, _NO_DEALS)

    def locks(self) -> Mapping[str, tuple[Lock, int]]:
        """Return unit id → (lock, revision)."""
        return self._table(_Locks).records

    def lock(self, unit_id: str) -> Lock:
        """Return the deals a unit is in, and whether it is excluded."""
        return self._one(LOCK + unit_id, Lock) or _NO_LOCK

    def stop_requests(self) -> Mapping[str, Mapping[str, tuple[StopRequest, int]]]:
        """Return deal id → unit id → (request, revision)."""
        return self._table(_StopRequests).of_deal

    def _table(self, table: type[T]) -> T:
        entries = self._view.entries(table.prefix)
        known = self._tables.get(table.prefix)
        if known is None or not (known.entries is entries or known.entries == entries):
            known = self._tables[table.prefix] = _shared(table, entries)
        return cast("T", known)

    def _one(self, key: str, kind: type[M]) -> M | None:
        entry = self._view.get(key)
        if entry.value is None:
            self._parsed.pop(key, None)
            return None
        known = self._parsed.get(key)
        if known is not None and (known[0] is entry or known[0] == entry) and isinstance(known[1], kind):
            return known[1]
        record = parse_record(key, entry.value, kind)
        self._parsed[key] = (entry, record)
        return record


class Records(RecordTables):
    """The same of a view that is kept current, and each change of it."""

    def __init__(self, view: View) -> None:
        super().__init__(view)
        self._followed = view

    def changes(self) -> AsyncIterator[Entry]:
        """Yield each change from now on."""
        return self._followed.changes()

    async def wait_fresh(self) -> None:
        """Return when the picture is current."""
        await self._followed.wait_fresh()


_TABLES: Final[OrderedDict[tuple[int, type], _Table[Any]]] = OrderedDict()
_TABLES_KEPT: Final = 16


def _shared(table: type[T], entries: Mapping[str, Entry]) -> T:
    """Return the table of *entries*, which nobody changes: made once where many nodes live in one process."""
    key = id(entries), table  # an object that the table itself keeps alive
    if key not in _TABLES:
        _TABLES[key] = table(entries)
        if len(_TABLES) > _TABLES_KEPT:
            _TABLES.popitem(last=False)
    return cast("T", _TABLES[key])


@lru_cache(maxsize=128)
def _read(kind: type[M], value: bytes) -> M:
    """Read a record; where many nodes live in one process, each value is read once for all of them.

    All of them read it at the same moment, so a few are enough: what is kept beyond that is a small board's memory.
    """
    return kind.from_json(value)


def parse_record(key: str, value: bytes, kind: type[M]) -> M:
    """Read what the community keeps under *key*.

    Raises:
        UnknownRecord: it is damaged, or of a program that is older or newer.
    """
    try:
        record: M = _read(kind, value)
    except ValidationError as error:
        raise UnknownRecord(
            f"{key} cannot be read: {error.errors()[0]['msg'].removeprefix('Value error, ')}"
        ) from error
    return record
