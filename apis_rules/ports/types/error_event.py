"""An error as everyone hears of it (specification 10.1)."""

from __future__ import annotations

import enum

from apis_rules.ports.types.epoch import Epoch
from apis_rules.ports.types.model import StoredModel


class Category(enum.StrEnum):
    """Where it comes from."""

    HARDWARE = "HARDWARE"
    FRAMEWORK = "FRAMEWORK"
    LOGIC = "LOGIC"
    USER = "USER"


class Extent(enum.StrEnum):
    """Whom it concerns: the whole community, or the named unit."""

    GLOBAL = "GLOBAL"
    LOCAL = "LOCAL"


class Level(enum.StrEnum):
    """How bad: a warning is only logged."""

    WARN = "WARN"
    ERROR = "ERROR"
    FATAL = "FATAL"


class ErrorEvent(StoredModel):
    """Local events are handled by the named unit, global ones by the Grid Master, FATAL first.

    Attributes:
        event_id: unique; two copies of one event count once.
        rule: id of the rule or catalogue entry that raised it, e.g. ``L08``.
        unit_id: whom it is about. Another unit's name is believed only from the Grid Master, with its ``epoch``.
        reported_by: who says so.
        date_time, date_time_utc: the reporter's unit clock, and UTC with milliseconds.
    """

    event_id: str
    rule: str
    unit_id: str
    reported_by: str
    category: Category
    extent: Extent
    level: Level
    message: str
    date_time: str
    date_time_utc: str
    epoch: Epoch | None = None
    deal_id: str | None = None

    @property
    def kind(self) -> str:
        """``HARDWARE:LOCAL:ERROR``, as the specification writes it."""
        return f"{self.category}:{self.extent}:{self.level}"
