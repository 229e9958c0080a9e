"""What comes from the driver: answers, refusals, silence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from apis_rules.charts.unit.calls import ReadAll, ReadStatus, SetCurrent, SetMode, SetVoltage
from apis_rules.charts.unit.readings import MODES, merge_documents, shown_mode
from apis_rules.charts.unit.record import SetPoints
from apis_rules.ports.types import DcdcData

if TYPE_CHECKING:
    from apis_rules.charts.unit.events import Answered
    from apis_rules.charts.unit.record import UnderWay
    from apis_rules.charts.unit.turn import Turn

WRITES: Final = SetMode | SetVoltage | SetCurrent


def take_answer(turn: Turn, answered: Answered) -> None:
    """Go on with a request that was answered."""
    unit, request_id = turn.unit, answered.request_id
    if _is(unit.watch, request_id) and unit.watch:
        turn.change(watch=None)
        _watched(turn, answered, full=isinstance(unit.watch.call, ReadAll))
    elif _is(unit.step, request_id) and unit.step:
        turn.change(step=None)
        _stepped(turn, answered, unit.step)
    elif _is(unit.stop, request_id):
        turn.change(stop=None)
        turn.fire("done", _merge(turn, answered))
    else:
        _settle_straggler(turn, request_id)


def take_failure(turn: Turn, request_id: int, reason: str, *, lost: bool) -> None:
    """Go on with a request that was not done, or (*lost*) of which nobody knows."""
    unit = turn.unit
    trigger = "lost" if lost else "failed"
    if lost:
        _note_lost(turn, request_id)
    if _is(unit.watch, request_id):
        turn.change(watch=None)
        if unit.acknowledge_from_s is not None:
            turn.acknowledge(read=False)
    elif _is(unit.step, request_id):
        turn.change(step=None)
        turn.fire("abort" if turn.passed else trigger, problem=reason)
    elif _is(unit.stop, request_id):
        turn.change(stop=None)
        turn.fire(trigger, problem=reason)
    else:
        _settle_straggler(turn, request_id)


def _is(request: UnderWay | None, request_id: int) -> bool:
    return request is not None and request.request_id == request_id


def _watched(turn: Turn, answered: Answered, *, full: bool) -> None:
    unit = turn.unit
    if unit.written_at_s is not None and answered.sent_at_s < unit.written_at_s:
        # It may show what was before the write.
        turn.change(read_wanted=True, read_all_wanted=full or unit.read_all_wanted)
        return
    answer = _merge(turn, answered)
    if _outside(turn, answer):
        turn.fire("retreat")
    turn.fire("reading", answer)
    from_s = turn.unit.acknowledge_from_s
    if full and from_s is not None and answered.sent_at_s >= from_s:
        turn.acknowledge(read=True)


def _stepped(turn: Turn, answered: Answered, step: UnderWay) -> None:
    answer = _merge(turn, answered)
    outside = _outside(turn, answer)
    if isinstance(step.call, ReadAll | ReadStatus):
        turn.change(read_at_s=answered.sent_at_s)
    if isinstance(step.call, ReadAll):
        turn.change(read_all_at_s=answered.sent_at_s)
        _adopt_set_points(turn, answer)
    elif outside and turn.fire("retreat"):
        return
    if turn.passed:
        turn.fire("abort")
    else:
        turn.fire("done", answer)
        if outside:
            turn.fire("retreat")  # where the look has just shown that it is current-controlled


def _note_lost(turn: Turn, request_id: int) -> None:
    """A write that was not answered may still land for as long as the driver takes."""
    writes = [u for u in (turn.unit.step, *turn.unit.stragglers) if _is(u, request_id)]
    if any(u and isinstance(u.call, WRITES) for u in writes):
        turn.change(unsettled_until_s=turn.now_s + turn.settings.request_timeout_s)


def _settle_straggler(turn: Turn, request_id: int) -> None:
    turn.change(stragglers=tuple(u for u in turn.unit.stragglers if u.request_id != request_id))


def _merge(turn: Turn, answered: Answered) -> DcdcData:
    """Lay an answer over what was known; return what the answer itself shows."""
    answer = DcdcData.model_validate(answered.document.get("dcdc", {}))
    turn.change(
        document=merge_documents(turn.unit.document, answered.document),
        time=answered.time or turn.unit.time,
        shown_mode=shown_mode(answer.status) or turn.unit.shown_mode,
    )
    return answer


def _adopt_set_points(turn: Turn, answer: DcdcData) -> None:
    """After a look at a converter in doubt, steps are counted from what it shows."""
    own = turn.unit.set_points
    voltage_v, current_a, droop = answer.vdis.target_voltage_v, answer.param.target_current_a, answer.vdis.droop_ratio
    turn.change(
        set_points=SetPoints(
            mode=MODES.get(turn.unit.shown_mode, own.mode),
            grid_voltage_v=own.grid_voltage_v if voltage_v is None else voltage_v,
            grid_current_a=own.grid_current_a if current_a is None else current_a,
            droop_ratio=own.droop_ratio if droop is None else droop,
        )
    )


def _outside(turn: Turn, answer: DcdcData) -> bool:
    voltage_v = answer.meter.grid_voltage_v
    return voltage_v is not None and not turn.settings.range_min_v <= voltage_v <= turn.settings.range_max_v
