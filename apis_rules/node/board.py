"""What the services of one node know together: the unit's own data, its modes and its errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from apis_rules.charts.modes import effective_mode
from apis_rules.node.changes import AllChanges
from apis_rules.node.same import Same
from apis_rules.node.unit_clock import UnitClock, local_unit_time_s
from apis_rules.ports.types import (
    ApisData,
    BatteryData,
    DcdcData,
    GridRecord,
    OesunitData,
    OperationMode,
    OperationModes,
    UnitData,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from apis_rules.node.changes import Changes, What
    from apis_rules.node.identity import Documents, Identity
    from apis_rules.node.records import Records
    from apis_rules.ports.clock import Clock
    from apis_rules.ports.types import Deal


@dataclass(frozen=True, slots=True)
class OwnReading:
    """The last full answer of the driver, later status answers merged in.

    Attributes:
        read_at_s: runtime clock when it was asked for.
        unit_time_s: the unit clock at that moment.
    """

    document: Mapping[str, Any]
    time: str
    read_at_s: float
    unit_time_s: float


class Board:
    """One node's common knowledge. Services read it; each value has one writer, named here.

    Attributes:
        reading, unit_clock: written by the controller.
        local_mode: written by whoever sets the mode.
        allowed: what the present state of the node's life allows (``node.yaml``); written by the runtime.
        draining: whether the node is on its way to its end; written by the runtime.
        goes_by: hash of the policy, rules and charts in force that all nodes hold alike; written by the refresher.
        trading: why this unit would not trade now, for people; written by the user service.
        trouble: what a degraded node lacks, for people; written by the runtime.
    """

    def __init__(self, identity: Identity, documents: Documents, records: Records, clock: Clock) -> None:
        self.identity = identity
        self.documents = documents
        self.records = records
        self.clock = clock
        self.unit_clock = UnitClock(identity.zone)
        self.reading: OwnReading | None = None
        self.local_mode: OperationMode | None = None
        self.allowed: frozenset[str] = frozenset()
        self.draining = False
        self.is_master = False
        self.trading = ""
        self.trouble = ""
        self.goes_by = ""
        self._changes = AllChanges()
        self._told: tuple[tuple[object, ...], UnitData] | None = None
        self._unit_document = Same(UnitData.to_document)
        self._deal_documents = Same(_documents_of)
        self._grid_document = Same(GridRecord.to_document)

    def changed(self, what: What) -> None:
        """Wake whoever waits for this change."""
        self._changes.put(what)

    def changes(self, *names: What) -> Changes:
        """Yield the name of each change from now on, of all or of those that are named."""
        return self._changes.open(*names)

    def on_change(self, tell: Callable[[What], None], *names: What) -> None:
        """Call *tell* at once at each change of these names, for as long as the node lives."""
        self._changes.call(tell, *names)

    def unit_time_s(self) -> float:
        """Return what the unit clock shows now, in seconds of its local date since 1970."""
        now_s = self.unit_clock.between(self.clock.now_s())
        return local_unit_time_s(self.clock.utc_s(), self.identity.zone) if now_s is None else now_s

    @property
    def reading_fresh(self) -> bool:
        """Whether the driver has answered lately: a reading is at most two acquisition periods old."""
        if self.reading is None:
            return False
        limit_s = 2 * self.documents.policy.controller.data_acquisition_period_s
        return self.clock.now_s() - self.reading.read_at_s <= limit_s

    @property
    def remaining_wh(self) -> int | None:
        """Remaining energy in whole Wh: nominal capacity times state of charge, cut off (specification 8)."""
        if self.reading is None:
            return None
        rsoc = self.reading.document.get("battery", {}).get("rsoc")
        if not isinstance(rsoc, int | float):
            return None
        return int(self.documents.hw_config.battery_nominal_capacity_wh * rsoc / 100)

    @property
    def deal_capacity(self) -> int:
        """How many deals the unit's current allows at once."""
        deal_current_a = self.documents.policy.mediator.deal.grid_current_a
        return int(self.documents.hw_config.grid_current_capacity_a / deal_current_a + 1e-9)

    @property
    def community_mode(self) -> OperationMode:
        """The community's mode: as set, else as the policy says."""
        record = self.records.mode()
        return record.mode if record else OperationMode(self.documents.policy.operation_mode)

    @property
    def joined(self) -> bool:
        """Whether this node takes part in the community."""
        return not self.allowed.isdisjoint(("deal", "master"))

    @property
    def why_leaving(self) -> str:
        """Why this unit ends its deals; of a mode of the community in the words that the Grid Master uses for it."""
        if self.draining:
            return "its node ends"
        mode = self.effective_mode
        return f"its own operation mode is {mode}" if self.local_mode == mode else f"the operation mode is {mode}"

    @property
    def effective_mode(self) -> OperationMode:
        """What holds for this unit: the stricter of the community's mode and its own (specification 4.3)."""
        record = self.records.mode()
        default = OperationMode(self.documents.policy.operation_mode)
        return effective_mode(record.mode if record else None, default, self.local_mode)

    def unit_data(self) -> UnitData:
        """Return the unit's data with the keys of specification section 8."""
        identity, reading = self.identity, self.reading
        deals = tuple(self.records.deals_of(identity.unit_id))
        community, effective = self.community_mode, self.effective_mode
        documents = self.documents
        of = (
            reading,
            documents.policy,
            documents.hw_config,
            deals,
            self.is_master,
            community,
            self.local_mode,
            effective,
        )
        if self._told is None or self._told[0] != of:
            self._told = of, self._make_unit_data(deals, effective)
        return self._told[1]

    def describe(self) -> dict[str, Any]:
        """Return the unit's data, its deals and the grid record as documents; what is in them is not to be changed."""
        return {
            "unit": self._unit_document(self.unit_data()),
            "deals": self._deal_documents(self.records.deals_of(self.identity.unit_id)),
            "grid": self._grid_document(self.records.grid()[0]),
        }

    def _make_unit_data(self, deals: tuple[str, ...], effective: OperationMode) -> UnitData:
        identity, reading = self.identity, self.reading
        document = dict(reading.document) if reading else {}
        return UnitData.model_validate(
            {
                **document,
                "time": reading.time if reading else None,
                "dcdc": DcdcData.model_validate(document.get("dcdc", {})),
                "battery": BatteryData.model_validate(document.get("battery", {})),
                "apis": ApisData(
                    version=identity.version,
                    remaining_capacity_wh=self.remaining_wh,
                    deal_interlock_capacity=self.deal_capacity,
                    deal_id_list=deals or None,
                    is_grid_master=True if self.is_master else None,
                    operation_mode=OperationModes(
                        community=self.community_mode, local=self.local_mode, effective=effective
                    ),
                ),
                "oesunit": OesunitData.model_validate(
                    {
                        **document.get("oesunit", {}),
                        "communityId": identity.community_id,
                        "clusterId": identity.cluster_id,
                        "id": identity.unit_id,
                        "display": identity.display,
                        "sn": identity.serial_number,
                        "budo": "1" if effective is OperationMode.AUTONOMOUS else "0",
                    }
                ),
            }
        )


def _documents_of(deals: Mapping[str, Deal]) -> list[dict[str, Any]]:
    return [deal.to_document() for deal in deals.values()]
