"""The effects of ``statecharts/node.yaml``: how a node starts, takes part and stops."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from apis_rules.charts.bindings import Binding
from apis_rules.charts.machine import Draft, Effects

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class NodeLife:
    """Where a node stands. Lives in memory; a new process begins with a new one.

    Attributes:
        state: a state of the chart.
        exit_code: with which the process ends, None before that is known.
    """

    state: str = "looking"
    exit_code: int | None = None


@dataclass(frozen=True, slots=True)
class BringToWait:
    """Tell the unit's own controller to stop, whatever the master says (8.2: stopping waits for nothing)."""

    def __str__(self) -> str:
        return "bring the converter to WAIT"


@dataclass(frozen=True, slots=True)
class ReportHolding:
    """Tell the community that this converter was found holding the voltage."""

    def __str__(self) -> str:
        return "report that the converter holds the voltage"


@dataclass(frozen=True, slots=True)
class Join:
    """Start the services that take part in the community."""

    def __str__(self) -> str:
        return "join"


@dataclass(frozen=True, slots=True)
class TellRefusal:
    """Tell the community that this node may not join, and why."""

    def __str__(self) -> str:
        return "tell why this node may not join"


@dataclass(frozen=True, slots=True)
class StopDeals:
    """Write a stop request for each live deal of the unit; one that stands already is left alone."""

    def __str__(self) -> str:
        return "ask for the end of the unit's deals"


@dataclass(frozen=True, slots=True)
class LeaveMastership:
    """Send ``halt`` to the node's chart ``grid_master``, and claim no more."""

    def __str__(self) -> str:
        return "leave mastership"


@dataclass(frozen=True, slots=True)
class Exit:
    """End the process."""

    code: int

    def __str__(self) -> str:
        return f"exit {self.code}"


EFFECTS: Effects[NodeLife] = Effects()


@EFFECTS.define
def bring_to_wait(draft: Draft[NodeLife]) -> None:
    """Stop the converter."""
    draft.commands.append(BringToWait())


@EFFECTS.define
def report_holding(draft: Draft[NodeLife]) -> None:
    """Say who holds the voltage."""
    draft.commands.append(ReportHolding())


@EFFECTS.define
def join(draft: Draft[NodeLife]) -> None:
    """Take part."""
    draft.commands.append(Join())


@EFFECTS.define
def tell_refusal(draft: Draft[NodeLife]) -> None:
    """Say why not."""
    draft.commands.append(TellRefusal())


@EFFECTS.define
def stop_deals(draft: Draft[NodeLife]) -> None:
    """End the unit's deals in order."""
    draft.commands.append(StopDeals())


@EFFECTS.define
def leave_mastership(draft: Draft[NodeLife]) -> None:
    """Be master no more."""
    draft.commands.append(LeaveMastership())


@EFFECTS.define
def exit(draft: Draft[NodeLife], code: float) -> None:  # noqa: A001 - the name of the effect in the chart
    """End the process."""
    draft.record = replace(draft.record, exit_code=int(code))
    draft.commands.append(Exit(int(code)))


def _make_record(given: Mapping[str, Any]) -> NodeLife:
    return NodeLife(**given)


BINDING = Binding("node", EFFECTS, _make_record)
