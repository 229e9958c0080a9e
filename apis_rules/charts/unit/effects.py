"""The effects of ``statecharts/converter.yaml``: words of the chart become requests, reports and a changed record."""

# ruff: noqa: D103 - the sentence of each effect stands in the chart

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from apis_rules.charts.machine import Draft, Effects
from apis_rules.charts.unit.calls import Call, ReadAll, ReadStatus, SetCurrent, SetMode, SetVoltage, Stop
from apis_rules.charts.unit.events import AnnounceVoltageGoing, Request, Tell
from apis_rules.charts.unit.record import Job, SetPoints, UnderWay, UnitRecord
from apis_rules.charts.unit.reports import report_ended
from apis_rules.ports.types import CommandName, ConverterMode

if TYPE_CHECKING:
    from apis_rules.charts.unit.settings import UnitSettings

EFFECTS: Effects[UnitRecord] = Effects()


@dataclass(frozen=True, slots=True)
class Moment:
    """What the effects need beside the record.

    Attributes:
        read: whether the event is an answer that showed the converter.
        problem: what the driver said of a request that failed.
    """

    settings: UnitSettings
    now_s: float
    read: bool = False
    problem: str = ""


def _change(draft: Draft[UnitRecord], **changes: Any) -> None:
    draft.record = draft.record.changed(**changes)


def _job(draft: Draft[UnitRecord]) -> Job:
    job = draft.record.job
    if job is None:
        raise ValueError(f"no command is open in {draft.record.state}")
    return job


def _request(draft: Draft[UnitRecord], slot: str, call: Call) -> None:
    number = draft.record.next_number
    _change(draft, **{slot: UnderWay(number, call)}, next_number=number + 1)
    draft.commands.append(Request(number, call))


def _write(draft: Draft[UnitRecord], call: Call, set_points: SetPoints) -> None:
    moment: Moment = draft.context
    _request(draft, "step", call)
    _change(
        draft,
        set_points=set_points,
        written_at_s=moment.now_s,
        tries_left=moment.settings.check_tries,
        nearest_v=None,
    )


def _towards(start: float, target: float, step: float) -> float:
    return target if abs(target - start) <= step else start + (step if target > start else -step)


@EFFECTS.define
def set_mode(draft: Draft[UnitRecord]) -> None:
    job = _job(draft)
    if job.mode is None:
        raise ValueError(f"{job.name} sets no mode")
    set_points = SetPoints(job.mode, job.target_voltage_v, job.first_current_a, job.droop_ratio)
    _write(draft, SetMode(job.mode, job.target_voltage_v, job.first_current_a, job.droop_ratio), set_points)


@EFFECTS.define
def step_current(draft: Draft[UnitRecord]) -> None:
    _set_current(draft, _job(draft).target_current_a or 0.0)


@EFFECTS.define
def ease_current(draft: Draft[UnitRecord]) -> None:
    _set_current(draft, 0.0)


def _set_current(draft: Draft[UnitRecord], target_a: float) -> None:
    own = draft.record.set_points
    current_a = _towards(own.grid_current_a, target_a, draft.context.settings.current_step_a)
    _write(draft, SetCurrent(current_a), replace(own, grid_current_a=current_a))


@EFFECTS.define
def step_voltage(draft: Draft[UnitRecord]) -> None:
    job = _job(draft)
    _set_voltage(draft, job.target_voltage_v, job.droop_ratio)


@EFFECTS.define
def ease_voltage(draft: Draft[UnitRecord]) -> None:
    own_v = draft.record.set_points.grid_voltage_v
    _set_voltage(draft, min(own_v, draft.context.settings.stop_voltage_v), 0.0)


def _set_voltage(draft: Draft[UnitRecord], target_v: float, droop_ratio: float) -> None:
    own = draft.record.set_points
    voltage_v = _towards(own.grid_voltage_v, target_v, draft.context.settings.voltage_step_v)
    _write(draft, SetVoltage(voltage_v, droop_ratio), replace(own, grid_voltage_v=voltage_v, droop_ratio=droop_ratio))


@EFFECTS.define
def next_voltage(draft: Draft[UnitRecord]) -> None:
    job = _job(draft)
    _change(draft, job=replace(job, target_voltage_v=job.voltages_v[0], voltages_v=job.voltages_v[1:]))


