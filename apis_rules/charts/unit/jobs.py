"""A command becomes a job: its goal, its targets, and what must be seen before it counts as carried out.

Set-points that a command leaves out come from the settings; those that make no sense are refused before anything is
written (``ParametersError``), as are those beyond the converter's capacity and the operating range.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from apis_rules.charts.unit.record import Job, Order
from apis_rules.errors import ApisRulesError
from apis_rules.ports.types import CommandName, ConverterMode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from apis_rules.charts.unit.record import UnitRecord
    from apis_rules.charts.unit.settings import UnitSettings
    from apis_rules.ports.types import Command

TRIGGERS: Final = {
    CommandName.CHARGE: "charge",
    CommandName.DISCHARGE: "discharge",
    CommandName.CURRENT: "current",
    CommandName.VOLTAGE_REFERENCE: "voltage_reference",
    CommandName.VOLTAGE: "voltage",
    CommandName.DROOP: "droop",
    CommandName.AUTHORIZE: "authorize",
    CommandName.WILL_HAND_OVER: "will_hand_over",
    CommandName.WILL_TAKE_OVER: "will_take_over",
    CommandName.DID_HAND_OVER: "did_hand_over",
    CommandName.DID_TAKE_OVER: "did_take_over",
}
"""Command → event of the chart. The commands that stop are not jobs."""

_GOALS: Final = {ConverterMode.CHARGE: "charge", ConverterMode.DISCHARGE: "discharge"}


class ParametersError(ApisRulesError):
    """The command's set-points are missing or make no sense; nothing was written."""


def plan_job(command: Command, unit: UnitRecord, settings: UnitSettings) -> Job:
    """Return the steps of *command*, which does not stop, for *unit* as it is.

    Raises:
        ParametersError: the text says which set-point is wrong.
    """
    make = _MAKERS.get(command.name)
    if make is None:
        raise ParametersError(f"{command.name} is no job")
    return make(_Maker(command, unit, settings))


class _Maker:
    """The parts that the jobs of one command are made from."""

    def __init__(self, command: Command, unit: UnitRecord, settings: UnitSettings) -> None:
        self._name = command.name
        self._params = command.params
        self._order = Order(epoch=command.epoch, seq=command.seq)
        self._unit = unit
        self.settings = settings
        self.own_voltage_v = unit.set_points.grid_voltage_v
        self.measured_v = unit.dcdc.meter.grid_voltage_v

    def current_a(self) -> float:
        asked = self._params.grid_current_a
        if asked is None:
            raise ParametersError("gridCurrentA is missing")
        if not 0 <= asked <= self.settings.capacity_a:
            raise ParametersError(f"gridCurrentA {asked:g} is not within 0 and {self.settings.capacity_a:g}")
        return asked

    def voltage_v(self, default_v: float | None) -> float:
        asked = self._params.grid_voltage_v
        if asked is None:
            asked = default_v
        if asked is None:
            raise ParametersError("gridVoltageV is missing")
        return self._within_range("gridVoltageV", asked)

    def droop(self, *, needed: bool = False) -> float:
        asked = self._params.droop_ratio
        if asked is None:
            if needed:
                raise ParametersError("droopRatio is missing")
            return self.settings.droop_ratio
        if not 0 <= asked < 1:
            raise ParametersError(f"droopRatio {asked:g} is not within 0 and 1")
        return asked

    def current_controlled(self, mode: ConverterMode, *, in_steps: bool = True) -> Job:
        target_a = self.current_a()
        settings = self.settings
        charges = mode is ConverterMode.CHARGE
        return Job(
            order=self._order,
            name=self._name,
            goal=_GOALS[mode],
            mode=mode,
            target_voltage_v=settings.grid_voltage_v if charges else settings.range_max_v,
            target_current_a=target_a,
            first_current_a=min(target_a, settings.current_step_a) if in_steps else target_a,
        )

    def current(self) -> Job:
        return Job(
            order=self._order,
            name=self._name,
            goal="discharge" if self._unit.state == "discharging" else "charge",
            target_voltage_v=self.own_voltage_v,
            target_current_a=self.current_a(),
        )

    def reference(self, goal: str, voltage_v: float, droop_ratio: float) -> Job:
        return Job(
            order=self._order,
            name=self._name,
            goal=goal,
            mode=ConverterMode.VOLTAGE_REFERENCE,
            target_voltage_v=voltage_v,
            droop_ratio=droop_ratio,
            first_current_a=self.settings.capacity_a,
        )

    def held(self, voltage_v: float, droop_ratio: float, *, checks_voltage: bool = False) -> Job:
        return Job(
            order=self._order,
            name=self._name,
            goal="drooping" if droop_ratio > 0 else "holding",
            target_voltage_v=voltage_v,
            droop_ratio=droop_ratio,
            checks_voltage=checks_voltage,
        )

    def authorize(self) -> Job:
        travel = self._params.voltages_v
        if not travel:
            raise ParametersError("voltagesV is missing")
        way = tuple(self._within_range("voltagesV", v) for v in travel)
        return Job(
            order=self._order,
            name=self._name,
            goal="holding",
            target_voltage_v=way[0],
            voltages_v=(*way[1:], self.own_voltage_v),
            checks_voltage=True,
            checks_no_current=True,
        )

    def did_hand_over(self) -> Job:
        mode = self._params.mode
        if mode in (None, ConverterMode.WAIT):
            return Job(order=self._order, name=self._name, goal="wait", target_voltage_v=self.own_voltage_v)
        if mode is ConverterMode.VOLTAGE_REFERENCE:
            raise ParametersError("mode is the one that was handed over")
        return self.current_controlled(mode, in_steps=False)

    def _within_range(self, key: str, voltage_v: float) -> float:
        settings = self.settings
        if not settings.range_min_v <= voltage_v <= settings.range_max_v:
            raise ParametersError(
                f"{key} {voltage_v:g} is not within {settings.range_min_v:g} and {settings.range_max_v:g}"
            )
        return voltage_v


_MAKERS: Final[Mapping[CommandName, Callable[[_Maker], Job]]] = {
    CommandName.CHARGE: lambda m: m.current_controlled(ConverterMode.CHARGE),
    CommandName.DISCHARGE: lambda m: m.current_controlled(ConverterMode.DISCHARGE),
    CommandName.CURRENT: _Maker.current,
    CommandName.VOLTAGE_REFERENCE: lambda m: m.reference("holding", m.voltage_v(m.settings.grid_voltage_v), 0.0),
    CommandName.VOLTAGE: lambda m: m.held(m.voltage_v(None), 0.0, checks_voltage=True),
    CommandName.DROOP: lambda m: m.held(m.own_voltage_v, m.droop(needed=True)),
    CommandName.AUTHORIZE: _Maker.authorize,
    CommandName.WILL_HAND_OVER: lambda m: m.held(m.own_voltage_v, m.droop()),
    CommandName.WILL_TAKE_OVER: lambda m: m.reference("drooping", m.voltage_v(m.measured_v), m.droop()),
    CommandName.DID_HAND_OVER: _Maker.did_hand_over,
    CommandName.DID_TAKE_OVER: lambda m: m.held(m.own_voltage_v, 0.0, checks_voltage=True),
}
