"""What a community looks like at one moment, from what its store shows: for the live view, ``status`` and programs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from apis_rules.node.controller import DATA_KEY
from apis_rules.node.messages import MASTER_KEY, MasterReport, UnitReport

if TYPE_CHECKING:
    from collections.abc import Mapping

    from apis_rules.node.records import Records
    from apis_rules.ports.state import View
    from apis_rules.ports.types import Deal, UnitData

CONVERTER_WORDS: Mapping[str, str] = {
    "WAIT": "wait",
    "CHARGE": "charge",
    "DISCHARGE": "discharge",
    "VOLTAGE_REFERENCE": "voltage reference",
}


@dataclass(frozen=True, slots=True)
class UnitLine:
    """One unit. What is not known is None.

    Attributes:
        mode: what its converter does.
        operation_mode: its effective one.
        present: whether it has published its data lately.
        trading: why it does not trade, as far as it says.
        trouble: what its node lacks while it is degraded.
    """

    unit_id: str
    present: bool
    mode: str | None = None
    operation_mode: str | None = None
    rsoc_percent: float | None = None
    remaining_wh: int | None = None
    grid_voltage_v: float | None = None
    grid_current_a: float | None = None
    deals: int = 0
    is_master: bool = False
    holds_voltage: bool = False
    excluded: str | None = None
    time: str | None = None
    trading: str = ""
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class DealLine:
    """One deal that is not over yet."""

    deal_id: str
    state: str
    discharge_unit_id: str
    charge_unit_id: str
    deal_amount_wh: int
    amount_wh: float
    current_a: float
    point_per_wh: float | None

    @property
    def share(self) -> float:
        """How much of the agreed amount is done, from 0 to 1."""
        return min(1.0, self.amount_wh / self.deal_amount_wh) if self.deal_amount_wh else 0.0


@dataclass(frozen=True, slots=True)
class Overview:
    """The whole community.

    Attributes:
        bus: state of the record of the voltage (``grid.yaml``).
        waiting: why no deal is activated, as the Grid Master says.
        quiet: what nodes lack; and where nothing is traded, why, and what changes it; in sentences.
    """

    mode: str
    master: str | None
    epoch: int | None
    bus: str
    holder: str | None
    units: tuple[UnitLine, ...]
    deals: tuple[DealLine, ...]
    waiting: tuple[str, ...]
    quiet: tuple[str, ...]

    @property
    def mean_remaining_wh(self) -> float | None:
        """Average of the remaining energy of the units that are present."""
        known = [u.remaining_wh for u in self.units if u.present and u.remaining_wh is not None]
        return sum(known) / len(known) if known else None

    def to_document(self) -> dict[str, Any]:
        """Return plain values for programs."""
        document = asdict(self)
        document["units_present"] = sum(u.present for u in self.units)
        document["mean_remaining_wh"] = self.mean_remaining_wh
        return document


class Reports:
    """What the units have published last; each report is read once."""

    def __init__(self, units: View) -> None:
        self._units = units
        self._read: dict[str, tuple[bytes, UnitReport | None]] = {}

    def latest(self) -> dict[str, UnitReport]:
        """Return unit id → report, of those that are present."""
        entries = self._units.entries(DATA_KEY)
        self._read = {key: self._once(key, entry.value or b"") for key, entry in entries.items()}
        return {report.unit_id: report for _, report in self._read.values() if report is not None}

    def _once(self, key: str, value: bytes) -> tuple[bytes, UnitReport | None]:
        known = self._read.get(key)
        if known is not None and known[0] == value:
            return known
        try:
            return value, UnitReport.from_json(value)
        except ValidationError:
            return value, None  # a program of another version; its own status will show it

    def master(self) -> MasterReport | None:
        """Return what the Grid Master says."""
        value = self._units.get(MASTER_KEY).value
        try:
            return None if value is None else MasterReport.from_json(value)
        except ValidationError:
            return None


def look_at(records: Records, units: Reports, members: tuple[str, ...], default_mode: str) -> Overview:
    """Put together what the views of ``ctl`` and ``unit`` show."""
    reports = units.latest()
    master = units.master()
    grid, _ = records.grid()
    locks = records.locks()
    mode = records.mode()
    names = sorted({*members, *reports})
    lines = tuple(
        _unit_line(name, reports.get(name), locks[name][0].exclusion if name in locks else None, grid.holder)
        for name in names
    )
    deals = tuple(_deal_line(deal) for deal, _ in sorted(records.deals().values(), key=lambda d: d[1]))
    epoch = records.epoch()
    shown_mode = str(mode.mode) if mode else default_mode
    return Overview(
        mode=shown_mode,
        master=master.unit_id if master else None,
        epoch=epoch.number if epoch else None,
        bus=grid.state,
        holder=grid.holder,
        units=lines,
        deals=deals,
        waiting=master.waiting if master else (),
        quiet=(
            *(tell_trouble(u.unit_id, u.trouble) for u in lines if u.trouble),
            *(() if deals else _why_quiet(shown_mode, mode.reason if mode else "", lines, master, members)),
        ),
    )


def tell_trouble(unit_id: str, trouble: str) -> str:
    """Say that a node is degraded, and by what."""
    return f"{unit_id} is degraded: {trouble}; it keeps trying"


def _unit_line(name: str, report: UnitReport | None, excluded: str | None, holder: str | None) -> UnitLine:
    if report is None:
        return UnitLine(name, present=False, excluded=excluded, holds_voltage=holder == name)
    data: UnitData = report.data
    mode = data.dcdc.status.mode
    return UnitLine(
        unit_id=name,
        present=True,
        mode=CONVERTER_WORDS[mode.name] if mode else None,
        operation_mode=str(data.apis.operation_mode.effective) if data.apis.operation_mode.effective else None,
        rsoc_percent=data.battery.rsoc_percent,
        remaining_wh=data.apis.remaining_capacity_wh,
        grid_voltage_v=data.dcdc.meter.grid_voltage_v,
        grid_current_a=data.dcdc.meter.grid_current_a,
        deals=len(data.apis.deal_id_list or ()),
        is_master=bool(data.apis.is_grid_master),
        holds_voltage=holder == name,
        excluded=excluded,
        time=data.time,
        trading=report.trading,
        trouble=report.trouble,
    )


def _deal_line(deal: Deal) -> DealLine:
    record = deal.record
    return DealLine(
        deal_id=record.deal_id,
        state=deal.state,
        discharge_unit_id=record.discharge_unit_id,
        charge_unit_id=record.charge_unit_id,
        deal_amount_wh=record.deal_amount_wh,
        amount_wh=record.cumulate_amount_wh or 0.0,
        current_a=record.deal_grid_current_a,
        point_per_wh=record.point_per_wh,
    )


def _why_quiet(
    mode: str, reason: str, units: tuple[UnitLine, ...], master: MasterReport | None, members: tuple[str, ...]
) -> tuple[str, ...]:
    """Say why nothing is traded, and which command changes it."""
    found = []
    if mode != "autonomous":
        because = f" ({reason})" if reason else ""
        found.append(f"the community's mode is {mode}{because}; 'apis-rules mode set autonomous' lets it trade")
    away = [u.unit_id for u in units if not u.present and u.unit_id in members]
    if away:
        found.append(f"not heard of: {', '.join(away)}; 'apis-rules run CONFIG.json' starts a node")
    if master is None and len(away) < len(members):
        found.append("there is no Grid Master yet")
    elif master is not None:
        found += master.waiting
    stopped = [u.unit_id for u in units if u.present and u.operation_mode not in (None, "autonomous", mode)]
    if stopped:
        found.append(f"with a mode of their own: {', '.join(stopped)}; 'apis-rules mode set clear --unit U' ends it")
    said = {u.trading for u in units if u.present and u.trading}
    if not found:
        found += (
            [f"{u.unit_id}: {u.trading}" for u in units if u.present and u.trading] if len(said) > 1 else sorted(said)
        )
    return tuple(found)
