"""A deal from outside: what ``deals create`` reads, with the existing system's keys (specification 9.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, ValidationError

from apis_rules.documents.diagnostics import Findings
from apis_rules.documents.keys import all_rows
from apis_rules.documents.load import load_document
from apis_rules.documents.model import Count, FileModel, Flag, Number, Text, UnitId
from apis_rules.documents.reading import report
from apis_rules.documents.shapes import known_keys
from apis_rules.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from apis_rules.documents.diagnostics import Diagnostic
    from apis_rules.documents.document import Document


class Faults(FileModel):
    """Before and after which steps the deal is to fail on purpose."""

    fail_before_activate: Flag = False
    fail_after_activate: Flag = False
    fail_before_authorize: Flag = False
    fail_after_authorize: Flag = False
    fail_before_warm_up: Flag = False
    fail_after_warm_up: Flag = False
    fail_before_compensate: Flag = False
    fail_after_compensate: Flag = False
    fail_before_stop: Flag = False
    fail_after_stop: Flag = False
    fail_before_deactivate: Flag = False
    fail_after_deactivate: Flag = False


class Feature(FileModel):
    """Faults that a test asks for."""

    dcdc: Faults = Field(default_factory=Faults)


class DealOrder(FileModel):
    """A deal as somebody outside of the community wants it.

    Attributes:
        type: the direction of the unit that asks.
        unit_id, request_unit_id: the unit that asks; without either, the one that *type* names.
        create_date_time: as existing tools write it; the node writes its own.
    """

    charge_unit_id: UnitId
    discharge_unit_id: UnitId
    deal_grid_current_a: Annotated[Number, Field(gt=0)]
    deal_amount_wh: Count
    type: Literal["charge", "discharge"] = "charge"
    unit_id: UnitId | None = None
    request_unit_id: UnitId | None = None
    accept_unit_id: UnitId | None = None
    point_per_wh: Annotated[Number, Field(ge=0)] | None = None
    charge_unit_efficient_grid_voltage_v: Annotated[Number, Field(gt=0)] | None = None
    discharge_unit_efficient_grid_voltage_v: Annotated[Number, Field(gt=0)] | None = None
    create_date_time: Text | None = None
    test_feature: Feature | None = None

    @property
    def requester(self) -> str:
        """The unit that asks."""
        return self.charge_unit_id if self.type == "charge" else self.discharge_unit_id

    @property
    def acceptor(self) -> str:
        """The other one."""
        return self.discharge_unit_id if self.type == "charge" else self.charge_unit_id


def load_deal_order(path: Path) -> tuple[DealOrder, tuple[Diagnostic, ...]]:
    """Read the file of a deal; return it and what is doubtful about it.

    Raises:
        InputError: with everything that is wrong with it.
    """
    findings = Findings()
    document = load_document(path, findings)
    order = _read(document, findings)
    if order is None or findings.failed:
        raise InputError(findings.sorted())
    return order, findings.sorted()


def _read(document: Document, findings: Findings) -> DealOrder | None:
    if not isinstance(document.value, dict):
        findings.error(document.location(), "AR114", "a deal is an object with keys", "begin it with '{'")
        return None
    try:
        order = DealOrder.model_validate(_without_results(document, findings))
    except ValidationError as error:
        report(DealOrder, document, error, findings)
        return None
    _look_for_contradictions(document, order, findings)
    return order


def _without_results(document: Document, findings: Findings) -> dict[str, Any]:
    """Leave out what a deal only gets while it runs; a final record can be given as it is."""
    written = {row.path for row in all_rows() if row.table == "dealRecord"} - set(known_keys(DealOrder))
    written |= {f"{key}Utc" for key in written if key.endswith("DateTime")}
    for key in written & document.value.keys():
        findings.warning(document.key_location((key,)), "AR246", f"{key} is written while a deal runs; it is left out")
    return {key: value for key, value in document.value.items() if key not in written}


def _look_for_contradictions(document: Document, order: DealOrder, findings: Findings) -> None:
    if order.charge_unit_id == order.discharge_unit_id:
        findings.error(
            document.location(("dischargeUnitId",)), "AR245", f"{order.charge_unit_id} cannot deal with itself"
        )
        return
    named = (
        ("unitId", order.unit_id, order.requester),
        ("requestUnitId", order.request_unit_id, order.requester),
        ("acceptUnitId", order.accept_unit_id, order.acceptor),
    )
    for key, value, expected in named:
        if value is not None and value != expected:
            findings.error(
                document.location((key,)), "AR245", f"{key} is {value}, but by type {order.type} it is {expected}",
                "the unit that asks charges where type is charge, and discharges where it is discharge",
            )  # fmt: skip
