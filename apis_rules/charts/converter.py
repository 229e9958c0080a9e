"""What belongs to ``statecharts/converter.yaml``: its effects, and how walks write a unit down."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from apis_rules.charts.bindings import Binding
from apis_rules.charts.machine import Timers
from apis_rules.charts.unit.calls import SetMode
from apis_rules.charts.unit.effects import EFFECTS, Moment
from apis_rules.charts.unit.jobs import plan_job
from apis_rules.charts.unit.record import Order, SetPoints, UnderWay, UnitMemory, UnitRecord
from apis_rules.charts.unit.settings import UnitSettings
from apis_rules.ports.types import Command, CommandParams, ConverterMode, Epoch

if TYPE_CHECKING:
    from collections.abc import Mapping

WALK_SETTINGS: Final = UnitSettings(
    grid_voltage_v=350,
    range_min_v=300,
    range_max_v=380,
    separation_v=10,
    voltage_allowance_v=4,
    voltage_step_v=20,
    uvlo_mask_v=10,
    current_step_a=1,
    current_allowance_a=0.125,
    capacity_a=2.3,
    droop_ratio=0.039,
    check_tries=3,
    check_wait_s=0.1,
    repeat_s=1,
    ramp_up_s=180,
    read_period_s=5,
    request_timeout_s=5,
    dead_man_s=12,
    holder_dead_man_s=20,
    hand_over_s=12,
)
"""The shipped policy's numbers, except for a voltage step of 20 V, so that walks see voltages stepped."""


def make_unit(given: Mapping[str, Any]) -> UnitRecord:
    """Make the record of a walk.

    Args:
        given: fields of ``UnitRecord``; and ``set_points``, the unit's own (``mode`` by its name); ``command`` with
            ``params``, the one that is open; ``stops``, how many orders to stop are; ``writing``, whether a write is.
    """
    fields = dict(given)
    own = fields.pop("set_points", {})
    name, params = fields.pop("command", None), fields.pop("params", {})
    stops, writing = fields.pop("stops", 0), fields.pop("writing", False)
    epoch = Epoch(number=1, term_id="t")
    unit = UnitRecord(
        unit_id="E001",
        boot="b",
        memory=UnitMemory(epoch=epoch),
        timers=Timers({}),
        stops=tuple(Order(epoch=epoch, seq=2 + i) for i in range(stops)),
        set_points=SetPoints(**{**own, "mode": ConverterMode[own.get("mode", "WAIT")]}),
        step=UnderWay(900, SetMode(ConverterMode.CHARGE, 350, 1, 0)) if writing else None,
        **fields,
    )
    if name is None:
        return unit
    command = Command(epoch=epoch, seq=1, boot="b", refresh=0, name=name, params=CommandParams.model_validate(params))
    return replace(unit, job=plan_job(command, unit, WALK_SETTINGS))


def make_moment(given: Mapping[str, Any]) -> Moment:
    """Make the context of a walk: ``read`` and ``problem`` as in ``Moment``."""
    return Moment(WALK_SETTINGS, now_s=0.0, **given)


BINDING: Final = Binding(chart="converter", effects=EFFECTS, make_record=make_unit, make_context=make_moment)