@EFFECTS.define
def stop_now(draft: Draft[UnitRecord]) -> None:
    unit, moment = draft.record, draft.context
    overtaken = (unit.step,) if unit.step and isinstance(unit.step.call, SetMode | SetVoltage | SetCurrent) else ()
    # The command that ends as a stop (the end of a hand-over) is confirmed like an order to stop.
    orders = (unit.job.order,) if unit.job else ()
    _change(draft, step=None, job=None, stragglers=unit.stragglers + overtaken, stops=unit.stops + orders)
    _request(draft, "stop", Stop(moment.settings.grid_voltage_v))
    _change(
        draft,
        set_points=SetPoints(ConverterMode.WAIT, moment.settings.grid_voltage_v),
        written_at_s=moment.now_s,
        stop_settled=not draft.record.write_pending,
        tries_left=unit.tries_left if unit.stopping else moment.settings.check_tries,
    )


@EFFECTS.define
def look(draft: Draft[UnitRecord]) -> None:
    _request(draft, "step", ReadStatus())


@EFFECTS.define
def look_all(draft: Draft[UnitRecord]) -> None:
    _request(draft, "step", ReadAll())


@EFFECTS.define
def count_try(draft: Draft[UnitRecord]) -> None:
    unit = draft.record
    # A stop that an earlier write may still undo could not be confirmed yet: that is no failure.
    if not unit.stopping or unit.stop_settled:
        _change(draft, tries_left=unit.tries_left - 1)


@EFFECTS.define
def note_distance(draft: Draft[UnitRecord]) -> None:
    _change(draft, nearest_v=draft.facts["voltage_error_v"])


@EFFECTS.define
def succeed(draft: Draft[UnitRecord]) -> None:
    job = _job(draft)
    ended = (*draft.record.ended, (job.order, None))
    ends_suppression = job.name in (CommandName.AUTHORIZE, CommandName.DID_HAND_OVER, CommandName.DID_TAKE_OVER)
    suppressed_until_s = None if ends_suppression else draft.record.suppressed_until_s
    _change(draft, job=None, ended=ended, suppressed_until_s=suppressed_until_s)
    report(draft)


@EFFECTS.define
def fail(draft: Draft[UnitRecord], reason: str) -> None:
    unit, problem = draft.record, draft.context.problem
    text = f"{reason}: {problem}" if reason == "device" and problem else reason
    _change(
        draft,
        job=None,
        ended=(*unit.ended, (_job(draft).order, text)),
        # Whoever passed the command decides what comes of it, and may need the suppression to go on.
        suppressed_until_s=unit.suppressed_until_s if reason == "aborted" else None,
    )


@EFFECTS.define
def confirm(draft: Draft[UnitRecord]) -> None:
    unit = draft.record
    _change(draft, stops=(), ended=unit.ended + tuple((order, None) for order in unit.stops), suppressed_until_s=None)
    report(draft)


@EFFECTS.define
def give_up(draft: Draft[UnitRecord]) -> None:
    unit = draft.record
    ended = unit.ended + tuple((order, "not confirmed") for order in unit.stops)
    _change(draft, stops=(), ended=ended, tries_left=draft.context.settings.check_tries)
    draft.commands.append(Tell("not_confirmed"))
    report(draft)


@EFFECTS.define
def spare(draft: Draft[UnitRecord]) -> None:
    unit = draft.record
    _change(draft, stops=unit.stops[:-1], ended=(*unit.ended, (unit.stops[-1], None)))
    _report(draft, read=True)


@EFFECTS.define
def report(draft: Draft[UnitRecord]) -> None:
    _report(draft, read=draft.context.read)


def _report(draft: Draft[UnitRecord], *, read: bool) -> None:
    draft.record, reports = report_ended(draft.record, read=read)
    draft.commands += reports


@EFFECTS.define
def announce_voltage_going(draft: Draft[UnitRecord]) -> None:
    draft.commands.append(AnnounceVoltageGoing())


@EFFECTS.define
def tell(draft: Draft[UnitRecord], problem: str) -> None:
    draft.commands.append(Tell(problem))
