"""The bus of the planner's world: its voltage between two events, who carries how much, and what truly flowed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from apis_rules.charts.master.sides import side_of
from apis_rules.ports.types import ConverterMode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from apis_rules.ports.types import Deal
    from tests.charts.master.house import House

EFFICIENCY: Final = 0.97
LOWEST_V: Final = 50.0
"""Below it nothing drives a current."""

PIECE_S: Final = 0.1
"""While the voltage moves it does so in straight lines of that length; while it stands, so does everything."""


class Bus:
    """Converters on one line without resistance.

    Attributes:
        foreign_v: a voltage that somebody else feeds, None where nobody does.
        true_wh: (deal, unit) → the unit's energy while both sides of the deal are on, by the shares of its deals.
    """

    def __init__(self, now_s: float) -> None:
        self.houses: Mapping[str, House] = {}
        self.voltage_v = 0.0
        self.rise_v_per_s = 100.0
        self.fall_v_per_s = 150.0
        self.foreign_v: float | None = None
        self.true_wh: dict[tuple[str, str], float] = {}
        self._moved_s = now_s

    def currents_a(self) -> dict[str, float]:
        """What flows from the grid into each unit; those that hold the voltage share the rest."""
        carried: dict[str, float] = {}
        holders = []
        for unit_id, house in self.houses.items():
            carried[unit_id] = 0.0
            if house.mode is ConverterMode.VOLTAGE_REFERENCE:
                holders.append(unit_id)
            elif self.voltage_v > LOWEST_V and house.mode is not ConverterMode.WAIT:
                carried[unit_id] = house.target_a if house.mode is ConverterMode.CHARGE else -house.target_a
        if holders:
            rest_a = -sum(carried.values()) / len(holders)
            carried |= dict.fromkeys(holders, rest_a)
        return carried

    def power_w(self, current_a: float) -> float:
        """What flows into the battery behind *current_a*."""
        power_w = self.voltage_v * current_a
        return power_w * EFFICIENCY if power_w > 0 else power_w / EFFICIENCY

    def move(self, now_s: float, deals: Mapping[str, Deal]) -> None:
        """Let voltage and batteries follow up to *now_s*, while *deals* are as they are."""
        left_s = now_s - self._moved_s
        self._moved_s = now_s
        while left_s > 1e-9:
            change_v = self._missing_v()
            piece_s = min(left_s, PIECE_S) if change_v else left_s
            left_s -= piece_s
            if change_v:
                self._account(piece_s / 2, deals)
                self.voltage_v += max(-self.fall_v_per_s * piece_s, min(self.rise_v_per_s * piece_s, change_v))
                self._account(piece_s / 2, deals)
            else:
                self._account(piece_s, deals)

    def _missing_v(self) -> float:
        """How far the voltage is from where those who feed it want it."""
        targets = [h.target_v for h in self.houses.values() if h.mode is ConverterMode.VOLTAGE_REFERENCE]
        if self.foreign_v is not None:
            targets.append(self.foreign_v)
        missing_v = (sum(targets) / len(targets) if targets else 0.0) - self.voltage_v
        return missing_v if abs(missing_v) > 1e-9 else 0.0

    def _account(self, piece_s: float, deals: Mapping[str, Deal]) -> None:
        currents = self.currents_a()
        powers = {
            unit_id: abs(self.power_w(current_a)) * piece_s * self.houses[unit_id].rate / 3600
            for unit_id, current_a in currents.items()
            if self.houses[unit_id].mode is not ConverterMode.WAIT
        }
        if not powers:
            return
        for unit_id, wh in powers.items():
            self.houses[unit_id].energy_wh += wh
        shares: dict[str, list[tuple[str, float]]] = {}
        for deal_id, deal in deals.items():
            detail, units = deal.detail, deal.record.units
            if detail.charge.on and detail.discharge.on and all(u in powers for u in units):
                through_a = min(self._carried_a(deal, unit_id, currents, deals) for unit_id in units)
                for unit_id in units if through_a > 0 else ():
                    shares.setdefault(unit_id, []).append((deal_id, through_a))
        for unit_id, owners in shares.items():
            whole_a = sum(a for _, a in owners)
            for deal_id, current_a in owners:
                key = (deal_id, unit_id)
                self.true_wh[key] = self.true_wh.get(key, 0.0) + powers[unit_id] * current_a / whole_a

    def _carried_a(self, deal: Deal, unit_id: str, currents: Mapping[str, float], deals: Mapping[str, Deal]) -> float:
        """What the unit truly carries for the deal; who holds the voltage carries whatever its partners do."""
        whole_a = deal.record.deal_grid_current_a
        if self.houses[unit_id].mode is ConverterMode.VOLTAGE_REFERENCE:
            return whole_a
        others = (side_of(d, unit_id) for d in deals.values() if d is not deal and unit_id in d.record.units)
        others_a = sum(min(side.set_a, side.to_a) for side in others)
        return max(0.0, min(whole_a, abs(currents[unit_id]) - others_a))
