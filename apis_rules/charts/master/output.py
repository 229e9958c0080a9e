"""What follows from a picture: writes, commands, records, reports. Values only; the caller performs them in order."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from apis_rules.charts.master.memory import Memory
from apis_rules.ports.types import CommandName, CommandParams

if TYPE_CHECKING:
    from collections.abc import Mapping

    from apis_rules.ports.types import Command, DealRecord


@dataclass(frozen=True, slots=True)
class Order:
    """What a chart wants of a unit, before it is numbered."""

    unit_id: str
    name: CommandName
    params: CommandParams = field(default_factory=CommandParams)

    def __str__(self) -> str:
        parts = [self.unit_id, str(self.name)]
        p = self.params
        if p.mode is not None:
            parts.append(p.mode.name.lower())
        if p.grid_voltage_v is not None:
            parts.append(f"{p.grid_voltage_v:g} V")
        if p.grid_current_a is not None:
            parts.append(f"{round(p.grid_current_a, 4):g} A")
        if p.voltages_v is not None:
            parts.append("/".join(f"{v:g}" for v in p.voltages_v) + " V")
        if p.exclude_voltage_reference:
            parts.append("except the voltage reference")
        return " ".join(parts)


@dataclass(frozen=True, slots=True)
class Send:
    """A numbered command for a unit."""

    unit_id: str
    command: Command

    def __str__(self) -> str:
        return str(Order(self.unit_id, self.command.name, self.command.params))


@dataclass(frozen=True, slots=True)
class Put:
    """One part of the batch: the value of a key, None to delete it, while its revision is still *revision*."""

    key: str
    value: bytes | None
    revision: int


@dataclass(frozen=True, slots=True)
class Problem:
    """Something to be reported as an error event.

    Attributes:
        rule: its name in the catalogue of errors (``rules/errors.yaml``), which says what it is and how bad.
    """

    rule: str
    unit_id: str
    detail: str = ""
    deal_id: str | None = None

    def __str__(self) -> str:
        return f"report {self.rule} {self.unit_id}"


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a manual order; *refused* says why not, None where it was carried out."""

    order_id: str
    refused: str | None = None


@dataclass(frozen=True, slots=True)
class MasterPlan:
    """Performed in the order of the attributes.

    Attributes:
        stops: leave at once as plain messages, whatever becomes of the rest; their fenced twins are among *sends*.
        puts: one atomic batch in this term's name. Where it is not known to be written the rest is dropped and
            ``memory_if_refused`` kept; then a new picture is taken.
        sends: fenced commands.
        appends: final records, each on its deal's subject as the first and only one.
        reads: units of which a reading is wanted now.
        announce: units to which the term may be announced now.
        refresh: unit → ids of its deals, for the next refresh.
        holder_answered, all_answered, grid_agrees, busy: facts of the chart ``grid_master``, as seen in this round.
        still: whether nobody holds the voltage, nothing that can be reached is active and no switched deal is left.
        settled: whether that *puts* are stored is no reason to plan again.
        waiting: why no deal is activated; empty where one may be.
        next_deadline_s: when to plan again at the latest (runtime clock).
    """

    stops: tuple[Send, ...] = ()
    puts: tuple[Put, ...] = ()
    sends: tuple[Send, ...] = ()
    appends: tuple[DealRecord, ...] = ()
    problems: tuple[Problem, ...] = ()
    reads: tuple[str, ...] = ()
    announce: tuple[str, ...] = ()
    refresh: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    replies: tuple[Reply, ...] = ()
    holder_answered: bool = False
    all_answered: bool = False
    grid_agrees: bool = False
    busy: bool = True
    still: bool = False
    settled: bool = False
    waiting: tuple[str, ...] = ()
    next_deadline_s: float = 0.0
    memory: Memory = field(default_factory=Memory)
    memory_if_refused: Memory = field(default_factory=Memory)
