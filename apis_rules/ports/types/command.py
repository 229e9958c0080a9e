"""What the Grid Master asks of a unit, and what the unit answers."""

from __future__ import annotations

import enum

from apis_rules.ports.types.epoch import Epoch
from apis_rules.ports.types.model import StoredModel, WireModel
from apis_rules.ports.types.unit_data import ConverterMode, DcdcData


class CommandName(enum.StrEnum):
    """The commands of the controller (specification 3.2, 7.1-7.5)."""

    WAIT = "wait"
    CHARGE = "charge"
    DISCHARGE = "discharge"
    VOLTAGE_REFERENCE = "voltageReference"
    CURRENT = "current"
    VOLTAGE = "voltage"
    DROOP = "droop"
    AUTHORIZE = "voltageReferenceAuthorization"
    WILL_HAND_OVER = "voltageReferenceWillHandOver"
    WILL_TAKE_OVER = "voltageReferenceWillTakeOver"
    DID_HAND_OVER = "voltageReferenceDidHandOver"
    DID_TAKE_OVER = "voltageReferenceDidTakeOver"
    SCRAM = "scram"

    @property
    def stops(self) -> bool:
        """Whether the command only takes energy away, so that it may overtake everything else."""
        return self in (CommandName.WAIT, CommandName.SCRAM)


class CommandParams(WireModel):
    """Set-points; each command uses the ones it needs.

    Attributes:
        grid_current_a: absolute value; the command's name gives the direction.
        voltages_v: the voltages to travel through in an authorization, in order, none twice.
        mode: what the unit becomes in a hand-over that ends its voltage reference.
    """

    grid_current_a: float | None = None
    grid_voltage_v: float | None = None
    droop_ratio: float | None = None
    voltages_v: tuple[float, ...] | None = None
    mode: ConverterMode | None = None
    exclude_voltage_reference: bool | None = None


class Command(StoredModel):
    """One order to one unit. It is the unit, not the store, that refuses what is out of date.

    Attributes:
        epoch: the term in whose name it is given; a unit refuses any below the highest it has seen.
        seq: grows within an epoch; a unit refuses any not above the last it obeyed. The pair identifies the command.
        boot: of the unit, as it announced itself; a command for an earlier boot is refused, stops aside.
        refresh: number of the master's last refresh when it was sent; two behind the last seen is too old.
    """

    epoch: Epoch
    seq: int
    boot: str
    refresh: int
    name: CommandName
    deal_id: str | None = None
    params: CommandParams = CommandParams()


class Outcome(StoredModel):
    """What became of the command (epoch, seq).

    Attributes:
        failed: None where it was carried out and verified, else the reason; ``interrupted`` where a crash lost it.
        status: the converter, freshly read afterwards; None where it could not be read.
    """

    unit_id: str
    epoch: Epoch
    seq: int
    boot: str
    failed: str | None = None
    status: DcdcData | None = None
    date_time: str | None = None

    @property
    def ok(self) -> bool:
        """Whether the command was carried out and verified."""
        return self.failed is None
