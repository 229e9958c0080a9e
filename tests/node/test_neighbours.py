"""What a Grid Master has heard of the units: readings with their age, outcomes."""

from __future__ import annotations

from apis_rules.charts.master import UnitLimits
from apis_rules.node.neighbours import Neighbours
from apis_rules.ports.types import ConverterMode, DcdcData, Epoch, Outcome, UnitData

EPOCH = Epoch(number=1, term_id="t")


def shown(mode: ConverterMode) -> DcdcData:
    return DcdcData.model_validate({"status": {"status": mode.code}})


def outcome(seq: int, mode: ConverterMode) -> Outcome:
    return Outcome(unit_id="E001", epoch=EPOCH, seq=seq, boot="b", status=shown(mode))


def test_an_outcome_that_is_told_again_says_nothing_of_now() -> None:
    """A stop goes out twice, and a command without an answer too: what its outcome showed is not shown any more."""
    neighbours = Neighbours(UnitLimits(2.3, 0.125))
    neighbours.of("E001").data = UnitData(dcdc=shown(ConverterMode.WAIT))
    neighbours.take_outcome(outcome(1, ConverterMode.WAIT), 10.0)
    neighbours.take_outcome(outcome(2, ConverterMode.CHARGE), 11.0)
    neighbours.take_outcome(outcome(1, ConverterMode.WAIT), 12.0)
    seen = neighbours.of("E001").picture()
    assert seen.mode is ConverterMode.CHARGE
    assert seen.read_at_s == 11.0
    assert [heard.outcome.seq for heard in seen.outcomes] == [1, 2]
