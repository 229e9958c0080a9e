"""What an answer of the driver shows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apis_rules.charts import Timers
from apis_rules.charts.unit.readings import merge_documents, shown_mode
from apis_rules.charts.unit.record import UnitMemory, UnitRecord
from apis_rules.ports.types import DcdcStatus


@pytest.mark.parametrize(
    ("status", "word"),
    [
        ({"status": "0x0000", "operationMode": "Waiting"}, "wait"),
        ({"status": "0x0041", "operationMode": "Heteronomy CV"}, "charge"),
        ({"status": "0x2", "operationMode": "Heteronomy CV"}, "discharge"),
        ({"status": "0x0014"}, "reference"),
        ({"status": "0x0041", "operationMode": "Waiting"}, "other"),
        ({"status": "0x0099", "operationMode": "Waiting"}, "other"),
        ({"status": "no code"}, "other"),
        ({"operationMode": "Grid Autonomy"}, "reference"),
        ({"operationMode": "Waiting", "runningState": "off"}, "wait"),
        ({"operationMode": "Heteronomy CV", "runningState": "charge"}, "charge"),
        ({"operationMode": "Heteronomy CV", "runningState": "discharge"}, "discharge"),
        ({"operationMode": "Heteronomy CV"}, "either"),
        ({"operationMode": "Heteronomy CV", "runningState": "off"}, "either"),
        ({"operationMode": "Something"}, "other"),
        ({"alarmState": "Light alarm"}, None),
    ],
)
def test_the_mode_that_an_answer_shows(status: dict[str, str], word: str | None) -> None:
    """Code and text must agree; without a code the running state tells the direction; nothing said is no mode."""
    assert shown_mode(DcdcStatus.model_validate(status)) == word


def test_a_status_without_a_code_takes_away_a_code_that_contradicts_it() -> None:
    """A status answer is merged; the older code stays only as long as the new text agrees with it."""
    known = {"dcdc": {"status": {"status": "0x0041", "operationMode": "Heteronomy CV"}, "param": {"dig": 1}}}
    same = merge_documents(known, {"dcdc": {"status": {"operationMode": "Heteronomy CV"}}})
    assert same["dcdc"]["status"]["status"] == "0x0041"
    other = merge_documents(known, {"dcdc": {"status": {"operationMode": "Waiting"}}})
    assert other["dcdc"] == {"status": {"operationMode": "Waiting"}, "param": {"dig": 1}}


LEAVES = st.none() | st.integers() | st.text(max_size=3)
DOCUMENTS = st.dictionaries(
    st.sampled_from("abc"), st.recursive(LEAVES, lambda v: st.dictionaries(st.sampled_from("xyz"), v), max_leaves=8)
)


@given(DOCUMENTS, DOCUMENTS)
def test_merging_keeps_what_is_not_said_and_takes_what_is(known: dict[str, object], answer: dict[str, object]) -> None:
    """Every value of the answer is in the result; what the answer leaves out stays; neither side is changed."""
    before = repr((known, answer))
    merged = merge_documents(known, answer)
    assert repr((known, answer)) == before
    assert merge_documents(merged, answer) == merged
    assert {k: merged[k] for k in known if k not in answer} == {k: v for k, v in known.items() if k not in answer}
    assert set(merged) == {*known, *answer}


def test_the_converter_is_read_anew_from_another_document() -> None:
    """What was read of one document is kept for it alone: a copy with another document shows the other one's values."""
    unit = UnitRecord("waiting", "E001", "boot", UnitMemory(), Timers({}), document={"dcdc": {"meter": {"vg": 350.0}}})
    assert unit.dcdc is unit.dcdc
    assert unit.changed(next_number=2).dcdc is unit.dcdc
    other = unit.changed(document={"dcdc": {"meter": {"vg": 10.0}}})
    assert other.dcdc.meter.grid_voltage_v == 10.0
    assert unit.dcdc.meter.grid_voltage_v == 350.0
    assert other != unit
