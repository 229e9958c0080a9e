"""Deals that fail on purpose: each flag at its step, and only where the settings honour them."""

from __future__ import annotations

import dataclasses

import pytest

from apis_rules.charts.master.on_purpose import ABORTS, FAILURES
from apis_rules.documents.deal_order import Faults
from tests.charts.master.house import WAIT
from tests.charts.master.store import make_deal
from tests.charts.master.world import World, shipped_settings

LAST_STEP = {
    "failBeforeActivate": None,
    "failAfterActivate": "activate",
    "failBeforeAuthorize": "ramp_up",
    "failAfterAuthorize": "ramp_up",
    "failBeforeWarmUp": "ramp_up",
    "failAfterWarmUp": "warm_up",
    "failBeforeCompensate": "warm_up",
    "failAfterCompensate": "start",
}
"""The last step that the deal's record shows."""
STEPS = ("activate", "ramp_up", "warm_up", "start")


def world_with(flag: str, *, honoured: bool = True) -> World:
    world = World(settings=dataclasses.replace(shipped_settings(), test_features=honoured))
    deal = make_deal("d1", "E001", "E002", amount_wh=6)
    record = deal.record.model_copy(update={"test_feature": {"dcdc": {flag: True}}})
    world.create(deal.model_copy(update={"record": record}))
    return world


@pytest.mark.parametrize("flag", ABORTS)
def test_a_deal_is_aborted_at_its_step(flag: str) -> None:
    """Nothing after the step is done, everything is switched off, and the record names the flag."""
    world = world_with(flag)
    world.run_until(lambda w: w.ended and not w.deals, 60)
    assert all(h.mode is WAIT for h in world.houses.values())
    step = LAST_STEP[flag]
    if step is None:
        assert not world.stream
        return
    (record,) = world.stream["d1"]
    assert record.abort_reason == f"testFeature: {flag}"
    done = [s for s in STEPS if getattr(record, f"{s}_date_time") not in (None, "--")]
    assert done[-1] == step


@pytest.mark.parametrize("flag", ["failBeforeStop", "failAfterStop"])
def test_a_stop_that_fails_is_told_and_done_all_the_same(flag: str) -> None:
    """The problem is reported; the converter stops."""
    world = world_with(flag)
    world.run_until(lambda w: w.ended and not w.deals, 60)
    assert [p for p in world.problems if "stop_failed" in p]
    assert all(h.mode is WAIT for h in world.houses.values())


def test_flags_count_only_where_they_are_honoured() -> None:
    """The shipped settings honour none."""
    world = world_with("failAfterActivate", honoured=False)
    world.run_until(lambda w: w.ended and not w.deals, 60)
    assert world.stream["d1"][0].abort_reason is None


def test_every_flag_of_the_file_has_its_step() -> None:
    """What the file's model takes and what the planner knows are the same."""
    keys = {field.alias for field in Faults.model_fields.values()}
    assert keys == ABORTS.keys() | FAILURES.keys()
