"""Who holds the voltage, and which converters may be active: two records of shared state that span deals."""

from __future__ import annotations

from pydantic import Field

from apis_rules.ports.types.command import Command
from apis_rules.ports.types.model import StoredModel, WireModel
from apis_rules.ports.types.negotiation import Direction
from apis_rules.ports.types.unit_data import ConverterMode


class GridRecord(StoredModel):
    """``grid`` in shared state. Every step is stored here before it is commanded.

    Attributes:
        state: name of a state of ``statecharts/grid.yaml``.
        holder: the unit that holds the voltage or is about to; while the bus falls, the one last known to hold it.
        next_holder: the unit that takes the voltage over, inside a hand-over.
        deal_id: the deal for whose sake the voltage was raised, or is being moved.
        target_voltage_v: the set-point as commanded; an echo of the device never replaces it.
        voltages_v: the voltages of the authorization in their drawn order, so that a new master repeats the same ones.
        old_mode, old_current_a: what the old holder becomes in a hand-over.
        since: unit clock when the state was entered, ``yyyy/MM/dd-HH:mm:ss``.
        reason: why the bus is drained or stopped at once.
        optimised_deals: the deals for which the voltage was last optimised.
    """

    state: str = "dead"
    holder: str | None = None
    next_holder: str | None = None
    deal_id: str | None = None
    target_voltage_v: float | None = None
    voltages_v: tuple[float, ...] = ()
    old_mode: ConverterMode | None = None
    old_current_a: float | None = None
    since: str | None = None
    reason: str | None = None
    optimised_deals: tuple[str, ...] = ()
    open_unit_id: str | None = None
    open_command: Command | None = None


class ActiveUnit(WireModel):
    """What a unit in ``active`` was last commanded to do.

    Attributes:
        direction: None where it holds the voltage, or did when it was last commanded.
        current_a: last set current, an absolute value.
    """

    direction: Direction | None = None
    current_a: float = 0.0


class ActiveRecord(StoredModel):
    """``active`` in shared state: the units whose converter may be active.

    A unit enters it before the first command that leaves WAIT and leaves it only when confirmed in WAIT.
    """

    format: int = 1
    units: dict[str, ActiveUnit] = Field(default_factory=dict)
