"""What a Grid Master's plan was made from: it plans again when something of it has changed, or a moment is due."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from apis_rules.node.records import ACTIVE, DEAL, GRID, LOCK, MODE, STOP

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from apis_rules.charts.master import Put
    from apis_rules.node.records import Records


@dataclass(frozen=True, slots=True)
class Basis:
    """Versions of everything that a plan is made from.

    Attributes:
        revisions: key → revision of each record.
        rest: whatever else counts; equal where it is the same.
    """

    revisions: Mapping[str, int]
    rest: tuple[object, ...]

    @classmethod
    def of(cls, records: Records, *rest: object) -> Basis:
        """Return the versions as they are now."""
        revisions = {GRID: records.grid()[1], ACTIVE: records.active()[1], MODE: records.entry(MODE).revision}
        revisions |= {DEAL + deal_id: revision for deal_id, (_, revision) in records.deals().items()}
        revisions |= {LOCK + unit_id: revision for unit_id, (_, revision) in records.locks().items()}
        for deal_id, by_unit in records.stop_requests().items():
            revisions |= {f"{STOP}{deal_id}.{unit_id}": revision for unit_id, (_, revision) in by_unit.items()}
        return cls(revisions, rest)

    def after(self, puts: Iterable[Put], records: Records) -> Basis:
        """Return the basis with *puts* taken in where *records* show just what was put."""
        revisions = dict(self.revisions)
        for put in puts:
            entry = records.entry(put.key)
            if entry.value == put.value and entry.value is not None:
                revisions[put.key] = entry.revision
        return Basis(revisions, self.rest)
